"""Files that carry our card and right checksums are judged like any other: by structure, within time and memory."""

import io
import json
import os
import subprocess
import zipfile

import h5py
import numpy as np
import pytest

from kerasnets import saving
from kerasnets.errors import BadInputError
from kerasnets.prediction import Classifier
from kerasnets.runtime import child
from kerasnets.saving import keras_config, keras_file
from kerasnets.saving.hdf5_check import SEAL, seal
from tests.saving.test_bad_models import SECONDS
from tests.spoilt_models import GOOD


def hdf5_of(suffix):
    """Return the HDF5 content of a good file."""
    if suffix == ".h5":
        return GOOD.with_suffix(".h5").read_bytes().partition(SEAL)[0]
    with zipfile.ZipFile(GOOD) as archive:
        return archive.read("model.weights.h5")


def write(path, content):
    """Write a model file around HDF5 content, with our card and right checksums."""
    if path.suffix == ".h5":
        memory = io.BytesIO(content)
        seal(memory)
        path.write_bytes(memory.getvalue())
        return
    with zipfile.ZipFile(GOOD) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, content if name == "model.weights.h5" else source.read(name))


def changed(content, change):
    """Return HDF5 content after change(file, name of a kernel)."""
    memory = io.BytesIO(content)
    with h5py.File(memory, "r+") as file:
        name = "layers/conv2d_1/vars/0" if "layers" in file else "model_weights/conv2/conv2/kernel"
        change(file, name)
    return memory.getvalue()


def in_huge_chunk(file, name):
    values = file[name][:]
    del file[name]
    shape = (*values.shape[:-1], 2**20)
    array = file.create_dataset(
        name, values.shape, "f4", maxshape=(*values.shape[:-1], None), chunks=shape, compression="gzip"
    )
    array.id.write_direct_chunk((0,) * 4, b"x")


def inflating(file, name):
    """A chunk of the right size, whose stream inflates to a gigabyte."""
    import zlib

    values = file[name][:]
    del file[name]
    array = file.create_dataset(name, values.shape, "f4", chunks=values.shape, compression="gzip")
    deflater, zeros = zlib.compressobj(1), bytes(2**24)
    stream = b"".join(deflater.compress(zeros) for _ in range(64)) + deflater.flush()
    array.id.write_direct_chunk((0,) * 4, stream)


def filtered(file, name):
    values = file[name][:]
    del file[name]
    file.create_dataset(name, data=values, chunks=values.shape, compression="lzf")


def endless(content):
    """The heap of texts has an object of no size, at which HDF5 stays for ever."""
    place = content.index(b"GCOL") + 16
    return content[: place + 8] + bytes(8) + content[place + 16 :]


def test_an_hdf5_bomb_is_refused_under_right_checksums(tmp_path):
    for suffix in saving.SUFFIXES:
        for change, words in ((in_huge_chunk, "far larger than"), (inflating, "is damaged"), (filtered, "unknown way")):
            path = tmp_path / f"bomb{suffix}"
            write(path, changed(hdf5_of(suffix), change))
            before = computed()
            with pytest.raises(BadInputError, match=words):
                keras_file.read(path)
            assert computed() - before < SECONDS


def test_a_type_instead_of_an_array_is_refused(tmp_path):
    for suffix in saving.SUFFIXES:
        path = tmp_path / f"type{suffix}"
        write(path, changed(hdf5_of(suffix), lambda file, name: file.__setitem__("t", np.dtype("f4"))))
        with pytest.raises(BadInputError, match="has 't', which is no array; train or copy it again"):
            keras_file.read(path)


def test_a_chunked_array_of_keras_size_is_taken(tmp_path):
    def chunked(file, name):
        values = file[name][:]
        del file[name]
        file.create_dataset(name, data=values, chunks=True, compression="gzip", shuffle=True)

    for suffix in saving.SUFFIXES:
        path = tmp_path / f"chunked{suffix}"
        write(path, changed(hdf5_of(suffix), chunked))
        assert keras_file.read(path).numbers == keras_file.read(GOOD.with_suffix(suffix)).numbers


