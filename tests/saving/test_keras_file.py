"""A model is one file, the same on every backend, and survives the death of its writer."""

import dataclasses
import hashlib
import json
import os
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import kerasnets
from kerasnets import saving
from kerasnets.errors import BadInputError, shorten
from kerasnets.proof.case import draw_weights
from kerasnets.runtime.backends import BACKENDS
from kerasnets.saving import Card, keras_file
from tests.conftest import ROOT, kill_in, often
from tests.spoilt_models import seal_file

CARD = Card(
    model="baseline_cnn",
    dataset="none",
    recipe="none",
    class_names=("cat", "dog", "emu"),
    input_kind="picture",
    input_shape=(16, 16, 3),
    accuracy=0.5,
    val_accuracy=0.25,
    epochs=1,
    seed=2,
    versions={"keras": "3"},
    commit="abc",
)
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
WRITE_LIMITS = 20  # file-size limits that a save exceeds; with the checkpoints' 60


# ---- run in the workers ----


def small_model(seed=0):
    """A model as train makes it, with batch norm and dropout in it and weights from NumPy."""
    from kerasnets.graph import rebuild

    network = kerasnets.build("baseline_cnn", input_shape=(16, 16, 3), num_classes=3)
    network.set_weights(draw_weights(network, seed))
    return rebuild(network, scaling=([1 / 255, 1 / 128, 1 / 64], [0.0, -0.5, 0.1]), probabilities=True)


def save_small(path, seed=0):
    model = small_model(seed)
    saving.save(model, path, CARD)
    return model.predict_on_batch(PIXELS)


def load_and_predict(path):
    model, card = kerasnets.load(path)
    return model.predict_on_batch(PIXELS), card


def load_with_plain_keras(path):
    import keras

    model = keras.models.load_model(path)
    return model.predict_on_batch(PIXELS), [layer.name for layer in model.layers], str(model.input.dtype)


def logits_of(path):
    model, _ = kerasnets.load(path, logits=True)
    return model.predict_on_batch(PIXELS)


def load_error(path):
    try:
        kerasnets.load(path)
    except (BadInputError, ValueError) as error:
        return type(error).__name__, str(error)


def save_error(path):
    try:
        save_small(path)
    except Exception as error:
        return type(error).__name__, str(error)


def save_bad_weights(path):
    model = small_model()
    model.set_weights([np.full_like(weights, np.nan) for weights in model.get_weights()])
    saving.save(model, path, CARD)


def kill_while_saving(path, kills):
    """Kill children that save one of two models over the other's file; return whether each left the old or the new."""
    models = [small_model(seed) for seed in (0, 1)]
    there = keras_file.digest(models[0])
    seen = []
    for i in range(kills):
        new = models[(i + 1) % 2]
        names = {there: "old", keras_file.digest(new): "new"}
        kill_in(lambda new=new: saving.save(new, path, CARD), 0.15)
        model, _ = kerasnets.load(path)  # raises if the file is not whole
        there = keras_file.digest(model)
        seen.append(names[there])
    return seen


