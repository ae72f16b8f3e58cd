"""Means, sums and extremes over axes."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from kerasnets.convert.from_torch import arithmetic
from kerasnets.convert.from_torch.builder import Builder
from kerasnets.convert.from_torch.values import Value

GLOBAL = {ops.mean: keras.layers.GlobalAveragePooling2D, ops.max: keras.layers.GlobalMaxPooling2D}


def reduce(function: Callable[..., Any], net: Builder, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
    x = net.in_order(x)
    dims = range(x.rank) if dim in (None, [], ()) else dim if isinstance(dim, (tuple, list)) else [dim]
    dims = sorted(int(axis) % x.rank for axis in dims)
    if function in GLOBAL and x.rank == 4 and dims == [2, 3] and x.axes in ((0, 2, 3, 1), (0, 3, 2, 1)):
        options: dict[str, Any] = {"keepdims": bool(keepdim), "data_format": "channels_last"}
        tensor = net.layer(GLOBAL[function], x.tensor, **options)
    else:
        tensor = function(x.tensor, axis=[x.position(axis) for axis in dims], keepdims=bool(keepdim))
    return x.same(tensor, x.nonnegative) if keepdim else _without(x.same(tensor, x.nonnegative), dims)


def _without(x: Value, dims: Sequence[int]) -> Value:
    kept = [axis for axis in x.axes if axis not in dims]
    axes = tuple(axis - sum(dim < axis for dim in dims) for axis in kept)
    return Value(x.tensor, axes, (), x.nonnegative)


def mean(net: Builder, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
    return reduce(ops.mean, net, x, dim, keepdim)


def total(net: Builder, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
    return reduce(ops.sum, net, x, dim, keepdim)


def greatest(net: Builder, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
    return reduce(ops.max, net, x, dim, keepdim)


def least(net: Builder, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
    return reduce(ops.min, net, x, dim, keepdim)


def norm(net: Builder, x: Value, ord: float = 2, dim: Any = None, keepdim: bool = False) -> Value:
    """The Euclidean length, as F.normalize divides by it."""
    if ord != 2:
        raise net.refuse(f"a norm of order {ord} is not converted")
    squares = reduce(ops.sum, net, x.same(ops.square(x.tensor)), dim, keepdim)
    return squares.same(ops.sqrt(squares.tensor), True)


def variance(
    net: Builder, x: Value, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
) -> Value:  # fmt: skip
    dims = range(x.rank) if dim is None else dim if isinstance(dim, (tuple, list)) else [dim]
    net.sized = True  # its divisor is one less than the count of pixels
    count = 1
    for axis in dims:
        count *= int(x.shape[axis])
    less = (0 if unbiased is False else 1) if correction is None else correction
    average = reduce(ops.mean, net, x, list(dims), True)
    squares = x.same(ops.square(ops.subtract(x.tensor, average.tensor)))
    result = reduce(ops.mean, net, squares, list(dims), keepdim)
    return result if not less else result.same(ops.multiply(result.tensor, count / (count - less)), True)


def deviation(net: Builder, x: Value, *args: Any, **kwargs: Any) -> Value:
    result = variance(net, x, *args, **kwargs)
    return result.same(ops.sqrt(result.tensor), True)


def variance_and_mean(net: Builder, x: Value, dim: Any = None, *args: Any, **kwargs: Any) -> list[Value]:
    keepdim = kwargs.get("keepdim", args[1] if len(args) > 1 else False)
    return [variance(net, x, dim, *args, **kwargs), mean(net, x, dim, keepdim)]


def maximum(net: Builder, x: Value, *args: Any, **kwargs: Any) -> Any:
    """torch.max: of all numbers, of two tensors, or along an axis with the positions."""
    return _extreme(net, x, ops.max, ops.argmax, arithmetic.maximum, *args, **kwargs)


def minimum(net: Builder, x: Value, *args: Any, **kwargs: Any) -> Any:
    return _extreme(net, x, ops.min, ops.argmin, arithmetic.minimum, *args, **kwargs)


def _extreme(
    net: Builder, x: Value, function: Any, position: Any, of_two: Any, dim: Any = None, keepdim: bool = False
) -> Any:  # fmt: skip
    if dim is None:
        raise net.refuse("the extreme of a whole batch is not converted", "name the axes, as amax(x, (1, 2, 3)) does")
    if not isinstance(dim, int):
        return of_two(net, x, dim)
    return [reduce(function, net, x, dim, keepdim), _position(net, x, position, dim, keepdim)]


def _position(net: Builder, x: Value, function: Any, dim: Any, keepdim: bool = False) -> Value:
    if dim is None:
        raise net.refuse("a position in a whole batch is not converted", "name the axis, as argmax(x, 1) does")
    x = net.in_order(x)
    result = x.same(function(x.tensor, axis=x.position(dim), keepdims=bool(keepdim)), True)
    return result if keepdim else _without(result, [dim % x.rank])


def argmax(net: Builder, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
    return _position(net, x, ops.argmax, dim, keepdim)


def argmin(net: Builder, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
    return _position(net, x, ops.argmin, dim, keepdim)


def top(net: Builder, x: Value, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> list[Value]:
    if not largest:
        raise net.refuse("the least numbers are not converted")
    last = dim % x.rank
    x = net.arrange(x, (*(axis for axis in range(x.rank) if axis != last), last))
    return [x.same(part) for part in ops.top_k(x.tensor, int(k))]


def running_total(net: Builder, x: Value, dim: int) -> Value:
    x = net.in_order(x)
    return x.same(ops.cumsum(x.tensor, axis=x.position(dim)), x.nonnegative)


OPERATORS = {
    "max": maximum, "min": minimum, "argmax": argmax, "argmin": argmin, "topk": top, "cumsum": running_total,
    "mean": mean, "sum": total, "amax": greatest, "amin": least, "linalg_vector_norm": norm, "norm": norm,
    "var": variance, "std": deviation, "var_mean": variance_and_mean,
}  # fmt: skip
