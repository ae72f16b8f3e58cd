"""Batches of images in order, for Keras."""

from typing import Any

import keras
import numpy as np

from kerasnets.data.preparation import Prepare, fit_to_network
from kerasnets.data.streams import LookAhead, Pictures

__all__ = ["InOrder", "Prepare", "fit_to_network"]


class InOrder(keras.utils.PyDataset):
    """Images, and their labels if given, batch by batch in their own order.

    Args:
        images: (n, ...); Pictures are decoded ahead.
        labels: (n, ...) or None.
        batch_size: Images in a batch.
        prepare: A function that is applied to the images of a batch.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        batch_size: int = 500,
        prepare: Prepare | None = None,
    ) -> None:
        super().__init__()
        self.images, self.labels, self.batch_size, self.prepare = images, labels, batch_size, prepare
        self.ahead = LookAhead(self.make, len(self)) if isinstance(images, Pictures) else None

    def __len__(self) -> int:
        return -(-len(self.images) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return self.ahead[index] if self.ahead else self.make(index)

    def make(self, index: int) -> tuple[Any, ...]:
        chosen = slice(index * self.batch_size, (index + 1) * self.batch_size)
        images = self.prepare(self.images[chosen]) if self.prepare else self.images[chosen]
        return (images,) if self.labels is None else (images, self.labels[chosen])
