"""AUGMENTATIONS: small random changes of the images in each epoch, by whole batches, the same on every backend."""

import dataclasses
import functools
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from kerasnets.errors import note
from kerasnets.recipes import AUTO, Recipe
from kerasnets.training.photos import PHOTOS, UPRIGHT

if TYPE_CHECKING:
    from kerasnets.data import Data

CUTOUT_SIDE = 16  # pixels: the best side for CIFAR-10 by DeVries and Taylor
CUTOUT_FILL = 121  # the mean of CIFAR-10's pixels, 0..255: near 0 after normalization, like the paper's fill of 0

Draws = tuple[np.ndarray, ...]  # the random numbers of each image in an epoch


def crop(images: Any, shifts: np.ndarray, mirrored: np.ndarray, margin: int) -> Any:
    """Pad the images by `margin` black pixels, crop them to their size, and mirror some of them.

    Args:
        images: uint8 (n, height, width, channels): a NumPy array, or a torch or JAX tensor on an accelerator, where
            the result is too.
        shifts: int (n, 2), 0..2 * margin, down and right; `margin` leaves an image in its place.
        mirrored: bool (n,).
        margin: In pixels.
    """
    if not isinstance(images, np.ndarray):
        return crop_on_accelerator(images, shifts, mirrored, margin)
    count, height, width, channels = images.shape
    padded = np.zeros((count, height + 2 * margin, width + 2 * margin, channels), np.uint8)
    padded[:, margin : margin + height, margin : margin + width] = images
    rows = padded.reshape(count, height + 2 * margin, -1)
    windows = sliding_window_view(rows, (height, width * channels), axis=(1, 2))[:, :, ::channels]
    changed = windows[np.arange(count), *shifts.T].reshape(images.shape)
    if mirrored.any():
        lines = changed[mirrored].reshape(-1, width, channels)  # one image for OpenCV
        changed[mirrored] = cv2.flip(lines, 1).reshape(-1, height, width, channels)
    return changed


def crop_on_accelerator(images: Any, shifts: np.ndarray, mirrored: np.ndarray, margin: int) -> Any:
    """Do the same with a tensor, by one gather."""
    from keras import ops

    count, height, width, channels = images.shape
    columns = np.where(mirrored[:, None], np.arange(width)[::-1], np.arange(width))
    rows = ops.convert_to_tensor((shifts[:, :1] - margin + np.arange(height)).astype("int32"))[:, :, None]
    columns = ops.convert_to_tensor((shifts[:, 1:] - margin + columns).astype("int32"))[:, None, :]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    places = ops.clip(rows, 0, height - 1) * width + ops.clip(columns, 0, width - 1)
    pixels = ops.reshape(images, (count, height * width, channels))
    cropped = ops.take_along_axis(pixels, ops.reshape(places, (count, -1, 1)), axis=1)
    return ops.where(inside[..., None], ops.reshape(cropped, images.shape), ops.cast(0, "uint8"))


def crop_and_cut_out(images: Any, shifts: np.ndarray, mirrored: np.ndarray, centres: np.ndarray, margin: int) -> Any:
    """Crop like `crop`, and fill in each image a square with grey; the square may extend beyond the image.

    Source: DeVries and Taylor 2017, arXiv:1708.04552.

    Args:
        images: As in `crop`, like `shifts`, `mirrored` and `margin`.
        centres: float (n, 2), the square's centre as a fraction 0..1 of height and width.
    """
    height, width = images.shape[1:3]
    near_row, near_column = within(centres[:, 0], height), within(centres[:, 1], width)
    changed = crop(images, shifts, mirrored, margin)
    if isinstance(changed, np.ndarray):
        changed[near_row[:, :, None] & near_column[:, None, :]] = CUTOUT_FILL
        return changed
    from keras import ops

    cut = ops.convert_to_tensor(near_row)[:, :, None] & ops.convert_to_tensor(near_column)[:, None, :]
    return ops.where(cut[..., None], ops.cast(CUTOUT_FILL, "uint8"), changed)


