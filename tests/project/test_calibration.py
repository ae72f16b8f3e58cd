"""Temperature and threshold of shipped models, from probabilities whose honesty is known."""

import numpy as np
import pytest

from kerasnets.project import calibration


@pytest.mark.parametrize("too_sure", [0.7, 1.0, 1.8])
def test_the_temperature_is_the_factor_by_which_logits_are_too_large(too_sure):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 5))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (shares.cumsum(axis=1) < rng.uniform(size=(20_000, 1))).sum(axis=1)  # as often as the shares say
    claimed = np.exp(too_sure * logits) / np.exp(too_sure * logits).sum(axis=1, keepdims=True)
    assert calibration.best_temperature(claimed, labels) == pytest.approx(too_sure, rel=0.05)


def test_the_threshold_calls_three_in_a_thousand_right_answers_unsure():
    first = np.linspace(0.5, 1, 10_001)
    shares = np.stack([first, 1 - first], axis=1)
    least = calibration.threshold(shares, np.zeros(10_001, int))
    assert least == 0.5
    sharper = np.linspace(0.7, 1, 10_001)
    least = calibration.threshold(np.stack([sharper, 1 - sharper], axis=1), np.zeros(10_001, int))
    assert 0.69 <= least <= 0.71
    assert (sharper < least).mean() <= 0.004
    assert calibration.threshold(np.array([[0.99, 0.01]] * 100), np.zeros(100, int)) == 0.9
