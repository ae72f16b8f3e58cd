"""All pictures that are not plain, decoded by Pillow to 8 bits of red, green and blue."""

import io
import math
from typing import Any

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from kerasnets.errors import BadInputError, in_one_line, is_full_memory
from kerasnets.pictures import png
from kerasnets.pictures.limits import AGAIN, MOST_NOTES, check_size
from kerasnets.runtime.silence import SILENCE

# By Pillow's names. Not all that it knows: it runs a program to read EPS.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")
CHEAP_PIXELS = 8_000_000  # of any format, whose decoding takes half a second
CHEAP_FORMATS = ("PNG", "JPEG", "MPO", "WEBP")  # decoded in 2 seconds at any size, if `costs.is_bounded`
FEWER_BITS = (8, 10, 12)  # of values in a file of 16 bits
ROWS = 256  # that are converted at once, to save memory
CHEAP_TIFFS = {"raw", "packbits", "group3", "group4", "tiff_ccitt", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate"}
NOTES = ("exif", "Raw profile type exif")  # places of EXIF in what Pillow says of an image

# EXIF 2.3, section 4.6.4 A, tag 274: how to turn an array (height, width, channels) upright
ORIENTATION = 274
UPRIGHT = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}


def decode(content: bytes, *, only_cheap: bool = False) -> np.ndarray | None:
    """Return uint8 (height, width, 3) RGB, upright; None if `only_cheap` and it may take more time than a picture may.

    Raises:
        BadInputError: Without a path. There is no picture.
    """
    if content.startswith(png.START):
        content = png.structure_of(content).essence
    with SILENCE:  # Pillow warns of odd metadata
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                check_size(*image.size)
                if only_cheap and not is_cheap(image):
                    return None
                image.load()
                orientation = orientation_of(image)
                pixels = to_rgb8(image)
        except Image.DecompressionBombError:  # at such sizes, Pillow returns no image to ask for its size
            check_size(math.inf, 1)
        except UnidentifiedImageError as error:
            raise BadInputError("is not a picture that can be read", remedy="save it as PNG or JPEG") from error
        except (BadInputError, MemoryError):
            raise
        except Exception as error:  # OSError, SyntaxError, ValueError, struct.error, ..., by format
            if is_full_memory(error):
                raise MemoryError from error
            raise BadInputError(f"is damaged: {in_one_line(error, 80)}", remedy=AGAIN) from error
    return np.require(UPRIGHT[orientation](pixels), requirements=["C", "W"])


def is_cheap(image: Image.Image) -> bool:
    """Whether a picture is decoded soon: its pixels are not packed, or few and packed in a simple way."""
    codecs = {tile.codec_name for tile in getattr(image, "tile", ())}
    if image.format in CHEAP_FORMATS or codecs == {"raw"}:
        return True
    is_simple = image.format != "TIFF" or image.info.get("compression") in CHEAP_TIFFS
    return is_simple and math.prod(image.size) <= CHEAP_PIXELS


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if it is missing or invalid."""
    if image.format == "TIFF":
        return 1  # Pillow turns it itself
    if any(len(image.info.get(place, "")) > 3 * MOST_NOTES for place in NOTES):
        return 1  # each of its entries may refer to all of it
    try:
        orientation: Any = image.getexif().get(ORIENTATION)
    except Exception:  # the camera's notes are damaged, not the picture
        return 1
    return orientation if orientation in UPRIGHT else 1


# ---- to 8 bits of red, green and blue --------------------------------------------------------------------------------


def to_rgb8(image: Image.Image) -> np.ndarray:
    """Return uint8 (height, width, 3) of a loaded image of any mode."""
    if image.mode.startswith("I"):
        return grey_to_rgb(from_16_bits(np.asarray(image)))
    if image.mode == "F":
        return grey_to_rgb(from_floats(np.asarray(image)))
    if image.has_transparency_data:
        return flatten_alpha(image)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def grey_to_rgb(grey: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)


def from_16_bits(grey: np.ndarray) -> np.ndarray:
    """Return the higher byte, as Pillow and libpng's png_set_strip_16 do for colour: within one level of v / 257.

    Cameras and scanners put 10 or 12 bits into such a file. If no value needs more, they are those of all its values:
    read as 16 bits, the picture would be darker than a sixteenth of white.
    """
    if grey.dtype != np.uint16 and (grey.min() < 0 or grey.max() > 0xFFFF):
        problem = f"has values of {grey.min()} to {grey.max()}, not 0 to 65535 as of 16 bits"
        raise BadInputError(problem, remedy="save it with 8 bits")
    bits = next((bits for bits in FEWER_BITS if grey.max() < 1 << bits), 16)
    return np.right_shift(grey, bits - 8, out=np.empty(grey.shape, np.uint8), casting="unsafe")


def from_floats(grey: np.ndarray) -> np.ndarray:
    """Floats are in 0..1, as scikit-image has them, or in 0..255 if one exceeds 1."""
    low, high = grey.min(), grey.max()
    if not np.isfinite((low, high)).all():  # NaN among the values makes both NaN
        raise BadInputError("has values that are NaN or infinite", remedy="replace them by numbers of 0 to 1")
    if low < 0 or high > 255:
        raise BadInputError(f"has values of {low:g} to {high:g}", remedy="scale them to 0 to 1")
    pixels = np.empty(grey.shape, np.uint8)
    for top in range(0, len(grey), ROWS):
        rows = slice(top, top + ROWS)
        pixels[rows] = np.rint(grey[rows] * 255 if high <= 1 else grey[rows])
    return pixels


def flatten_alpha(image: Image.Image) -> np.ndarray:
    """Lay a picture with transparency on black or white, whichever contrasts with it: uint8 (height, width, 3)."""
    width, height = image.size
    pixels, alpha = np.empty((height, width, 3), np.uint8), np.empty((height, width), np.uint8)
    for top in range(0, height, ROWS):
        rows = slice(top, min(top + ROWS, height))
        rgba = image.crop((0, rows.start, width, rows.stop)).convert("RGBA")
        opacity = rgba.getchannel("A")
        on_black = Image.new("RGB", rgba.size)
        on_black.paste(rgba, mask=opacity)
        pixels[rows], alpha[rows] = np.asarray(on_black), np.asarray(opacity)
    if 255 * int(pixels.sum(dtype=np.uint64)) < 128 * max(3 * int(alpha.sum(dtype=np.uint64)), 1):
        for channel in range(3):  # on white: one broadcast over the channels would take ten times as long
            pixels[..., channel] += 255 - alpha
    return pixels
