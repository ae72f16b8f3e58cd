"""Good model files, spoilt by code, links, bombs and damage."""

import base64
import dataclasses
import gzip
import io
import json
import marshal
import pickle
import zipfile
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from kerasnets.runtime.digests import sha256_of_file
from kerasnets.saving import card, keras_file, onnx_file, protobuf
from kerasnets.saving.hdf5_check import SEAL, seal
from tests.conftest import ROOT
from tests.saving.test_onnx_file import CARD, onnx, tiny

GOOD = ROOT / "models_saved/pretrained/mnist_cnn-mnist.keras"


def load_card(path):
    """Return the card after all that is looked at without a framework."""
    if path.suffix == ".onnx":
        return onnx_file.load_card(path)
    return keras_file.card_in(keras_file.read(path), path)


# ---- each takes the path of a good file ----


def good(path):
    """Write a good file: a shipped one, the .h5 without its checksum, or a network by onnx's own helpers."""
    if path.suffix == ".onnx":
        onnx.save(tiny(), path)
        onnx_file.add_card(path, CARD)
    else:
        path.write_bytes(GOOD.with_suffix(path.suffix).read_bytes().partition(SEAL)[0])


def seal_file(path):
    """Append our checksum to an .h5 file."""
    content = io.BytesIO(path.read_bytes())
    seal(content)
    path.write_bytes(content.getvalue())


def written(content, path):
    path.write_bytes(content)


def folder(path):
    path.unlink()
    path.mkdir()


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def packed(path):
    path.write_bytes(gzip.compress(path.read_bytes()))


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def entries_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(path, entries, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)


def with_entry(name, content, path, method=zipfile.ZIP_STORED):
    zipped(path, (entries_of(path) | {name: content}).items(), method)


def without_entry(name, path):
    zipped(path, [entry for entry in entries_of(path).items() if entry[0] != name])


def with_config(text, path):
    """Give a .keras or .h5 another config."""
    if path.suffix == ".keras":
        with_entry("config.json", text, path)
        return
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = text


def with_card(text, path):
    if path.suffix == ".keras":
        with_entry("kerasnets.json", text, path)
        return
    with h5py.File(path, "r+") as file:
        file.attrs["kerasnets.json"] = text


def config_of(path):
    if path.suffix == ".keras":
        return json.loads(entries_of(path)["config.json"])
    with h5py.File(path) as file:
        return json.loads(file.attrs["model_config"])


def layer(name, changes, path):
    """Change the layer called `name`: some of its settings, or its class and all of them."""
    config, changed = config_of(path), changes(path)
    result = next(each for each in config["config"]["layers"] if each["config"]["name"] == name)
    if "config" in changed and "class_name" not in changed:
        changed["config"] = result["config"] | changed["config"]
    result.update(changed)
    with_config(json.dumps(config), path)


def canary(path):
    """Return the file that a payload would write."""
    return path.parent / "ran"


def lambda_code(path):
    """A function that writes the canary, as Keras keeps a lambda."""
    code = compile(f"lambda x: (open({str(canary(path))!r}, 'w').close(), x)[1]", "payload", "eval").co_consts[0]
    code = base64.b64encode(marshal.dumps(code)).decode()
    return {"class_name": "__lambda__", "config": {"code": code, "defaults": None, "closure": None}}


def a_lambda(path):
    return {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"name": "pool1", "function": lambda_code(path), "output_shape": [13, 13, 32]},
    }


class Malice:
    """An object that writes the canary when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def a_pickle(path):
    module = base64.b64encode(pickle.dumps(Malice(canary(path)))).decode()
    return {"class_name": "TorchModuleWrapper", "config": {"module": module}}


def a_package(path):
    """A class in a package that Keras would import, from the folder of the file."""
    (path.parent / "keras_hub.py").write_text(f"open({str(canary(path))!r}, 'w').close()")
    return {"module": "keras_hub", "class_name": "Layer"}


def within(inner, path):
    return {"module": "keras.layers", "class_name": "TimeDistributed", "config": {"layer": inner(path)}}


def nested(path):
    inner = {"name": "inner", "layers": [a_lambda(path)], "input_layers": [], "output_layers": []}
    return {"module": "keras", "class_name": "Functional", "config": inner}


def of(module, name, path):
    return {"module": module, "class_name": name}


def settings(path, **values):
    return {"config": values}


def an_activation(path):
    return settings(path, activation=lambda_code(path))


def a_function(module, name, path):
    return settings(path, activation={"class_name": "function", "module": module, "config": name})


def upsampling(path):
    return {"class_name": "UpSampling2D", "config": {"name": "pool1", "size": [999, 999]}}


def top_class(name, module, path):
    with_config(json.dumps(config_of(path) | {"class_name": name, "module": module}), path)


def many_layers(path):
    config = config_of(path)
    dense = {"class_name": "Dense", "config": {"name": "d"}}
    config["config"]["layers"] += [dense] * 33_000
    with_config(json.dumps(config), path)


def in_weights(change, path):
    """Change the HDF5 content of a .keras or .h5 file."""
    inner = path.with_name("inner.h5")
    if path.suffix == ".keras":
        inner.write_bytes(entries_of(path)["model.weights.h5"])
    with h5py.File(inner if path.suffix == ".keras" else path, "r+") as file:
        change(file, kernel_of(file))
    if path.suffix == ".keras":
        with_entry("model.weights.h5", inner.read_bytes(), path, zipfile.ZIP_DEFLATED)


def kernel_of(file):
    """The name of conv2's kernel: h5 of Keras names it, .keras numbers it."""
    return "layers/conv2d_1/vars/0" if "layers" in file else "model_weights/conv2/conv2/kernel"


