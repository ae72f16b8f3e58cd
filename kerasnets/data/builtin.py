"""Data sets that need no file: scikit-learn's digits, and a table that is drawn."""

import numpy as np

from kerasnets.data.dataset import Data
from kerasnets.data.splits import split


def digits(row):
    """scikit-learn's 1,797 handwritten digits (8x8, 0..16; UCI's optdigits test set), in MNIST's form.

    The test part is a fifth, set apart by a seed of its own, so that it is the same in every run.
    """
    from sklearn.datasets import load_digits

    from kerasnets import pictures

    bundled = load_digits()
    images = np.stack([pictures.to_mnist_form(image) for image in (bundled.images * (255 / 16)).astype("uint8")])
    train, test = split(bundled.target, row.test, seed=0)
    labels = bundled.target.astype("int64")
    return Data(images[train], labels[train], images[test], labels[test], row.title, row.class_names, row.input_kind)


def sum3(row):
    """10,000 rows of three numbers from U(0, 1): below 1, between 1 and 2, or above 2 is their sum.

    The shares of the classes are 1/6, 2/3 and 1/6 (the distribution of Irwin and Hall): who always says "between" is
    right twice out of three.
    """
    rows = np.random.RandomState(0).random_sample((row.train + row.test, 3)).astype("float32")
    labels = np.digitize(rows.sum(axis=1), (1, 2)).astype("int64")
    return Data(
        rows[: row.train],
        labels[: row.train],
        rows[row.train :],
        labels[row.train :],
        row.title,
        row.class_names,
        row.input_kind,
    )


# name of a data set -> what makes it
MAKERS = {"digits": digits, "sum3": sum3}
