"""OPERATIONS: for each function of keras.ops in a graph, the function that translates it."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kerasnets.convert.to_torch import merges, parameters, pools, shapes
from kerasnets.convert.to_torch.activations import express
from kerasnets.convert.to_torch.names import literal, number, quotient
from kerasnets.convert.to_torch.program import Value
from kerasnets.convert.to_torch.translate import Translator

Translation = Callable[..., Value | list[Value]]

# Of each number by itself
UNARY = {"Negative": "-{0}", "Absolute": "torch.abs({0})", "Abs": "torch.abs({0})", "Square": "{0} ** 2",
         "Sqrt": "torch.sqrt({0})", "Rsqrt": "torch.rsqrt({0})", "Exp": "torch.exp({0})", "Log": "torch.log({0})",
         "Log1p": "torch.log1p({0})", "Sin": "torch.sin({0})", "Cos": "torch.cos({0})", "Relu": "F.relu({0})",
         "Relu6": "F.relu6({0})", "Sigmoid": "torch.sigmoid({0})", "Tanh": "torch.tanh({0})", "Silu": "F.silu({0})",
         "HardSigmoid": "F.hardsigmoid({0})", "HardSilu": "F.hardswish({0})", "Softplus": "F.softplus({0})",
         "Selu": "F.selu({0})", "Mish": "F.mish({0})", "Erf": "torch.erf({0})"}  # fmt: skip
BINARY = {"Add": "{} + {}", "Subtract": "{} - {}", "Multiply": "{} * {}", "Divide": "{} / {}", "TrueDivide": "{} / {}",
          "Power": "{} ** {}", "Maximum": "torch.maximum({}, {})", "Minimum": "torch.minimum({}, {})"}  # fmt: skip
REDUCTIONS = {"Mean": "mean", "Sum": "sum", "Max": "amax", "Min": "amin"}


def unary(expression: str) -> Translation:
    def translate(t: Translator, operation: Any, x: Value) -> Value:
        return t.apply(expression, [x], encloses=expression.endswith("({0})"))

    return translate


def binary(expression: str) -> Translation:
    def translate(t: Translator, operation: Any, x1: Any, x2: Any) -> Value:
        values = [operand for operand in (x1, x2) if isinstance(operand, Value)]
        constants = [operand for operand in (x1, x2) if not isinstance(operand, Value)]
        if any(np.size(constant) != 1 for constant in constants):
            arrays = [parameters.constant(t, constant, values[0].rank) for constant in constants]
            x1, x2 = (operand if isinstance(operand, Value) else arrays[0] for operand in (x1, x2))
            values, constants = [x1, x2], []
        values = merges.align(t, values)
        rank = max(value.rank for value in values)
        place = iter(range(len(values)))
        texts = [
            f"{{{next(place)}}}" if isinstance(operand, Value) else number(scalar(operand)) for operand in (x1, x2)
        ]
        text = expression
        if constants and text == "{} * {}":
            return t.apply(quotient(scalar(constants[0])), values)
        if constants and text.startswith("torch."):
            text = "torch.clamp({}, min={})" if "maximum" in text else "torch.clamp({}, max={})"
            texts.sort(key=lambda part: not part.startswith("{"))
        biggest = max(values, key=lambda value: value.rank)
        value = t.apply(text.format(*texts), values, shape=t.shape, order=biggest.order[:rank])
        if not constants and values[0].rank == values[1].rank == 2 and values[0].shape != values[1].shape:
            value.rows = None
        return value

    return translate


def scalar(constant: Any) -> float:
    return float(np.asarray(constant if np.isscalar(constant) else keras.ops.convert_to_numpy(constant)).item())


def reduction(method: str) -> Translation:
    def translate(t: Translator, operation: Any, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
        axis, keepdims = getattr(operation, "axis", axis), getattr(operation, "keepdims", keepdims)
        axes = range(x.rank) if axis is None else (axis if isinstance(axis, (list, tuple)) else [axis])
        axes = tuple(sorted(int(a) % x.rank for a in axes))
        if 0 in axes:
            raise t.unknown("operation {} mixes the pictures of a batch, which has no translation to PyTorch")
        return pools.reduce_axes(t, t.plain(x) if x.rows is not None else x, method, axes, bool(keepdims))

    return translate


def reshape(t: Translator, operation: Any, x: Value, newshape: Any = None) -> Value:
    return parameters.view(t, x, t.shape) if parameters.is_one_for_all(x) else shapes.to_shape(t, x, t.shape)


def add_axis(t: Translator, operation: Any, x: Value, axis: Any = 0) -> Value:
    if parameters.is_one_for_all(x):
        return parameters.view(t, x, t.shape)
    axis = getattr(operation, "axis", axis)
    if not isinstance(axis, int) or axis % (x.rank + 1) == 0:
        raise t.unknown("operation {} adds an axis before the batch, which has no translation to PyTorch")
    axis %= x.rank + 1
    return t.apply(f"{{0}}.unsqueeze({axis})", [t.plain(x)], shape=t.shape, order=tuple(range(x.rank + 1)), mixes=True)


def matmul(t: Translator, operation: Any, x1: Any, x2: Any) -> Value:
    values = [t.plain(x) if isinstance(x, Value) else parameters.constant(t, x, 2) for x in (x1, x2)]
    return t.apply("{0} @ {1}", values, shape=t.shape, order=tuple(range(len(t.shape))), mixes=True)


def einsum(t: Translator, operation: Any, *operands: Any) -> Value:
    parts, result = operation.subscripts.replace(" ", "").split("->")
    values = [x if isinstance(x, Value) else parameters.constant(t, x, 1) for x in operands]
    values = [t.plain(x) if x.rows is not None else x for x in values]
    letters = [[part[axis] for axis in x.order] for part, x in zip(parts.split(","), values, strict=True)]
    order = values[0].order if values[0].rank == len(result) else tuple(range(len(result)))
    text = f"{','.join(map(''.join, letters))}->{''.join(result[axis] for axis in order)}"
    places = ", ".join(f"{{{i}}}" for i in range(len(values)))
    return t.apply(f'torch.einsum("{text}", {places})', values, shape=t.shape, order=order, mixes=True)


def transpose(t: Translator, operation: Any, x: Value, axes: Any = None) -> Value:
    axes = tuple(int(axis) % x.rank for axis in (operation.axes if axes is None else axes) or reversed(range(x.rank)))
    if axes[0] != 0 and not parameters.is_one_for_all(x):
        raise t.unknown("operation {} moves the axis of the batch, which has no translation to PyTorch")
    return shapes.permute_axes(t, x, axes)


def concatenate(t: Translator, operation: Any, xs: Any, axis: int | None = None) -> Value:
    return merges.concatenate_values(t, list(xs), operation.axis if axis is None else axis)


def softmax(t: Translator, operation: Any, x: Value, axis: int = -1) -> Value:
    axis = getattr(operation, "axis", axis)
    return express(t, x, "F.softmax({0}, dim={dim})", -1 if axis is None else axis)


def gelu(t: Translator, operation: Any, x: Value, approximate: bool = True) -> Value:
    more = ', approximate="tanh"' if getattr(operation, "approximate", approximate) else ""
    return t.apply(f"F.gelu({{0}}{more})", [x], encloses=True)


def leaky_relu(t: Translator, operation: Any, x: Value, negative_slope: float = 0.2) -> Value:
    slope = literal(getattr(operation, "negative_slope", negative_slope))
    return t.apply(f"F.leaky_relu({{0}}, {slope})", [x], encloses=True)


def clip(t: Translator, operation: Any, x: Value, x_min: Any = None, x_max: Any = None) -> Value:
    x_min, x_max = getattr(operation, "x_min", x_min), getattr(operation, "x_max", x_max)
    return t.apply(f"torch.clamp({{0}}, {literal(x_min)}, {literal(x_max)})", [x], encloses=True)


OPERATIONS: dict[str, Translation] = {
    **{name: unary(expression) for name, expression in UNARY.items()},
    **{name: binary(expression) for name, expression in BINARY.items()},
    **{name: reduction(method) for name, method in REDUCTIONS.items()},
    "Reshape": reshape,
    "ExpandDims": add_axis,
    "Matmul": matmul,
    "Einsum": einsum,
    "GetItem": parameters.item,
    "OnesLike": unary("torch.ones_like({0})"),
    "Split": parameters.split,
    "Transpose": transpose,
    "Concatenate": concatenate,
    "Softmax": softmax,
    "Gelu": gelu,
    "LeakyRelu": leaky_relu,
    "Clip": clip,
}
