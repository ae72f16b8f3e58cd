"""The data sets that need no file have the right content."""

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_digits

from kerasnets import data


def test_digits_are_scikit_learns_in_mnists_form():
    digits = data.load_data("digits")
    assert digits.train_images.shape == (1437, 28, 28, 1)
    assert digits.test_images.shape == (360, 28, 28, 1)
    assert digits.train_images.dtype == np.uint8
    counts = np.bincount(np.concatenate([digits.train_labels, digits.test_labels]))
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # UCI optdigits.names, test set
    rows = np.flatnonzero((digits.test_images > 0).any((0, 2, 3)))
    assert rows[0] >= 1
    assert (digits.test_images > 0).any((2, 3)).sum(1).max() <= 20  # the box


def test_digits_hold_each_digit_of_scikit_learn_once_under_its_label():
    """Each image correlates most with its original among scikit-learn's 1,797, which has the same label."""
    digits, theirs = data.load_data("digits"), load_digits()
    labels = np.concatenate([digits.train_labels, digits.test_labels])
    images = np.concatenate([digits.train_images, digits.test_images])[..., 0]
    nearest = (alike(images) @ alike(theirs.images).T).argmax(1)
    assert (theirs.target[nearest] == labels).mean() > 0.99  # a few are enlarged unevenly
    assert len({image.tobytes() for image in images}) == len(theirs.images)


def alike(images):
    """Images as vectors whose product is the correlation of their ink, cut out and resized to 8x8."""
    vectors = []
    for image in images:
        rows, columns = (np.flatnonzero(image.any(axis)) for axis in (1, 0))
        ink = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype("float32")
        vectors.append(cv2.resize(ink, (8, 8), interpolation=cv2.INTER_AREA).ravel())
    vectors = np.array(vectors) - np.mean(vectors, axis=1, keepdims=True)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_sum3_labels_follow_the_sums():
    """In float64: below 1, between 1 and 2, above 2."""
    result = data.load_data("sum3")
    assert result.train_images.shape == (7000, 3)
    assert result.test_images.shape == (3000, 3)
    assert result.train_images.dtype == np.float32
    for rows, labels in ((result.train_images, result.train_labels), (result.test_images, result.test_labels)):
        sums = rows.astype("float64").sum(axis=1)
        np.testing.assert_array_equal(labels, (sums > 1).astype(int) + (sums > 2))


def test_sum3_has_the_shares_of_irwin_and_hall():
    """P(S < 1) = 1/3! = 1/6 for the sum of three U(0, 1) (Irwin 1927, Hall 1927), so 2/3 between; three std."""
    result = data.load_data("sum3")
    shares = np.bincount(np.concatenate([result.train_labels, result.test_labels])) / 10_000
    for share, expected in zip(shares, (1 / 6, 2 / 3, 1 / 6), strict=True):
        assert share == pytest.approx(expected, abs=3 * np.sqrt(expected * (1 - expected) / 10_000))


def test_sum3_is_drawn_evenly_from_0_to_1():
    """U(0, 1): mean 1/2, variance 1/12, and independent numbers."""
    rows = np.concatenate([data.load_data("sum3").train_images, data.load_data("sum3").test_images]).astype("float64")
    assert rows.min() >= 0
    assert rows.max() < 1
    np.testing.assert_allclose(rows.mean(axis=0), 0.5, atol=3 * np.sqrt(1 / 12 / 10_000))
    np.testing.assert_allclose(rows.var(axis=0), 1 / 12, atol=3 * np.sqrt(1 / 180 / 10_000))
    np.testing.assert_allclose(np.corrcoef(rows.T)[np.triu_indices(3, 1)], 0, atol=3 / np.sqrt(10_000))


def sums_of_all():
    return [float(data.load_data(name).test_images.sum(dtype="float64")) for name in ("digits", "sum3")]


def test_builtin_data_are_the_same_on_every_backend(workers):
    for worker in workers.values():
        assert worker(sums_of_all) == sums_of_all()
