"""From a picture's file, or its bytes, to pixels: what is refused, colours, transparency, which side is up.

A picture is decoded once. OpenCV has the plain ones, whole PNG and JPEG of 8 bits without transparency: that is most of
them, at 3 times the speed where they are small, and Pillow's import of 40 ms is spared. Pillow has all others:
it keeps transparency and 16 bits, reads what OpenCV does not, and says what is wrong with a damaged one.
"""

import io
import math
import os
import select
import stat
import struct
import threading
import time
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np

from kerasnets.errors import BadInputError, in_one_line, shorten

MAX_BYTES = 64_000_000  # of a file
MAX_PIXELS = 50_000_000  # of a picture, refused before it is decoded
PIPE_SECONDS = 2  # that a pipe may take until its end
ROWS = 256  # of a picture with transparency that are laid on their background at once, to save memory

PNG_START = b"\x89PNG\r\n\x1a\n"
NOT_PLAIN = {b"tRNS", b"eXIf", b"acTL"}  # chunks of a PNG: a transparent colour, its orientation, animation

# By Pillow's names. Not all that it knows: it reads EPS by running a program.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")

# EXIF 2.3, section 4.6.4 A, tag 274: what makes a picture upright, of an array (height, width, channels)
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


def read(path):
    """Return the picture in `path`: uint8 (height, width, 3) RGB, 0..255, upright as its EXIF orientation says.

    Of an animation, the first frame. Grey becomes colour by three equal channels, CMYK by (1 - C) (1 - K), 16 bits by
    their higher 8, floats by 255 where they lie in 0..1. Transparency is laid on white where the drawing is dark, on
    black where it is light.
    Raises BadInputError for a file that is missing, empty, damaged, no picture, or too large; a pipe that does not end.
    """
    return decode(read_file(Path(path)), path)


def decode(content, path):
    """As `read`, of a file's bytes; `path` stands for it in an error."""
    name = shorten(path)
    if not content:
        raise BadInputError(f"{name} is empty; save or copy it again")
    size = plain_size(content, name)
    if size:
        check_size(*size, name)
        pixels = by_opencv(content)
        if pixels is not None:
            return pixels
    return by_pillow(content, name)


def check_size(width, height, name):
    if width * height > MAX_PIXELS:
        raise BadInputError(f"{name} is too large; a picture may have {MAX_PIXELS / 1e6:.0f} million pixels")


# ---- plain pictures, by OpenCV ---------------------------------------------------------------------------------------


def plain_size(content, name):
    """(width, height) of a PNG or JPEG of which OpenCV loses nothing: 8 bits of grey or RGB, whole. Else None."""
    if content.startswith(PNG_START):
        return plain_png_size(content, name)
    if content.startswith(b"\xff\xd8\xff") and content.endswith(b"\xff\xd9"):
        return plain_jpeg_size(content)
    return None


def plain_png_size(content, name):
    """Raises BadInputError where a checksum is wrong or the end is missing: OpenCV and Pillow would pass over some."""
    chunks = png_chunks(content, name)
    width, height, bits, colour, interlaced = struct.unpack_from(">IIBB2xB", content, 16)
    channels = {0: 1, 2: 3}.get(colour)  # grey, RGB
    if bits != 8 or not channels or interlaced or NOT_PLAIN & {kind for kind, _ in chunks}:
        return None
    check_size(width, height, name)
    packed = b"".join(body for kind, body in chunks if kind == b"IDAT")
    expected = height * (1 + width * channels)  # a byte more in each row, its filter
    try:
        whole = len(zlib.decompressobj().decompress(packed, expected + 1)) == expected > 0
    except zlib.error:
        whole = False
    if not whole:
        raise BadInputError(f"{name} is damaged: its pixels are not all there; save or copy it again")
    return width, height


def png_chunks(content, name):
    """[(kind, body)] of a PNG: each has its length, kind and checksum (PNG specification, section 5.3)."""
    chunks, kind, position = [], None, len(PNG_START)
    view = memoryview(content)
    while kind != b"IEND":
        try:
            length, kind = struct.unpack_from(">I4s", content, position)
            end = position + 8 + length
            (checksum,) = struct.unpack_from(">I", content, end)
        except struct.error as error:
            raise BadInputError(f"{name} is damaged: its end is missing; save or copy it again") from error
        needed = not kind[0] & 0x20  # to show the picture, as its capital says
        if needed and checksum != zlib.crc32(view[position + 4 : end]):
            raise BadInputError(f"{name} is damaged: a checksum is wrong; save or copy it again")
        chunks.append((kind, view[position + 8 : end]))
        position = end + 4
    if chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise BadInputError(f"{name} is damaged: it does not begin as a PNG; save or copy it again")
    return chunks


def plain_jpeg_size(content):
    """Walk through the segments to the frame's header (ITU-T T.81, sections B.1 and B.2.2)."""
    position = 2
    while position < len(content) - 10:
        mark, code, length = struct.unpack_from(">BBH", content, position)
        if mark != 0xFF or code == 0xDA:  # the scan, before any frame
            break
        if code in (0xC0, 0xC1, 0xC2):
            bits, height, width, colours = struct.unpack_from(">BHHB", content, position + 4)
            return (width, height) if bits == 8 and colours in (1, 3) else None
        position += 2 + length
    return None


def by_opencv(content):
    """uint8 (height, width, 3) RGB, upright; None where OpenCV does not like the file."""
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        return None


