"""Model files of other programs: Keras 2's, and Keras 3's of any form, are saved and loaded as ours."""

import json
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kerasnets import saving
from kerasnets.errors import BadInputError
from kerasnets.saving import keras_config
from kerasnets.saving.guest import UNKNOWN, Guest, input_shape
from tests.conftest import mostly_on_torch

KERAS_2 = Path(__file__).parent / "keras2"  # made by TensorFlow 2.15.1: make.py
FILES = ("graph.h5", "graph.keras", "chain.h5", "chain.keras")
ANSWERS = np.load(KERAS_2 / "answers.npz")


def predict(path, pictures, guest=None):
    model, card = saving.load(path, guest=guest)
    return model.predict_on_batch(pictures), card


@pytest.mark.parametrize("name", FILES)
@mostly_on_torch
def test_a_file_of_keras_2_gives_the_answers_that_keras_2_gave(worker, name):
    found, card = worker(predict, KERAS_2 / name, ANSWERS["pictures"])
    np.testing.assert_allclose(found, ANSWERS[name], atol=1e-5)
    assert card.versions == {"keras": "2.15.0"}


@pytest.mark.parametrize("name", FILES)
def test_as_a_guest_it_takes_raw_pixels(workers, name):
    guest = saving.Guest(class_names=("a", "b", "c"))
    found, card = workers["torch"](predict, KERAS_2 / name, ANSWERS["pictures"].astype("uint8"), guest)
    np.testing.assert_allclose(found, ANSWERS[name], atol=1e-5)
    assert (card.class_names, card.input_shape) == (("a", "b", "c"), (12, 12, 3))


def as_early_keras_2(source, target):
    """Write a Sequential as Keras 2.2 did: the layers as a list, without the first input."""
    import h5py

    target.write_bytes(source.read_bytes())
    with h5py.File(target, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"] = [layer for layer in config["config"]["layers"] if layer["class_name"] != "InputLayer"]
        config["config"][0]["config"]["layers"][0]["config"]["batch_input_shape"] = [None, 12, 12, 3]
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.2.0"


def test_the_list_of_layers_of_early_versions_is_read(workers, tmp_path):
    as_early_keras_2(KERAS_2 / "chain.h5", tmp_path / "early.h5")
    found, _ = workers["torch"](predict, tmp_path / "early.h5", ANSWERS["pictures"])
    np.testing.assert_allclose(found, ANSWERS["chain.h5"], atol=1e-5)


def changed(name, tmp_path, change):
    """Return a copy of a .keras of Keras 2 with its config changed."""
    path = tmp_path / name
    with zipfile.ZipFile(KERAS_2 / name) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.namelist():
            content = source.read(entry)
            if entry == "config.json":
                content = json.dumps(change(json.loads(content))).encode()
            target.writestr(entry, content)
    return path


def with_class(name, **settings):
    def change(config):
        layer = next(each for each in config["config"]["layers"] if each["class_name"] == "Dense")
        layer["class_name"] = name
        layer["config"] |= settings
        return config

    return change


def with_function(name):
    def change(config):
        layer = next(each for each in config["config"]["layers"] if each["class_name"] == "TFOpLambda")
        layer["config"]["function"] = name
        return config

    return change


REFUSED = {
    "code": ("chain.keras", with_class("Lambda"), "holds Lambda, which is code"),
    "a class of its author": ("chain.keras", with_class("MyLayer"), "class 'MyLayer', which Keras 3 does not have"),
    "a module": ("chain.keras", with_class("os"), "class 'os', which Keras 3 does not have"),
    "an activation of its author": ("chain.keras", with_class("Dense", activation="mine"), "an activation 'mine'"),
    "a setting": ("chain.keras", with_class("Dense", strange=2), "strange=2, which Keras 3 does not have"),
    "more units than weights": ("chain.keras", with_class("Dense", units=4000), "more weights than there are"),
    "a function of TensorFlow": ("graph.keras", with_function("io.read_file"), "calls tf.io.read_file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_keras_3_cannot_do_is_refused_with_the_version_of_the_file(workers, tmp_path, case):
    name, change, words = REFUSED[case]
    with pytest.raises(BadInputError, match=words) as caught:
        workers["torch"](predict, changed(name, tmp_path, change), ANSWERS["pictures"])
    assert "Keras 2.15.0" in str(caught.value) or "weights" in words
    assert len(str(caught.value).splitlines()) == 1


def test_a_config_of_keras_2_is_bounded_like_any_other():
    deep = part = {"class_name": "Sequential", "config": {"layers": []}}
    for _ in range(keras_config.DEEPEST):
        part["config"]["more"] = part = {"config": {}}
    with pytest.raises(BadInputError, match="nested more than"):
        keras_config.check(json.dumps(deep), "2.15.0")


def save_forms(folder):
    """Save and load networks of several forms; return {form: largest difference}."""
    import keras
    from keras import layers

    inputs = keras.Input((6, 6, 1), name="picture")
    end = layers.Dense(3, activation="softmax")(layers.Flatten()(layers.Conv2D(2, 3)(inputs)))
    parts = [keras.Input((6, 6, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3, activation="softmax")]

    class Own(keras.Model):
        pass

    forms = {
        "Sequential": keras.Sequential(parts),
        "lists": keras.Model([inputs], [end]),
        "dict": keras.Model({"picture": inputs}, end),
        "subclassed": Own(inputs, end),
        "nested": keras.Sequential([keras.Input((6, 6, 1)), keras.Sequential(parts[1:])]),
    }
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 6, 1)).astype("uint8")
    differences = {}
    for form, model in forms.items():
        scaled = pixels / np.float32(255)
        expected = model.predict({"picture": scaled} if form == "dict" else scaled, verbose=0)
        for suffix in (".keras", ".h5"):
            path = folder / f"{form}{suffix}"
            saving.save(model, path, saving.Card("mine", ("a", "b", "c"), (6, 6, 1)), scaling=(1 / 255, 0.0))
            found = saving.load(path)[0].predict(pixels, verbose=0)
            logits = saving.load(path, logits=True)[0].predict(pixels, verbose=0)
            shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            differences[form + suffix] = max(abs(found - expected).max(), abs(shares - expected).max())
    return differences


@mostly_on_torch
def test_a_network_of_any_form_is_saved_and_loaded_with_its_probabilities(worker, tmp_path):
    differences = worker(save_forms, tmp_path)
    assert len(differences) == 10
    assert max(differences.values()) < 1e-5, differences


def save_sigmoids(path):
    import keras

    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="sigmoid")(keras.layers.Flatten()(inputs)))
    saving.save(model, path, saving.Card("tags", ("a", "b", "c"), (4, 4, 1)), scaling=(1 / 255, 0.0))
    pixels = np.full((1, 4, 4, 1), 200, "uint8")
    return model.predict(pixels / np.float32(255), verbose=0), predict(path, pixels), answers(path, pixels[0])