def replaced_by(value, file, name):
    del file[name]
    file[name] = value


def as_dataset(file, name, **options):
    del file[name]
    file.create_dataset(name, **options)


def external(file, name):
    as_dataset(file, name, shape=(4,), dtype="u1", external=[("/etc/hostname", 0, 4)])


def virtual(file, name):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
    del file[name]
    file.create_virtual_dataset(name, layout)


def loop(file, name):
    file[name.rpartition("/")[0] + "/again"] = file[name.rpartition("/")[0]]


def deep(file, name):
    file.create_group("/".join(["deep"] * 200))


def with_numbers(value, file, name):
    kernel = file[name][:]
    kernel.flat[7] = value
    file[name][:] = kernel


def unsigned(make, path):
    """Remove the card, so that the checksum of the weights is not compared."""
    make(path)
    if path.suffix == ".keras":
        without_entry("kerasnets.json", path)
    else:
        with h5py.File(path, "r+") as file:
            del file.attrs["kerasnets.json"]


def with_twice(path):
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", "{}")


def marked(offset, value, path):
    """Set a byte of each header in a zip's directory."""
    content = bytearray(path.read_bytes())
    place = content.find(b"PK\1\2")
    while place >= 0:
        content[place + offset] = value
        place = content.find(b"PK\1\2", place + 1)
    path.write_bytes(content)


def attribute_of_number(file, name):
    file.attrs["model_config"] = 5


def long_attribute(file, name):
    """Add more names of weights than a model has parts."""
    file.attrs.create("layer_names", np.zeros(60_000, "u1"))


def long_text(path):
    """Declare a layer's name as 3.5 GB long: HDF5 allocates that before it reads it."""
    content = bytearray(path.read_bytes())
    lengths = b"\6\0\0\0", b"\x09\0\0\0"  # of "pixels" and "rescaling", each before an address and an index
    place = next(i for i in range(len(content)) if (content[i : i + 4], content[i + 16 : i + 20]) == lengths)
    content[place + 3] = 0xD0
    path.write_bytes(content)


def weights_alone(path):
    with h5py.File(path, "r+") as file:
        del file.attrs["model_config"]


def onnx_of(change, path, **options):
    """A network of another program, changed."""
    model = tiny(**options)
    change(model)
    path.write_bytes(model.SerializeToString())


def weights_of(model):
    return model.graph.initializer[0]


def other_numbers(array, model):
    weights_of(model).CopyFrom(onnx.numpy_helper.from_array(np.asarray(array), "weights"))


def listed_numbers(kind, model):
    numbers = [1.0] * 8 + [float("nan")]
    weights_of(model).CopyFrom(onnx.helper.make_tensor("weights", kind, (3, 3), numbers))


def elsewhere(tensor, path="/etc/hostname"):
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=path)
    tensor.ClearField("raw_data")


def a_constant(model, inside=False):
    tensor = onnx.numpy_helper.from_array(np.ones(3, "f4"), "constant")
    elsewhere(tensor)
    node = onnx.helper.make_node("Constant", [], ["constant"], value=tensor)
    if inside:
        graph = onnx.helper.make_graph([node], "branch", [], [])
        node = onnx.helper.make_node("If", ["pixels"], ["chosen"], then_branch=graph, else_branch=graph)
    model.graph.node.append(node)


def domain(name, model):
    model.graph.node.append(onnx.helper.make_node("PyOp", ["pixels"], ["x"], domain=name))


def dims(values, model):
    del weights_of(model).dims[:]
    weights_of(model).dims.extend(values)


