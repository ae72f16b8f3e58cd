"""A node of an ONNX graph, what is known of the values between nodes, and the checks that operators share."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

FLOAT, UINT8, INT32, INT64, BOOL = 1, 2, 6, 7, 9  # data types
LARGEST_VALUE = 2**31  # of an integer that sizes follow from
WIDEST = 4096  # kernel, stride, dilation or padding
MOST_VALUES = 1024  # integers of a tensor whose values are kept, because sizes may follow from them


class Doubt(Exception):
    """The reason why a graph is not known to be harmless."""


class Tensor(NamedTuple):
    """What is known of a value: type, shape, its integers (int64) if they are few, and whether the file holds it."""

    kind: int
    shape: tuple[int, ...]
    value: np.ndarray | None = None
    is_constant: bool = False


class Node(NamedTuple):
    operator: str
    inputs: list[str]
    output: str
    attributes: dict[str, Any]
    version: int  # of the operator set


Inputs = Sequence[Tensor | None]
Result = tuple[Tensor, int]  # with the number of products that it takes to compute


def check(is_right: bool, node: Node) -> None:
    if not is_right:
        raise Doubt(f"has a strange {node.operator}")


def there(node: Node, tensor: Tensor | None) -> Tensor:
    """Return an input that must be there."""
    if tensor is None:
        raise Doubt(f"has a strange {node.operator}")
    return tensor


def floats(node: Node, inputs: Inputs, rank: int = 0) -> Tensor:
    """Return the first input, of float32 numbers and at least `rank` dimensions."""
    tensor = there(node, inputs[0])
    check(tensor.kind == FLOAT and len(tensor.shape) >= rank, node)
    return tensor


def integers(node: Node, tensor: Tensor | None) -> list[int]:
    """Return the values of an input of integers, a row or a number, which must be known."""
    tensor = there(node, tensor)
    if tensor.value is None or tensor.kind != INT64 or tensor.value.ndim > 1:
        raise Doubt(f"has {node.operator} by numbers that are not known")
    return [int(number) for number in tensor.value.ravel()]


def axis_of(node: Node, axis: int, rank: int) -> int:
    check(-rank <= axis < rank, node)
    return axis % rank


def axes_of(node: Node, axes: Sequence[int], rank: int) -> list[int]:
    indices = [axis_of(node, axis, rank) for axis in axes]
    check(len(set(indices)) == len(indices), node)
    return indices


def broadcast(node: Node, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    sizes = [{size for size in column if size != 1} or {1} for column in zip(*padded, strict=True)]
    check(all(len(each) == 1 for each in sizes), node)
    return tuple(each.pop() for each in sizes)


def integer_tensor(node: Node, kind: int, value: Any) -> Tensor:
    """Return a Tensor of integers that are known."""
    value = np.asarray(value, np.int64)
    check(value.size <= MOST_VALUES and bool((abs(value) < LARGEST_VALUE).all()), node)
    return Tensor(kind, value.shape, value)
