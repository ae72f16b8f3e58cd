"""A model that Keras 2 wrote, made anew by Keras 3: TensorFlow 2.0 to 2.15, tf_keras, and Keras 2 by itself.

Keras 3 refuses the .keras of Keras 2, and some of its .h5. Here its graph is followed node by node; nothing in the file
is imported or run.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.saving.keras2_layers import TAKE, layer_of

if TYPE_CHECKING:
    import h5py

MODELS = ("Functional", "Model", "Sequential")
CONSTANT = "_CONSTANT_VALUE"
ARRAYS = ("x", "y", "bias")  # arguments of operations that may be constants


class Part:
    """A layer, or a model of layers, of Keras 2."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self.kind = str(entry["class_name"])
        self.name = str(entry["config"].get("name", self.kind.lower()))
        self.layer: Any = None
        self.parts: list[Part] = []  # of a model
        if self.kind in MODELS:
            self.layer = (sequential if self.kind == "Sequential" else functional)(self, entry["config"])
        elif self.kind != "InputLayer":
            self.layer = layer_of(entry)

    def leaves(self) -> Iterator["Part"]:
        """Yield the layers, at every depth, in Keras 2's order."""
        if self.kind in MODELS:
            for part in self.parts:
                yield from part.leaves()
        elif isinstance(self.layer, keras.Layer):
            yield self


def input_of(config: dict[str, Any]) -> Any:
    shape: list[int | None] = config.get("batch_input_shape") or config["batch_shape"]
    return keras.Input(tuple(shape[1:]), dtype=str(config.get("dtype") or "float32"), name=safe(config["name"]))


def safe(name: object) -> str:
    return str(name).replace("/", "_")


# ---- graphs ----------------------------------------------------------------------------------------------------------


def sequential(model: Part, config: dict[str, Any]) -> keras.Model:
    """Return a chain of layers as a model."""
    inputs = x = None
    for entry in config["layers"]:
        part = Part(entry)
        model.parts.append(part)
        if part.kind == "InputLayer":
            inputs = x = input_of(entry["config"])
            continue
        if x is None:
            inputs = x = first_input(part, entry, config)
        x = part.layer(x)
    if inputs is None:
        raise BadInputError("has no layers", remedy=TAKE)
    return keras.Model(inputs, x, name=safe(model.name))


def first_input(part: Part, entry: dict[str, Any], config: dict[str, Any]) -> Any:
    """Return the input of a Sequential that has none of its own."""
    built = config.get("build_input_shape") or (config.get("build_config") or {}).get("input_shape")
    shape = entry["config"].get("batch_input_shape") or built
    if shape is None and part.kind in MODELS:
        shape = part.layer.inputs[0].shape
    if shape is None:
        raise BadInputError("does not tell the size of its input", remedy=TAKE)
    return keras.Input(tuple(shape[1:]), name=f"{safe(part.name)}_input")


def functional(model: Part, config: dict[str, Any]) -> keras.Model:
    """Return a graph of layers as a model."""
    graph = Graph(config)
    waiting = []
    for entry in config["layers"]:
        part = Part(entry)
        model.parts.append(part)
        if part.kind == "InputLayer":
            graph.outputs[name_of(entry)].append([input_of(entry["config"])])
        else:
            waiting += [(part, name_of(entry), node) for node in entry["inbound_nodes"]]
    while waiting:
        later = [call for call in waiting if not graph.call(*call)]
        if len(later) == len(waiting):
            raise BadInputError("has a graph that does not begin at its inputs", remedy=TAKE)
        waiting = later
    inputs, outputs = (graph.at_all(config[key]) for key in ("input_layers", "output_layers"))
    return keras.Model(one_or_all(inputs), one_or_all(outputs), name=safe(model.name))


def one_or_all(tensors: list[Any]) -> Any:
    return tensors[0] if len(tensors) == 1 else tensors


def name_of(entry: dict[str, Any]) -> str:
    return str(entry.get("name") or entry["config"]["name"])


