"""Pictures brought to the shape that a network takes, and batches of them in order."""

import functools

import keras
import numpy as np

from kerasnets import pictures

AT_ONCE = 1e9  # bytes of pictures that are brought to the network's shape before training, rather than in each epoch


class InOrder(keras.utils.PyDataset):
    """Images, and labels where there are any, batch by batch in their own order: to be judged."""

    def __init__(self, images, labels=None, batch_size=500, prepare=None):
        super().__init__()
        self.images, self.labels, self.batch_size, self.prepare = images, labels, batch_size, prepare

    def __len__(self):
        return -(-len(self.images) // self.batch_size)

    def __getitem__(self, index):
        chosen = slice(index * self.batch_size, (index + 1) * self.batch_size)
        images = self.prepare(self.images[chosen]) if self.prepare else self.images[chosen]
        return (images,) if self.labels is None else (images, self.labels[chosen])


def fitted(images, is_kind, kind, shape):
    """Return (images, function that brings a batch of them to `shape`, or None where they have it).

    As pictures.prepare does to a picture of input kind `kind`; all at once where it takes little memory. Those that
    have the shape and are of this kind already (`is_kind`) stay as they are.
    """
    if images.shape[1:] == tuple(shape) and is_kind == kind:
        return images, None
    prepare = functools.partial(prepare_all, kind=kind, shape=tuple(shape))
    if len(images) * np.prod(shape, dtype=float) > AT_ONCE:
        return images, prepare
    return prepare(images), None


def prepare_all(images, kind, shape):
    """uint8 (n, *shape) of images of another shape."""
    return np.stack([pictures.prepare(image, kind, shape) for image in images])
