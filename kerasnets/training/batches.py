"""Batches for Keras, in an order and with changes that depend on (seed, epoch) alone, not on the backend."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kerasnets.data.streams import LookAhead, Pictures
from kerasnets.runtime.accelerators import accelerator
from kerasnets.training.augmentation import AUGMENTATIONS, Draws
from kerasnets.training.photos import PHOTOS, change_photos
from kerasnets.training.regularization import Regularization

KEPT_ON_ACCELERATOR = 2e9  # bytes of images at most


class Batches(keras.utils.PyDataset):
    """All batches of the epochs from `first` to `epochs` in one sequence, so that a batch's index determines its epoch.

    Backends differ in how often they announce an epoch, and TensorFlow reads ahead.

    Args:
        images: uint8 (n, height, width, channels) or float32 (n, columns): a NumPy array, a Part of one, a tensor, or
            Pictures, which are decoded ahead.
        labels: int64 (n,).
        batch_size: Images in a batch, 0 for all; the last batch of an epoch may be smaller.
        epochs: The number of the last epoch.
        seed: Of order and augmentation.
        first: Epochs that an earlier run has completed.
        augmentation: A name in AUGMENTATIONS or PHOTOS, or "".
        prepare: A function that is applied to the images of a batch last.
        shape: (height, width, channels) that PHOTOS crop to; None is that of the images.
        side_in: A function that returns the height and width that they crop to in an epoch instead.
        regularization: Changes that are made after all others.
        share: A function that returns the part of a batch's indices that this worker makes; None makes all.

    Attributes:
        skip: Steps of the first epoch that an earlier run has completed.
    """

    def __init__(
        self, images: Any, labels: np.ndarray, batch_size: int, epochs: int, *, seed: int, first: int = 0,
        augmentation: str = "", prepare: Callable[[np.ndarray], np.ndarray] | None = None,
        shape: tuple[int, ...] | None = None, side_in: Callable[[int], int] | None = None,
        regularization: Regularization | None = None, share: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.images, self.labels, self.epochs, self.seed, self.first = images, labels, epochs, seed, first
        self.batch_size, self.share, self.skip = batch_size or len(images), share, 0
        self.augmentation, self.prepare, self.regularization = augmentation, prepare, regularization
        self.shape, self.side_in = shape or tuple(images.shape[1:]), side_in
        self.steps_per_epoch = -(-len(images) // self.batch_size)
        self.plan = functools.lru_cache(maxsize=2)(self.draw_plan)
        self.ahead: LookAhead | None = None

    @property
    def is_ahead(self) -> bool:
        """Whether batches are made before they are asked for."""
        return isinstance(self.images, Pictures)

    def release(self) -> None:
        """Give up the images; no batch can be made afterwards."""
        self.close()
        self.images = ()

    def close(self) -> None:
        """Make no more batches ahead."""
        if self.ahead:
            self.ahead.close()
            self.ahead = None

    def __len__(self) -> int:
        # One epoch more than is trained: at the end of the sequence Keras would start again, and PyTorch's loader would
        # draw a random number that a longer training does not draw.
        return self.steps_per_epoch * (self.epochs - self.first + 1) - self.skip

    def __getitem__(self, index: int) -> tuple[Any, np.ndarray]:
        if not self.is_ahead:
            return self.make(index)
        if self.ahead is None:
            self.ahead = LookAhead(self.make, len(self))
        return self.ahead[index]

    def make(self, index: int) -> tuple[Any, np.ndarray]:
        """Return the batch at `index`."""
        later, step = divmod(self.skip + index, self.steps_per_epoch)
        epoch = self.first + later
        order, draws = self.plan(epoch)
        chosen = order[step * self.batch_size : (step + 1) * self.batch_size]
        if self.share and not self.mixes:
            chosen = self.share(chosen)
            if not len(chosen):  # of the last batch, if it has fewer images than there are workers
                shape = self.shape_in(epoch)
                return np.empty((0, *shape), np.uint8 if len(shape) == 3 else np.float32), self.labels[:0]
        images, labels = self.pixels(chosen, epoch, draws), self.labels[chosen]
        if self.regularization:
            images, labels = self.regularization.change(images, labels, chosen, (self.seed, epoch), step)
        if self.share and self.mixes:  # with images of other workers
            own = self.share(np.arange(len(chosen)))
            return images[own], labels[own]
        return images, labels

    @property
    def mixes(self) -> bool:
        """Whether an image of a batch is mixed with another."""
        return bool(self.regularization and (self.regularization.mixup or self.regularization.cutmix))

    def pixels(self, chosen: np.ndarray, epoch: int, draws: Draws) -> Any:
        """Return the images at `chosen`, augmented as in an epoch."""
        if self.augmentation in PHOTOS:
            return change_photos(self.images, chosen, self.shape_in(epoch), self.augmentation, self.seed, epoch)
        images = self.images[chosen]
        if self.augmentation:
            images = AUGMENTATIONS[self.augmentation][0](images, *(draw[chosen] for draw in draws))
        return self.prepare(images) if self.prepare else images

    def shape_in(self, epoch: int) -> Any:
        """Return the shape of an image in an epoch."""
        return (*[self.side_in(epoch)] * 2, self.shape[2]) if self.side_in else self.shape

    def size_of(self, step: int) -> int:
        """Return the number of images in the whole batch of a step, counted from the first epoch's first one."""
        return min(self.batch_size, len(self.images) - step % self.steps_per_epoch * self.batch_size)

    def draw_plan(self, epoch: int) -> tuple[np.ndarray, Draws]:
        """Draw (order of the images, augmentation of each image) of an epoch."""
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.images))
        if not self.augmentation or self.augmentation in PHOTOS:
            return order, ()
        draw = AUGMENTATIONS[self.augmentation][1]
        return order, draw(len(self.images), np.random.default_rng((self.seed, epoch, 1)))


def as_fit_takes(plan: Batches) -> Any:
    """Return `plan` in the form that this backend's `fit` takes with the least work in each step.

    On TensorFlow, `plan` may give no batches afterwards: `tensorflow_model.dataset_of` takes its images.
    """
    backend = keras.backend.backend()
    if backend == "torch":
        from torch.utils.data import DataLoader

        return DataLoader(plan, batch_size=None)  # a PyDataset would be wrapped twice, and each array inspected
    if backend == "tensorflow" and plan.side_in:
        from kerasnets.training.fast.tensorflow_model import dataset_of_sizes

        return dataset_of_sizes(plan)
    in_numpy = plan.augmentation or plan.prepare or plan.is_ahead or plan.regularization or plan.share
    if backend == "tensorflow" and not in_numpy:
        from kerasnets.training.fast.tensorflow_model import dataset_of

        plan.images = plan.images[:]  # of a Part, an array
        return dataset_of(plan)
    return plan


def on_accelerator(images: Any) -> Any:
    """Return an array of images as a tensor on the accelerator, if there is one and they fit; else unchanged.

    Only torch and JAX take batches from there: TensorFlow makes its batches on the CPU.
    """
    backend = keras.backend.backend()
    stays = isinstance(images, Pictures) or backend == "tensorflow"
    if stays or not accelerator(backend) or images.nbytes > KEPT_ON_ACCELERATOR:
        return images
    return keras.ops.convert_to_tensor(images[:])  # of a Part, an array
