"""What a translated network is before it becomes text: values, and the steps that make them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

Shape = tuple[int | None, ...]
Order = tuple[int, ...]


@dataclass(eq=False)
class Value:
    """A tensor of the PyTorch module, which holds the numbers of one of Keras in another order of axes."""

    shape: Shape  # in Keras' axes, the batch included
    order: Order  # axis i of PyTorch's tensor is axis order[i] of Keras'
    rows: np.ndarray | None = None  # of a flattened map: column j of PyTorch's tensor is column rows[j] of Keras'
    flattens: frozenset[str] = frozenset()  # the Flatten layers that the rows come from
    tensor: keras.KerasTensor | None = None  # Keras' own, if it has one
    non_negative: bool = False  # as after a ReLU, so that padding by zero and by -inf are the same for a maximum
    leaf: "Leaf | None" = None  # the module of a parameter
    source: "Value | None" = None  # the same tensor of PyTorch, where Keras has turned its axes

    @property
    def root(self) -> "Value":
        return self.source or self

    @property
    def rank(self) -> int:
        return len(self.shape)

    def dim(self, axis: int) -> int:
        """Return PyTorch's axis for an axis of Keras'."""
        return self.order.index(axis % self.rank)


@dataclass(eq=False)
class Leaf:
    """A module of torch.nn, or of a class in helpers.py, with its weights."""

    layer: str  # Keras' name
    kind: str  # "nn.Conv2d"
    args: dict[str, Any] = field(default_factory=dict)  # by PyTorch's names; those in POSITIONAL are written first
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    suffix: str = ""  # of a layer of Keras' that is two of PyTorch's

    @property
    def of(self) -> str:
        """The name of Keras' layer."""
        return self.layer.removesuffix(self.suffix)


@dataclass(eq=False)
class Block:
    """Steps that become a module of a class of its own: the network, a model inside it, or a repeated part."""

    layer: str
    inputs: list[Value]
    outputs: list[Value]
    steps: list["Step"]
    structure: Any = None  # of the outputs as Keras has them: a tensor, a list or a dict
    results: list[Value] = field(default_factory=list)  # the outputs with the order of their axes


@dataclass(eq=False)
class Chain:
    """Blocks one after the other: an nn.Sequential."""

    layer: str
    blocks: list[Block]


@dataclass(eq=False)
class Step:
    """A call of a module, or an expression of a function: "F.relu({0})", with the inputs in the braces."""

    layer: str
    inputs: list[Value]
    outputs: list[Value]
    module: Leaf | Block | Chain | None = None
    expression: str = ""
    encloses: bool = False  # whether its input is readable inside its parentheses: an activation, a norm
    enclosed: bool = False  # whether it is readable inside the parentheses of any call: zeros
    frozen: bool = False  # whether it is in inference mode even in training

    @property
    def has_weights(self) -> bool:
        return self.module is not None and (not isinstance(self.module, Leaf) or bool(self.module.weights))


def leaves(block: Block) -> Iterator[Leaf]:
    """Every leaf of a block and of the blocks in it, in the order of its steps; one that is called twice, twice."""
    for step in block.steps:
        if isinstance(step.module, Leaf):
            yield step.module
        elif step.module:
            for inner in inner_blocks(step.module):
                yield from leaves(inner)


def inner_blocks(module: Block | Chain) -> list[Block]:
    return module.blocks if isinstance(module, Chain) else [module]


def identity(rank: int) -> Order:
    return tuple(range(rank))


def channels_first(rank: int) -> Order:
    """Return the order (n, channels, ...) of a tensor that is (n, ..., channels) in Keras."""
    return (0, *((rank - 1, *range(1, rank - 1)) if rank > 1 else ()))


def array(weight: Any) -> np.ndarray:
    """Return a weight of Keras as float32."""
    return np.asarray(keras.ops.convert_to_numpy(weight), "float32")
