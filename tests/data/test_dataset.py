"""Bad data are refused before training, in one line with cause and remedy."""

import dataclasses

import numpy as np
import pytest

from kerasnets.data import Data, check
from kerasnets.errors import BadInputError


def good(**changes):
    """24 colour images of 8x6 in three classes, 9 of them for the test."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 8, 6, 3), np.uint8)
    labels = np.arange(24) % 3
    data = Data(pixels[:15], labels[:15], pixels[15:], labels[15:], title="pets", class_names=("cat", "cow", "dog"))
    return dataclasses.replace(data, **changes)


def table(**changes):
    rows = np.random.default_rng(0).random((24, 4), "float32")
    return good(**{"train_images": rows[:15], "test_images": rows[15:], **changes})


def labels(*first, dtype="int64", count=15):
    """Good labels, with the first ones replaced."""
    array = (np.arange(count) % 3).astype(dtype)
    array[: len(first)] = first
    return array


def pixels(*shape, dtype=np.uint8):
    return np.ones(shape, dtype)


def with_hole(value):
    rows = np.ones((15, 4), "float32")
    rows[7, 2] = value
    return rows


# fault: (data, words in the message)
BAD_DATA = {
    "label above": (good(train_labels=labels(3)), "train part: label 3, where the 3 classes are numbered from 0 to 2"),
    "label far above": (good(train_labels=labels(10**12)), "label 1000000000000, where the 3 classes"),
    "label 255": (good(train_labels=labels(255, dtype="uint8")), "label 255, where the 3 classes"),
    "label in the test part": (good(test_labels=labels(7, count=9)), "test part: label 7, where the 3 classes"),
    "label below": (good(train_labels=labels(-1)), "label -1, where the 3 classes are numbered from 0 to 2"),
    "labels from 1": (good(train_labels=labels() + 1), "label 3, where the 3 classes are numbered from 0 to 2"),
    "labels not whole": (good(train_labels=labels(0.5, dtype="float64")), "not whole numbers; number the classes"),
    "label NaN": (good(train_labels=labels(np.nan, dtype="float32")), "float32 and not whole numbers; number the"),
    "label infinite": (good(train_labels=labels(np.inf, dtype="float32")), "float32"),
    "labels of floats": (good(train_labels=labels(dtype="float32")), "whole numbers, by labels.astype('int64')"),
    "labels of words": (good(train_labels=np.array(["cat", "cow", "dog"] * 5)), "not whole numbers; number the"),
    "labels of truth": (good(train_labels=labels() == 1), "labels are bool and not whole numbers"),
    "labels of objects": (good(train_labels=labels().astype(object)), "labels are object and not whole numbers"),
    "labels in a list": (good(train_labels=labels().tolist()), "labels are a list; give a NumPy array"),
    "no labels": (good(train_labels=None), "labels are a NoneType; give a NumPy array"),
    "labels one-hot": (good(train_labels=np.eye(3, dtype=int)[labels()]), "labels of shape (15, 3); give one label an"),
    "labels in a column": (good(train_labels=labels()[:, None]), "labels of shape (15, 1); give one label an image"),
    "a label too few": (good(train_labels=labels()[:-1]), "15 images and labels of shape (14,); give one label"),
    "a label too many": (good(test_labels=labels(count=10)), "test part: 9 images and labels of shape (10,)"),
    "no channels": (good(train_images=pixels(15, 8, 6)), "(15, 8, 6), without channels; add them by images[..., None]"),
    "2 channels": (good(train_images=pixels(15, 8, 6, 2)), "the last axis is for channels, 1 or 3"),
    "4 channels": (good(train_images=pixels(15, 8, 6, 4)), "the last axis is for channels, 1 or 3"),
    "channels first": (good(train_images=pixels(15, 3, 8, 6)), "the last axis is for channels, 1 or 3"),
    "five axes": (good(train_images=pixels(1, 15, 8, 6, 3)), "give (n, height, width, channels)"),
    "one axis": (good(train_images=pixels(15)), "give (n, height, width, channels), or (n, columns) of a table"),
    "no pictures": (good(train_images=pixels(0, 8, 6, 3), train_labels=labels()[:0]), "train part: there are no im"),
    "no test pictures": (good(test_images=pixels(0, 8, 6, 3), test_labels=labels()[:0]), "test part: there are no im"),
    "pictures of no height": (good(train_images=pixels(15, 0, 6, 3)), "there are no images, or they are empty"),
    "pixels 0..1": (good(train_images=pixels(15, 8, 6, 3, dtype="float32")), "pixels are float32; give uint8, 0..255"),
    "pixels int64": (good(train_images=pixels(15, 8, 6, 3, dtype="int64")), "pixels are int64; give uint8, 0..255"),
    "pixels signed": (good(train_images=pixels(15, 8, 6, 3, dtype="int8")), "pixels are int8; give uint8, 0..255"),
    "pictures in a list": (good(train_images=[pixels(8, 6, 3)] * 15), "images are a list; give a NumPy array"),
    "test of another size": (good(test_images=pixels(9, 8, 8, 3)), "train pictures are (8, 6, 3), test pictures (8, 8"),
    "grey test": (good(test_images=pixels(9, 8, 6, 1)), "test pictures (8, 6, 1); give both one shape"),
    "a class that is missing": (good(train_labels=labels() % 2), "no picture of class 'dog'; add some, or leave it"),
    "a class in the middle": (good(train_labels=labels() // 2 * 2), "no picture of class 'cow'"),
    "one class": (
        good(train_labels=labels() * 0, test_labels=labels(count=9) * 0, class_names=("cat",)),
        "has one class alone; give it two or more",
    ),
    "one class without a name": (
        good(train_labels=labels() * 0, test_labels=labels(count=9) * 0, class_names=()),
        "has one class alone; give it two or more",
    ),
    "a class without a name": (
        good(train_labels=labels() * 2, class_names=()), "label 4, where the 3 classes are numbered from 0 to 2"
    ),
    "a class of the test alone": (
        good(train_labels=labels() % 2, class_names=()), "test part: label 2, where the 2 classes are numbered"
    ),
    "a row with NaN": (table(train_images=with_hole(np.nan)), "a row holds NaN, infinity or a number beyond float32; "),
    "a row with infinity": (table(train_images=with_hole(np.inf)), "a row holds NaN, infinity or a number beyond "),
    "rows of whole numbers": (table(train_images=pixels(15, 4)), "a table's rows are uint8; give float32"),
    "rows of words": (table(train_images=np.full((15, 4), "x")), "give float32"),
    "rows of another width": (table(train_images=np.ones((15, 5), "float32")), "(5,), test pictures (4,); give both"),
    "a table and pictures": (table(test_images=pixels(9, 8, 6, 3)), "give both one shape"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_are_refused_in_one_line(case):
    data, words = BAD_DATA[case]
    with pytest.raises(BadInputError) as excinfo:
        check(data)
    line = str(excinfo.value)
    assert words in line
    assert line.startswith("pets")
    assert ";" in line  # and what to do
    assert "\n" not in line
    assert len(line) <= 190  # 200 with "error: "


GOOD_DATA = {
    "as given": good(),
    "grey": good(train_images=pixels(15, 8, 6, 1), test_images=pixels(9, 8, 6, 1)),
    "a table": table(),
    "a table of float64": table(train_images=np.ones((15, 4)), test_images=np.ones((9, 4))),
    "labels uint8": good(train_labels=labels(dtype="uint8")),
    "labels uint64": good(train_labels=labels(dtype="uint64")),
    "names of their own": good(class_names=()),
    "a class without test pictures": good(test_labels=labels(count=9) % 2),
}


@pytest.mark.parametrize("case", GOOD_DATA)
def test_good_data_pass(case):
    check(GOOD_DATA[case])
    assert GOOD_DATA[case].train_labels.dtype == np.int64


def test_classes_without_names_are_named_by_their_numbers():
    assert good(class_names=()).class_names == ("0", "1", "2")
