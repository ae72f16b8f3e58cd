"""A picture whose kind another program's file does not tell is not answered by a guess."""

import numpy as np
import pytest

from kerasnets.errors import BadInputError
from kerasnets.prediction import Classifier
from kerasnets.saving import Guest


def save_network(path, classes, size=28):
    import keras

    parts = [keras.Input((size, size, 1)), keras.layers.Flatten(), keras.layers.Dense(classes, activation="softmax")]
    keras.Sequential(parts).save(path)


def label(path, side, guest=Guest()):  # noqa: B008  it is frozen
    picture = np.zeros((side, side), "uint8")
    picture[side // 4 : side // 2, side // 3 : side // 2] = 255
    return Classifier.load(path, guest=guest).predict(picture)[0].label


def test_a_photo_for_ten_classes_of_28x28_asks_for_its_kind(workers, tmp_path):
    path = tmp_path / "theirs.keras"
    workers["torch"](save_network, path, 10)
    with pytest.raises(BadInputError, match=r"takes 28x28 in ten classes.*--input-kind mnist"):
        workers["torch"](label, path, 200)
    assert workers["torch"](label, path, 28).startswith("class ")  # it has the size already
    assert workers["torch"](label, path, 200, Guest("mnist")).startswith("class ")
    assert workers["torch"](label, path, 200, Guest("picture")).startswith("class ")


def test_a_photo_for_other_classes_is_answered(workers, tmp_path):
    workers["torch"](save_network, tmp_path / "theirs.keras", 3)
    assert workers["torch"](label, tmp_path / "theirs.keras", 200).startswith("class ")