def without_shape(model):
    model.graph.input[0].type.tensor_type.ClearField("shape")


def deep_graphs(path):
    """Graphs in attributes of nodes of graphs, deeper than protocol buffers themselves write them."""
    graph = b""
    for _ in range(60):
        graph = protobuf.bytes_field(1, protobuf.bytes_field(5, protobuf.bytes_field(6, graph)))
    path.write_bytes(b"\x08\x08" + protobuf.bytes_field(7, graph))


def many_fields(path):
    path.write_bytes(tiny().SerializeToString() + b"\x28\x01" * 1_500_000)


def huge(path):
    with path.open("ab") as file:
        file.truncate(3 * 2**30)  # a hole takes no space on the disk


def beheaded(key, path):
    """Cut the file at one of the entries that add_card has written."""
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(key) - 4])


def with_card_of(text, path):
    """Write an invalid card with a right checksum."""
    plain = tiny().SerializeToString() + onnx_file.entry("kerasnets", text)
    path.write_bytes(plain)
    checksum = sha256_of_file(path, len(plain))
    path.write_bytes(plain + onnx_file.entry("kerasnets_sha256", checksum))


DAMAGED = "is damaged"
CODE = "was not run; make it of"
LINKS = "; save the model with its weights inside"
HOLLOW = "unpacks to far more than its size"

