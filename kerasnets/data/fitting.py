"""Images prepared for a network's input shape, and batches of them in order."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kerasnets import pictures
from kerasnets.data.streams import LookAhead, Pictures

AT_ONCE = 1e9  # bytes: more prepared images than this are prepared anew in each epoch

Prepare = Callable[[np.ndarray], np.ndarray]


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


def fit_to_network(
    images: np.ndarray, own_kind: str, kind: str, shape: tuple[int, ...]
) -> tuple[np.ndarray, Prepare | None]:
    """Prepare images for a network, like pictures.prepare prepares one picture.

    Args:
        images: uint8 (n, height, width, channels), or float32 (n, columns).
        own_kind: Their input kind. Images of the network's kind and shape stay unchanged.
        kind: The network's input kind.
        shape: The network's input shape.

    Returns:
        (prepared images, None), or (`images`, function that prepares a batch) if all together take much memory.
    """
    if images.shape[1:] == tuple(shape) and own_kind == kind:
        return images, None
    prepare = functools.partial(prepare_all, kind=kind, shape=tuple(shape))
    if isinstance(images, Pictures) or len(images) * np.prod(shape, dtype=float) > AT_ONCE:
        return images, prepare
    return prepare(images), None


def prepare_all(images: np.ndarray, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.stack([pictures.prepare(image, kind, shape) for image in images])
