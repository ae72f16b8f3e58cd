"""Plain pictures, which OpenCV decodes without a loss: whole PNG and JPEG files of 8 bits without transparency."""

import struct
import zlib

import cv2
import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.pictures.limits import check_size

PNG_START = b"\x89PNG\r\n\x1a\n"
AGAIN = "save or copy it again"  # the remedy for a damaged file
NOT_PLAIN = {b"tRNS", b"eXIf", b"acTL"}  # chunks of a PNG: a transparent colour, its orientation, animation


def size_of(content: bytes) -> tuple[int, int] | None:
    """Return (width, height) of a plain picture that is not too large; None if the picture is not plain.

    Raises:
        BadInputError: Without a path. A PNG is damaged, or a picture is too large.
    """
    if content.startswith(PNG_START):
        return size_of_png(content)
    if content.startswith(b"\xff\xd8\xff") and content.endswith(b"\xff\xd9"):
        size = size_of_jpeg(content)
        if size:
            check_size(*size)
        return size
    return None


def decode(content: bytes) -> np.ndarray | None:
    """Return uint8 (height, width, 3) RGB, upright; None if OpenCV does not read the file."""
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        return None


def size_of_png(content: bytes) -> tuple[int, int] | None:
    """Check what OpenCV and Pillow would ignore: wrong checksums and missing pixels."""
    chunks = png_chunks(content)
    width, height, bits, colour, interlaced = struct.unpack_from(">IIBB2xB", content, 16)
    channels = {0: 1, 2: 3}.get(colour)  # grey, RGB
    if bits != 8 or not channels or interlaced or NOT_PLAIN & {kind for kind, _ in chunks}:
        return None
    check_size(width, height)
    packed = b"".join(body for kind, body in chunks if kind == b"IDAT")
    size = height * (1 + width * channels)  # each row starts with a byte for its filter
    try:
        is_whole = len(zlib.decompressobj().decompress(packed, size + 1)) == size > 0
    except zlib.error:
        is_whole = False
    if not is_whole:
        raise BadInputError("is damaged: its pixels are not all there", remedy=AGAIN)
    return width, height


def png_chunks(content: bytes) -> list[tuple[bytes, memoryview]]:
    """Return (kind, body) of each chunk: it has a length, a kind, a body, a checksum (PNG, third edition, 5.3)."""
    chunks: list[tuple[bytes, memoryview]] = []
    kind, position = b"", len(PNG_START)
    view = memoryview(content)
    while kind != b"IEND":
        try:
            length, kind = struct.unpack_from(">I4s", content, position)
            end = position + 8 + length
            (checksum,) = struct.unpack_from(">I", content, end)
        except struct.error as error:
            raise BadInputError("is damaged: its end is missing", remedy=AGAIN) from error
        is_critical = not kind[0] & 0x20  # needed to show the picture, says the case of its first letter
        if is_critical and checksum != zlib.crc32(view[position + 4 : end]):
            raise BadInputError("is damaged: a checksum is wrong", remedy=AGAIN)
        chunks.append((kind, view[position + 8 : end]))
        position = end + 4
    if chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise BadInputError("is damaged: it does not begin as a PNG", remedy=AGAIN)
    return chunks


def size_of_jpeg(content: bytes) -> tuple[int, int] | None:
    """Walk through the segments to the frame header (ITU-T T.81, sections B.1 and B.2.2)."""
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
