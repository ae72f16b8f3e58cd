"""KINDS: the ways in which a picture becomes the pixels that a network takes."""

import dataclasses
import functools
from collections.abc import Callable

import cv2
import numpy as np

from kerasnets.errors import BadInputError, in_one_line, name_path
from kerasnets.pictures.digits import Sight, cut_otherwise, find_digit, in_shape, padded, permuted
from kerasnets.pictures.fashion import to_fashion_form
from kerasnets.pictures.sizes import Shape, to_centre, to_size


def prepare(picture: np.ndarray, kind: str, shape: tuple[int, ...], name: object = "the picture") -> np.ndarray:
    """Return the pixels that a network takes for a picture: uint8 `shape`. Arguments and exceptions as of `look`."""
    return look(picture, kind, shape, name).pixels


def look(picture: np.ndarray, kind: str, shape: tuple[int, ...], name: object = "the picture") -> Sight:
    """Return the pixels that a network takes for a picture, uint8 `shape`, and what else was seen on it.

    Args:
        picture: uint8 (height, width[, 1 or 3]), 0..255, grey or RGB.
        kind: A name in KINDS, as a model's card gives it.
        shape: (height, width, channels), or (columns,) of a network for rows.
        name: Stands for the picture in a message.

    Raises:
        BadInputError: The picture shows nothing, or the network takes rows.
        ValueError: The array is not a picture.
    """
    picture = np.asarray(picture)
    is_picture = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] in (1, 3))
    if not is_picture or not picture.size or picture.dtype != np.uint8:
        raise ValueError(
            f"a picture is uint8 (height, width) or (height, width, 1 or 3), not {picture.dtype} {picture.shape}"
        )
    with name_path(str(name)):
        if len(shape) != 3:
            refuse(picture, shape)
        try:
            if kind in DIGITS:
                sight, form = find_digit(picture), DIGITS[kind]
                size = shape[0], shape[1], shape[2]
                others = [form(each, size) for each in cut_otherwise(sight.pixels)] if sight.is_cut_out else []
                return dataclasses.replace(sight, pixels=form(sight.pixels, size), form=sight.pixels, others=others)
            return Sight(KINDS[kind](picture, (shape[0], shape[1], shape[2])))
        except cv2.error as error:  # its whole message has several lines
            reason = in_one_line(getattr(error, "err", error))
            raise BadInputError(f"cannot be prepared ({reason})", remedy="try another picture") from error


def refuse(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    problem = f"is a picture, and the model takes rows of {shape[0]} numbers, no pictures"
    raise BadInputError(problem, remedy="give it rows, by kerasnets.load")


Form = Callable[[np.ndarray, Shape], np.ndarray]


def of_digit(form: Form) -> Form:
    """Return the function from a picture of one digit to pixels in a form of MNIST's form."""
    return lambda picture, shape: form(find_digit(picture).pixels, shape)


DIGITS: dict[str, Form] = {  # from MNIST's form
    "mnist": in_shape,
    "mnist_padded": padded,
    "mnist_permuted": permuted,
}
KINDS: dict[str, Form] = {
    **{kind: of_digit(form) for kind, form in DIGITS.items()},
    "fashion": to_fashion_form,
    "picture": to_size,
    "crop256": functools.partial(to_centre, side=256),  # torchvision's, for its weights of 2014 to 2017
    "crop232": functools.partial(to_centre, side=232),  # torchvision's, for its weights of 2021 (IMAGENET1K_V2)
    "crop": to_centre,  # the same share as crop256 takes at 224 pixels, for any size
    "row": refuse,  # of a table
}
