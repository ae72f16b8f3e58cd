"""The maps that a network computes of one picture: how many numbers they hold, without computing any."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import layers

from kerasnets.graph import costs
from kerasnets.graph.walk import nodes


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
    if any(None in shape for shape in shapes):
        raise ValueError(f"the size of {operation.name!r:.40} depends on the picture")
    taken = [tuple(tensor.shape) for tensor in tensors]
    numbers = max(costs.largest_array(operation, taken, shape) for shape in shapes)
    steps = costs.steps(taken) if isinstance(operation, (layers.RNN, layers.Bidirectional)) else 1
    work = max(costs.work(operation, taken, shape) for shape in shapes)
    yield Map(operation.name, numbers, work * steps, steps * _cells(operation))
    return result


def _cells(operation: Any) -> int:
    """Return how many layers a recurrent layer calls in each step."""
    return max(1, len(getattr(getattr(operation, "cell", None), "cells", ())))


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
