"""TrivialAugment: one change out of fourteen to each image, with a strength by chance.

Source: Müller and Hutter 2021, arXiv:2103.10158; the changes and strengths are torchvision's `TrivialAugmentWide`.
Departure: where an image is moved, OpenCV picks the nearest pixel, which differs from Pillow's by one pixel here and
there.
"""

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np

BINS = 31  # strengths of a change, from none to the strongest
NUMBERS = 3  # random numbers that an image takes
SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13  # Pillow's filter, against which sharpness is measured


def change_trivially(image: np.ndarray, numbers: Sequence[float]) -> np.ndarray:
    """Return a changed image.

    Args:
        image: uint8 (height, width, 1 or 3).
        numbers: NUMBERS of 0 to 1: they choose the change, its strength, and the sign of its strength.
    """
    which, level, sign = numbers
    change, strongest, is_signed = CHANGES[int(which * len(CHANGES))]
    strength = strongest * int(level * BINS) / (BINS - 1)
    return change(image, -strength if is_signed and sign < 0.5 else strength).reshape(image.shape)


def move(image: np.ndarray, matrix: Sequence[Sequence[float]]) -> np.ndarray:
    """Return the image whose pixel at (x, y) is the one that `matrix` takes (x, y) to; outside it is black."""
    across, down = np.array(matrix)[:, :2].sum(1) / 2 - 0.5  # pixels are taken at their middles
    moved = np.array(matrix, "float64")
    moved[:, 2] += (across, down)
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, moved, image.shape[1::-1], flags=flags, borderMode=cv2.BORDER_CONSTANT)


def shear_across(image: np.ndarray, strength: float) -> np.ndarray:
    return move(image, ((1, strength, 0), (0, 1, 0)))


def shear_down(image: np.ndarray, strength: float) -> np.ndarray:
    return move(image, ((1, 0, 0), (strength, 1, 0)))


def shift_across(image: np.ndarray, pixels: float) -> np.ndarray:
    return move(image, ((1, 0, -int(pixels)), (0, 1, 0)))


def shift_down(image: np.ndarray, pixels: float) -> np.ndarray:
    return move(image, ((1, 0, 0), (0, 1, -int(pixels))))


def rotate(image: np.ndarray, degrees: float) -> np.ndarray:
    """Rotate about the middle, against the clock."""
    height, width = image.shape[:2]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = width / 2, height / 2
    return move(image, ((cos, -sin, x - cos * x + sin * y), (sin, cos, y - sin * x - cos * y)))


def away_from(other: np.ndarray | float, image: np.ndarray, strength: float) -> np.ndarray:
    """Return other + (1 + strength) * (image - other), cut off to 0..255, without its fractions as Pillow does."""
    blended = other + np.float32(1 + strength) * (image.astype("float32") - other)
    return np.clip(blended, 0, 255).astype("uint8")


def grey_of(image: np.ndarray) -> np.ndarray:
    """Return the luminance (ITU-R BT.601), uint8 (height, width, 1)."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None] if image.shape[2] == 3 else image


def brighten(image: np.ndarray, strength: float) -> np.ndarray:
    return away_from(0.0, image, strength)


def colour(image: np.ndarray, strength: float) -> np.ndarray:
    return away_from(grey_of(image).astype("float32"), image, strength)


def contrast(image: np.ndarray, strength: float) -> np.ndarray:
    return away_from(float(int(grey_of(image).mean() + 0.5)), image, strength)


def sharpen(image: np.ndarray, strength: float) -> np.ndarray:
    smooth = image.astype("float32")
    inner = cv2.filter2D(smooth, -1, SMOOTH).reshape(image.shape)[1:-1, 1:-1]
    smooth[1:-1, 1:-1] = np.floor(inner + 0.5)
    return away_from(smooth, image, strength)


def posterize(image: np.ndarray, bits: float) -> np.ndarray:
    """Set the last bits of each pixel to 0."""
    return image & np.uint8(0xFF << round(bits) & 0xFF)


def solarize(image: np.ndarray, strength: float) -> np.ndarray:
    """Turn pixels from 255 - strength on into their negative."""
    return np.where(image < 255 - strength, image, 255 - image)


def stretch_contrast(image: np.ndarray, strength: float) -> np.ndarray:
    """Stretch each channel to 0..255."""
    low, high = image.min((0, 1)).astype("float64"), image.max((0, 1)).astype("float64")
    scale = np.where(high > low, 255 / np.maximum(high - low, 1), 1.0)
    return np.clip(image * scale - np.where(high > low, low, 0) * scale, 0, 255).astype("uint8")


def equalize(image: np.ndarray, strength: float) -> np.ndarray:
    """Make the grey levels of each channel equally frequent."""
    return np.stack([equalize_channel(channel) for channel in np.moveaxis(image, 2, 0)], axis=2)


def equalize_channel(channel: np.ndarray) -> np.ndarray:
    counts = np.bincount(channel.ravel(), minlength=256)
    step = (channel.size - counts[np.flatnonzero(counts)[-1]]) // 255
    if not step:
        return channel
    before = np.cumsum(counts) - counts
    return np.minimum((before + step // 2) // step, 255).astype("uint8")[channel]


def leave(image: np.ndarray, strength: float) -> np.ndarray:
    return image


# (change, its strongest strength, whether the strength may be negative)
CHANGES: tuple[tuple[Callable[[np.ndarray, float], np.ndarray], float, bool], ...] = (
    (leave, 0, False),
    (shear_across, 0.99, True),
    (shear_down, 0.99, True),
    (shift_across, 32, True),
    (shift_down, 32, True),
    (rotate, 135, True),
    (brighten, 0.99, True),
    (colour, 0.99, True),
    (contrast, 0.99, True),
    (sharpen, 0.99, True),
    (posterize, 6, False),
    (solarize, 255, False),
    (stretch_contrast, 0, False),
    (equalize, 0, False),
)