# case: (suffixes, how a good file is spoilt, words). All of these are refused without a framework.
ANY, KERAS, ZIP, H5, ONNX = (".keras", ".h5", ".onnx"), (".keras", ".h5"), (".keras",), (".h5",), (".onnx",)
BAD_FILES = {
    "missing": (ANY, Path.unlink, "no model file"),
    "folder": (ANY, folder, "is a folder, not a model file; name"),
    "empty": (ANY, partial(written, b""), "is empty; train"),
    "one byte": (ANY, partial(written, b"\x08"), DAMAGED),
    "text": (ANY, partial(written, b"not a model\n" * 99), DAMAGED),
    "zeros": (ANY, partial(written, bytes(9999)), DAMAGED),
    "web page": (ANY, partial(written, b"<!DOCTYPE html>"), "is a web page; download"),
    "pointer": (ANY, partial(written, b"version https://git-lfs.github.com/spec/v1"), "a pointer of Git LFS; fetch"),
    "packed": (ANY, packed, "is packed; unpack"),
    "half": (ANY, half, DAMAGED),
    "flipped": (ZIP + ONNX, flipped, DAMAGED),
    "flipped h5": (H5, lambda path: (seal_file(path), flipped(path)), "is damaged: it is not what was saved"),
    # code
    "lambda": (KERAS, partial(layer, "pool1", a_lambda), CODE),
    "lambda in a model": (KERAS, partial(layer, "pool1", nested), CODE),
    "lambda in a layer": (KERAS, partial(layer, "pool1", partial(within, a_lambda)), CODE),
    "lambda as activation": (KERAS, partial(layer, "conv1", an_activation), CODE),
    "pickle": (KERAS, partial(layer, "pool1", a_pickle), CODE),
    "package": (KERAS, partial(layer, "pool1", a_package), CODE),
    "os.system": (KERAS, partial(layer, "conv1", partial(a_function, "os", "system")), CODE),
    "get_file": (KERAS, partial(layer, "conv1", partial(a_function, "keras.utils", "get_file")), CODE),
    "saved model": (KERAS, partial(layer, "pool1", partial(of, "keras.layers", "TFSMLayer")), CODE),
    "vocabulary": (KERAS, partial(layer, "pool1", partial(of, "keras.layers", "StringLookup")), CODE),
    "unknown layer": (KERAS, partial(layer, "pool1", partial(of, "mine", "Layer")), CODE),
    "unknown model": (KERAS, partial(top_class, "MyModel", "mine"), "whose code is not in it; make"),
    # config and card
    "no JSON": (KERAS, partial(with_config, "{"), DAMAGED),
    "list": (KERAS, partial(with_config, "[]"), DAMAGED),
    "deep config": (ZIP, partial(with_config, "[" * 99_999), DAMAGED),
    "rather deep config": (
        KERAS, partial(layer, "conv1", partial(settings, x=json.loads("[" * 90 + "]" * 90))), "nested more than"),
    "long config": (ZIP, partial(with_config, " " * 17_000_000), "has a config of more than"),
    "many layers": (ZIP, many_layers, "has more than 4,000 layers"),
    "huge input": (KERAS, partial(layer, "pixels", partial(settings, batch_shape=[None, 9**9, 9**9, 3])), "takes pi"),
    "no card": (KERAS, partial(with_card, "not JSON"), "has a card that cannot be read"),
    "card of numbers": (KERAS, partial(with_card, '{"model": 5, "class_names": [1], "input_shape": [2]}'), "has a ca"),
    "card of more": (KERAS, partial(with_card, '{"class_names": [], "input_shape": [], "x": 1}'), "has a card that"),
    "deep card": (ZIP, partial(with_card, "[" * 99_999), "has a card that cannot be read"),
    # zip
    "other zip": (ZIP, lambda path: zipped(path, [("a.txt", "a")]), "without a Keras model in it; name"),
    "no weights": (ZIP, partial(without_entry, "model.weights.h5"), "without a Keras model in it; name"),
    "strange entry": (ZIP, partial(with_entry, "run.sh", "touch ran"), "holds 'run.sh', which Keras does not write"),
    "entry above": (ZIP, partial(with_entry, "../ran", "x"), "holds '../ran', which Keras does not write"),
    "absolute entry": (ZIP, partial(with_entry, "/tmp/ran", "x"), "holds '/tmp/ran', which Keras does not write"),
    "pickled weights": (ZIP, partial(with_entry, "model.weights.npz", "x"), "which Keras does not write"),
    "config twice": (ZIP, with_twice, "two entries have the name"),
    "zip bomb": (
        ZIP, partial(with_entry, "model.weights.h5", bytes(200_000_000), method=zipfile.ZIP_DEFLATED), HOLLOW),
    "encrypted": (ZIP, partial(marked, 8, 1), DAMAGED),
    "packed unknown": (ZIP, partial(marked, 10, 77), DAMAGED),
    "weights of text": (ZIP, partial(with_entry, "model.weights.h5", b"text"), DAMAGED),
    # HDF5
    "soft link": (KERAS, partial(in_weights, partial(replaced_by, h5py.SoftLink("/layers"))), LINKS),
    "external link": (KERAS, partial(in_weights, partial(replaced_by, h5py.ExternalLink("a.h5", "/"))), LINKS),
    "external array": (KERAS, partial(in_weights, external), LINKS),
    "virtual array": (KERAS, partial(in_weights, virtual), LINKS),
    "hollow array": (
        KERAS, partial(in_weights, partial(as_dataset, shape=(10**6, 10**6), dtype="f4", chunks=(9, 9))), HOLLOW),
    "packed array": (
        KERAS, partial(in_weights, partial(as_dataset, data=np.zeros(10**8, "u1"), compression="gzip")), HOLLOW),
    "texts": (KERAS, partial(in_weights, partial(replaced_by, ["a", "b"])), "is no array of numbers"),
    "loop": (KERAS, partial(in_weights, loop), "in it twice"),
    "long text": (H5, long_text, DAMAGED),
    "long attribute": (H5, partial(in_weights, long_attribute), "larger than in any model"),
    "deep groups": (KERAS, partial(in_weights, deep), "has more parts, or deeper ones"),
    "weights alone": (H5, weights_alone, "without a Keras model in it; save the whole"),
    "config of a number": (H5, partial(in_weights, attribute_of_number), DAMAGED),
    # ONNX
    "half a card": (ONNX, partial(beheaded, b"kerasnets_sha256"), DAMAGED),
    "card under a right sum": (ONNX, partial(with_card_of, "{}"), "has a card that cannot be read"),
    "no graph": (ONNX, partial(written, b"\x08\x08\x12\x01a"), DAMAGED),
    "graph twice": (ONNX, lambda path: path.write_bytes(2 * tiny().SerializeToString()), DAMAGED),
    "many fields": (ONNX, many_fields, "has more than 500,000 parts"),
    "over 2 GB": (ONNX, huge, "is larger than the 2 GB"),
    "weights elsewhere": (ONNX, partial(onnx_of, lambda model: elsewhere(weights_of(model))), "in another file"),
    "constant elsewhere": (ONNX, partial(onnx_of, a_constant), "has its weights in another file"),
    "branch elsewhere": (ONNX, partial(onnx_of, partial(a_constant, inside=True)), "has its weights in another file"),
    "deep graphs": (ONNX, deep_graphs, "is nested more than 100 deep"),
    "NaN": (ONNX, partial(onnx_of, partial(other_numbers, np.full((3, 3), np.nan, "f4"))), "not finite"),
    "infinity": (ONNX, partial(onnx_of, partial(other_numbers, np.full((3, 3), np.inf, "f8"))), "not finite"),
    "half NaN": (ONNX, partial(onnx_of, partial(other_numbers, np.full((3, 3), np.nan, "f2"))), "not finite"),
    "listed NaN": (ONNX, partial(onnx_of, partial(listed_numbers, onnx.TensorProto.FLOAT)), "not finite"),
    "double NaN": (ONNX, partial(onnx_of, partial(listed_numbers, onnx.TensorProto.DOUBLE)), "not finite"),
    "bfloat NaN": (ONNX, partial(onnx_of, lambda model: bfloats(model)), "not finite"),
    "complex": (ONNX, partial(onnx_of, partial(other_numbers, np.ones((3, 3), "c8"))), "of an unknown type"),
    "foreign operator": (ONNX, partial(onnx_of, partial(domain, "ai.onnx.contrib")), "operators that no engine has"),
    "too few": (ONNX, partial(onnx_of, partial(dims, (10**6, 10**6))), "is not of the size that it declares"),
    "too many": (ONNX, partial(onnx_of, partial(dims, (2, 2))), "is not of the size that it declares"),
    "negative": (ONNX, partial(onnx_of, partial(dims, (-3, -3))), "is not of the size that it declares"),
    "rank": (ONNX, partial(onnx_of, partial(dims, [1] * 99 + [9])), "is not of the size that it declares"),
    "two inputs": (ONNX, partial(onnx_of, lambda model: None, inputs=2), "has 2 inputs and 1 outputs"),
    "two outputs": (ONNX, partial(onnx_of, lambda model: None, outputs=2), "has 1 inputs and 2 outputs"),
    "int64 input": (ONNX, partial(onnx_of, lambda model: None, dtype=onnx.TensorProto.INT64), "neither float32 nor"),
    "five channels": (ONNX, partial(onnx_of, lambda model: None, shape=("n", 5, 7, 7)), "neither pictures of 1 or"),
    "huge onnx input": (ONNX, partial(onnx_of, lambda model: None, shape=(1, 3, 10**6, 10**6)), "more than 50,000,000"),
    "no shape": (ONNX, partial(onnx_of, without_shape), "arrays of no known shape"),
}  # fmt: skip


