"""Batches for Keras, in an order and with changes that depend on (seed, epoch) alone, not on the backend."""

import functools

import keras
import numpy as np

from kerasnets.runtime import provenance
from kerasnets.training.augmentation import AUGMENTATIONS

KEPT_ON_ACCELERATOR = 2e9  # bytes of pictures at most


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
        from kerasnets.training.fast.tensorflow_model import dataset_of

        return dataset_of(plan)
    return plan


def on_accelerator(images):
    """The pictures as a tensor on the accelerator, where there is one and they fit; else as they are.

    Only torch and JAX take batches that lie there already: TensorFlow makes its batches on the CPU.
    """
    on_tensorflow = keras.backend.backend() == "tensorflow"
    if on_tensorflow or not provenance.accelerator() or images.nbytes > KEPT_ON_ACCELERATOR:
        return images
    return keras.ops.convert_to_tensor(images)
