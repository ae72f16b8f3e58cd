"""From a picture file to the pixels that a network takes.

A picture in memory is uint8, (height, width) grey or (height, width, 3) RGB, 0..255.
"""

from kerasnets.errors import is_full_memory

try:
    import cv2 as cv2
except ImportError as error:
    if is_full_memory(error):
        raise MemoryError(str(error)) from error
    raise ImportError(
        f"OpenCV cannot be loaded ({error}); on Debian: apt-get install libgl1 libglib2.0-0; "
        "or, without windows, use opencv-python-headless"
    ) from error

from kerasnets.pictures.cuts import Box, cut, cut_from_file
from kerasnets.pictures.digits import NothingSeenError, Sight, permute_pixels, to_mnist_form
from kerasnets.pictures.files import decode, read, read_file
from kerasnets.pictures.kinds import DIGITS, KINDS, look, prepare
from kerasnets.pictures.limits import MAX_BYTES, MAX_PIXELS
from kerasnets.pictures.sheets import Digit, draw_boxes, find_digits
from kerasnets.pictures.sizes import shrink, to_grey, to_rgb

__all__ = ["DIGITS", "KINDS", "MAX_BYTES", "MAX_PIXELS", "Box", "Digit", "NothingSeenError", "Sight",
           "cut", "cut_from_file", "decode", "draw_boxes",
           "find_digits", "look", "permute_pixels", "prepare", "read", "read_file", "shrink", "to_grey",
           "to_mnist_form", "to_rgb"]  # fmt: skip
