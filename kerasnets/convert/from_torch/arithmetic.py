"""Sums, products and comparisons of two tensors, a tensor and a number, a tensor and a parameter."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasnets.convert.from_torch.builder import Builder
from kerasnets.convert.from_torch.values import Value


@dataclass(frozen=True)
class Pair:
    """How two tensors are combined: by Keras' layer if there is one, else by an operation."""

    operation: Callable[..., Any]
    layer: Any = None
    keeps_sign: bool = False  # two nonnegative tensors give a nonnegative one


ADD = Pair(ops.add, keras.layers.Add, True)
SUBTRACT = Pair(ops.subtract, keras.layers.Subtract)
MULTIPLY = Pair(ops.multiply, keras.layers.Multiply, True)
DIVIDE = Pair(ops.divide, None, True)
POWER = Pair(ops.power)

# ATen's operator -> Keras' operation
COMPARISONS = {"gt": "greater", "ge": "greater_equal", "lt": "less", "le": "less_equal", "eq": "equal",
               "ne": "not_equal"}  # fmt: skip


def combine(net: Builder, pair: Pair, a: Any, b: Any) -> Value:
    """Return a Value of two tensors, of which one at least is a Value."""
    a, b = (net.parameter(x) if getattr(x, "requires_grad", False) else as_number(x) for x in (a, b))
    if isinstance(a, Value) and isinstance(b, Value):
        return _values(net, pair, a, b)
    x, constant = (a, b) if isinstance(a, Value) else (b, a)
    x = net.in_order(x) if hasattr(constant, "ndim") else x
    if hasattr(constant, "ndim"):
        constant = constant.float() if str(constant.dtype) == "torch.bool" else constant
        x = net.widen(x, max(x.rank, constant.ndim))
        constant = net.constant(constant, x.rank, x.axes)
    scaled = _as_rescaling(net, pair, x, constant, first=x is a or not isinstance(b, Value))
    if scaled is not None:
        return scaled
    operands = (x.tensor, constant) if isinstance(a, Value) else (constant, x.tensor)
    return x.same(pair.operation(*operands))


def as_number(x: Any) -> Any:
    """Return truth values as zeros and ones; all else as it is."""
    if isinstance(x, Value) and keras.backend.standardize_dtype(x.tensor.dtype) == "bool":
        return x.same(ops.cast(x.tensor, "float32"), True)
    return x


def _as_rescaling(net: Builder, pair: Pair, x: Value, constant: Any, first: bool) -> Value | None:
    """Return x * scale + offset as a Rescaling layer, for a number or one number for each of the last axis."""
    if x.tensor.shape[:1] != (None,):
        return None
    if not isinstance(constant, (int, float)):
        if not isinstance(constant, np.ndarray) or constant.size != constant.shape[-1]:
            return None
        numbers = np.ravel(constant).astype(float)
    else:
        numbers = np.asarray(float(constant))
    ones, zeros = np.ones_like(numbers), np.zeros_like(numbers)
    forms = {
        (ADD, True): (ones, numbers), (ADD, False): (ones, numbers), (MULTIPLY, True): (numbers, zeros),
        (MULTIPLY, False): (numbers, zeros), (SUBTRACT, True): (ones, -numbers), (SUBTRACT, False): (-ones, numbers),
    }  # fmt: skip
    if (pair, first) in forms:
        scale, offset = forms[pair, first]
    elif pair is DIVIDE and first:
        scale, offset = 1 / numbers, zeros
    else:
        return None
    positive = x.nonnegative and bool((scale >= 0).all() and (offset >= 0).all())
    scale, offset = (
        one.ravel()[0].item() if (one == one.ravel()[0]).all() else one.tolist() for one in (scale, offset)
    )
    if scale == 1 and offset == 0:
        return x
    return x.same(net.layer(keras.layers.Rescaling, x.tensor, scale=scale, offset=offset), positive)


def _values(net: Builder, pair: Pair, a: Value, b: Value) -> Value:
    nonnegative = pair.keeps_sign and a.nonnegative and b.nonnegative
    a, b = in_common_order(net, [a, b])
    if pair.layer is not None and a.tensor.shape[0] is None and b.tensor.shape[0] is None:
        return replace(a, tensor=net.layer(pair.layer, [a.tensor, b.tensor]), nonnegative=nonnegative)
    return replace(a, tensor=pair.operation(a.tensor, b.tensor), nonnegative=nonnegative)


def in_common_order(net: Builder, values: list[Value]) -> list[Value]:
    """Return values of one rank with one order of axes: that of the largest."""
    rows = {None if x.rows is None else tuple(x.rows) for x in values}
    values = values if len(rows) == 1 else [net.in_order(x) for x in values]
    rank = max(x.rank for x in values)
    leading = max(values, key=lambda x: (x.rank, np.prod([size or 2 for size in x.tensor.shape])))
    return [x if x.axes == leading.axes else net.arrange(net.widen(x, rank), leading.axes) for x in values]


