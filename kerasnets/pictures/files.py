"""From a picture's file, or its bytes, to pixels: its checks, and the library that decodes it.

OpenCV decodes plain pictures: whole PNG and JPEG files of 8 bits without transparency. They are the most frequent,
OpenCV is 3 times as fast on small ones, and Pillow's import of 40 ms is saved. Pillow decodes all others: it keeps
transparency and 16 bits, reads more formats, and names the fault of a damaged file. A process with limits on time and
memory decodes those whose structure does not bound them. No picture is decoded twice.
"""

import os
import select
import stat
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kerasnets.errors import BadInputError, name_path
from kerasnets.pictures import costs, plain
from kerasnets.pictures.limits import AGAIN, MAX_BYTES

# Of the files that are taken from a folder, in small letters; what a file is, its content decides
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm",
    ".pbm", ".pnm", ".pfm", ".avif", ".jp2", ".j2k", ".jpx", ".jpf",
)  # fmt: skip
# How the name of a file or folder begins that a system or program keeps beside a person's own
HIDDEN = (
    ".",
    "__MACOSX",
    "@eaDir",
    "#recycle",
    "$RECYCLE.BIN",
    "System Volume Information",
    "Thumbs.db",
    "desktop.ini",
)
PIPE_SECONDS = 2  # that a pipe may take until its end


def read(path: str | Path) -> np.ndarray:
    """Return the picture in a file: uint8 (height, width, 3) RGB, 0..255, upright by its EXIF orientation.

    Of an animation, the first frame. Grey becomes three equal channels, CMYK becomes (1 - C) (1 - K), 16 bits become
    their higher 8, floats in 0..1 are multiplied by 255. Transparency is laid on white if the drawing is dark, on black
    if it is light.

    Raises:
        BadInputError: The file is missing, empty, damaged, no picture or too large, or it is a pipe that does not end.
    """
    return decode(read_file(Path(path)), path)


def decode(content: bytes, path: str | Path, factor: int = 1) -> np.ndarray:
    """Like `read`, from the bytes of a file; `path` stands for it in a message.

    With a `factor` of 2, 4 or 8, a plain JPEG has its size divided by that, rounded up; any other picture is whole.
    """
    with name_path(path):
        if not content:
            raise BadInputError("is empty", remedy=AGAIN)
        pixels = plain.decode(content, factor)
        if pixels is None and costs.is_bounded(content):
            from kerasnets.pictures import pillow

            pixels = pillow.decode(content, only_cheap=True)
        if pixels is None:
            from kerasnets.pictures import decoder

            pixels = decoder.decode(content)
        return pixels


# ---- files and pipes -------------------------------------------------------------------------------------------------


def read_file(path: Path) -> bytes:
    """Return the bytes of a picture file, or of a pipe that ends in time; raise BadInputError if that fails."""
    try:
        # Without O_NONBLOCK, opening a pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            content = read_descriptor(descriptor)
        finally:
            os.close(descriptor)
    except BadInputError as error:
        error.path = path
        raise
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise BadInputError(f"no picture {{path}}: {reason}", path=path, remedy="check the name") from error
    if not content:
        raise BadInputError("is empty", path=path, remedy=AGAIN)
    return content


def read_descriptor(descriptor: int) -> bytes:
    """Return the bytes of an open file or pipe, at most MAX_BYTES."""
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise BadInputError("is a folder, not a picture", remedy="name the files in it")
    if status.st_size > MAX_BYTES:
        raise BadInputError(f"has {status.st_size / 1e6:.0f} MB; a picture may have {MAX_BYTES / 1e6:.0f}")
    return read_to_end(descriptor) if stat.S_ISREG(status.st_mode) else read_pipe(descriptor)


def read_pipe(descriptor: int) -> bytes:
    """Return the bytes of a pipe or device; raise BadInputError if it has not ended after PIPE_SECONDS."""
    end = time.monotonic() + PIPE_SECONDS

    def wait() -> None:
        if not select.select([descriptor], [], [], max(0, end - time.monotonic()))[0]:
            problem = f"has not ended after {PIPE_SECONDS} seconds"
            raise BadInputError(problem, remedy="save the picture as a file first")

    return read_to_end(descriptor, wait)


def read_to_end(descriptor: int, wait: Callable[[], None] = lambda: None) -> bytes:
    """Return all bytes of a file; `wait` is called before each read."""
    content = bytearray()
    wait()
    while part := os.read(descriptor, 1 << 20):
        content += part
        if len(content) > MAX_BYTES:
            raise BadInputError(f"does not end; a picture may have {MAX_BYTES / 1e6:.0f} MB")
        wait()
    return bytes(content)
