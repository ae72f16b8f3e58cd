"""The shapes that ONNX operators give which move numbers, or compute shapes from shapes.

Source: onnx.ai/onnx/operators, versions 13 to 25 of the operator set.
"""

import math

import numpy as np

from kerasnets.saving.onnx_node import (
    FLOAT,
    INT32,
    INT64,
    MOST_VALUES,
    WIDEST,
    Doubt,
    Inputs,
    Node,
    Result,
    Tensor,
    axes_of,
    axis_of,
    check,
    floats,
    integer_tensor,
    integers,
    there,
)


def cast(node: Node, inputs: Inputs) -> Result:
    x, kind = there(node, inputs[0]), node.attributes.get("to")
    check(kind in (FLOAT, INT32, INT64) or kind == x.kind, node)
    value = x.value if kind != FLOAT else None
    check(bool(x.shape == () or min(x.shape)), node)
    return Tensor(int(kind or 0), x.shape, value), math.prod(x.shape)


def identity(node: Node, inputs: Inputs) -> Result:
    x = there(node, inputs[0])
    return Tensor(x.kind, x.shape, x.value), math.prod(x.shape)


def constant(node: Node, inputs: Inputs) -> Result:
    check("value" in node.attributes, node)
    tensor: Tensor = node.attributes["value"]
    return tensor, 0


def shape(node: Node, inputs: Inputs) -> Result:
    x = there(node, inputs[0])
    start, end = node.attributes.get("start", 0), node.attributes.get("end", len(x.shape))
    return integer_tensor(node, INT64, x.shape[start:end]), 0


def reshape(node: Node, inputs: Inputs) -> Result:
    x, sizes = there(node, inputs[0]), integers(node, inputs[1])
    check(len(sizes) <= 8 and not (node.attributes.get("allowzero", 0) and 0 in sizes), node)
    check(all(size >= -1 for size in sizes) and all(size or i < len(x.shape) for i, size in enumerate(sizes)), node)
    sizes = [size or x.shape[i] for i, size in enumerate(sizes)]
    if -1 in sizes:
        others = math.prod(size for size in sizes if size != -1)
        check(sizes.count(-1) == 1 and others > 0 and math.prod(x.shape) % others == 0, node)
        sizes[sizes.index(-1)] = math.prod(x.shape) // others
    check(math.prod(sizes) == math.prod(x.shape), node)
    return Tensor(x.kind, tuple(sizes), None if x.value is None else x.value.reshape(sizes)), math.prod(sizes)


def flatten(node: Node, inputs: Inputs) -> Result:
    x, axis = floats(node, inputs, 1), node.attributes.get("axis", 1)
    check(0 <= axis <= len(x.shape), node)
    return Tensor(FLOAT, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))), math.prod(x.shape)


def transpose(node: Node, inputs: Inputs) -> Result:
    x = there(node, inputs[0])
    order = node.attributes.get("perm", list(range(len(x.shape)))[::-1])
    check(sorted(order) == list(range(len(x.shape))), node)
    value = None if x.value is None else x.value.transpose(order)
    return Tensor(x.kind, tuple(x.shape[i] for i in order), value), math.prod(x.shape)


def squeeze(node: Node, inputs: Inputs) -> Result:
    x = there(node, inputs[0])
    axes = axes_of(node, integers(node, inputs[1]), len(x.shape))
    check(all(x.shape[axis] == 1 for axis in axes), node)
    shape = tuple(side for i, side in enumerate(x.shape) if i not in axes)
    return Tensor(x.kind, shape, None if x.value is None else x.value.reshape(shape)), math.prod(shape)


def unsqueeze(node: Node, inputs: Inputs) -> Result:
    x, axes = there(node, inputs[0]), integers(node, inputs[1])
    rank = len(x.shape) + len(axes)
    check(rank <= 8, node)
    axes, sides = axes_of(node, axes, rank), iter(x.shape)
    shape = tuple(1 if i in axes else next(sides) for i in range(rank))
    return Tensor(x.kind, shape, None if x.value is None else x.value.reshape(shape)), math.prod(shape)


