"""Whole pictures brought to a size, and to the colours that a network takes."""

import math

import cv2
import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.pictures.files import MAX_PIXELS


def to_size(picture, shape):
    """Resize a whole picture to `shape`, in RGB or grey as its channels say."""
    picture = to_grey(picture) if shape[2] == 1 else to_rgb(picture)
    return resize(picture, *shape[:2]).reshape(shape)


def to_centre(picture, shape, side):
    """Scale a picture so that its shorter side has `side` pixels, and cut `shape` out of its middle.

    This is torchvision's preprocessing for ImageNet (Resize, CenterCrop), by Pillow's antialiased filter as there:
    the same pixels. OpenCV has no such filter: on a photo, INTER_AREA is off by 36 grey levels, INTER_LINEAR by 90.
    """
    from PIL import Image

    height, width = picture.shape[:2]
    side = max(side, *shape[:2])
    scaled = (side, side * height // width) if width <= height else (side * width // height, side)
    if math.prod(scaled) > MAX_PIXELS:
        raise BadInputError(f"{width}x{height} pixels are too thin a picture; crop it nearer to a square")
    picture = to_grey(picture) if shape[2] == 1 else to_rgb(picture)
    picture = np.asarray(Image.fromarray(picture).resize(scaled, Image.Resampling.BILINEAR))
    top, left = (round((there - wanted) / 2) for there, wanted in zip(picture.shape, shape[:2], strict=False))
    return picture[top : top + shape[0], left : left + shape[1]].reshape(shape)


def to_grey(picture):
    if picture.ndim == 2:
        return picture
    return picture[..., 0] if picture.shape[2] == 1 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def to_rgb(picture):
    return (
        picture if picture.shape[2:] == (3,) else cv2.cvtColor(picture.reshape(picture.shape[:2]), cv2.COLOR_GRAY2RGB)
    )


def shrink(grey, side):
    """Shrink pixels so that the longer side has at most `side`; thin strokes stay, as grey."""
    height, width = grey.shape[:2]
    scale = side / max(height, width)
    return grey if scale >= 1 else resize(grey, max(1, round(height * scale)), max(1, round(width * scale)))


def resize(pixels, height, width):
    """Resize pixels of any type: averaged where they shrink, so that nothing falls between the pixels."""
    shrinking = height < pixels.shape[0] or width < pixels.shape[1]
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)
