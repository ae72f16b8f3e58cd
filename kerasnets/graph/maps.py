"""The maps that a network computes of one picture: how many numbers they hold, without computing any."""

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import layers

from kerasnets.graph.walk import nodes
from kerasnets.graph.weights import count

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Map:
    """The output of one call of an operation.

    Args:
        name: Of the operation.
        numbers: In the output, or in the largest array on the way to it.
        work: Multiplications, about.
        calls: How often it is called: a recurrent layer calls its cell for each step, in a loop.
    """

    name: str
    numbers: int
    work: int
    calls: int = 1


def maps(network: keras.Model, shape: Sequence[int]) -> Iterator[Map]:
    """Yield the maps that `network` computes of one input of `shape`, at every depth: models in models, and wrappers.

    The shapes are Keras' own, computed for this input anew, because a model in a model may leave its sizes open.
    """
    inputs = [keras.KerasTensor((1, *shape), dtype=network.inputs[0].dtype)]
    yield from _in_graph(network, inputs)


def _in_graph(network: Any, inputs: Sequence[keras.KerasTensor]) -> Generator[Map, None, Any]:
    """Yield the maps of a model with a graph; return its outputs."""
    values = {id(tensor): value for tensor, value in zip(network.inputs, inputs, strict=True)}
    for node in nodes(network):
        if node.is_input:
            continue
        result = yield from _of_call(node.operation, *node.fill_in(values))
        for tensor, value in zip(node.outputs, keras.tree.flatten(result), strict=True):
            values[id(tensor)] = value
    outputs = [values[id(tensor)] for tensor in network.outputs]
    return outputs[0] if len(outputs) == 1 else outputs


def _of_call(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Generator[Map, None, Any]:
    """Yield the maps of one call; return its outputs."""
    tensors = [value for value in keras.tree.flatten((args, kwargs)) if isinstance(value, keras.KerasTensor)]
    if isinstance(operation, keras.Model) and getattr(operation, "outputs", None):
        return (yield from _in_graph(operation, tensors))
    result = operation.compute_output_spec(*args, **kwargs)
    shapes = [tuple(tensor.shape) for tensor in keras.tree.flatten(result)]
    yield from _in_wrapper(operation, tensors[0])
    inside = [inside for kind, inside in INSIDE.items() if isinstance(operation, kind)]
    sizes = [size(shape) for shape in shapes]
    sizes += [numbers(operation, [tuple(tensor.shape) for tensor in tensors], shapes[0]) for numbers in inside]
    steps = tensors[0].shape[1] or 1 if isinstance(operation, (layers.RNN, layers.Bidirectional)) else 1
    yield Map(operation.name, max(sizes), _work(operation, shapes[0]) * steps, steps)
    return result


def _in_wrapper(operation: Any, tensor: keras.KerasTensor) -> Iterator[Map]:
    """Yield the maps of the layers in a layer that takes `tensor`."""
    if isinstance(operation, layers.TimeDistributed):
        steps = tensor.shape[1] or 1
        tensor = keras.KerasTensor((tensor.shape[0], *tensor.shape[2:]), tensor.dtype)
        for part in _of_call(operation.layer, (tensor,), {}):
            yield replace(part, work=part.work * steps, calls=part.calls * steps)
        return
    inner = operation.layers if isinstance(operation, layers.Pipeline) else [getattr(operation, "layer", None)]
    for layer in inner:
        if isinstance(layer, keras.Layer):
            tensor = yield from _of_call(layer, (tensor,), {})


# ---- arrays inside of layers, larger than their outputs --------------------------------------------------------------


def _scores(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the size of the matrix of an attention, of each query and each value."""
    heads = int(getattr(layer, "num_heads", 0) or getattr(layer, "num_query_heads", 1))
    return heads * size(inputs[0][1:-1]) * size(inputs[1 if len(inputs) > 1 else 0][1:-1])


def _sums(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the size of the sums of each query and each value, which are added before the scores."""
    return _scores(layer, inputs, output) * (inputs[0][-1] or 1)


def _by_depth(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the size of the map between the two convolutions of a separable one."""
    channels = inputs[0][-1 if layer.data_format == "channels_last" else 1] or 1
    return size(output) // int(layer.filters) * channels * int(layer.depth_multiplier)


def _one_hot(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    return size(inputs[0]) * int(layer.num_tokens)


Inside = Callable[[Any, Sequence[Shape], Shape], int]
INSIDE: dict[type, Inside] = {
    layers.MultiHeadAttention: _scores,
    layers.GroupQueryAttention: _scores,
    layers.Attention: _scores,
    layers.AdditiveAttention: _sums,
    layers.SeparableConv1D: _by_depth,
    layers.SeparableConv2D: _by_depth,
    layers.CategoryEncoding: _one_hot,
}


def size(shape: Shape) -> int:
    return math.prod(length or 1 for length in shape)


def _work(operation: Any, shape: Shape) -> int:
    """Return how often the weights of a layer are applied, times their number."""
    weights = count(getattr(operation, "weights", ()))
    axis = 1 if getattr(operation, "data_format", None) == "channels_first" else -1
    return weights * size(shape) // (shape[axis] or 1) if len(shape) > 1 else weights
