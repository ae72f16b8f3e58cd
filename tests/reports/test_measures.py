"""Measures of answers, against scikit-learn's and numbers counted by hand."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import top_k_accuracy_score

from kerasnets.prediction.verdicts import calibrate
from kerasnets.reports import measures


def honest(count=20_000, classes=5, seed=0):
    """(log-probabilities, labels): each label is drawn as often as the probabilities say."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, classes))
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    labels = (np.exp(logs).cumsum(axis=1) < rng.uniform(size=(count, 1))).sum(axis=1)
    return logs, np.minimum(labels, classes - 1)


@pytest.mark.parametrize("too_sure", [0.6, 1.0, 2.5])
def test_the_temperature_makes_probabilities_honest(too_sure):
    logs, labels = honest()
    claimed = too_sure * logs
    claimed = claimed - np.log(np.exp(claimed).sum(axis=1, keepdims=True))
    temperature = measures.best_temperature(claimed, labels)
    assert temperature == pytest.approx(too_sure, rel=0.05)
    right = claimed.argmax(axis=1) == labels
    before, after = (measures.reliability(measures.sureness(claimed, t), right).error for t in (1.0, temperature))
    assert after < 0.015
    assert after < before / 3 or too_sure == 1


def test_few_pictures_that_are_all_answered_right_claim_no_certainty():
    logs = np.log(np.array([[0.9, 0.1]] * 10))
    assert 0.3 < measures.best_temperature(logs, np.zeros(10, int)) < 1


def test_bins_and_their_error_are_scikit_learns():
    logs, labels = honest(3000)
    sureness, right = np.exp(logs.max(axis=1)), logs.argmax(axis=1) == labels
    bins = measures.reliability(sureness, right)
    shares, claimed = calibration_curve(right, sureness, n_bins=15)
    filled = bins.counts > 0
    np.testing.assert_allclose(bins.right[filled], shares)
    np.testing.assert_allclose(bins.claimed[filled], claimed)
    assert bins.counts.sum() == 3000


def test_the_error_is_the_weighted_distance():
    """Three answers of 0.9, one of them wrong; one of 0.5, right: (3 * |0.9 - 2/3| + |0.5 - 1|) / 4."""
    bins = measures.reliability(np.array([0.9, 0.9, 0.9, 0.5]), np.array([True, True, False, True]))
    assert bins.error == pytest.approx((3 * (0.9 - 2 / 3) + 0.5) / 4)
    assert measures.reliability(np.array([1.0, 0.0]), np.array([True, False])).error == 0


@pytest.mark.parametrize("temperature", [0.2, 0.9, 3.0, 20.0])
def test_no_temperature_changes_an_answer(temperature):
    """Nor if two float32 probabilities are as near as they can be."""
    shares = np.random.default_rng(0).dirichlet(np.ones(4), 500).astype("float32")
    shares[:100, 1] = np.nextafter(shares[:100, 0], np.float32(1))
    shares[100:200, 1] = np.nextafter(shares[100:200, 0], np.float32(0))
    shares[200] = [0, 1, 0, 0]
    softened = calibrate(shares, temperature)
    np.testing.assert_array_equal(softened.argmax(axis=1), shares.argmax(axis=1))
    np.testing.assert_allclose(softened.sum(axis=1), 1)


def test_top_accuracy_is_scikit_learns():
    logs, labels = honest(500, 8)
    for k in (1, 3, 5):
        expected = top_k_accuracy_score(labels, logs, k=k, labels=range(8))
        assert measures.top_accuracy(logs, labels, k) == expected
    assert measures.top_accuracy(np.zeros((1, 8)), np.array([4]), 5) == 1
    assert measures.top_accuracy(np.zeros((1, 8)), np.array([5]), 5) == 0


def test_groups_have_equal_sizes_and_pictures_of_one_value_stay_together():
    values = np.arange(100.0)
    groups = measures.by_quantity(values, values < 50)
    assert [group.size for group in groups] == [19, 20, 20, 20, 21]
    assert [group.right for group in groups][::4] == [1, 0]
    assert measures.by_quantity(np.ones(9), np.ones(9, bool)) == []
    two = measures.by_quantity(np.array([1.0, 1, 1, 2, 2]), np.array([1, 1, 0, 0, 1], bool))
    assert [(group.low, group.size, group.right) for group in two] == [(1, 3, 2 / 3), (2, 2, 0.5)]


def test_a_label_is_doubtful_if_the_answer_is_as_sure_as_usual():
    logs = np.log(np.array([
        [0.9, 0.1], [0.9, 0.1], [0.8, 0.2], [0.05, 0.95],  # the last one is labelled 0, and looks like a 1
        [0.1, 0.9], [0.2, 0.8], [0.45, 0.55], [0.6, 0.4],  # the last one is wrong, and not sure
    ]))  # fmt: skip
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    assert measures.doubtful_labels(logs, labels).tolist() == [3]
    assert measures.doubtful_labels(logs[:3], labels[:3]).tolist() == []