def test_a_reader_that_never_ends_is_killed_and_worded(tmp_path, monkeypatch):
    path = tmp_path / "endless.h5"
    write(path, endless(hdf5_of(".h5")))
    before = computed()
    with pytest.raises(BadInputError, match=r"endless.h5 is damaged.*; train or copy it again"):
        saving.load_card(path)
    assert computed() - before < SECONDS

    def killed(*arguments, seconds, **settings):
        raise subprocess.TimeoutExpired("python", seconds)

    monkeypatch.setattr(child, "run", killed)
    with pytest.raises(BadInputError, match=r"takes more time or memory than any good file does; train or copy it"):
        saving.load_card(path)


def computed():
    return sum(os.times()[:4])


def test_the_card_of_a_keras_file_is_read_without_its_weights(monkeypatch):
    monkeypatch.setattr(child, "run", None)
    assert saving.load_card(GOOD).dataset == "MNIST"


def test_two_classes_of_one_name_are_refused(tmp_path):
    path = tmp_path / "twice.keras"
    with zipfile.ZipFile(GOOD) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "kerasnets.json":
                card = json.loads(content)
                card["class_names"][3] = card["class_names"][5]
                content = json.dumps(card)
            target.writestr(name, content)
    with pytest.raises(BadInputError, match="two classes have the name '5'"):
        saving.load_card(path)


def test_calls_of_models_in_models_are_counted_before_any_is_built():
    """Each of 8 models calls the next 10 times: 10^8 calls of the innermost layer."""
    inside = {"class_name": "Dense", "config": {"name": "dense"}, "inbound_nodes": [{}] * 10}
    for _ in range(7):
        inside = {"class_name": "Functional", "config": {"layers": [inside]}, "inbound_nodes": [{}] * 10}
    text = json.dumps({"class_name": "Functional", "config": {"layers": [inside]}})
    with pytest.raises(BadInputError, match="calls its layers more than"):
        keras_config.check(text)


FUNCTION = {"class_name": "function", "config": "diagflat", "module": "keras.ops", "registered_name": "diagflat"}
LOOP = {"name": "loop", "lower": 0, "upper": 2**60, "body_fun": FUNCTION | {"module": "builtins", "config": "add"}}


@pytest.mark.parametrize("part", [
    {"class_name": "ForiLoop", "module": "keras.src.ops.core", "config": LOOP},
    {"class_name": "VectorizedMap", "module": "keras.src.ops.core", "config": {"function": FUNCTION}},
    {"class_name": "Dense", "module": "keras.layers", "config": {"name": "dense", "activation": FUNCTION}},
    {"class_name": "Activation", "module": "keras.layers", "config": {"activation": FUNCTION | {"module": "keras"}}},
])  # fmt: skip
def test_operations_that_call_functions_and_functions_that_are_operations_are_refused(part):
    """A loop would never end, and no shape of a layer tells how large the map of such a function is."""
    text = json.dumps({"class_name": "Functional", "config": {"layers": [part]}})
    with pytest.raises(BadInputError, match="code that is not in it and was not run"):
        keras_config.check(text)


def test_activations_by_name_are_no_such_functions():
    for module in ("builtins", "keras.activations"):
        activation = FUNCTION | {"module": module, "config": "relu"}
        layer = {"class_name": "Dense", "module": "keras.layers", "config": {"name": "d", "activation": activation}}
        keras_config.check(json.dumps({"class_name": "Functional", "config": {"layers": [layer]}}))


@pytest.mark.parametrize(("change", "words"), [
    ({"input_kind": "x\n"}, r"kind 'x\\n', which is unknown here"),
    ({"input_shape": [28, 28, 2**31]}, "larger than any picture"),
    ({"input_shape": [14, 14, 1]}, r"the input shape is \(14, 14, 1\) in its card and \(28, 28, 1\) in its network"),
])  # fmt: skip
def test_a_card_that_no_network_can_have_is_refused_before_a_picture_is_read(tmp_path, change, words):
    path = tmp_path / "card.keras"
    with zipfile.ZipFile(GOOD) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, json.dumps(json.loads(content) | change) if name == "kerasnets.json" else content)
    with pytest.raises(BadInputError, match=words):
        Classifier.load(path)
