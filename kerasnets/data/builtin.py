"""Data sets that need no file: scikit-learn's digits, and random numbers with their sums as classes."""

from collections.abc import Callable

import numpy as np

from kerasnets.data.catalogue import Dataset
from kerasnets.data.dataset import Data, make_data
from kerasnets.data.splits import split
from kerasnets.runtime import backends


def digits(dataset: Dataset) -> Data:
    """Return scikit-learn's 1,797 handwritten digits (8x8, 0..16; UCI's optdigits test set) in MNIST's form.

    A fifth is the test part. Its seed is fixed, so that it is the same in every run.
    """
    backends.check_packages("sklearn")
    from sklearn.datasets import load_digits

    from kerasnets import pictures

    bundled = load_digits()
    images = np.stack([pictures.to_mnist_form(image) for image in (bundled.images * (255 / 16)).astype("uint8")])
    train, test = split(bundled.target, dataset.test, seed=0)
    labels = bundled.target.astype("int64")
    return make_data(dataset, images[train], labels[train], images[test], labels[test])


def sum3(dataset: Dataset) -> Data:
    """Draw 10,000 rows of three numbers from U(0, 1); the classes are a sum below 1, between 1 and 2, and above 2.

    Their shares are 1/6, 2/3 and 1/6 (the Irwin-Hall distribution), so that always predicting the middle class is right
    in two of three cases.
    """
    rows = np.random.RandomState(0).random_sample((dataset.train + dataset.test, 3)).astype("float32")
    labels = np.digitize(rows.sum(axis=1), (1, 2)).astype("int64")
    count = dataset.train
    return make_data(dataset, rows[:count], labels[:count], rows[count:], labels[count:])


# name of a data set -> function that makes it
MAKERS: dict[str, Callable[[Dataset], Data]] = {"digits": digits, "sum3": sum3}
