"""Batches for Keras, in an order and with changes that depend on (seed, epoch) alone, not on the backend."""

import functools

import keras
import numpy as np

from kerasnets import backends, pictures
from kerasnets.augmentation import AUGMENTATIONS

KEPT_ON_ACCELERATOR = 2e9  # bytes of pictures at most
AT_ONCE = 1e9  # bytes of pictures that are brought to the network's shape before training, rather than in each epoch


class Batches(keras.utils.PyDataset):
    """The batches of the epochs from `first` to `epochs`, in a row: a batch's index says its epoch.

    Backends differ in how often they announce an epoch, and TensorFlow reads ahead.
    images: uint8 (n, height, width, channels), or float32 (n, columns); of NumPy, or as `on_accelerator` gives them.
    labels: int64 (n,), of NumPy. batch_size: 0 for all at once; the last batch of an epoch may be smaller.
    prepare: what is done to a batch's images last.
    """

    def __init__(self, images, labels, batch_size, epochs, seed, first=0, augmentation="", prepare=None):
        super().__init__()
        self.images, self.labels, self.epochs, self.seed, self.first = images, labels, epochs, seed, first
        self.batch_size = batch_size or len(images)
        self.augmentation, self.prepare = augmentation, prepare
        self.steps_per_epoch = -(-len(images) // self.batch_size)
        self.plan = functools.lru_cache(maxsize=2)(self.plan_of)

    def __len__(self):
        # An epoch more than is asked for: at the end Keras would begin anew, and PyTorch's loader draw a random number
        # that a longer training does not draw.
        return self.steps_per_epoch * (self.epochs - self.first + 1)

    def __getitem__(self, index):
        epoch, step = divmod(index, self.steps_per_epoch)
        order, draws = self.plan(self.first + epoch)
        chosen = order[step * self.batch_size : (step + 1) * self.batch_size]
        images = self.images[chosen]
        if self.augmentation:
            images = AUGMENTATIONS[self.augmentation][0](images, *(draw[chosen] for draw in draws))
        return self.prepare(images) if self.prepare else images, self.labels[chosen]

    def plan_of(self, epoch):
        """(order of the pictures, what is done to each of them) in an epoch."""
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.images))
        if not self.augmentation:
            return order, ()
        draw = AUGMENTATIONS[self.augmentation][1]
        return order, draw(len(self.images), np.random.default_rng((self.seed, epoch, 1)))


def as_fit_takes(plan):
    """`plan`, a Batches, in the form that this backend's `fit` takes with the least work at each step.

    On TensorFlow it may be of no other use afterwards, as `tensorflow_network.dataset_of` has it.
    """
    backend = keras.backend.backend()
    if backend == "torch":
        from torch.utils.data import DataLoader

        return DataLoader(plan, batch_size=None)  # else Keras wraps it twice, and looks at each array
    if backend == "tensorflow" and not (plan.augmentation or plan.prepare):  # which are NumPy's
        from kerasnets.tensorflow_network import dataset_of

        return dataset_of(plan)
    return plan


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


def on_accelerator(images):
    """The pictures as a tensor on the accelerator, where there is one and they fit; else as they are.

    Only torch and JAX take batches that lie there already: TensorFlow makes its batches on the CPU.
    """
    on_tensorflow = keras.backend.backend() == "tensorflow"
    if on_tensorflow or not backends.accelerator() or images.nbytes > KEPT_ON_ACCELERATOR:
        return images
    return keras.ops.convert_to_tensor(images)


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
