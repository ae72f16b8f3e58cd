"""Tensors put together, cut, padded and rolled."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasnets.convert.from_torch.arithmetic import in_common_order
from kerasnets.convert.from_torch.builder import Builder
from kerasnets.convert.from_torch.convolutions import pad as pad_picture
from kerasnets.convert.from_torch.values import Value, channels_last


def concatenate(net: Builder, tensors: Sequence[Any], dim: int = 0) -> Value:
    parts = [x for x in tensors if isinstance(x, Value) or x.numel()]
    first = next(x for x in parts if isinstance(x, Value))
    values = [x if isinstance(x, Value) else _for_each_picture(net, first, x) for x in parts]
    values = in_common_order(net, [net.in_order(x) for x in values])
    position = values[0].position(dim)
    nonnegative = all(x.nonnegative for x in values)
    together = [x.tensor for x in values]
    if len(together) == 1:
        return values[0]
    if values[0].tensor.shape[0] is None and position:
        tensor = net.layer(keras.layers.Concatenate, together, axis=-1 if position == values[0].rank - 1 else position)
    else:
        tensor = ops.concatenate(together, axis=position)
    return values[0].same(tensor, nonnegative)


def _for_each_picture(net: Builder, like: Value, constant: Any) -> Value:
    """Return a constant, repeated for each picture that `like` has: times ones, which is exact."""
    if constant.requires_grad or constant.ndim != like.rank or like.axes[0] != 0 or constant.shape[0] != 1:
        raise net.refuse("such a constant beside tensors of the input is not converted")
    ones = ops.ones_like(like.tensor[(slice(None), *[slice(0, 1)] * (like.rank - 1))])
    numbers = net.constant(constant, like.rank, like.axes)
    return like.same(ops.multiply(ones, numbers))


def stack(net: Builder, tensors: Sequence[Any], dim: int = 0) -> Value:
    if not all(isinstance(x, Value) for x in tensors):
        raise net.refuse("a constant beside tensors of the input is not converted")
    values = in_common_order(net, [net.in_order(x) for x in tensors])
    dim %= values[0].rank + 1
    axes = (*(axis + (axis >= dim) for axis in values[0].axes), dim)
    return Value(ops.stack([x.tensor for x in values], axis=-1), axes)


def _cut(x: Value, dim: int, part: slice | int) -> Any:
    index: list[Any] = [slice(None)] * x.rank
    index[x.position(dim)] = part
    return x.tensor[tuple(index)]


def cut(net: Builder, x: Value, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Value:
    x = net.in_order(x)
    size = int(x.shape[dim])
    whole = range(*slice(start, None if end is None or end >= size else end, step).indices(size))
    if len(whole) == size:
        return x
    if dim % x.rank >= 2:
        net.sized |= end is not None and 0 <= end < size
    return x.same(_cut(x, dim, slice(start or None, None if end is None or end >= size else end, step)), x.nonnegative)


def splice(net: Builder, x: Value, part: Value, dim: int = 0, start: Any = None, end: Any = None) -> Value:
    """Return `x` with `part` in the place of x[start:end] of one axis."""
    begin, stop, _ = slice(start, end).indices(int(x.shape[dim]))
    part = net.arrange(part, x.axes)
    pieces = [_cut(x, dim, slice(None, begin))] * (begin > 0) + [part.tensor]
    pieces += [_cut(x, dim, slice(stop, None))] * (stop < int(x.shape[dim]))
    return x.same(ops.concatenate(pieces, axis=x.position(dim)))


def select(net: Builder, x: Value, dim: int, index: int) -> Value:
    x = net.in_order(x)
    dim %= x.rank
    axes = tuple(axis - (axis > dim) for axis in x.axes if axis != dim)
    return Value(_cut(x, dim, int(index)), axes, (), x.nonnegative)


def unbind(net: Builder, x: Value, dim: int = 0) -> list[Value]:
    shape = tuple(size for axis, size in enumerate(x.shape) if axis != dim % x.rank)
    return [replace(select(net, x, dim, i), shape=shape) for i in range(int(x.shape[dim]))]


def split(net: Builder, x: Value, sizes: Any, dim: int = 0) -> list[Value]:
    """Return parts of the given sizes, or of one size each, the last one smaller."""
    x = net.in_order(x)
    whole = int(x.shape[dim])
    if isinstance(sizes, int):
        sizes = [sizes] * (whole // sizes) + [whole % sizes] * bool(whole % sizes)
    if len(sizes) == 1:
        return [x]
    borders = [int(border) for border in np.cumsum(sizes)[:-1]]
    parts = ops.split(x.tensor, borders, axis=x.position(dim))
    results = []
    for part, size in zip(parts, sizes, strict=True):
        shape = tuple(size if axis == dim % x.rank else old for axis, old in enumerate(x.shape))
        results.append(replace(x, tensor=part, shape=shape))
    return results


def chunk(net: Builder, x: Value, chunks: int, dim: int = 0) -> list[Value]:
    return split(net, x, -(-int(x.shape[dim]) // chunks), dim)


def pad(net: Builder, x: Value, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Value:
    """Return a padded value; PyTorch names the last axis first. A negative number cuts."""
    x = net.in_order(x)
    if not any(pad):
        return x
    by_axis = {x.rank - 1 - i // 2: (int(pad[i]), int(pad[i + 1])) for i in range(0, len(pad), 2)}
    if any(min(pair) < 0 for pair in by_axis.values()):
        for axis, (left, right) in by_axis.items():
            size = int(x.shape[axis])
            kept = slice(max(0, -left) or None, size - max(0, -right) if right < 0 else None)
            x = x.same(_cut(x, axis, kept), x.nonnegative)
        by_axis = {axis: (max(0, left), max(0, right)) for axis, (left, right) in by_axis.items()}
    if mode == "constant" and not value and x.axes == channels_last(x.rank) and x.rank in (3, 4, 5):
        inner = [by_axis.get(axis, (0, 0)) for axis in range(2, x.rank)]
        if not any(any(by_axis.get(axis, (0, 0))) for axis in (0, 1)):
            return pad_picture(net, x, inner)
    if mode in ("replicate", "circular"):
        return _pad_by_index(net, x, by_axis, mode)
    amounts = tuple(by_axis.get(axis, (0, 0)) for axis in x.axes)
    if mode == "reflect":
        return x.same(ops.pad(x.tensor, amounts, mode="reflect"), x.nonnegative)
    tensor = ops.pad(x.tensor, amounts, constant_values=float(value or 0))
    return x.same(tensor, x.nonnegative and (value or 0) >= 0)


def _pad_by_index(net: Builder, x: Value, by_axis: dict[int, tuple[int, int]], mode: str) -> Value:
    """Return `x` with its border repeated, or continued by the opposite side."""
    tensor = x.tensor
    net.sized = True
    for axis, (left, right) in by_axis.items():
        size = int(x.shape[axis])
        numbers = np.arange(-left, size + right)
        numbers = numbers.clip(0, size - 1) if mode == "replicate" else numbers % size
        if left or right:
            tensor = ops.take(tensor, numbers.astype("int32"), axis=x.position(axis))
    return x.same(tensor, x.nonnegative)


def roll(net: Builder, x: Value, shifts: Any, dims: Any = ()) -> Value:
    x = net.in_order(x)
    shifts, dims = ([v] if isinstance(v, int) else list(v) for v in (shifts, dims))
    if not dims:
        raise net.refuse("a roll of all numbers is not converted")
    tensor = x.tensor
    for shift, dim in zip(shifts, dims, strict=True):
        if shift:
            tensor = ops.roll(tensor, int(shift), axis=x.position(dim))
    return x.same(tensor, x.nonnegative)


def flip(net: Builder, x: Value, dims: Sequence[int]) -> Value:
    x = net.in_order(x)
    return x.same(ops.flip(x.tensor, axis=[x.position(dim) for dim in dims]), x.nonnegative)


def take(net: Builder, x: Value, indices: Sequence[Any]) -> Value:
    """Return x[..., index, ...] for one constant index, which may have several axes."""
    constants = [(dim, index) for dim, index in enumerate(indices) if index is not None]
    if len(constants) != 1 or isinstance(constants[0][1], Value) or "bool" in str(constants[0][1].dtype):
        raise net.refuse("only one constant list of numbers picks from an axis")
    x = net.in_order(x)
    [(dim, index)] = constants
    if dim % x.rank >= 2:
        net.sized = True
    size, more = int(x.shape[dim]), index.ndim - 1
    x = net.arrange(x, range(x.rank)) if more else x
    numbers = np.asarray(index.cpu().numpy()) % size
    tensor = ops.take(x.tensor, numbers.astype("int32"), axis=x.position(dim))
    axes = tuple(range(x.rank + more)) if more else x.axes
    return Value(tensor, axes, (), x.nonnegative)


def index_select(net: Builder, x: Value, dim: int, index: Any) -> Value:
    return take(net, x, [*[None] * (dim % x.rank), index])


OPERATORS = {
    "cat": concatenate, "concat": concatenate, "stack": stack, "slice": cut, "select": select,
    "unbind": unbind, "split": split, "split_with_sizes": split, "chunk": chunk, "pad": pad, "constant_pad_nd": pad,
    "roll": roll, "flip": flip, "index": take, "index_select": index_select,
}  # fmt: skip
