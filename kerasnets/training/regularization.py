"""Changes of a batch that make a network learn more slowly and better: erased boxes, mixed images, one of many filters.

They are made last, at the network's size, in NumPy, by numbers that depend on (seed, epoch, index of the image or of
the batch) alone, so that a batch is the same on every backend.

Sources: Zhang et al. 2017, arXiv:1710.09412 (mixup); Yun et al. 2019, arXiv:1905.04899 (CutMix); Zhong et al. 2017,
arXiv:1708.04896 (random erasing). As in torchvision's reference training, one share is drawn for a whole batch, and the
other image is the one before it in the batch.
Departures: mixed pixels are rounded to whole numbers; an erased box gets the mean colour before the normalization.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import scipy.special

from kerasnets.recipes import Recipe
from kerasnets.training.photos import TRIES, draw
from kerasnets.training.trivial_augment import NUMBERS, change_trivially

MIX, ERASE, TRIVIAL = 1, 2, 3  # uses of the random numbers; 0 is that of `photos`
ERASED_AREA, ERASED_RATIO = (0.02, 0.33), (0.3, 3.3)  # of a box: share of the image; height to width

Key = tuple[int, int]  # (seed, epoch)
Box = tuple[int, int, int, int]  # top, left, bottom, right


@dataclass(frozen=True)
class Regularization:
    """The settings of these changes."""

    mixup: float
    cutmix: float
    random_erasing: float
    trivial_augment: bool
    num_classes: int
    fill: tuple[int, ...]  # the mean colour, 0..255

    def change(
        self, images: np.ndarray, labels: np.ndarray, chosen: np.ndarray, key: Key, step: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (images, labels) of a batch, changed.

        Args:
            images: uint8 (n, height, width, channels), or float32 (n, columns), which can only be mixed.
            labels: int64 (n,).
            chosen: int (n,), the index of each image in the training set.
            key: (seed, epoch).
            step: The number of the batch in the epoch.

        Returns:
            Images like before; labels as before, or, if images are mixed, float32 (n, classes).
        """
        if self.trivial_augment or self.random_erasing:
            images = np.stack(
                [self.change_one(image, i, key) for image, i in zip(images, chosen.tolist(), strict=True)]
            )
        return self.mix(images, labels, key, step) if self.mixup or self.cutmix else (images, labels)

    def change_one(self, image: np.ndarray, index: int, key: Key) -> np.ndarray:
        """Return one image, changed by a filter and erased."""
        if self.trivial_augment:
            image = change_trivially(image, draw(key, index, NUMBERS, TRIVIAL))
        if self.random_erasing:
            chance, *numbers = draw(key, index, 2 * TRIES + 3, ERASE)
            if chance < self.random_erasing:
                top, left, bottom, right = box_to_erase(image.shape[:2], numbers)
                image = image.copy()
                image[top:bottom, left:right] = self.fill
        return image

    def mix(self, images: np.ndarray, labels: np.ndarray, key: Key, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return each image mixed with the one before it, and the share of each class in it."""
        choice, level, row, column = draw(key, step, 4, MIX)
        is_mixup = self.mixup and (not self.cutmix or choice < 0.5)
        alpha = self.mixup if is_mixup else self.cutmix
        share = float(scipy.special.betaincinv(alpha, alpha, level))
        if is_mixup:
            images = blend(images, np.roll(images, 1, axis=0), share)
        else:
            top, left, bottom, right = box_to_paste(images.shape[1:3], share, row, column)
            share = 1 - (bottom - top) * (right - left) / math.prod(images.shape[1:3])
            others, images = np.roll(images, 1, axis=0), images.copy()
            images[:, top:bottom, left:right] = others[:, top:bottom, left:right]
        ones = np.eye(self.num_classes, dtype="float32")[labels]
        return images, np.float32(share) * ones + np.float32(1 - share) * np.roll(ones, 1, axis=0)


def regularization_of(recipe: Recipe, num_classes: int) -> Regularization | None:
    """Return the changes of batches that a recipe asks for; None if it asks for none."""
    if not (recipe.mixup or recipe.cutmix or recipe.random_erasing or recipe.trivial_augment):
        return None
    fill = tuple(round(255 * mean) for mean in np.atleast_1d(recipe.mean).tolist())
    return Regularization(
        recipe.mixup, recipe.cutmix, recipe.random_erasing, recipe.trivial_augment, num_classes, fill
    )  # fmt: skip


def blend(images: np.ndarray, others: np.ndarray, share: float) -> Any:
    """Return share * images + (1 - share) * others; pixels are rounded."""
    if images.dtype == np.uint8:
        count, flat = len(images), (len(images), -1)
        mixed = cv2.addWeighted(images.reshape(flat), share, others.reshape(flat), 1 - share, 0)
        return mixed.reshape(count, *images.shape[1:])
    return np.float32(share) * images + np.float32(1 - share) * others


def box_to_paste(size: tuple[int, ...], share: float, row: float, column: float) -> Box:
    """Return the box of CutMix in an image of `size` (height, width) around a centre, cut off at the edges."""
    half = math.sqrt(1 - share) / 2
    (height, width), y, x = size, int(row * size[0]), int(column * size[1])
    down, across = int(half * height), int(half * width)
    return max(y - down, 0), max(x - across, 0), min(y + down, height), min(x + across, width)


def box_to_erase(size: tuple[int, ...], numbers: list[float]) -> Box:
    """Return the first drawn box that is smaller than an image of `size` (height, width); an empty one if none is."""
    height, width = size
    logarithms = [math.log(ratio) for ratio in ERASED_RATIO]
    for level, form in zip(numbers[: 2 * TRIES : 2], numbers[1 : 2 * TRIES : 2], strict=True):
        area = height * width * (ERASED_AREA[0] + level * (ERASED_AREA[1] - ERASED_AREA[0]))
        ratio = math.exp(logarithms[0] + form * (logarithms[1] - logarithms[0]))
        rows, columns = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if rows < height and columns < width:
            top, left = (int(numbers[-2] * (height - rows + 1)), int(numbers[-1] * (width - columns + 1)))
            return top, left, top + rows, left + columns
    return 0, 0, 0, 0
