"""The search for a learning rate tells where the loss falls, and writes its curve."""

import csv

import numpy as np
import pytest

from kerasnets import recipes
from kerasnets.errors import BadInputError
from tests.conftest import mostly_on_torch
from tests.stand_ins import few_digits

RECIPE = recipes.with_changes(recipes.own("lenet5", "digits"), batch_size=32, accumulate=3, ema=0.9)


def find(recipe, out, steps=60, constant=False):
    """(fields of the Search, its rate to use, its line), or the message of the error."""
    import dataclasses

    from kerasnets.training.rate_finder import find_learning_rate
    from kerasnets.training.request import Request

    digits = few_digits()
    if constant:
        digits = dataclasses.replace(digits, train_images=np.zeros_like(digits.train_images))
    try:
        search = find_learning_rate(Request(recipe=recipe, arrays=digits, out=out), steps)
    except BadInputError as error:
        return str(error)
    return dataclasses.asdict(search), search.learning_rate, search.line()


@mostly_on_torch
def test_the_search_finds_a_rate_at_which_adam_learns(worker, tmp_path):
    """At rates of a millionth the loss is that of guessing 10 classes; Kingma and Ba's rate for Adam is 0.001."""
    search, rate, line = worker(find, RECIPE, tmp_path / "a.keras")
    rates, losses = search["rates"], search["losses"]
    assert rates[0] == pytest.approx(1e-6)
    np.testing.assert_allclose(np.diff(np.log(rates)), np.log(1e7) / 59, rtol=1e-9)
    assert abs(np.mean(losses[:10]) - np.log(10)) < 0.3
    assert min(losses) < np.mean(losses[:10]) - 0.3
    assert 1e-4 < rate < 0.1
    assert f"learning_rate={rate:g} " in line
    rows = list(csv.DictReader((tmp_path / "a/learning-rate.csv").read_text().splitlines()))
    assert [float(row["loss"]) for row in rows] == losses
    assert (tmp_path / "a/learning-rate.png").stat().st_size > 5_000
    assert not (tmp_path / "a.keras").exists()


def test_a_loss_that_never_falls_is_said(workers, tmp_path):
    message = workers["torch"](find, RECIPE, tmp_path / "b.keras", 40, True)
    assert "no learning rate from 1e-06 to 10 lowers the loss" in message
    assert not (tmp_path / "b/learning-rate.png").exists()