def concat(node: Node, inputs: Inputs) -> Result:
    parts = [there(node, each) for each in inputs[: len(node.inputs)]]
    rank = len(parts[0].shape)
    axis = axis_of(node, node.attributes.get("axis", rank), rank)
    rests = {(part.kind, part.shape[:axis], part.shape[axis + 1 :], len(part.shape)) for part in parts}
    check(len(rests) == 1, node)
    values = [part.value for part in parts if part.value is not None]
    if len(values) == len(parts):
        return integer_tensor(node, parts[0].kind, np.concatenate(values, axis)), 0
    check(parts[0].kind == FLOAT, node)
    total = sum(part.shape[axis] for part in parts)
    shape = (*parts[0].shape[:axis], total, *parts[0].shape[axis + 1 :])
    return Tensor(FLOAT, shape), math.prod(shape)


def gather(node: Node, inputs: Inputs) -> Result:
    x, indices = there(node, inputs[0]), there(node, inputs[1])
    axis = axis_of(node, node.attributes.get("axis", 0), len(x.shape))
    if indices.value is None or indices.value.size == 0:
        raise Doubt("has Gather by numbers that are not known")
    check(bool((-x.shape[axis] <= indices.value).all() and (indices.value < x.shape[axis]).all()), node)
    if x.value is not None:
        return integer_tensor(node, x.kind, x.value.take(indices.value, axis)), 0
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    check(len(shape) <= 8, node)
    return Tensor(x.kind, shape), math.prod(shape)


def cut(node: Node, inputs: Inputs) -> Result:
    x, starts, ends = there(node, inputs[0]), integers(node, inputs[1]), integers(node, inputs[2])
    axes = integers(node, inputs[3]) if inputs[3] else list(range(len(starts)))
    steps = integers(node, inputs[4]) if inputs[4] else [1] * len(starts)
    check(0 < len(starts) == len(ends) == len(axes) == len(steps) and 0 not in steps, node)
    slices = [slice(None)] * len(x.shape)
    for axis, *limits in zip(axes_of(node, axes, len(x.shape)), starts, ends, steps, strict=True):
        slices[axis] = slice(*limits)
    if x.value is not None:
        return integer_tensor(node, x.kind, x.value[tuple(slices)]), 0
    shape = tuple(len(range(*each.indices(side))) for each, side in zip(slices, x.shape, strict=True))
    return Tensor(x.kind, shape), math.prod(shape)


def pad(node: Node, inputs: Inputs) -> Result:
    x, pads, value = floats(node, inputs, 1), integers(node, inputs[1]), inputs[2]
    check(node.attributes.get("mode", "constant") == "constant" and len(pads) == 2 * len(x.shape), node)
    check(all(0 <= each <= WIDEST for each in pads) and inputs[3] is None, node)
    check(value is None or (value.kind == FLOAT and value.shape == ()), node)
    halves = zip(x.shape, pads[: len(x.shape)], pads[len(x.shape) :], strict=True)
    shape = tuple(map(sum, halves))
    return Tensor(FLOAT, shape), math.prod(shape)


def constant_of_shape(node: Node, inputs: Inputs) -> Result:
    """ConstantOfShape of integers, from which exporters make the sizes of a padding."""
    sizes, fill = integers(node, inputs[0]), node.attributes.get("value")
    if fill is None or fill.kind != INT64 or fill.shape not in ((), (1,)):
        raise Doubt("has ConstantOfShape of other numbers")
    check(len(sizes) <= 4 and all(0 <= size <= 64 for size in sizes) and math.prod(sizes) <= MOST_VALUES, node)
    return integer_tensor(node, INT64, np.full(sizes, int(fill.value.ravel()[0]))), 0