# ---- all others, by Pillow -------------------------------------------------------------------------------------------


def by_pillow(content, name):
    """uint8 (height, width, 3) RGB, upright. Raises BadInputError."""
    from PIL import Image, UnidentifiedImageError

    with SILENCE:
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                check_size(*image.size, name)
                image.load()
                orientation = orientation_of(image)
                pixels = to_rgb8(image, name)
        except Image.DecompressionBombError:  # of sizes at which Pillow does not give us an image to ask
            check_size(math.inf, 1, name)
        except UnidentifiedImageError as error:
            raise BadInputError(f"{name} is not a picture that can be read; save it as PNG or JPEG") from error
        except BadInputError:
            raise
        except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error, ... by format
            raise BadInputError(f"{name} is damaged: {in_one_line(error, 80)}; save or copy it again") from error
    return np.array(UPRIGHT[orientation](pixels), order="C")


def orientation_of(image):
    """The EXIF orientation, 1 to 8; 1 where there is none, or none that makes sense."""
    if image.format == "TIFF":
        return 1  # Pillow turns it by itself
    try:
        orientation = image.getexif().get(ORIENTATION)
    except Exception:  # the notes of a camera are damaged, not its picture
        return 1
    return orientation if orientation in UPRIGHT else 1


# ---- to 8 bits of red, green and blue --------------------------------------------------------------------------------


def to_rgb8(image, name):
    """The pixels of a loaded Pillow image, of any mode: uint8 (height, width, 3)."""
    if image.mode.startswith("I"):
        return grey_to_rgb(from_16_bits(np.asarray(image), name))
    if image.mode == "F":
        return grey_to_rgb(from_floats(np.asarray(image), name))
    if image.has_transparency_data:
        return flatten_alpha(np.asarray(image.convert("RGBA")))
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def grey_to_rgb(grey):
    return np.repeat(grey[..., None], 3, axis=2)


def from_16_bits(grey, name):
    """The higher byte, as of 16-bit colour by Pillow and by libpng's png_set_strip_16: within one level of v / 257."""
    if grey.min() < 0 or grey.max() > 0xFFFF:
        raise BadInputError(
            f"{name} has values of {grey.min()} to {grey.max()}, not 0 to 65535 as of 16 bits; save it with 8 bits"
        )
    return (grey >> 8).astype(np.uint8)


def from_floats(grey, name):
    """Floats are 0..1, as scikit-image has them, or 0..255 where one exceeds 1."""
    if not np.isfinite(grey).all():
        raise BadInputError(f"{name} has values that are NaN or infinite; replace them by numbers of 0 to 1")
    if grey.min() < 0 or grey.max() > 255:
        raise BadInputError(f"{name} has values of {grey.min():g} to {grey.max():g}; scale them to 0 to 1")
    return np.rint(grey * 255 if grey.max() <= 1 else grey).astype(np.uint8)


def flatten_alpha(rgba):
    """Lay a picture with transparency (uint8 RGBA) on the background that its drawing stands out from: uint8 RGB."""
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


# ---- files and pipes -------------------------------------------------------------------------------------------------


def read_file(path):
    """The bytes of a picture file, or of a pipe that ends in time, at most MAX_BYTES. Raises BadInputError."""
    name = shorten(path)
    try:
        # A pipe that nobody writes to would else be waited for.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise BadInputError(f"{name} is a folder, not a picture; name the files in it")
            if status.st_size > MAX_BYTES:
                raise BadInputError(
                    f"{name} has {status.st_size / 1e6:.0f} MB; a picture may have {MAX_BYTES / 1e6:.0f}"
                )
            whole = stat.S_ISREG(status.st_mode)
            content = read_until_the_end(descriptor, name) if whole else read_pipe(descriptor, name)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        if isinstance(error, BadInputError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise BadInputError(f"no picture {name}: {reason}; check the name") from error
    if not content:
        raise BadInputError(f"{name} is empty; save or copy it again")
    return content


def read_pipe(descriptor, name):
    """The bytes of a pipe, or of a device; BadInputError where it has not ended after PIPE_SECONDS."""
    end = time.monotonic() + PIPE_SECONDS

    def wait():
        if not select.select([descriptor], [], [], max(0, end - time.monotonic()))[0]:
            raise BadInputError(f"{name} has not ended after {PIPE_SECONDS} seconds; save the picture as a file first")

    return read_until_the_end(descriptor, name, wait)


def read_until_the_end(descriptor, name, wait=lambda: None):
    content = bytearray()
    wait()
    while part := os.read(descriptor, 1 << 20):
        content += part
        if len(content) > MAX_BYTES:
            raise BadInputError(f"{name} does not end; a picture may have {MAX_BYTES / 1e6:.0f} MB")
        wait()
    return bytes(content)


# ---- warnings --------------------------------------------------------------------------------------------------------


class Silence:
    """No warnings of Pillow's on odd metadata, in any thread.

    Python's filters of warnings belong to the whole process: the first thread in sets them, the last one out restores
    them. With a catch_warnings for each, one thread would restore another's silence, for good.
    """

    def __init__(self):
        self.lock, self.inside = threading.Lock(), 0

    def __enter__(self):
        with self.lock:
            if not self.inside:
                self.filters = warnings.catch_warnings(action="ignore")
                self.filters.__enter__()
            self.inside += 1

    def __exit__(self, *_):
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.filters.__exit__(None, None, None)


SILENCE = Silence()
