"""From a picture's file, or its bytes, to pixels: what is refused, colours, transparency, which side is up."""

import io
import stat
import warnings
from pathlib import Path

import cv2
import numpy as np

from kerasnets.errors import BadInputError, shorten

MAX_BYTES = 64_000_000  # of a file
MAX_PIXELS = 50_000_000  # of a picture, refused before it is decoded


def read(path):
    """Return the picture in `path`: uint8 (height, width, 3) RGB, upright as its EXIF orientation says.

    Transparency is laid on white where the drawing is dark, on black where it is light.
    Raises BadInputError for a file that is missing, empty, damaged, no picture, or too large.
    """
    return decode(read_file(Path(path)), path)


def decode(content, path):
    """As `read`, of a file's bytes; `path` stands for it in an error."""
    transparent = inspect(content, path)
    if transparent is not None:
        return flatten_alpha(transparent)
    try:
        decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        decoded = None
    if decoded is None:
        raise BadInputError(f"{shorten(path)} cannot be decoded by OpenCV; save it as PNG or JPEG")
    return decoded


def read_file(path):
    """The bytes of a picture file, at most MAX_BYTES."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise BadInputError(f"{shorten(path)} is a folder, not a picture; name the files in it")
        if status.st_size > MAX_BYTES:
            raise BadInputError(
                f"{shorten(path)} has {status.st_size / 1e6:.0f} MB; a picture may have {MAX_BYTES / 1e6:.0f}"
            )
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        if isinstance(error, BadInputError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise BadInputError(f"no picture {shorten(path)}: {reason}; check the name") from error
    if not content:
        raise BadInputError(f"{shorten(path)} is empty; save or copy it again")
    if len(content) > MAX_BYTES:
        raise BadInputError(f"{shorten(path)} does not end; a picture may have {MAX_BYTES / 1e6:.0f} MB")
    return content


def inspect(content, path):
    """Refuse what OpenCV would take: pictures of gigabytes, half a JPEG. Return what it would lose: transparency.

    Pillow tells the size from the header alone, and complains where data are missing. A picture with transparency
    comes back as uint8 (height, width, 4) RGBA, upright, for OpenCV turns it only without; another as None.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own limit of pixels, and notes on odd metadata
        try:
            with Image.open(io.BytesIO(content)) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise Image.DecompressionBombError(f"{width}x{height} pixels")
                image.load()
                if "A" not in image.getbands() and ("transparency" not in image.info or image.mode.startswith("I")):
                    return None
                return np.asarray(ImageOps.exif_transpose(image).convert("RGBA"))
        except Image.DecompressionBombError as error:
            raise BadInputError(
                f"{shorten(path)} is too large; a picture may have {MAX_PIXELS / 1e6:.0f} million pixels"
            ) from error
        except UnidentifiedImageError as error:
            raise BadInputError(f"{shorten(path)} is not a picture; use PNG or JPEG") from error
        except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error, ... by format
            raise BadInputError(f"{shorten(path)} is damaged: {error}; save or copy it again") from error


def flatten_alpha(rgba):
    """Lay a picture with transparency (uint8 RGBA) on the background that its drawing stands out from: uint8 RGB."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    colour = rgba[..., :3].astype(np.float32)
    drawn = float((colour * alpha).sum() / max(3 * alpha.sum(), 1))
    background = 255 if drawn < 128 else 0
    return np.rint(colour * alpha + background * (1 - alpha)).astype(np.uint8)
