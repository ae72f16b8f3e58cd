"""PHOTOS: changes of photos at their own size, by random numbers that depend on (seed, epoch, index) alone.

Unlike the changes in `augmentation`, each is made picture by picture before the picture has the network's size, so that
no detail is lost first. Its numbers come from a counter, not from a sequence: they are the same for any order, any
number of threads and workers, and any backend.

Source: the random resized crop is torchvision's (`RandomResizedCrop`, after Szegedy et al. 2014, arXiv:1409.4842); the
colours are changed like by its `ColorJitter`.
Departures: brightness, contrast and saturation are changed in this order and as one map of the colours, which rounds
and clips once. OpenCV resizes, by averages, where torchvision takes Pillow's filter.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from kerasnets.data import streams

AREA = (0.08, 1.0)  # of the crop, as a share of the photo's
RATIO = (3 / 4, 4 / 3)  # of the crop's width to its height
TRIES = 10  # crops that are drawn until one lies within the photo
GREY = np.array([0.299, 0.587, 0.114])  # weights of red, green and blue in luminance (ITU-R BT.601)

# name in a recipe -> how far brightness, contrast and saturation go up or down, as a share
PHOTOS: dict[str, float] = {"photo": 0.0, "photo_colour": 0.4, "photo_upright": 0.0, "photo_colour_upright": 0.4}
UPRIGHT = "_upright"  # the ending of a name whose photos are not mirrored

Box = tuple[int, int, int, int]  # top, left, height, width


def change_photos(
    images: Any, chosen: np.ndarray, shape: tuple[int, int, int], name: str, seed: int, epoch: int
) -> np.ndarray:
    """Return the photos at `chosen`, int (k,), cropped to `shape`, mirrored or not, and perhaps in other colours.

    Args:
        images: An array of pictures, or streams.Pictures.
        chosen: The indices of the photos.
        shape: (height, width, channels) of the result.
        name: In PHOTOS.
        seed: From 0 to 2**64 - 1, like `epoch`.
        epoch: The number of the epoch.

    Returns:
        uint8 (k, height, width, channels).
    """
    mirrors = not name.endswith(UPRIGHT)
    change = functools.partial(change_photo, shape=shape, strength=PHOTOS[name], key=(seed, epoch), mirrors=mirrors)
    return streams.map_photos(images, chosen, change, shape)


def change_photo(
    photo: Any, index: int, shape: tuple[int, int, int], strength: float, key: tuple[int, int], mirrors: bool = True
) -> np.ndarray:
    """Return one photo, changed as the numbers of `key` and its index say: uint8 `shape`."""
    numbers = draw(key, index, 2 * TRIES + 6)
    mirror, brightness, contrast, saturation = numbers[-4:]
    pixels = photo.cut(choose_box(photo.size, numbers[:-4]), shape)
    if mirrors and mirror < 0.5:
        pixels = cv2.flip(pixels, 1).reshape(shape)
    if strength:
        pixels = change_colours(pixels, *(1 + strength * (2 * x - 1) for x in (brightness, contrast, saturation)))
    return pixels


def draw(key: tuple[int, int], index: int, count: int, use: int = 0) -> list[float]:
    """Return `count` numbers of 0 to 1, without 1; NumPy promises that the raw stream of Philox never changes.

    Each `use` of a key and an index has numbers of its own.
    """
    raw = np.random.Philox(key=np.array(key, "uint64"), counter=[0, 0, use, index]).random_raw(count)
    return ((raw >> np.uint64(11)) * 2.0**-53).tolist()


def choose_box(size: tuple[int, int], numbers: Sequence[float]) -> Box:
    """Return (top, left, height, width) of a crop within `size`, (height, width), by numbers of 0 to 1.

    Two numbers choose the shape in each try, and the last two the place. If no try lies within the photo, the crop is
    the middle of the photo with the nearest ratio.
    """
    rows, columns = size
    for share, form in zip(numbers[: 2 * TRIES : 2], numbers[1 : 2 * TRIES : 2], strict=True):
        area = (AREA[0] + share * (AREA[1] - AREA[0])) * rows * columns
        ratio = math.exp(math.log(RATIO[0]) + form * math.log(RATIO[1] / RATIO[0]))
        width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < width <= columns and 0 < height <= rows:
            break
    else:
        ratio = min(max(columns / rows, RATIO[0]), RATIO[1])
        width, height = min(columns, max(1, round(rows * ratio))), min(rows, max(1, round(columns / ratio)))
        return (rows - height) // 2, (columns - width) // 2, height, width
    top, left = numbers[-2:]
    return int(top * (rows - height + 1)), int(left * (columns - width + 1)), height, width


def change_colours(pixels: np.ndarray, brightness: float, contrast: float, saturation: float) -> np.ndarray:
    """Multiply brightness, contrast about the mean grey, and saturation, each 1 for no change; grey has none.

    Args:
        pixels: uint8 (height, width, 1 or 3).
        brightness: From 0, like `contrast` and `saturation`.
        contrast: Of 0 leaves the mean grey.
        saturation: Of 0 leaves grey.
    """
    channels = pixels.shape[2]
    weights = GREY if channels == 3 else np.ones(1)
    grey = float(weights @ np.array(cv2.mean(pixels)[:channels]))
    colours = saturation * np.eye(channels) + (1 - saturation) * weights[None, :]
    offset = np.full((channels, 1), (1 - contrast) * brightness * grey)
    changed = cv2.transform(pixels, np.hstack([contrast * brightness * colours, offset]))
    return changed.reshape(pixels.shape)
