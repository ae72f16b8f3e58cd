"""Plain pictures, which OpenCV decodes without a loss: whole PNG and JPEG files of 8 bits without transparency."""

import cv2
import numpy as np

from kerasnets.errors import is_full_memory
from kerasnets.pictures import jpeg, png
from kerasnets.pictures.limits import check_size

# factor -> flag by which OpenCV decodes a JPEG at a fraction of its size, as BGR
REDUCED = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}


def decode(content: bytes, factor: int = 1) -> np.ndarray | None:
    """Return uint8 (height, width, 3) RGB, upright; None if the picture is not plain or OpenCV does not read it.

    With a `factor` in REDUCED, the size of a JPEG is divided by it and rounded up.

    Raises:
        BadInputError: Without a path. A PNG is damaged, or a picture is too large or has too many parts.
    """
    plain = plain_part_of(content)
    if not plain:
        return None
    try:
        if factor in REDUCED and content.startswith(jpeg.START):
            picture = cv2.imdecode(np.frombuffer(plain, np.uint8), REDUCED[factor])
            return None if picture is None else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        return cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        if is_full_memory(error):
            raise MemoryError from error
        return None


def plain_part_of(content: bytes) -> bytes | memoryview:
    """Return the part of a plain picture that shows it; b"" if the picture is not plain. Errors as of `decode`."""
    if content.startswith(png.START):
        structure = png.structure_of(content)
        return structure.essence if structure.is_plain else b""
    if content.startswith(jpeg.START):
        segments = jpeg.structure_of(content)
        check_size(*segments.size)
        return memoryview(content)[: segments.end] if segments.is_plain and segments.is_cheap else b""
    return b""
