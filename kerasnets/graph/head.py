"""The last part of a network: logits or probabilities, of several classes or of one.

It is computed for random numbers, so that it does not matter of which layers or operations it is made.
"""

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from kerasnets.graph.steps import as_numbers, close_sizes, cuts, learns, run
from kerasnets.graph.walk import node_of, nodes, producer

FEED = 5.0  # standard deviation of the numbers that the last part is tried with
NEAR = 1e-4


@dataclass(frozen=True)
class Head:
    """What a network ends in.

    Attributes:
        kind: "softmax", "sigmoid" of each class by itself, "logits", or "probabilities" of another making.
        logits: The tensor before softmax or sigmoid; the output if there is none.
        exclusive: Whether the probabilities of all classes add up to 1, or do after a softmax.
    """

    kind: str
    logits: keras.KerasTensor
    exclusive: bool


def head_of(network: keras.Model) -> Head:
    """Return the Head of a flat network."""
    steps, output = nodes(network), network.outputs[0]
    units = math.prod(size or 0 for size in output.shape[1:])
    places = cuts(steps)
    if learns(steps[-1].operation):
        return Head("logits", output, True)
    start = next(i for i in reversed(places) if learns(steps[i].operation) or steps[i].is_input)
    fed = steps[start].outputs[0]
    feed = np.random.default_rng(0).normal(0, FEED, (8, *close_sizes(fed.shape[1:])))
    values = {id(fed): ops.convert_to_tensor(feed.astype("int32" if "int" in str(fed.dtype) else "float32"))}
    run(steps[start + 1 :], values, training=False)
    result = as_numbers(values[id(output)]).reshape(len(feed), -1)
    logits, is_same = output, True
    for i in reversed([i for i in places if i >= start]):
        tensor = steps[i].outputs[0]
        before = as_numbers(values[id(tensor)]).reshape(len(feed), -1)
        kind = kind_between(before, result)
        if kind in ("softmax", "sigmoid"):
            return Head(kind, tensor, kind == "softmax" or units == 1)
        is_same = is_same and kind == "same"
        logits = tensor if is_same else logits
    if result.min() >= 0 and result.max() <= 1:
        adds_up = bool(abs(result.sum(axis=1) - 1).max() < 1e-3)
        return Head("probabilities", output, adds_up or units == 1)
    return Head("logits", logits if len(logits.shape) == 2 else output, True)


def kind_between(before: np.ndarray, result: np.ndarray) -> str:
    """Return what makes `result` of the numbers `before`: "same", "softmax", "sigmoid", or "" if none of them."""
    if before.shape != result.shape:
        return ""
    shifted = np.exp(before - before.max(axis=1, keepdims=True))
    makers = {
        "same": before,
        "softmax": shifted / shifted.sum(axis=1, keepdims=True),
        "sigmoid": 0.5 * (1 + np.tanh(before / 2)),
    }
    return next((kind for kind, expected in makers.items() if abs(expected - result).max() < NEAR), "")


def probabilities(head: Head, values: dict[int, Any]) -> Any:
    """Return the probabilities of at least two classes, after their logits wherever there are some."""
    logits = values[id(head.logits)]
    if len(logits.shape) > 2:  # (n, 1, 1, units)
        logits = layers.Flatten(name="sizes_of_logits")(logits)
    is_one = logits.shape[-1] == 1
    if head.kind == "probabilities":
        return two_of(logits, (-1.0, 1.0), (1.0, 0.0), "two_classes") if is_one else logits
    if is_one:
        logits = two_logits(logits)
    elif head.kind == "sigmoid":
        return layers.Activation("sigmoid", name="probabilities", dtype="float32")(logits)
    return layers.Softmax(name="probabilities", dtype="float32")(logits)


def two_logits(logit: Any) -> Any:
    """Return the logits of two classes for that of one: 0 and itself, whose softmax is its sigmoid."""
    layer = producer(logit)
    if type(layer) is not layers.Dense or layer.activation is not keras.activations.linear:
        return two_of(logit, (0.0, 1.0), (0.0, 0.0), "two_classes")
    kernel, *bias = (np.asarray(weight) for weight in layer.get_weights())
    twice = layers.Dense(2, use_bias=bool(bias), name=layer.name)
    logits = twice(node_of(logit).input_tensors[0])
    twice.set_weights([np.pad(weight, [(0, 0)] * (weight.ndim - 1) + [(1, 0)]) for weight in (kernel, *bias)])
    return logits


def two_of(number: Any, kernel: tuple[float, float], bias: tuple[float, float], name: str) -> Any:
    layer = layers.Dense(2, name=name)
    result = layer(number)
    layer.set_weights([np.array([kernel]), np.array(bias)])
    return result