def within(centres: np.ndarray, length: int) -> np.ndarray:
    """Return bool (n, length): whether each of `length` pixels is within half a side of each centre, 0..1."""
    offsets = np.arange(length) - (centres * length).astype(int)[:, None]
    return (offsets >= -CUTOUT_SIDE // 2) & (offsets < CUTOUT_SIDE // 2)


def draws(count: int, rng: np.random.Generator, margin: int, flips: bool) -> Draws:
    """Draw (shifts, mirrored) of `crop` for each of `count` images."""
    return rng.integers(0, 2 * margin + 1, (count, 2)), (rng.random(count) < 0.5) & flips


def draws_with_centres(count: int, rng: np.random.Generator, margin: int) -> Draws:
    """Draw (shifts, mirrored, centres) of `crop_and_cut_out` for each of `count` images."""
    return *draws(count, rng, margin, flips=True), rng.random((count, 2))


# name in a recipe -> (function of a batch and its draws, function that draws for all images of an epoch)
AUGMENTATIONS: dict[str, tuple[Callable[..., Any], Callable[[int, np.random.Generator], Draws]]] = {
    "crop_flip": (functools.partial(crop, margin=4), functools.partial(draws, margin=4, flips=True)),  # usual for CIFAR
    "crop_flip_cutout": (
        functools.partial(crop_and_cut_out, margin=4),
        functools.partial(draws_with_centres, margin=4),
    ),
    "shift": (
        functools.partial(crop, margin=2),
        functools.partial(draws, margin=2, flips=False),
    ),
    "shift_flip": (functools.partial(crop, margin=2), functools.partial(draws, margin=2, flips=True)),
    "crop": (functools.partial(crop, margin=4), functools.partial(draws, margin=4, flips=False)),
    "flip": (functools.partial(crop, margin=0), functools.partial(draws, margin=0, flips=True)),
}

# How the images of a kind (pictures.KINDS) may be changed without becoming another class. All other kinds are photos.
SUITED = {"mnist": "shift", "mnist_padded": "shift", "mnist_permuted": "", "fashion": "shift_flip"}
OF_PHOTOS = "crop_flip"
REASONS = {
    "shift": "they are shifted and not mirrored, because a mirrored one may be of another class",
    "": "their pixels are in no order, and no change suits them",
    "crop_flip": "they are shifted and mirrored; if a mirrored one is of another class, choose --augment shift",
}
# Names of classes: a character, or a number, which may stand for anything; and a direction
CHARACTER = re.compile(
    r"\w|\d+|(digit|letter|number|char|character)s?[\W_]*\w+|zero|one|two|three|four|five|six|seven|eight|nine", re.I
)
DIRECTION = re.compile(r"left|right|(anti|counter)?clockwise|forwards?|backwards?")


def suit(recipe: Recipe, examples: "Data") -> Recipe:
    """Return `recipe` with an augmentation that suits the examples in place of AUTO, or of photos that are mirrored.

    A note says which.

    Raises:
        ValueError: The examples are no images.
    """
    if recipe.augmentation != AUTO and recipe.augmentation not in PHOTOS:
        return recipe
    if len(examples.image_shape) != 3:
        raise ValueError(f"augmentation changes images; {examples.title} has rows of numbers")
    suited = SUITED.get(examples.input_kind, OF_PHOTOS)
    if suited == OF_PHOTOS and has_orientation(examples.class_names):
        suited = "shift"
    if recipe.augmentation != AUTO:
        name = recipe.augmentation.removesuffix(UPRIGHT)
        if "flip" in suited or recipe.goal is not None:  # a published recipe stays as it is
            return recipe
        note("photos are cropped and not mirrored, because a mirrored one may be of another class")
        return dataclasses.replace(recipe, augmentation=name + UPRIGHT)
    if suited in REASONS:
        note(f"augmentation of the pictures: {REASONS[suited]}")
    return dataclasses.replace(recipe, augmentation=suited)


def has_orientation(class_names: Sequence[str]) -> bool:
    """Whether a mirrored picture may be of no class, or of another: characters, or signs to the left and the right."""
    words = (word.lower() for name in class_names for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name))
    return all(map(CHARACTER.fullmatch, class_names)) or any(map(DIRECTION.fullmatch, words))
