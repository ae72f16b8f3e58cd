"""The structure of a PNG: its header and its chunks, checked without decoding its pixels (PNG, third edition)."""

import itertools
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from kerasnets.errors import BadInputError
from kerasnets.pictures.limits import AGAIN, MOST_NOTES, check_size, refuse_beyond

START = b"\x89PNG\r\n\x1a\n"
MOST_CHUNKS = 20_000  # libpng writes 8 KB of pixels into each, 64 MB into 8,000
MOST_NOTED = 64  # chunks of notes that are kept
NEEDED = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}  # to show the picture
SHOWN = {b"IHDR", b"IDAT", b"IEND"}  # likewise, a plain one
NOTES = {b"eXIf", b"tEXt", b"iTXt"}  # may say how to turn it
NOT_PLAIN = {b"tRNS", b"eXIf"}  # a transparent colour, the orientation
AT_ONCE, UNPACKED = 2**16, 2**20  # bytes that are unpacked at once, and what becomes of them
LAST_FILTER = 4  # of the ways in which a row is written (section 9.2)
CHANNELS = {0: 1, 2: 3}  # grey, RGB: the colour types that are plain


class Chunk(NamedTuple):
    kind: bytes
    body: memoryview
    whole: memoryview  # with its length and checksum


class Structure(NamedTuple):
    """What the chunks of a PNG say.

    Attributes:
        essence: The file without later frames, colour profile and most notes, which may be packed to a thousandth.
        is_plain: Whether OpenCV decodes it without a loss: 8 bits, grey or RGB, no transparency, upright.
    """

    essence: bytes
    is_plain: bool


def structure_of(content: bytes) -> Structure:
    """Check what OpenCV and Pillow would ignore: wrong checksums and missing pixels.

    Raises:
        BadInputError: Without a path. The file is damaged, or it has too many pixels or chunks.
    """
    chunks = list(chunks_of(content))
    if chunks[0].kind != b"IHDR" or len(chunks[0].body) != 13:
        raise BadInputError("is damaged: its first chunk is not a PNG header", remedy=AGAIN)
    width, height, bits, colour, *ways = struct.unpack_from(">IIBBBBB", chunks[0].body)
    check_size(width, height)
    kinds = {chunk.kind for chunk in chunks}
    is_plain = bits == 8 and colour in CHANNELS and ways == [0, 0, 0] and not NOT_PLAIN & kinds
    if is_plain:
        packed = (chunk.body for chunk in chunks if chunk.kind == b"IDAT")
        check_pixels(packed, height, 1 + width * CHANNELS[colour])
        return Structure(content if kinds <= SHOWN else part_of(chunks), is_plain)
    return Structure(content if kinds <= NEEDED else essence_of(chunks), is_plain)


def chunks_of(content: bytes) -> Iterator[Chunk]:
    """Yield the chunks: each has a length, a kind, a body and a checksum (section 5.3)."""
    view, position = memoryview(content), len(START)
    for count in itertools.count(1):
        refuse_beyond(count, MOST_CHUNKS, "chunks")
        try:
            length, kind = struct.unpack_from(">I4s", content, position)
            end = position + 8 + length
            (checksum,) = struct.unpack_from(">I", content, end)
        except struct.error as error:
            raise BadInputError("is damaged: its end is missing", remedy=AGAIN) from error
        is_critical = not kind[0] & 0x20  # needed to show the picture, says the case of its first letter
        if is_critical and checksum != zlib.crc32(view[position + 4 : end]):
            raise BadInputError("is damaged: a checksum is wrong", remedy=AGAIN)
        yield Chunk(kind, view[position + 8 : end], view[position : end + 4])
        if kind == b"IEND":
            return
        position = end + 4


def check_pixels(parts: Iterable[memoryview], height: int, row: int) -> None:
    """Raise BadInputError if the pixels are not `height` rows of `row` bytes, each of which begins with a filter.

    They are looked at piece by piece, not kept.
    """
    stream, count, size = zlib.decompressobj(), 0, height * row
    try:
        for part in parts:
            for start in range(0, len(part), AT_ONCE):
                rest: bytes | memoryview = part[start : start + AT_ONCE]
                while rest and count <= size:
                    pixels = stream.decompress(rest, UNPACKED)
                    if max(pixels[-count % row :: row], default=0) > LAST_FILTER:
                        raise BadInputError("is damaged: its pixels are not all there", remedy=AGAIN)
                    count += len(pixels)
                    rest = stream.unconsumed_tail
    except zlib.error:
        count = 0
    if count + len(stream.flush() if count else b"") != size or not size or stream.unused_data:
        raise BadInputError("is damaged: its pixels are not all there", remedy=AGAIN)


def part_of(chunks: list[Chunk]) -> bytes:
    """Return the file of the chunks that show a plain picture; libpng prints a line on stderr for some others."""
    return b"".join([START, *(chunk.whole for chunk in chunks if chunk.kind in SHOWN)])


def essence_of(chunks: list[Chunk]) -> bytes:
    parts: list[bytes | memoryview] = [START]
    notes = size = 0
    for chunk in chunks:
        if chunk.kind in NEEDED:
            parts.append(chunk.whole)
        elif chunk.kind in NOTES or (chunk.kind == b"zTXt" and bytes(chunk.body[:16]) == b"Raw profile type"):
            notes, size = notes + 1, size + len(chunk.body)
            if notes <= MOST_NOTED and size <= MOST_NOTES:
                parts.append(chunk.whole)
    return b"".join(parts)
