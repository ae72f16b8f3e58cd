"""Layers that join several values."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import layers

from kerasnets.convert.to_torch.names import literal
from kerasnets.convert.to_torch.program import Value, identity
from kerasnets.convert.to_torch.translate import Translator

OPERATORS = {layers.Add: "+", layers.Subtract: "-", layers.Multiply: "*"}
FUNCTIONS = {layers.Maximum: "torch.maximum", layers.Minimum: "torch.minimum"}


def join(t: Translator, layer: Any, *inputs: Value) -> Value:
    values = align(t, inputs)
    places = [f"{{{i}}}" for i in range(len(values))]
    if type(layer) is layers.Average:
        text = f"({' + '.join(places)}) / {len(values)}"
    elif type(layer) in FUNCTIONS:
        text = functools.reduce(lambda one, other: f"{FUNCTIONS[type(layer)]}({one}, {other})", places)
    else:
        text = f" {OPERATORS[type(layer)]} ".join(places)
    positive = type(layer) is not layers.Subtract and all(value.non_negative for value in values)
    return t.apply(text, values, shape=t.shape, non_negative=positive)


def align(t: Translator, inputs: Sequence[Value]) -> list[Value]:
    """Return values of one order of axes; of different ranks, all as in Keras, which then joins their last axes."""
    rows = inputs[0].rows
    if any(not same_rows(value.rows, rows) for value in inputs):
        inputs = [t.plain(value) for value in inputs]
    ranks = {value.rank for value in inputs}
    if len(ranks) > 1:
        return [t.plain(value) for value in inputs]
    order = max((value.order for value in inputs), key=lambda order: order != identity(len(order)))
    return [value if value.order == order else t.arrange(value, order) for value in inputs]


def same_rows(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is other or (one is not None and other is not None and np.array_equal(one, other))


def concatenate(t: Translator, layer: layers.Concatenate, *inputs: Value) -> Value:
    return concatenate_values(t, inputs, layer.axis)


def concatenate_values(t: Translator, inputs: Sequence[Value], axis: int) -> Value:
    rank = inputs[0].rank
    flattened = rank == 2 and axis % 2 == 1 and any(value.rows is not None for value in inputs)
    values = list(inputs) if flattened else align(t, [t.plain(v) if v.rows is not None else v for v in inputs])
    places = ", ".join(f"{{{i}}}" for i in range(len(values)))
    positive = all(value.non_negative for value in values)
    text = f"torch.cat(({places}{',' if len(values) == 1 else ''}), {values[0].dim(axis)})"
    value = t.apply(text, values, shape=t.shape, mixes=True, non_negative=positive)
    if flattened:
        widths = [int(other.shape[1] or 0) for other in values]
        rows = [np.arange(width) if v.rows is None else v.rows for v, width in zip(values, widths, strict=True)]
        starts = np.cumsum([0, *widths[:-1]])
        value.rows = np.concatenate([start + row for start, row in zip(starts, rows, strict=True)])
        value.flattens = frozenset().union(*(other.flattens for other in values))
    return value


def custom_scale(t: Translator, layer: Any, x: Value, y: Value) -> Value:
    """The layer of keras.applications' InceptionResNetV2."""
    return t.apply(f"{{0}} + {literal(layer.scale)} * {{1}}", align(t, [x, y]), shape=t.shape)


LAYERS: dict[type, Callable[..., Value]] = {
    **dict.fromkeys((*OPERATORS, *FUNCTIONS, layers.Average), join),
    layers.Concatenate: concatenate,
}