def _times(net: Builder, x: Any, alpha: Any) -> Any:
    if alpha == 1:
        return x
    return multiply(net, x, alpha) if isinstance(x, Value) else x * alpha


def add(net: Builder, a: Any, b: Any, *, alpha: Any = 1) -> Value:
    return combine(net, ADD, a, _times(net, b, alpha))


def subtract(net: Builder, a: Any, b: Any, *, alpha: Any = 1) -> Value:
    return combine(net, SUBTRACT, a, _times(net, b, alpha))


def subtract_from(net: Builder, a: Any, b: Any, alpha: Any = 1) -> Value:
    return combine(net, SUBTRACT, b, _times(net, a, alpha))


def multiply(net: Builder, a: Any, b: Any) -> Value:
    return combine(net, MULTIPLY, a, b)


def divide(net: Builder, a: Any, b: Any, *, rounding_mode: Any = None) -> Value:
    if rounding_mode is not None:
        raise net.refuse("a rounded quotient is not converted")
    return combine(net, DIVIDE, a, b)


def power(net: Builder, a: Any, b: Any) -> Value:
    if b == 2:
        return a.same(ops.square(a.tensor), True)
    return combine(net, POWER, a, b)


def add_product(net: Builder, x: Any, a: Any, b: Any, *, value: Any = 1) -> Value:
    product = _both(net, MULTIPLY, a, b)
    return combine(net, ADD, x, _times(net, product, value))


def _both(net: Builder, pair: Pair, a: Any, b: Any) -> Any:
    """Combine two tensors that may both be parameters."""
    if isinstance(a, Value) or isinstance(b, Value):
        return combine(net, pair, a, b)
    trained = getattr(a, "requires_grad", False) or getattr(b, "requires_grad", False)
    return combine(net, pair, net.parameter(a), b) if trained else a * b


def maximum(net: Builder, a: Any, b: Any) -> Value:
    return combine(net, Pair(ops.maximum, keras.layers.Maximum, True), a, b)


def minimum(net: Builder, a: Any, b: Any) -> Value:
    return combine(net, Pair(ops.minimum, keras.layers.Minimum, True), a, b)


def compare(operation: Callable[..., Any]) -> Callable[..., Value]:
    """Return the function of an operator whose results are truth values."""

    def comparison(net: Builder, a: Any, b: Any) -> Value:
        return combine(net, Pair(operation), a, b)

    return comparison


def logical_not(net: Builder, x: Value) -> Value:
    return x.same(ops.logical_not(x.tensor))


def where(net: Builder, mask: Any, a: Any, b: Any) -> Value:
    """Return a where the mask is true, else b: each a Value, a constant or a number."""
    parts = [net.parameter(x) if getattr(x, "requires_grad", False) else x for x in (mask, a, b)]
    values = [net.in_order(x) for x in parts if isinstance(x, Value)]
    rank = max(x.rank if isinstance(x, Value) else getattr(x, "ndim", 0) for x in parts)
    leading = max(values, key=lambda x: (x.rank, np.prod([size or 2 for size in x.tensor.shape])))
    axes = net.widen(leading, rank).axes

    def in_axes(x: Any) -> Any:
        if isinstance(x, Value):
            return net.arrange(net.widen(x, rank), axes).tensor
        return net.constant(x, rank, axes) if hasattr(x, "ndim") else x

    truth, first, second = map(in_axes, parts)
    if isinstance(parts[0], Value):
        truth = ops.cast(truth, "bool")
    elif not hasattr(truth, "ndim"):
        truth = np.full((1,) * rank, bool(truth))
    return Value(ops.where(truth, first, second), axes)


def masked_fill(net: Builder, x: Value, mask: Any, value: Any) -> Value:
    if isinstance(mask, Value) or isinstance(value, Value):
        return where(net, mask, value, x)
    x = net.widen(net.in_order(x), max(x.rank, mask.ndim))
    mask = np.asarray(mask.cpu().numpy()).reshape((1,) * (x.rank - mask.ndim) + tuple(mask.shape)).transpose(x.axes)
    return x.same(ops.where(mask, float(value), x.tensor))


def zero(net: Builder, x: Value) -> Value:
    return x.same(ops.zeros_like(x.tensor), True)


def fill(net: Builder, x: Value, value: Any) -> Value:
    return x.same(ops.full_like(x.tensor, float(value)), float(value) >= 0)


OPERATORS = {
    **{name: compare(getattr(ops, word)) for name, word in COMPARISONS.items()},
    **dict.fromkeys(("logical_and", "bitwise_and", "__and__"), compare(ops.logical_and)),
    **dict.fromkeys(("logical_or", "bitwise_or", "__or__"), compare(ops.logical_or)),
    **dict.fromkeys(("logical_not", "bitwise_not"), logical_not), "where": where,
    "zero": zero, "fill": fill,
    "add": add, "sub": subtract, "rsub": subtract_from, "mul": multiply, "div": divide, "pow": power,
    "addcmul": add_product, "maximum": maximum, "minimum": minimum, "masked_fill": masked_fill,
}  # fmt: skip
