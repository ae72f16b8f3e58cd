"""Images as people pass them: files, bytes, and arrays as Keras, PyTorch and scikit-learn give them."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from kerasnets import pictures
from kerasnets.errors import BadInputError

Image: TypeAlias = str | Path | bytes | np.ndarray  # a file's name, a file's content, or pixels
Images: TypeAlias = Image | Sequence[Image]

UNNAMED = "the picture"  # stands for an array or bytes in a message
CHANNELS = (1, 3, 4)  # of pictures; `pictures.prepare` refuses 4 in words of its own


def pixels_of(image: Image, name: str | Path = UNNAMED) -> np.ndarray:
    """Return the pixels of an image: uint8 (height, width[, 1 or 3])."""
    if isinstance(image, bytes):
        return pictures.decode(image, name)
    return pictures.read(image) if isinstance(image, (str, Path)) else as_pixels(image)


def to_list(images: Images, shape: Sequence[int] = ()) -> list[Image]:
    """Return `images` as a list of images, arrays with their channels last.

    Args:
        images: As in `Classifier.predict`.
        shape: (height, width, channels) of the network's input, which decides how an array is meant.
    """
    if isinstance(images, (str, Path, bytes)):
        return [images]
    if isinstance(images, (list, tuple)):
        return [each for image in images for each in alone(image, shape)]
    array = as_array(images)
    if len(shape) != 3:
        is_one = array.ndim in (0, 2) or (array.ndim == 3 and array.shape[2] <= 4)  # `prepare` refuses some of them
        return [array] if is_one else list(array)
    return split(array, tuple(shape))


def alone(image: Image, shape: Sequence[int]) -> list[Image]:
    """Return an element of a list as a list of one image; an array that holds several stays what it is."""
    if isinstance(image, (str, Path, bytes)):
        return [image]
    several = to_list(as_array(image), shape)
    return several if len(several) == 1 else [as_array(image)]


def as_array(values: Any) -> np.ndarray:
    """Return an array, or a tensor of PyTorch wherever it is, as an array."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def split(array: np.ndarray, shape: tuple[int, ...]) -> list[Image]:
    """Return the pictures in an array for a network that takes `shape`.

    Keras, PyTorch and scikit-learn use (n, height, width[, channels]), (n, channels, height, width) and rows of pixels.
    (3, height, width) is one picture for a network of colours, and three for a grey one.
    """
    height, width, channels = shape
    row, is_grey = height * width, channels == 1
    if is_grey and array.size:
        if array.shape[1:] in ((row,), (row, 1), (1, row)):
            return list(array.reshape(-1, height, width))
        if array.shape in ((row,), (row, 1)):
            return [array.reshape(height, width)]
    if array.ndim == 3:
        if array.shape[2] in CHANNELS:
            return [array]
        is_first = array.shape[0] == 1 or (array.shape[0] == 3 and not is_grey)
        return [array.transpose(1, 2, 0)] if is_first else list(array)
    if array.ndim == 4 and array.shape[1] in CHANNELS and array.shape[3] not in CHANNELS:
        return list(array.transpose(0, 2, 3, 1))
    return list(array) if array.ndim > 3 else [array]


def as_pixels(array: np.ndarray) -> np.ndarray:
    """Return uint8 pixels of an array of any type with values 0..255, or of floats 0..1 with a warning.

    Raises:
        ValueError: The values are not a picture's.
        BadInputError: Some values are not finite.
    """
    array = np.asarray(array)
    if array.dtype == np.uint8 or not array.size:
        return array
    if array.dtype.kind not in "iufb":
        raise ValueError(f"an array of {array.dtype} is no picture; pass uint8 (height, width[, 1 or 3]), 0..255")
    low, high = float(array.min()), float(array.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise BadInputError("has pixels that are not finite numbers", path=UNNAMED, remedy="pass uint8, 0..255")
    if low < 0 or high > 255:
        raise ValueError(f"an array of {low:g} to {high:g} is no picture; pass pixels of 0..255, before any scaling")
    if array.dtype.kind in "fb" and high <= 1:
        warnings.warn(
            "the pixels are 0..1: multiplied by 255; pass them as they are, 0..255, the model scales them itself",
            stacklevel=2,
        )
        array = array * np.float32(255)
    return np.rint(array).astype(np.uint8)
