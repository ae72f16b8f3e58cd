"""Views: axes that are split, merged and swapped. A swap is remembered, and done only where a layer needs it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasnets.convert.from_torch.builder import Builder
from kerasnets.convert.from_torch.values import Batched, Value

# Arguments of `to` that are no dtype: layouts and memory formats
STORAGE = ("torch.strided", "torch.contiguous_format", "torch.preserve_format", "torch.channels_last")


def permute(net: Builder, x: Value, dims: Sequence[int]) -> Value:
    x = net.in_order(x)
    dims = [dim % x.rank for dim in dims]
    return replace(x, axes=tuple(dims.index(axis) for axis in x.axes))


def transpose(net: Builder, x: Value, dim0: int = 0, dim1: int = 1) -> Value:
    dims = list(range(x.rank))
    if x.rank > 1:
        dims[dim0], dims[dim1] = dims[dim1], dims[dim0]
    return permute(net, x, dims)


def moveaxis(net: Builder, x: Value, source: Any, destination: Any) -> Value:
    sources, targets = ([v] if isinstance(v, int) else list(v) for v in (source, destination))
    dims = [axis for axis in range(x.rank) if axis not in [s % x.rank for s in sources]]
    for target, origin in sorted(zip([t % x.rank for t in targets], [s % x.rank for s in sources], strict=True)):
        dims.insert(target, origin)
    return permute(net, x, dims)


def same(net: Builder, x: Value, *_: Any, **__: Any) -> Value:
    return x


def convert_type(net: Builder, x: Value, *args: Any, **_: Any) -> Value:
    """Return truth values as numbers, and numbers as they are."""
    kinds = [str(item) for item in (*args, net.step.kwargs.get("dtype")) if str(item).startswith("torch.")]
    kind = next((k.removeprefix("torch.") for k in kinds if k not in STORAGE), "")
    own = keras.backend.standardize_dtype(x.tensor.dtype)
    if kind in ("", own) or (kind.startswith("float") and own.startswith("float")):
        return x
    if kind == "bool" or (kind.startswith(("int", "uint", "long")) and own.startswith("float")):
        raise net.refuse(f"numbers made {kind} are not converted")
    return x.same(ops.cast(x.tensor, "float32" if kind.startswith(("float", "double", "half")) else kind), True)


def reshape(net: Builder, x: Value, *_: Any, **__: Any) -> Value:
    """Return a view with the step's shape.

    The axes fall into groups, each of some axes of PyTorch's before and some after with the same product. In Keras the
    groups keep their places, so that only axes inside one group may have to be brought into PyTorch's order.
    """
    target = net.step.shape
    if tuple(target) == tuple(x.shape):
        return x
    x = net.in_order(x)
    groups = sorted(_groups(x.shape, target), key=lambda group: _place(x, group[0]))
    order = [axis for before, _ in groups for axis in before]
    result_axes = tuple(axis for _, after in groups for axis in after)
    rows = None
    if _wide(x, x.axes) != _wide(x, order):
        if len(target) == 2 and groups[0] == ([0], [0]):  # a flattened picture: its numbers in Keras' order
            rows = _rows(x)
        else:
            x = net.arrange(x, order)
    sizes = [target[axis] for axis in result_axes]
    if len([axis for axis in range(x.rank) if x.shape[axis] != 1]) > 3 or rows is not None:
        net.sized = True
    return Value(_reshape_tensor(net, x, sizes, groups), result_axes, (), x.nonnegative, rows)


def _groups(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Return the least groups (axes before, axes after) with equal products, in PyTorch's order."""
    groups, i, j = [], 0, 0
    while i < len(before) or j < len(after):
        first, second = [], []
        left = right = 1
        if i < len(before):
            first, left, i = [i], int(before[i]), i + 1
        if j < len(after):
            second, right, j = [j], int(after[j]), j + 1
        while left != right:
            if left < right:
                first.append(i)
                left, i = left * int(before[i]), i + 1
            else:
                second.append(j)
                right, j = right * int(after[j]), j + 1
        groups.append((first, second))
    return groups


