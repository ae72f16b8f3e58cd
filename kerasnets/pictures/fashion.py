"""From a picture of one piece of clothing to Fashion-MNIST's form."""

import cv2
import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.pictures.digits import MIN_CONTRAST, SIDE, quantile, rim
from kerasnets.pictures.sizes import resize, to_grey


def to_fashion_form(picture, shape):
    """Make of one piece of clothing what Fashion-MNIST's makers would have: uint8 `shape`, light on black, uncut.

    They trimmed the picture to the piece, scaled its longer side to 28 pixels, laid it into the middle of 28x28 and
    made it a negative (Xiao et al. 2017, arXiv:1708.07747, section 2). What has 28x28 pixels is left as it is.
    """
    grey = to_grey(picture)
    if grey.shape != (SIDE, SIDE):
        # Not is_light, which seeks thin ink: clothing may fill the picture, but seldom its rim.
        paper = quantile(rim(grey), 0.5)
        grey = centre(trim(255 - grey if 2 * paper > float(grey.min()) + float(grey.max()) else grey))
    return resize(grey, *shape[:2]).reshape(shape)


def trim(grey):
    """Cut a light thing out of its dark, even background: its bounding box."""
    grey = grey.astype(np.int16) - int(quantile(rim(grey), 0.5))
    thing = grey > 0.05 * 255  # the makers' tolerance
    if grey.max() < MIN_CONTRAST or not thing.any():
        raise BadInputError("nothing to see, it is all of one colour; take a picture with more contrast")
    x, y, width, height = cv2.boundingRect(thing.astype(np.uint8))
    return np.clip(grey[y : y + height, x : x + width], 0, 255).astype(np.uint8)


def centre(grey):
    """Scale uint8 pixels so that the longer side has 28 and lay them into the middle of 28x28."""
    height, width = (max(1, round(side * SIDE / max(grey.shape))) for side in grey.shape)
    field = np.zeros((SIDE, SIDE), np.uint8)
    top, left = (SIDE - height + 1) // 2, (SIDE - width + 1) // 2  # an odd row goes above, as in Fashion-MNIST
    field[top : top + height, left : left + width] = resize(grey, height, width)
    return field