class Graph:
    """The tensors of a functional model, by (layer, number of its call, number of the output)."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.names = {name_of(entry) for entry in config["layers"]}
        self.outputs: defaultdict[str, list[list[Any]]] = defaultdict(list)
        self.models = {name_of(entry) for entry in config["layers"] if entry["class_name"] in MODELS}
        self.first: dict[str, int] = {}  # a model in a model counts its own graph as its first call
        for name, call in references([entry["inbound_nodes"] for entry in config["layers"]] + [config["output_layers"]],
                                     self.names):  # fmt: skip
            self.first[name] = min(call, self.first.get(name, call))

    def call(self, part: Part, name: str, node: Any) -> bool:
        """Call a layer as a node says; return False if an input is not there yet."""
        try:
            if node and isinstance(node[0], str):
                args, kwargs = [self.value(node[:3])], node[3] if len(node) > 3 else {}
            else:
                args, kwargs = [self.value(each[:3]) for each in node], node[0][3] if len(node[0]) > 3 else {}
            kwargs = {key: self.value(value) for key, value in kwargs.items() if key not in ("name", "mask")}
        except LookupError:
            return False
        if not isinstance(part.layer, keras.Layer):
            kwargs.pop("training", None)
        kwargs = {
            key: np.asarray(value, "float32") if key in ARRAYS and isinstance(value, list) else value
            for key, value in kwargs.items()
            if value is not None
        }
        result = part.layer(one_or_all(args), **kwargs)
        self.outputs[name].append(keras.tree.flatten(result))
        return True

    def value(self, value: Any) -> Any:
        """Return an argument with the tensors that it refers to."""
        if is_reference(value, self.names):
            name, call, index = value[:3]
            first = self.first.get(name, 0) if name in self.models else 0
            return self.outputs[name][call - first][index]
        if isinstance(value, list):
            if len(value) == 3 and value[0] == CONSTANT:
                return self.value(value[2])
            return [self.value(each) for each in value]
        return value

    def at_all(self, value: Any) -> list[Any]:
        """Return the tensors in `input_layers` or `output_layers`."""
        values = [value] if is_reference(value, self.names) else value
        values = values.values() if isinstance(values, dict) else values
        try:
            return [self.value(each[:3]) for each in values]
        except LookupError as error:
            raise BadInputError("has a graph that does not reach its outputs", remedy=TAKE) from error


def is_reference(value: Any, names: set[str]) -> bool:
    """Whether a value in a config is [layer, call, output]."""
    if not isinstance(value, (list, tuple)) or len(value) < 3:
        return False
    return (
        isinstance(value[0], str) and value[0] in names and all(type(each) is int and each >= 0 for each in value[1:3])
    )


def references(value: Any, names: set[str]) -> Iterator[tuple[str, int]]:
    """Yield (layer, call) of all references in a value."""
    if is_reference(value, names):
        yield value[0], value[1]
        value = value[3:]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from references(each, names)


# ---- weights ---------------------------------------------------------------------------------------------------------


def assign(model: Part, file: "h5py.File") -> None:
    """Give the layers of a model the weights in a file of Keras 2: an .h5, or the HDF5 part of a .keras."""
    if "model_weights" in file:
        for part in model.parts:
            group = file["model_weights"].get(part.name)
            names = [] if group is None else [text(name) for name in group.attrs.get("weight_names", ())]
            fill(in_order(part), [np.asarray(group[name]) for name in names], part.name)
    else:
        assign_by_class(model, file)
    for leaf in model.leaves():
        if isinstance(leaf.layer, keras.layers.Normalization):
            leaf.layer.finalize_state()


def in_order(part: Part) -> list[keras.Variable]:
    """Return weights as Keras 2 writes those of a layer or a model: first all that are trained, then the others."""
    leaves = [leaf.layer for leaf in part.leaves()]
    trained = [weight for layer in leaves for weight in layer.trainable_weights]
    return trained + [weight for layer in leaves for weight in layer.non_trainable_weights]


def assign_by_class(model: Part, group: Any) -> None:
    """Give weights from "layers", where each layer has the name of its class and a number."""
    counts: Counter[str] = Counter()
    for part in model.parts:
        kind = keras_name("Functional" if part.kind == "Model" else part.kind)
        name = f"{kind}_{counts[kind]}" if counts[kind] else kind
        counts[kind] += 1
        inner = group["layers"].get(name) if "layers" in group else None
        if part.kind in MODELS and inner is not None:
            assign_by_class(part, inner)
        elif isinstance(part.layer, keras.Layer):
            arrays = inner["vars"] if inner is not None and "vars" in inner else {}
            fill(part.layer.weights, [np.asarray(arrays[str(i)]) for i in range(len(arrays))], part.name)


def keras_name(name: str) -> str:
    """Return the name of a class as Keras writes it in files: "MaxPooling2D" -> "max_pooling2d"."""
    import re

    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def fill(variables: list[keras.Variable], arrays: list[np.ndarray], name: str) -> None:
    """Assign arrays to variables; raise BadInputError if they do not fit."""
    theirs = [array.shape for array in arrays]
    if [tuple(variable.shape) for variable in variables] != theirs:
        problem = f"has weights for {name!r:.40} that Keras 3 does not expect ({theirs!s:.40})"
        raise BadInputError(problem, remedy=TAKE)
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
