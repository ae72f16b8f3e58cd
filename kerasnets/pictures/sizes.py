"""Whole pictures: resized, cropped, converted to grey or RGB."""

import math

import cv2
import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.pictures.limits import MAX_PIXELS

Shape = tuple[int, int, int]  # height, width, channels


def to_size(picture: np.ndarray, shape: Shape) -> np.ndarray:
    """Resize a whole picture to `shape`, in RGB or grey by its channels."""
    picture = to_grey(picture) if shape[2] == 1 else to_rgb(picture)
    return resize(picture, *shape[:2]).reshape(shape)


def to_centre(picture: np.ndarray, shape: Shape, side: int = 0) -> np.ndarray:
    """Scale a picture so that its shorter side has `side` pixels, and crop `shape` from its centre.

    Without `side`, it is 8/7 of the longer side of `shape`: 256 for 224.

    This is torchvision's preprocessing for ImageNet (Resize, CenterCrop), with the same antialiased filter of Pillow
    and the same pixels. OpenCV has no such filter: INTER_AREA is off by 36 grey levels on a photo, INTER_LINEAR by 90.
    """
    from PIL import Image

    height, width = picture.shape[:2]
    side = max(side or round(max(shape[:2]) * 8 / 7), *shape[:2])
    scaled = (side, side * height // width) if width <= height else (side * width // height, side)
    if math.prod(scaled) > MAX_PIXELS:
        problem = f"has {width}x{height} pixels, which are too thin a picture"
        raise BadInputError(problem, remedy="crop it nearer to a square")
    picture = to_grey(picture) if shape[2] == 1 else to_rgb(picture)
    picture = np.asarray(Image.fromarray(picture).resize(scaled, Image.Resampling.BILINEAR))
    top, left = (round((side - size) / 2) for side, size in zip(picture.shape, shape[:2], strict=False))
    return picture[top : top + shape[0], left : left + shape[1]].reshape(shape)


def to_grey(picture: np.ndarray) -> np.ndarray:
    """Return uint8 (height, width) of a picture (height, width[, 1 or 3])."""
    if picture.ndim == 2:
        return picture
    return picture[..., 0] if picture.shape[2] == 1 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def to_rgb(picture: np.ndarray) -> np.ndarray:
    """Return uint8 (height, width, 3) of a picture (height, width[, 1 or 3])."""
    if picture.shape[2:] == (3,):
        return picture
    return cv2.cvtColor(picture.reshape(picture.shape[:2]), cv2.COLOR_GRAY2RGB)


def shrink(pixels: np.ndarray, side: int) -> np.ndarray:
    """Shrink pixels so that the longer side has at most `side`. Thin strokes stay visible, as grey."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    return pixels if scale >= 1 else resize(pixels, max(1, round(height * scale)), max(1, round(width * scale)))


def resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize pixels of any dtype; shrinking averages them, so that every pixel counts."""
    is_smaller = height < pixels.shape[0] or width < pixels.shape[1]
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR)


def rim(grey: np.ndarray) -> np.ndarray:
    """Return the outermost pixels of a picture, in a row."""
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def quantile(values: np.ndarray, share: float) -> float:
    """Return the quantile at `share`, 0..1, linear between neighbours.

    numpy.quantile takes 60 to 150 microseconds instead of 5, and imports numpy.ma, which is a tenth of the time of a
    prediction in a fresh process.
    """
    place = share * (values.size - 1)
    around = math.floor(place), math.ceil(place)
    low, high = np.partition(values, around, axis=None)[[*around]].tolist()
    return low + (place % 1) * (high - low)