def save_under_a_file_size_limit(path, limits):
    """Save over `path` in a child with each limit on file sizes, in bytes; return the exceptions."""
    import resource

    new = small_model(seed=1)
    answers = []
    for limit in limits:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            try:
                saving.save(new, path, CARD)
                answer = "saved"
            except OSError as error:
                answer = f"OSError {error.filename}"
            except BaseException as error:
                answer = repr(error)
            os.write(writing, answer.encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            answers.append(pipe.read())
        os.waitpid(child, 0)
    return answers


# ---- tests ----


@pytest.mark.parametrize("suffix", saving.SUFFIXES)
@pytest.mark.parametrize("saver", BACKENDS)
def test_a_file_gives_the_same_on_every_backend(workers, tmp_path, saver, suffix):
    path = tmp_path / f"model{suffix}"
    saved = workers[saver](save_small, path)
    np.testing.assert_allclose(saved.sum(1), 1, atol=1e-6)
    assert saved.std(0).min() > 0.01  # the predictions differ between pictures
    for loader in BACKENDS:
        loaded, card = workers[loader](load_and_predict, path)
        np.testing.assert_allclose(loaded, saved, rtol=0, atol=1e-5, err_msg=f"{saver} to {loader}")
        assert card.class_names == ("cat", "dog", "emu")
        assert card.input_shape == (16, 16, 3)
        plain, names, dtype = workers[loader](load_with_plain_keras, path)
        np.testing.assert_array_equal(plain, loaded)
        assert dtype == "uint8"
        assert "conv1" in names
        assert names[-1] == "probabilities"


@pytest.mark.parametrize("suffix", saving.SUFFIXES)
def test_the_softmax_of_the_logits_is_the_probabilities(worker, tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    probabilities = worker(save_small, path)
    exponentials = np.exp(worker(logits_of, path).astype("float64"))
    np.testing.assert_allclose(exponentials / exponentials.sum(1, keepdims=True), probabilities, atol=1e-6)


@pytest.mark.parametrize("suffix", saving.SUFFIXES)
def test_card_is_read_without_a_framework_and_by_other_programs(workers, tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    workers["torch"](save_small, path)
    assert saving.load_card(path).class_names == CARD.class_names  # this process has none
    if suffix == ".keras":
        fields = json.loads(zipfile.ZipFile(path).read("kerasnets.json"))
    else:
        with h5py.File(path) as file:
            fields = json.loads(file.attrs["kerasnets.json"])
    assert fields["class_names"] == ["cat", "dog", "emu"]
    assert fields["accuracy"] == 0.5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the test forks; Windows cannot")
@pytest.mark.parametrize("suffix", saving.SUFFIXES)
@pytest.mark.parametrize("kills", often(14, 134))  # with the checkpoints' a tenth of 400, and 402
def test_kill_9_during_a_save_leaves_the_old_file_or_the_new_one(workers, tmp_path, kills, suffix):
    path = tmp_path / f"model{suffix}"
    workers["torch"](save_small, path)
    seen = workers["torch"](kill_while_saving, path, kills)
    assert len(seen) == kills
    assert "new" in seen  # the saves were under way


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the test forks; Windows cannot")
@pytest.mark.parametrize("suffix", saving.SUFFIXES)
def test_a_write_that_fails_leaves_the_old_file_and_no_other(workers, tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    workers["torch"](save_small, path)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    limits = np.linspace(0, path.stat().st_size - 1, WRITE_LIMITS).astype(int).tolist()
    assert workers["torch"](save_under_a_file_size_limit, path, limits) == [f"OSError {path}"] * WRITE_LIMITS
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert os.listdir(tmp_path) == [path.name]


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    """Flip a bit where the largest weights lie; HDF5 itself does not notice."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def without_card(path):
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            del file.attrs["kerasnets.json"]
        return
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist() if name != "kerasnets.json"}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


BAD_FILES = {
    "missing": (lambda path: path.unlink(), "no model file"),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "text": (lambda path: path.write_text("not a model\n" * 100), "is damaged or not a model file"),
    "half": (half, "is damaged or not a model file"),
    "bit flipped": (flip, "is damaged"),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "is a folder, not a model file; name"),
}


@pytest.mark.parametrize("suffix", saving.SUFFIXES)
@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_model_file_is_refused_in_one_line_that_names_it(workers, tmp_path, case, suffix):
    spoil, words = BAD_FILES[case]
    path = tmp_path / f"model{suffix}"
    workers["torch"](save_small, path)
    spoil(path)
    kind, message = workers["torch"](load_error, path)
    assert kind == "BadInputError"
    assert path.name in message
    assert words in message
    assert ";" in message  # and what to do


def save_plain(path):
    """Save a model with plain Keras, trained and with its optimizer."""
    import keras

    layers = [keras.Input((16, 16, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten(),
              keras.layers.Dense(3, "softmax")]  # fmt: skip
    model = keras.Sequential(layers, name="theirs")
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(PIXELS, np.arange(len(PIXELS)) % 3, verbose=0)
    with keras_file.quiet_keras():
        model.save(path)
    return model.predict_on_batch(PIXELS)


@pytest.mark.parametrize("suffix", saving.SUFFIXES)
def test_a_file_of_plain_keras_is_loaded_with_a_card_without_classes(worker, workers, tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    expected = worker(save_plain, path)
    for other in workers.values():
        found, card = other(load_and_predict, path)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert card == Card("theirs", (), (16, 16, 3)) == saving.load_card(path)


@pytest.mark.parametrize("suffix", saving.SUFFIXES)
def test_a_file_that_lost_its_card_is_read_as_another_programs(workers, tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    expected = workers["torch"](save_small, path)
    without_card(path)
    found, card = workers["torch"](load_and_predict, path)
    np.testing.assert_array_equal(found, expected)
    assert card == Card("baseline_cnn", (), (16, 16, 3))


@pytest.mark.parametrize("place", np.linspace(0.001, 0.999, 40))
def test_a_flipped_bit_anywhere_in_an_h5_is_noticed_before_hdf5_reads_it(tmp_path, place):
    path = tmp_path / "model.h5"
    content = bytearray((ROOT / "models_saved/pretrained/mnist_cnn-mnist.h5").read_bytes())
    path.write_bytes(content)
    seal_file(path)
    assert saving.load_card(path).model == "mnist_cnn"
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadInputError, match="is not what was saved; train or copy it again"):
        saving.load_card(path)


@pytest.mark.parametrize("suffix", saving.SUFFIXES)
def test_weights_that_are_not_numbers_are_refused(workers, tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    workers["torch"](save_bad_weights, path)
    kind, message = workers["torch"](load_error, path)
    assert (kind, "not finite" in message) == ("BadInputError", True)


def save_trained(path, compiled):
    """Save a compiled and fitted network from scaled pixels to logits; return its probabilities for PIXELS."""
    import keras

    network = kerasnets.build("baseline_cnn", input_shape=(16, 16, 3), num_classes=3)
    network.set_weights(draw_weights(network, 0))
    if compiled:
        network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        network.fit(PIXELS / 255, np.arange(len(PIXELS)) % 3, verbose=0)
    saving.save(network, path, CARD, scaling=(1 / 255, 0.0))
    return keras.ops.convert_to_numpy(keras.ops.softmax(network(PIXELS / 255, training=False)))


def save_refusal(case, path):
    import keras

    card = {
        "classes": dataclasses.replace(CARD, class_names=("cat", "dog")),
        "shape": dataclasses.replace(CARD, input_shape=(32, 32, 3)),
        "kind": dataclasses.replace(CARD, input_kind="mnst"),
    }.get(case, CARD)
    models = {
        "scaled pixels": lambda: kerasnets.build("baseline_cnn", input_shape=(16, 16, 3)),
        "not built": lambda: keras.Sequential([keras.layers.Dense(2)], name="unbuilt"),
    }
    try:
        saving.save(models.get(case, small_model)(), path, card)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("suffix", saving.SUFFIXES)
@pytest.mark.parametrize("compiled", [False, True])
def test_a_fitted_network_is_saved_for_every_backend(worker, workers, tmp_path, suffix, compiled):
    """Without its optimizer, which belongs to the backend: TensorFlow's process would die of one that torch wrote."""
    path = tmp_path / f"model{suffix}"
    expected = worker(save_trained, path, compiled)
    for other in workers.values():
        np.testing.assert_allclose(other(load_and_predict, path)[0], expected, atol=1e-5)


@pytest.mark.parametrize(("case", "words"), [
    ("scaled pixels", "baseline_cnn takes scaled pixels and a model file raw ones: pass the scaling it was"),
    ("classes", "the card names 2 classes, but baseline_cnn has 3 outputs"),
    ("shape", "the card's input_shape is (32, 32, 3), but baseline_cnn takes (16, 16, 3)"),
    ("kind", "unknown input kind 'mnst'; choose one of: mnist, "),
    ("not built", "a model file holds a built network, not <Sequential name=unbuilt"),
])  # fmt: skip
def test_a_contradictory_file_is_not_saved(workers, tmp_path, case, words):
    assert workers["torch"](save_refusal, case, tmp_path / "model.keras").startswith(words)
    assert list(tmp_path.iterdir()) == []


def test_another_suffix_is_wrong_usage_in_save_and_bad_input_in_load(workers, tmp_path):
    assert workers["torch"](save_error, tmp_path / "model.pth") == (
        "ValueError",
        f"{shorten(tmp_path / 'model.pth')} is no name for a model file; it must end in .keras or .h5",
    )
    assert workers["torch"](load_error, Path("model.pth"))[0] == "BadInputError"


def load_from_threads(paths, count):
    """Load from `count` threads at once; return the errors, and the global state that has changed."""
    import logging
    import threading
    import warnings

    import keras

    def state():
        return keras.Layer.add_weight, logging.getLogger("absl").level, list(warnings.filters)

    before, errors, gate = state(), [], threading.Barrier(count)

    def work(i):
        gate.wait(60)
        for path in paths[i % len(paths) :] + paths[: i % len(paths)]:
            try:
                saving.load(path)
                kerasnets.build("lenet5")
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors, [str(new) for new, old in zip(state(), before, strict=True) if new != old]


def test_16_threads_load_at_once_and_leave_nothing_changed(worker):
    shipped = ROOT / "models_saved/pretrained"
    paths = [shipped / name for name in ("mnist_cnn-mnist.keras", "small_cnn-mnist.keras", "mnist_cnn-mnist.h5")]
    assert worker(load_from_threads, paths, 16) == ([], [])


def load_with_custom_layer(path):
    """Save and load a layer of a person's own, which is registered for one thread."""
    import keras

    class Twice(keras.layers.Layer):
        def call(self, x):
            return 2 * x

        def compute_output_shape(self, shape):
            return shape

    inputs = keras.Input((3,))
    with keras_file.quiet_keras():
        keras.Model(inputs, keras.layers.Dense(2, "softmax")(Twice()(inputs))).save(path)
    with keras.saving.CustomObjectScope({"Twice": Twice}):
        return saving.load(path)[0].layers[1].__class__.__name__


def test_a_layer_that_the_caller_registers_is_loaded(worker, tmp_path):
    assert worker(load_with_custom_layer, tmp_path / "model.h5") == "Twice"
