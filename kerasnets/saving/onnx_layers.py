"""The shapes that ONNX operators of numbers give: arithmetic, convolution, pooling, products.

Source: onnx.ai/onnx/operators, versions 13 to 25 of the operator set.
"""

import math
from collections.abc import Sequence

import numpy as np

from kerasnets.saving.onnx_node import (
    FLOAT,
    WIDEST,
    Doubt,
    Inputs,
    Node,
    Result,
    Tensor,
    axes_of,
    axis_of,
    broadcast,
    check,
    floats,
    integer_tensor,
    integers,
    there,
)


def unary(node: Node, inputs: Inputs) -> Result:
    x = floats(node, inputs)
    for other in inputs[1:]:  # limits of Clip
        check(other is None or (other.kind == FLOAT and other.shape == () and other.is_constant), node)
    return Tensor(FLOAT, x.shape), 8 * math.prod(x.shape)


def along(node: Node, inputs: Inputs) -> Result:
    x = floats(node, inputs, 1)
    axis_of(node, node.attributes.get("axis", -1), len(x.shape))
    return Tensor(FLOAT, x.shape), 8 * math.prod(x.shape)


ARITHMETIC = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply}


def binary(node: Node, inputs: Inputs) -> Result:
    a, b = there(node, inputs[0]), there(node, inputs[1])
    shape = broadcast(node, a.shape, b.shape)
    check(a.kind == b.kind, node)
    if a.kind == FLOAT:
        return Tensor(FLOAT, shape), 8 * math.prod(shape)
    if a.value is None or b.value is None or node.operator not in ARITHMETIC:
        raise Doubt(f"has {node.operator} of integers")
    return integer_tensor(node, a.kind, ARITHMETIC[node.operator](a.value, b.value)), 0


def windows(node: Node, sides: tuple[int, ...], kernel: Sequence[int]) -> tuple[int, ...]:
    """Return the sizes of the map of a convolution or pooling."""
    rank = len(sides)
    strides = node.attributes.get("strides", [1] * rank)
    dilations = node.attributes.get("dilations", [1] * rank)
    pads = node.attributes.get("pads", [0] * 2 * rank)
    mode = node.attributes.get("auto_pad", "NOTSET")
    check(len(kernel) == len(strides) == len(dilations) == rank and len(pads) == 2 * rank, node)
    check(all(1 <= each <= WIDEST for each in (*kernel, *strides, *dilations)), node)
    check(all(0 <= each <= WIDEST for each in pads) and mode in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"), node)
    check(mode == "NOTSET" or not any(pads), node)
    if mode.startswith("SAME"):
        return tuple(-(-side // stride) for side, stride in zip(sides, strides, strict=True))
    sizes = []
    for i, side in enumerate(sides):
        spread = (kernel[i] - 1) * dilations[i] + 1
        room = side + pads[i] + pads[i + rank] - spread
        check(room >= 0, node)
        size = room // strides[i] + 1
        if node.attributes.get("ceil_mode", 0) and room % strides[i] and size * strides[i] < side + pads[i]:
            size += 1
        sizes.append(size)
    return tuple(sizes)


def conv(node: Node, inputs: Inputs) -> Result:
    x, weights, bias = floats(node, inputs), there(node, inputs[1]), inputs[2]
    group = node.attributes.get("group", 1)
    check(len(x.shape) == 4 == len(weights.shape) and weights.kind == FLOAT and weights.is_constant, node)
    filters, channels, *kernel = weights.shape
    check(1 <= group <= filters and filters % group == 0 and channels * group == x.shape[1], node)
    check(node.attributes.get("kernel_shape", kernel) == kernel, node)
    check(bias is None or (bias.kind == FLOAT and bias.shape == (filters,) and bias.is_constant), node)
    shape = (x.shape[0], filters, *windows(node, x.shape[2:], kernel))
    return Tensor(FLOAT, shape), math.prod(shape) * channels * math.prod(kernel)


def pool(node: Node, inputs: Inputs) -> Result:
    x = floats(node, inputs)
    check(len(x.shape) == 4, node)
    kernel, pads = node.attributes.get("kernel_shape", []), node.attributes.get("pads", [])
    check(set(node.attributes.get("dilations", [])) <= {1} and len(kernel) == 2, node)
    check(all(pad < side for pad, side in zip(pads, [*kernel, *kernel], strict=False)), node)
    check(not node.attributes.get("storage_order", 0), node)
    shape = (*x.shape[:2], *windows(node, x.shape[2:], kernel))
    return Tensor(FLOAT, shape), math.prod(shape) * math.prod(kernel)


def global_pool(node: Node, inputs: Inputs) -> Result:
    x = floats(node, inputs)
    check(len(x.shape) == 4, node)
    return Tensor(FLOAT, (*x.shape[:2], 1, 1)), math.prod(x.shape)


def batch_norm(node: Node, inputs: Inputs) -> Result:
    x = floats(node, inputs, 2)
    for each in inputs[1:]:
        other = there(node, each)
        check(other.kind == FLOAT and other.shape == (x.shape[1],) and other.is_constant, node)
    check(not node.attributes.get("training_mode", 0), node)
    return Tensor(FLOAT, x.shape), 8 * math.prod(x.shape)


def lrn(node: Node, inputs: Inputs) -> Result:
    x, size = floats(node, inputs), node.attributes.get("size", 0)
    check(len(x.shape) == 4 and 1 <= size <= 1023 and size % 2 == 1, node)
    return Tensor(FLOAT, x.shape), math.prod(x.shape) * (size + 8)


def matmul(node: Node, inputs: Inputs) -> Result:
    a, b = floats(node, inputs, 2), there(node, inputs[1])
    check(b.kind == FLOAT and len(b.shape) >= 2 and a.shape[-1] == b.shape[-2], node)
    shape = (*broadcast(node, a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    return Tensor(FLOAT, shape), math.prod(shape) * a.shape[-1]


def gemm(node: Node, inputs: Inputs) -> Result:
    a, b, c = floats(node, inputs), there(node, inputs[1]), inputs[2]
    check(len(a.shape) == 2 == len(b.shape) and b.kind == FLOAT, node)
    rows, inner = a.shape[::-1] if node.attributes.get("transA", 0) else a.shape
    other, columns = b.shape[::-1] if node.attributes.get("transB", 0) else b.shape
    check(inner == other, node)
    if c is not None:
        check(
            c.kind == FLOAT and len(c.shape) <= 2 and broadcast(node, c.shape, (rows, columns)) == (rows, columns), node
        )
    return Tensor(FLOAT, (rows, columns)), rows * columns * inner


def reduce(node: Node, inputs: Inputs) -> Result:
    x, keep = floats(node, inputs, 1), node.attributes.get("keepdims", 1)
    by_input = node.version >= (13 if node.operator == "ReduceSum" else 18)
    check(by_input != ("axes" in node.attributes) and not node.attributes.get("noop_with_empty_axes", 0), node)
    axes = axes_of(node, integers(node, inputs[1]) if by_input else node.attributes["axes"], len(x.shape))
    check(len(axes) > 0 and keep in (0, 1) and (by_input or inputs[1] is None), node)
    shape = tuple(1 if i in axes else side for i, side in enumerate(x.shape) if keep or i not in axes)
    return Tensor(FLOAT, shape), math.prod(x.shape)
