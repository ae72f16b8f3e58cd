"""A tensor of PyTorch's program as Keras holds it: its axes in another order, which is kept instead of transposing."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

# rank -> the axes of PyTorch (n, channels, height, width) in the order in which Keras' layers take them
CHANNELS_LAST = {2: (0, 1), 3: (0, 2, 1), 4: (0, 2, 3, 1), 5: (0, 2, 3, 4, 1)}


class Batched(int):
    """A size that grows with the batch; its number is the one of the first export."""


@dataclass(frozen=True)
class Value:
    """One tensor in both worlds.

    Attributes:
        tensor: The KerasTensor.
        axes: Its axis i is PyTorch's axis axes[i].
        shape: PyTorch's shape, with Batched numbers.
        nonnegative: Whether no number in it is below zero, so that padding by 0 is padding by -inf for a maximum.
        rows: Of a flattened picture (n, features): Keras' feature i is PyTorch's feature rows[i]; None if they agree.
    """

    tensor: Any
    axes: tuple[int, ...]
    shape: tuple[int, ...] = ()
    nonnegative: bool = False
    rows: np.ndarray | None = None

    @property
    def rank(self) -> int:
        return len(self.axes)

    def position(self, dim: int) -> int:
        """Return Keras' axis of PyTorch's axis `dim`, which may be negative."""
        return self.axes.index(dim % self.rank)

    def same(self, tensor: Any, nonnegative: bool = False) -> "Value":
        """Return a result with the axes of this value."""
        return replace(self, tensor=tensor, nonnegative=nonnegative)


def channels_last(rank: int) -> tuple[int, ...]:
    return CHANNELS_LAST.get(rank, tuple(range(rank)))
