"""From a picture of one piece of clothing to Fashion-MNIST's form."""

import cv2
import numpy as np

from kerasnets.pictures.digits import MIN_CONTRAST, SIDE, NothingSeenError
from kerasnets.pictures.sizes import Shape, quantile, resize, rim, to_grey


def to_fashion_form(picture: np.ndarray, shape: Shape) -> np.ndarray:
    """Convert a picture of one piece of clothing as Fashion-MNIST's makers did: uint8 `shape`, light on black.

    They trimmed the picture to the piece, scaled its longer side to 28 pixels, centred it in 28x28 and made it a
    negative (Xiao et al. 2017, arXiv:1708.07747, section 2). A picture of 28x28 pixels is left as it is.
    """
    grey = to_grey(picture)
    if grey.shape != (SIDE, SIDE):
        # Not is_light, which looks for thin ink: clothing may fill the picture, but rarely its rim.
        paper = quantile(rim(grey), 0.5)
        grey = centre(trim(255 - grey if 2 * paper > float(grey.min()) + float(grey.max()) else grey))
    return resize(grey, *shape[:2]).reshape(shape)


def trim(grey: np.ndarray) -> np.ndarray:
    """Crop a light object on a dark, even background to its bounding box."""
    light = grey.astype(np.int16) - int(quantile(rim(grey), 0.5))
    mask = light > 0.05 * 255  # the makers' tolerance
    if light.max() < MIN_CONTRAST or not mask.any():
        problem = "has nothing to see: it is all of one colour"
        raise NothingSeenError(problem, remedy="take a picture with more contrast")
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return np.clip(light[y : y + height, x : x + width], 0, 255).astype(np.uint8)


def centre(grey: np.ndarray) -> np.ndarray:
    """Scale uint8 pixels so that the longer side has 28, and centre them in 28x28."""
    height, width = (max(1, round(side * SIDE / max(grey.shape))) for side in grey.shape)
    field = np.zeros((SIDE, SIDE), np.uint8)
    top, left = (SIDE - height + 1) // 2, (SIDE - width + 1) // 2  # an odd row goes above, as in Fashion-MNIST
    field[top : top + height, left : left + width] = resize(grey, height, width)
    return field
