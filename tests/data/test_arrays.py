"""Arrays of a data set in the forms of Keras, PyTorch and scikit-learn become one form, or stay for the check."""

import numpy as np
import pytest

from kerasnets import data
from kerasnets.data.arrays import as_images, as_labels
from kerasnets.errors import BadInputError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 28, 28, 1), np.uint8)
COLOUR = RNG.integers(0, 256, (6, 32, 24, 3), np.uint8)

FORMS = {
    "as it is": (GREY, GREY),
    "without channels": (GREY[..., 0], GREY),
    "rows": (GREY.reshape(6, -1), GREY),
    "rows of int64": (GREY.reshape(6, -1).astype("int64"), GREY),
    "grey, channels first": (GREY.transpose(0, 3, 1, 2), GREY),
    "colour, channels first": (COLOUR.transpose(0, 3, 1, 2), COLOUR),
    "floats of 0 to 255": (COLOUR.astype("float32"), COLOUR),
    "divided by 255": ((COLOUR / 255).astype("float32"), COLOUR),
    "divided and first": ((COLOUR / 255).transpose(0, 3, 1, 2), COLOUR),
    "int32": (COLOUR.astype("int32"), COLOUR),
}


@pytest.mark.parametrize("form", FORMS)
def test_pictures_of_every_form_become_bytes_with_channels_last(form):
    given, expected = FORMS[form]
    result = as_images(given)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, expected)


UNCHANGED = {
    "a table": np.zeros((5, 4), "float32"),
    "a table of 64 columns": np.zeros((5, 64)),
    "no square": np.zeros((5, 7), np.uint8),
    "normalized": np.linspace(-1, 1, 12).reshape(1, 2, 2, 3),
    "fractions": np.full((1, 2, 2, 3), 3.5),
    "NaN": np.full((1, 2, 2, 3), np.nan),
}


@pytest.mark.parametrize("case", UNCHANGED)
def test_what_would_lose_something_stays(case):
    np.testing.assert_array_equal(as_images(UNCHANGED[case]), UNCHANGED[case])


LABELS = {
    "a column": np.array([[2], [0], [1]]),
    "one-hot": np.eye(3)[[2, 0, 1]],
    "floats": np.array([2.0, 0.0, 1.0]),
    "uint8": np.array([2, 0, 1], np.uint8),
}


@pytest.mark.parametrize("form", LABELS)
def test_labels_of_every_form_become_whole_numbers(form):
    train, test, names = as_labels(LABELS[form], LABELS[form][:2])
    assert (train.tolist(), test.tolist(), names) == ([2, 0, 1], [2, 0], ())
    assert train.dtype.kind in "iu"


def save(path, labels, images=COLOUR):
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    return path


def test_class_names_as_text_become_the_names_of_the_classes(tmp_path):
    result = data.load_data(save(tmp_path / "a.npz", np.array(["wren", "robin", "wren", "owl", "owl", "robin"])))
    assert result.class_names == ("owl", "robin", "wren")
    assert result.test_labels.tolist() == [2, 1, 2, 0, 0, 1]


def test_the_names_of_medmnist_are_read_with_its_validation_part(tmp_path):
    parts = {}
    for part, count in (("train", 30), ("val", 12), ("test", 9)):
        parts[f"{part}_images"] = RNG.integers(0, 256, (count, 28, 28), np.uint8)
        parts[f"{part}_labels"] = (np.arange(count) % 3)[:, None].astype(np.uint8)
    np.savez(tmp_path / "organmnist.npz", **parts)
    result = data.load_data(tmp_path / "organmnist.npz")
    np.testing.assert_array_equal(
        result.train_images[..., 0], np.concatenate([parts["train_images"], parts["val_images"]])
    )
    np.testing.assert_array_equal(result.validation, np.arange(30, 42))
    np.testing.assert_array_equal(result.test_images[..., 0], parts["test_images"])
    np.savez(tmp_path / "two.npz", **{name: array for name, array in parts.items() if "val" not in name})
    assert data.load_data(tmp_path / "two.npz").validation is None
    np.savez(tmp_path / "five.npz", **{name: array for name, array in parts.items() if name != "val_labels"})
    with pytest.raises(BadInputError, match="it has no array val_labels"):
        data.load_data(tmp_path / "five.npz")


def test_a_validation_part_beside_keras_names_is_read_and_other_arrays_are_named(tmp_path, capsys):
    images = RNG.integers(0, 256, (20, 8, 8, 3), np.uint8)
    arrays = {"x_train": images[:10], "y_train": np.arange(10) % 2, "x_test": images[10:14], "y_test": np.arange(4) % 2}
    np.savez(tmp_path / "a.npz", **arrays, x_val=images[14:], y_val=np.arange(6) % 2)
    result = data.load_data(tmp_path / "a.npz")
    np.testing.assert_array_equal(result.validation, np.arange(10, 16))
    np.testing.assert_array_equal(result.train_images[10:], images[14:])
    assert capsys.readouterr().err == ""
    np.savez(tmp_path / "b.npz", **arrays, x_valid=images[14:], y_valid=np.arange(6) % 2)
    assert len(data.load_data(tmp_path / "b.npz").train_labels) == 10
    words = "left out of b.npz, because no part of the data is called so: x_valid, y_valid"
    assert capsys.readouterr().err == f"note: {words}\n"


BAD_LABELS = {
    "two numbers each": np.arange(12).reshape(6, 2),
    "fractions": np.array([0, 1, 0.5, 1, 0, 1]),
    "objects": np.array([None] * 6),
    "no characters": np.frombuffer(np.array([0x7FFFFFFF] * 6, "<u4").tobytes(), "<U1"),
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_labels_that_mean_nothing_are_refused(tmp_path, case):
    with pytest.raises(BadInputError):
        data.load_data(save(tmp_path / "a.npz", BAD_LABELS[case]))


def test_pictures_as_text_are_refused(tmp_path):
    with pytest.raises(BadInputError, match="not of numbers"):
        data.load_data(save(tmp_path / "a.npz", np.arange(6) % 2, np.array(["a"] * 6)))
