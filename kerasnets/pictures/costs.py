"""Whether a picture's first bytes bound the cost of decoding it by Pillow, in time and memory."""

import math
import re
import struct
from collections.abc import Callable

from kerasnets.pictures import jpeg, png

SMALL = 2**18  # bytes of a file that Python may read one by one
LARGE = 2**23  # bytes of a WebP
USUAL_PIXELS, USUAL_WORK = 16_000_000, 160_000_000  # of a camera's photo; times its scans
MOST_TAGS = 2**26  # entries of a TIFF times its bytes: each entry may refer to the whole file

RAW_PIXELS = re.compile(
    rb"P(4\s\d{1,5}\s\d{1,5}|[56]\s\d{1,5}\s\d{1,5}\s255)\s"
)  # a PNM that is not text and of 8 bits or 1
BMP_COMPRESSION = 30  # place of a number that is 0 or 3 for pixels that are not packed
UNPACKED = (0, 3)


def is_bounded(content: bytes) -> bool:
    """Whether decoding takes no more than the time and memory that a picture may take.

    What depends on the number of pixels is left to `pillow.decode`.
    """
    if content[4:8] == b"ftyp":  # AVIF
        return False
    for starts, rule in RULES.items():
        if content.startswith(starts):
            return rule(content)
    return True  # no picture, says Pillow by the first bytes


def is_small_photo(content: bytes) -> bool:
    """Whether a picture is a PNG or JPEG of ordinary size, which takes a fraction of a second.

    Raises:
        BadInputError: Without a path. A JPEG has too many parts.
    """
    if content.startswith(png.START):
        width, height = struct.unpack(">II", content[16:24].rjust(8, b"\0"))
        return bool(width * height <= USUAL_PIXELS)
    if content.startswith(jpeg.START):
        structure = jpeg.structure_of(content)
        return structure.is_cheap and math.prod(structure.size) * max(1, structure.scans) <= USUAL_WORK
    return False


def is_small(content: bytes) -> bool:
    return len(content) <= SMALL


def is_bounded_bmp(content: bytes) -> bool:
    packing = content[BMP_COMPRESSION : BMP_COMPRESSION + 4]
    return is_small(content) or int.from_bytes(packing, "little") in UNPACKED


def is_bounded_tiff(content: bytes) -> bool:
    """Whether its first directory has few entries (TIFF 6.0, section 2)."""
    order = "<" if content.startswith(b"II") else ">"
    try:
        version, place = struct.unpack_from(f"{order}HI", content, 2)
        (count,) = struct.unpack_from(f"{order}H", content, place)
    except struct.error:
        return is_small(content)
    return version == 42 and count * len(content) <= MOST_TAGS


# first bytes -> rule
RULES: dict[bytes | tuple[bytes, ...], Callable[[bytes], bool]] = {
    png.START: lambda content: True,  # `png.structure_of` bounds its chunks
    jpeg.START: lambda content: jpeg.structure_of(content).is_cheap,
    b"GIF8": is_small,
    b"BM": is_bounded_bmp,
    b"RIFF": lambda content: len(content) <= LARGE,
    (b"II", b"MM"): is_bounded_tiff,
    b"P": lambda content: is_small(content) or RAW_PIXELS.match(content) is not None,
    (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  "): lambda content: False,  # JPEG 2000
}
