"""From a picture file to the pixels that a network takes: the table of input kinds, and `prepare`.

A picture in memory is uint8, (height, width) grey or (height, width, 3) RGB, 0..255.
"""

import functools

import numpy as np

from kerasnets.errors import BadInputError, shorten

try:
    import cv2
except ImportError as error:
    raise ImportError(
        f"OpenCV cannot be loaded ({error}); on Debian: apt-get install libgl1 libglib2.0-0; "
        "or, without windows, use opencv-python-headless"
    ) from error

from kerasnets.pictures.digits import permute_pixels, to_mnist_form, to_padded_mnist_form, to_permuted_mnist_form
from kerasnets.pictures.fashion import to_fashion_form
from kerasnets.pictures.files import MAX_BYTES, MAX_PIXELS, decode, read, read_file
from kerasnets.pictures.sheets import Digit, draw_boxes, find_digits
from kerasnets.pictures.sizes import shrink, to_centre, to_grey, to_rgb, to_size

__all__ = [
    "KINDS",
    "MAX_BYTES",
    "MAX_PIXELS",
    "Digit",
    "decode",
    "draw_boxes",
    "find_digits",
    "permute_pixels",
    "prepare",
    "read",
    "read_file",
    "shrink",
    "to_grey",
    "to_mnist_form",
    "to_rgb",
]


def prepare(picture, kind, shape, name="the picture"):
    """Return uint8 `shape` (height, width, channels): the picture as a network of input kind `kind` takes it.

    picture: uint8 (height, width[, 1 or 3]), 0..255, grey or RGB; `name` stands for it in an error.
    Raises BadInputError where there is nothing to see, ValueError for an array that is no picture.
    """
    picture = np.asarray(picture)
    if (
        picture.size == 0
        or picture.dtype != np.uint8
        or picture.ndim not in (2, 3)
        or (picture.ndim == 3 and picture.shape[2] not in (1, 3))
    ):
        raise ValueError(
            f"a picture is uint8 (height, width) or (height, width, 1 or 3), not {picture.dtype} {picture.shape}"
        )
    try:
        return (KINDS[kind] if len(shape) == 3 else refuse)(picture, shape)
    except (BadInputError, cv2.error) as error:  # OpenCV's whole message has several lines
        raise BadInputError(f"{shorten(name)}: {getattr(error, 'err', error)}") from error


def refuse(picture, shape):
    raise BadInputError(f"the model takes rows of {shape[0]} numbers, no pictures; give it rows, by kerasnets.load")


# input kind, as the card of a model names it -> function (picture, shape) -> pixels
KINDS = {
    "mnist": to_mnist_form,
    "mnist_padded": to_padded_mnist_form,
    "mnist_permuted": to_permuted_mnist_form,
    "fashion": to_fashion_form,
    "picture": to_size,
    "crop256": functools.partial(to_centre, side=256),  # torchvision's, for its weights of 2014 to 2017
    "crop232": functools.partial(to_centre, side=232),  # torchvision's, for those of 2021 (IMAGENET1K_V2)
    "row": refuse,  # of a table
}