def bfloats(model):
    weights_of(model).data_type = onnx.TensorProto.BFLOAT16
    weights_of(model).raw_data = np.full(9, 0x7FC0, "<u2").tobytes()


def built_by_its_config(path):
    """A Sequential of 10^11 weights without an input: Keras makes them of the shape beside its config."""
    dense = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "dense", "units": 10**5}}
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "network", "layers": [dense]}}
    with_config(json.dumps(config | {"build_config": {"input_shape": [None, 10**6]}}), path)


# The same for faults that only Keras notices
NEEDS_KERAS = {
    "registered name": (
        ZIP, partial(layer, "pool1", lambda path: {"registered_name": "os>system"}), "is damaged or was made by an"),
    "unknown class of Keras": (
        KERAS, partial(layer, "pool1", partial(of, "keras.layers", "Nonsense")), "is damaged or was made by an"),
    "units": (H5, partial(layer, "dense1", partial(settings, units=10**9)), "need more weights than there are"),
    "units that the next layer does not take": (  # a .keras file names their number
        ZIP, partial(layer, "dense1", partial(settings, units=10**9)), "need more weights than there are"),
    "units of the last layer": (
        KERAS, partial(layer, "logits", partial(settings, units=10**9)), "need more weights than there are"),
    "build config": (ZIP, built_by_its_config, "need more weights than there are"),
    "upsampling": (KERAS, partial(layer, "pool1", upsampling), "is damaged"),
    "two outputs": (
        KERAS, lambda path: two_outputs(path), "has not one input and one output"),
    "another shape": (
        KERAS, partial(in_weights, partial(as_dataset, data=np.ones((3, 3, 32, 65), "f4"))), "is damaged or was made"),
    "no kernel": (KERAS, partial(in_weights, lambda file, name: file.__delitem__(name)), "need more weights than"),
    "NaN weights": (
        KERAS, partial(unsigned, partial(in_weights, partial(with_numbers, np.nan))), "not finite numbers; train"),
    "other weights": (
        KERAS, partial(in_weights, partial(with_numbers, 0.5)), "its weights are not those that were saved; train"),
    "card of fewer classes": (KERAS, lambda path: fewer_classes(path), "contradicts itself: the card names 9 classes"),
}  # fmt: skip


def two_outputs(path):
    config = config_of(path)
    outputs = config["config"]["output_layers"]
    outputs = outputs if isinstance(outputs[0], list) else [outputs]
    config["config"]["output_layers"] = [*outputs, ["conv3", 0, 0]]
    with_config(json.dumps(config), path)


def fewer_classes(path):
    full = load_card(path)
    with_card(card.as_json(dataclasses.replace(full, class_names=full.class_names[:9])), path)