def answers(path, picture):
    from kerasnets.prediction import Classifier

    return dict(Classifier.load(path).predict(picture)[0].ranking)


def test_classes_that_do_not_exclude_each_other_keep_their_probabilities(workers, tmp_path):
    expected, (found, card), ranking = workers["torch"](save_sigmoids, tmp_path / "tags.keras")
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose([ranking[name] for name in "abc"], expected[0], atol=1e-6)
    assert card.multi_label


def save_own_classes(folder):
    """Save what plain Keras 3 loads without any code; return the names of the forms that are refused here."""
    import keras
    from keras import layers

    def network(dtype=None):
        inputs = keras.Input((32, 32, 3))
        hidden = layers.Flatten()(layers.Conv2D(4, 3, dtype=dtype)(inputs))
        return keras.Model(inputs, layers.Dense(3, activation="softmax")(hidden))

    integers = network()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an InputLayer cannot be quantized
        integers.quantize("int8")
    forms = {"float16": network("float16"), "bfloat16": network("bfloat16"), "int8": integers}
    refused = {}
    for form, model in forms.items():
        model.save(folder / f"{form}.keras")
        pixels = np.zeros((2, 32, 32, 3), "uint8")
        found, _ = predict(folder / f"{form}.keras", pixels, saving.UNKNOWN)
        if abs(found - model.predict(pixels.astype("float32"), verbose=0)).max() > 1e-3:
            refused[form] = found
    return refused


def test_quantized_networks_and_other_dtypes_are_read(workers, tmp_path):
    assert workers["torch"](save_own_classes, tmp_path) == {}


def test_a_file_of_ours_needs_nothing_told(workers):
    with pytest.raises(BadInputError, match="was made by kerasnets"):
        workers["torch"](predict, "mnist_cnn-mnist", ANSWERS["pictures"], saving.Guest(bgr=True))


# ---- sizes that a file makes up ----


@pytest.mark.parametrize(("shape", "guest"), [
    ((1, 49_000_000, 3), UNKNOWN),
    ((49_000_000, 1, 1), UNKNOWN),
    ((None, None, 3), Guest(image_size=(1, 49_000_000))),
    ((49_000_000,), Guest(image_size=(1, 49_000_000))),
])  # fmt: skip
def test_a_side_that_no_picture_has_is_refused(shape, guest):
    with pytest.raises(BadInputError, match="longer than any picture; make it for smaller ones"):
        input_shape(shape, guest)


def test_rows_are_as_long_as_they_are():
    assert input_shape((49_000_000,), UNKNOWN) == (49_000_000,)
    assert input_shape((None, 2048, 3), UNKNOWN) == (None, 2048, 3)