def _place(x: Value, axes: Sequence[int]) -> float:
    """Return where a group stands in Keras' tensor; one of sizes 1 stands after the batch."""
    return min((x.axes.index(axis) for axis in axes if x.shape[axis] != 1), default=0.5)


def _wide(x: Value, axes: Sequence[int]) -> list[int]:
    return [axis for axis in axes if x.shape[axis] != 1]


def _rows(x: Value) -> np.ndarray:
    """Return PyTorch's number of each feature, in the order in which Keras flattens it."""
    sizes = [int(size) for size in x.shape[1:]]
    numbers = np.arange(int(np.prod(sizes))).reshape(sizes)
    return numbers.transpose([axis - 1 for axis in x.axes[1:]]).ravel()


def _reshape_tensor(net: Builder, x: Value, sizes: Sequence[int], groups: Any) -> Any:
    shape = [-1 if isinstance(size, Batched) else int(size) for size in sizes]
    if [-1 if size is None else size for size in x.tensor.shape] == shape:
        return x.tensor
    if not x.axes:  # a single number
        return ops.reshape(x.tensor, shape)
    if x.axes[0] == 0 and groups[0] == ([0], [0]) and isinstance(x.shape[0], Batched) and shape.count(-1) == 1:
        if len(shape) == 2:
            return net.layer(keras.layers.Flatten, x.tensor, data_format="channels_last")
        return net.layer(keras.layers.Reshape, x.tensor, target_shape=shape[1:])
    if isinstance(x.shape[x.axes[0]], Batched) and shape[0] == -1 and shape.count(-1) == 1:
        first = groups[0]
        if len(first[0]) == len(first[1]) == 1:
            return net.layer(keras.layers.Reshape, x.tensor, target_shape=shape[1:])
    return ops.reshape(x.tensor, shape)


def expand(net: Builder, x: Value, size: Any, *_: Any, **__: Any) -> Value:
    """Return a value whose axes of size 1 are repeated; the batch comes from the input."""
    rank = len(net.step.shape)
    x = net.widen(net.in_order(x), rank)
    old = [x.shape[axis] for axis in x.axes]
    new = [net.step.shape[axis] for axis in x.axes]
    tensor = x.tensor
    for i, (before, after) in enumerate(zip(old, new, strict=True)):
        if int(before) == 1 and int(after) != 1 and not isinstance(after, Batched):
            tensor = ops.repeat(tensor, int(after), axis=i)
            net.sized |= rank == 4 and x.axes[i] > 1
    grown = [
        i for i, (before, after) in enumerate(zip(old, new, strict=True)) if isinstance(after, Batched) and before == 1
    ]
    if grown:
        tensor = _for_each_picture(net, tensor, grown, new)
    return replace(x, tensor=tensor)


def _for_each_picture(net: Builder, tensor: Any, grown: Sequence[int], sizes: Sequence[int]) -> Any:
    """Return a tensor repeated along the batch: times a one for each picture, which is exact."""
    if list(grown) != [0] or sizes[0] != net.step.shape[0] or int(sizes[0]) != 2:
        raise net.refuse("it repeats an axis other than the first as often as the batch has pictures")
    picture = net.inputs[0]
    ones = ops.ones_like(picture[(slice(None), slice(0, 1), *[0] * (len(picture.shape) - 2))])
    ones = net.layer(keras.layers.Reshape, ones, "ones", target_shape=(1,) * (len(sizes) - 1))
    return ops.multiply(ones, tensor)


OPERATORS = {
    "permute": permute, "transpose": transpose, "t": transpose, "swapaxes": transpose, "numpy_T": transpose,
    "movedim": moveaxis, "moveaxis": moveaxis,
    **dict.fromkeys(("view", "reshape", "flatten", "_unsafe_view", "unflatten", "view_as", "reshape_as"), reshape),
    **dict.fromkeys(("squeeze", "unsqueeze"), reshape),
    **dict.fromkeys(("contiguous", "clone", "alias", "detach", "lift_fresh_copy"), same),
    **dict.fromkeys(("to", "_to_copy", "type_as"), convert_type),
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), expand),
}  # fmt: skip
