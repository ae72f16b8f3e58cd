"""A part of a picture, resized: from its pixels, or from its file without decoding more than the part needs."""

from pathlib import Path

import numpy as np

from kerasnets.pictures.files import decode
from kerasnets.pictures.sizes import Shape, resize, to_grey, to_rgb

Box = tuple[int, int, int, int]  # top, left, height, width
FACTORS = (8, 4, 2)  # by which a JPEG is shrunk while it is decoded


def cut(picture: np.ndarray, box: Box, shape: Shape) -> np.ndarray:
    """Return the pixels of `picture`, uint8 (height, width, 1 or 3), in `box`, resized to `shape`."""
    top, left, height, width = box
    part = picture[top : top + height, left : left + width]
    part = to_grey(part) if shape[2] == 1 else to_rgb(part)
    return resize(part, *shape[:2]).reshape(shape)


def cut_from_file(content: bytes, path: str | Path, size: tuple[int, int], box: Box, shape: Shape) -> np.ndarray | None:
    """Like `cut`, from the bytes of a file whose picture has `size`; None if it has another size.

    A JPEG is decoded at a half, a quarter or an eighth of its size if the part still has at least the pixels of
    `shape`: of 1600x1200 pixels in half the time.
    """
    factor = next((k for k in FACTORS if box[2] >= k * shape[0] and box[3] >= k * shape[1]), 1)
    picture = decode(content, path, factor)
    now = picture.shape[:2]
    if now == size:
        return cut(picture, box, shape)
    if now != tuple(-(-side // factor) for side in size):
        return None
    top, left, bottom, right = (round(edge / factor) for edge in (box[0], box[1], box[0] + box[2], box[1] + box[3]))
    return cut(picture, (top, left, bottom - top, right - left), shape)
