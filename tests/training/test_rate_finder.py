"""The search for a learning rate tells where the loss falls, and writes its curve."""

import csv
import types

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from kerasnets import recipes
from kerasnets.errors import BadInputError
from tests.conftest import mostly_on_torch
from tests.stand_ins import few_digits

RECIPE = recipes.with_changes(recipes.own("lenet5", "digits"), batch_size=32, accumulate=3, ema=0.9)
LABELS = np.repeat(np.arange(3), (40, 30, 20))


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


def searches_of(curves):
    """The Search of each list of losses, as a dict of what it says."""
    from kerasnets.training.rate_finder import Search

    names = ("learning_rate", "falls", "is_reliable", "doubt")
    searches = [Search("cnn-pets", np.geomspace(1e-6, 10, len(curve)).tolist(), curve, "a.png", len(curve), np.log(3))
                for curve in curves]  # fmt: skip
    return [{"line": search.line(), **{name: getattr(search, name) for name in names}} for search in searches]


def losses_alike(*changes):
    """The loss of one answer for 40, 30 and 20 images of three classes, by recipes with the changes."""
    from kerasnets.training.rate_finder import loss_alike

    examples = types.SimpleNamespace(train_labels=LABELS, class_names=("a", "b", "c"))
    recipes_of = [recipes.with_changes(RECIPE, **each) for each in changes]
    return [loss_alike(types.SimpleNamespace(recipe=recipe, data=examples)) for recipe in recipes_of]


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
    assert " reliable=yes " in line
    assert search["alike"] == pytest.approx(np.log(10), abs=0.03)  # ten digits, about as many of each
    rows = list(csv.DictReader((tmp_path / "a/learning-rate.csv").read_text().splitlines()))
    assert [float(row["loss"]) for row in rows] == losses
    assert (tmp_path / "a/learning-rate.png").stat().st_size > 5_000
    assert not (tmp_path / "a.keras").exists()


def test_a_loss_that_never_falls_is_said(workers, tmp_path):
    message = workers["torch"](find, RECIPE, tmp_path / "b.keras", 40, True)
    assert "no learning rate from 1e-06 to 10 lowers the loss" in message
    assert not (tmp_path / "b/learning-rate.png").exists()


def test_a_curve_that_falls_to_one_answer_for_all_is_unreliable(workers):
    """A badly initialized network first learns the frequencies: its loss falls to their entropy, and is flat there."""
    rng = np.random.default_rng(0)
    flat, falling = [], []
    for steps in (20, 40, 100):
        powers = np.linspace(-6, 1, steps)
        flat.append((np.where(powers < -3, 1.6, 1.1) + rng.normal(0, 0.2, steps)).tolist())
        falling.append((np.interp(powers, [-4, -2, -1, 1], [1.6, 0.3, 0.3, 9]) + rng.normal(0, 0.02, steps)).tolist())
    for search, curve in zip(workers["torch"](searches_of, flat), flat, strict=True):
        assert search["falls"]
        assert not search["is_reliable"]
        assert " reliable=no " in search["line"]
        words = f"the learning rate {search['learning_rate']:g} is unreliable: in {len(curve)} steps the loss fell to "
        assert search["doubt"].startswith(words)
    assert all(search["is_reliable"] and not search["doubt"] for search in workers["torch"](searches_of, falling))


def test_the_number_of_steps_does_not_move_the_rate(workers):
    """The mean covers the same range of rates, so it lags by as much."""
    powers = [np.linspace(-6, 1, steps) for steps in (20, 40, 100, 400)]
    curves = [np.interp(each, [-4, -2, 1], [2.3, 0.5, 9.0]).tolist() for each in powers]
    rates = [search["learning_rate"] for search in workers["torch"](searches_of, curves)]
    assert np.ptp(np.log10(rates)) < 0.4


def test_the_loss_of_one_answer_is_that_of_the_best_constant(workers):
    """Against the least loss that an optimizer finds for one vector of logits."""
    targets, even = np.eye(3)[LABELS], 90 / 3 / np.array([40, 30, 20])
    cases = (
        ({}, lambda q: -(targets @ log_softmax(q)).mean()),
        ({"label_smoothing": 0.3}, lambda q: -((0.7 * targets + 0.1) @ log_softmax(q)).mean()),
        ({"class_weights": "balanced"}, lambda q: -(even[LABELS] * (targets @ log_softmax(q))).mean()),
        ({"loss": "squared_error"}, lambda q: ((targets - softmax(q)) ** 2).mean()),
    )
    results = workers["torch"](losses_alike, *(changes for changes, _ in cases))
    assert results == pytest.approx([minimize(loss, np.zeros(3)).fun for _, loss in cases], abs=1e-5)
