"""The structure of a JPEG: its size, and the end and the number of its scans, without decoding them (ITU-T T.81)."""

import re
import struct
from typing import NamedTuple

from kerasnets.pictures.limits import MOST_NOTES, refuse_beyond

START, END = b"\xff\xd8\xff", 0xD9
MOST_SEGMENTS = 4096  # a segment has up to 64 KB, and 64 MB of them are 1,000
MOST_SCANS = 100  # the scripts of cjpeg and MozJPEG have 10 to 15
MOST_FILLING = 2**16  # bytes between the segments, which Pillow reads one by one
WORK = 640_000_000  # pixels times scans that OpenCV decodes in 2 seconds: 12 scans of the largest picture

SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # frame headers
PLAIN = {0xC0, 0xC1, 0xC2}  # frames of Huffman codes, baseline, extended and progressive
ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # in a scan, FF00 is a byte and FFD0 to FFD7 restart it


class Structure(NamedTuple):
    """What the segments of a JPEG say.

    Attributes:
        size: (width, height); (0, 0) without a frame header.
        is_plain: Whether OpenCV decodes it without a loss: 8 bits, grey or three colours, Huffman codes, whole.
        end: The position after the end of the picture.
        scans: How often its pixels are gone over.
        exif: Bytes of notes of the camera.
    """

    size: tuple[int, int]
    is_plain: bool
    end: int
    scans: int
    exif: int

    @property
    def is_cheap(self) -> bool:
        """Whether decoding takes no longer than the time that a picture may take."""
        width, height = self.size
        return width * height * max(1, self.scans) <= WORK and self.exif <= MOST_NOTES + 2


def structure_of(content: bytes) -> Structure:
    """Walk through the segments of a JPEG, without decoding its scans.

    Raises:
        BadInputError: Without a path. There are more segments or scans than a picture needs.
    """
    size, is_plain = (0, 0), False
    scans = segments = exif = filling = 0
    position = 2
    while (begin := content.find(b"\xff", position)) >= 0:
        place = begin + 1
        while content[place : place + 1] == b"\xff" and filling <= MOST_FILLING:
            place, filling = place + 1, filling + 1
        filling += begin - position
        segments += 1
        refuse_beyond(segments, MOST_SEGMENTS, "segments")
        refuse_beyond(filling, MOST_FILLING, "bytes between its segments")
        code = content[place] if place < len(content) else None
        if code is None:
            break
        if code == END:
            return Structure(size, is_plain and scans > 0, place + 1, scans, exif)
        position = place + 1
        if code == 0 or code in ALONE:
            continue
        if position + 2 > len(content):
            break
        (length,) = struct.unpack_from(">H", content, position)
        if code in SIZES and length >= 8 and position + 8 <= len(content):
            bits, height, width, colours = struct.unpack_from(">BHHB", content, position + 2)
            is_plain = size == (0, 0) and code in PLAIN and bits == 8 and colours in (1, 3)
            size = size if any(size) else (width, height)
        exif += length * (code == 0xE1 and content[position + 2 : position + 6] == b"Exif")
        position += length
        if code == 0xDA:
            scans += 1
            refuse_beyond(scans, MOST_SCANS, "scans")
            match = AFTER_SCAN.search(content, position)
            if not match:
                break
            position = match.start()
    return Structure(size, False, len(content), scans, exif)
