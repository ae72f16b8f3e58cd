"""A network with other networks inside it as one flat graph, made of copies of its layers."""

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import keras
from keras import layers

from kerasnets.graph.layout import PROOF, in_full_precision, is_half
from kerasnets.graph.walk import has_weights, node_of, nodes, register_parameters, skip_initializers

# Activations that turn logits into probabilities, or their logarithms
ENDS = (keras.activations.softmax, keras.activations.sigmoid, keras.activations.log_softmax)


@in_full_precision(PROOF)
def flatten(network: keras.Model, reserved: Iterable[str] = ()) -> keras.Model:
    """Return a flat copy of `network` in float32, from its first input to its first output; it shares nothing with it.

    A softmax or sigmoid inside the last layer becomes a layer of its own.

    Args:
        network: Any model with a graph: Functional, a built Sequential, inputs in a list or a dict.
        reserved: Names that no layer of the copy may have.

    Raises:
        ValueError: `network` has several inputs.
    """
    if len(network.inputs) != 1:
        raise ValueError(f"{network.name} has {len(network.inputs)} inputs; a network for pictures or rows has one")
    copies = Copies(reserved, last_layers(network))
    with skip_initializers():
        given = network.inputs[0]
        inputs = keras.Input(given.shape[1:], dtype=given.dtype, name=copies.name_for("input"))
        output = copies.run(network, [inputs])[0]
        flat = keras.Model(inputs, output, name=network.name)
    register_parameters(flat)
    copies.copy_weights()
    return flat


def has_graph(operation: Any) -> bool:
    """Whether an operation is a model whose layers are joined in a graph."""
    return isinstance(operation, keras.Model) and bool(getattr(operation, "outputs", None))


def last_layers(network: keras.Model) -> list[Any]:
    """Return the layers with weights that no other layer with weights follows, at every depth."""
    found, waiting = [], [network.outputs[0]]
    while waiting:
        node = node_of(waiting.pop())
        operation = node.operation
        if has_graph(operation):
            waiting += operation.outputs[:1]
        elif has_weights(operation):
            found.append(operation)
        if not has_weights(operation):
            waiting += node.input_tensors
    return found


class Copies:
    """Copies of layers, each with a name of its own.

    Args:
        reserved: Names that none may have.
        last: Layers whose softmax or sigmoid becomes a layer of its own.
    """

    def __init__(self, reserved: Iterable[str], last: Sequence[Any]) -> None:
        self.names = set(reserved)
        self.last = last
        self.made: dict[int, tuple[Any, Any, Any]] = {}  # id of a layer -> the layer, its copy, its activation

    def run(self, network: keras.Model, inputs: Sequence[Any], training: bool | None = None) -> list[Any]:
        """Call the copies in the order of a graph; return its outputs."""
        values = {id(tensor): value for tensor, value in zip(network.inputs, inputs, strict=True)}
        for node in nodes(network):
            if not node.is_input:
                results = self.call(node.operation, *node.fill_in(values), training)
                for tensor, value in zip(node.outputs, results, strict=True):
                    values[id(tensor)] = value
        return [values[id(tensor)] for tensor in network.outputs]

    def call(
        self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], training: bool | None = None
    ) -> list[Any]:
        """Call the copy of a layer, or the copies of a network's layers; return the outputs."""
        training = kwargs.get("training", training)
        if has_graph(operation):
            inputs = [value for value in keras.tree.flatten((args, kwargs)) if isinstance(value, keras.KerasTensor)]
            return self.run(operation, inputs, training)
        copy, activation = self.copy_of(operation)
        if training is not None and takes_training(copy):
            kwargs = {**kwargs, "training": training}
        outputs = keras.tree.flatten(copy(*args, **kwargs))
        return [activation(outputs[0])] if activation else outputs

    def copy_of(self, operation: Any) -> tuple[Any, Any]:
        if id(operation) not in self.made:
            name, activation = self.name_for(operation.name), None
            copy = operation  # a function of keras.ops has no weights, and is shared unless its name is taken
            if isinstance(operation, keras.Layer) or name != operation.name:
                config = operation.get_config() | {"name": name}
                config |= {"dtype": "float32"} if is_half(operation) else {}
                function = getattr(operation, "activation", None)
                if operation in self.last and function in ENDS:
                    config["activation"] = "linear"
                    activation = layers.Activation(function, name=self.name_for(f"{name}_{function.__name__}"))
                copy = type(operation).from_config(config)
            self.made[id(operation)] = operation, copy, activation
        return self.made[id(operation)][1:]

    def name_for(self, name: str) -> str:
        """Return `name`, with a number if another layer has it."""
        free, number = name, 1
        while free in self.names:
            number += 1
            free = f"{name}_{number}"
        self.names.add(free)
        return free

    def copy_weights(self) -> None:
        for operation, copy, _ in self.made.values():
            if copy is not operation and has_weights(operation):
                copy.set_weights(operation.get_weights())
                if isinstance(copy, layers.Normalization):
                    copy.finalize_state()


def takes_training(operation: Any) -> bool:
    return isinstance(operation, keras.Layer) and "training" in inspect.signature(operation.call).parameters
