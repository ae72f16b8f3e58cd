"""All pictures that are not plain, decoded by Pillow to 8 bits of red, green and blue."""

import io
import math
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from kerasnets.errors import BadInputError, in_one_line
from kerasnets.pictures.limits import check_size
from kerasnets.pictures.plain import AGAIN
from kerasnets.runtime.silence import SILENCE

# By Pillow's names. Not all that it knows: it runs a program to read EPS.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")
ROWS = 256  # of a picture with transparency that are converted at once, to save memory

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


def decode(content: bytes) -> np.ndarray:
    """Return uint8 (height, width, 3) RGB, upright; raise BadInputError, without a path, if there is no picture."""
    with SILENCE:  # Pillow warns of odd metadata
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                check_size(*image.size)
                image.load()
                orientation = orientation_of(image)
                pixels = to_rgb8(image)
        except Image.DecompressionBombError:  # at such sizes, Pillow returns no image to ask for its size
            check_size(math.inf, 1)
        except UnidentifiedImageError as error:
            raise BadInputError("is not a picture that can be read", remedy="save it as PNG or JPEG") from error
        except BadInputError:
            raise
        except Exception as error:  # OSError, SyntaxError, ValueError, struct.error, ..., by format
            raise BadInputError(f"is damaged: {in_one_line(error, 80)}", remedy=AGAIN) from error
    return np.array(UPRIGHT[orientation](pixels), order="C")


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if it is missing or invalid."""
    if image.format == "TIFF":
        return 1  # Pillow turns it itself
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
        return flatten_alpha(np.asarray(image.convert("RGBA")))
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def grey_to_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def from_16_bits(grey: np.ndarray) -> np.ndarray:
    """Return the higher byte, as Pillow and libpng's png_set_strip_16 do for colour: within one level of v / 257."""
    if grey.min() < 0 or grey.max() > 0xFFFF:
        problem = f"has values of {grey.min()} to {grey.max()}, not 0 to 65535 as of 16 bits"
        raise BadInputError(problem, remedy="save it with 8 bits")
    return (grey >> 8).astype(np.uint8)


def from_floats(grey: np.ndarray) -> np.ndarray:
    """Floats are in 0..1, as scikit-image has them, or in 0..255 if one exceeds 1."""
    if not np.isfinite(grey).all():
        raise BadInputError("has values that are NaN or infinite", remedy="replace them by numbers of 0 to 1")
    if grey.min() < 0 or grey.max() > 255:
        raise BadInputError(f"has values of {grey.min():g} to {grey.max():g}", remedy="scale them to 0 to 1")
    return np.rint(grey * 255 if grey.max() <= 1 else grey).astype(np.uint8)


def flatten_alpha(rgba: np.ndarray) -> np.ndarray:
    """Lay a picture with transparency (uint8 RGBA) on black or white, whichever contrasts with it: uint8 RGB."""
    blocks = [slice(start, start + ROWS) for start in range(0, len(rgba), ROWS)]
    opacity = drawn = 0
    for block in blocks:
        colour, alpha = rgba[block, :, :3].astype(np.uint32), rgba[block, :, 3:].astype(np.uint32)
        opacity += 3 * int(alpha.sum())
        drawn += int((colour * alpha).sum(dtype=np.uint64))
    background = 255 if drawn < 128 * max(opacity, 1) else 0
    flat = np.empty((*rgba.shape[:2], 3), np.uint8)
    for block in blocks:
        colour, alpha = rgba[block, :, :3].astype(np.uint32), rgba[block, :, 3:].astype(np.uint32)
        flat[block] = (colour * alpha + background * (255 - alpha) + 127) // 255
    return flat
