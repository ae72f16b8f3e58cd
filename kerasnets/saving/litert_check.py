"""A .tflite file of LiteRT: the card in the zip after the model, and the model's flatbuffer, read within limits.

Sources: github.com/google-ai-edge/LiteRT, schema.fbs; flatbuffers.dev/internals; PKWARE's APPNOTE.TXT, sections 4.3.7,
4.3.12 and 4.3.16.
"""

import struct
import zlib
from collections.abc import Iterator

from kerasnets.errors import BadInputError
from kerasnets.saving.onnx_file import LONGEST_CARD

LOCAL, CENTRAL, END = "<4s5H3L2H", "<4s6H3L5H2L", "<4s4H2LH"  # the headers of a zip with one entry
STORED, DEFLATED = 0, 8  # methods

OPERATOR_CODES, SUBGRAPHS, BUFFERS = 1, 2, 4  # fields of a Model
EXTERNAL_GROUPS, EXTERNAL_BUFFERS = 8, 9
OLD_CODE, CUSTOM_CODE, CODE = 0, 1, 3  # fields of an OperatorCode
CUSTOM = 32  # a code: the operator is another library's
MOST = 300_000  # tables and numbers of lists


def damage_error() -> BadInputError:
    return BadInputError("is damaged", remedy="export or copy it again")


def require(is_right: bool) -> None:
    if not is_right:
        raise damage_error()


# ---- the zip ---------------------------------------------------------------------------------------------------------


def entry_of(content: memoryview, name: bytes) -> tuple[bytes, int]:
    """Return the only entry of the zip at the end of a file, and the place where the zip begins.

    Raises:
        BadInputError: Without a path. The zip is another than `zipfile` writes for one entry `name`, or is damaged.
    """
    room = struct.calcsize(END)
    require(len(content) > room)
    mark, *numbers, size, start, comment = struct.unpack(END, content[-room:])
    require(mark == b"PK\5\6" and numbers == [0, 0, 1, 1] and comment == 0 and start + size == len(content) - room)
    require(size == struct.calcsize(CENTRAL) + len(name) and content[start + size - len(name) : start + size] == name)
    mark, _, *common, crc, packed, length, _, extra, _, disk, _, _, place = struct.unpack(
        CENTRAL, content[start : start + size - len(name)]
    )
    data = place + struct.calcsize(LOCAL) + len(name)
    require(mark == b"PK\1\2" and extra == disk == 0 and place < data <= start and data + packed == start)
    header = struct.pack(LOCAL, b"PK\3\4", *common, crc, packed, length, len(name), 0)
    require(content[place:data] == header + name and length <= LONGEST_CARD and common[2] in (STORED, DEFLATED))
    text = bytes(content[data:start]) if common[2] == STORED else inflate(content[data:start])
    require(len(text) == length and zlib.crc32(text) == crc)
    return text, place


def inflate(packed: memoryview) -> bytes:
    """Return what `packed` holds, at most a byte more than LONGEST_CARD."""
    stream = zlib.decompressobj(-15)
    try:
        return stream.decompress(packed, LONGEST_CARD + 1)
    except zlib.error as error:
        raise damage_error() from error


# ---- the flatbuffer --------------------------------------------------------------------------------------------------


class Table:
    """A table of a flatbuffer, whose fields are found by their numbers."""

    def __init__(self, content: memoryview, place: int) -> None:
        self.content, self.place = content, place
        start = place - number(content, place, "<i")
        size, self.size = number(content, start, "<H"), number(content, start + 2, "<H")
        require(size >= 4 and size % 2 == 0 and start + size <= len(content) and place + self.size <= len(content))
        self.offsets = struct.unpack(f"<{size // 2 - 2}H", content[start + 4 : start + size])

    def field(self, index: int, kind: str) -> int:
        """Return a number; 0 if the table has none."""
        offset = self.offsets[index] if index < len(self.offsets) else 0
        require(offset + struct.calcsize(kind) <= self.size)
        return number(self.content, self.place + offset, kind) if offset else 0

    def list(self, index: int) -> tuple[int, int]:
        """Return the place and the length of a list."""
        distance = self.field(index, "<I")
        if not distance:
            return 0, 0
        place = self.place + self.offsets[index] + distance
        length = number(self.content, place, "<I")
        require(place + 4 + length <= len(self.content))
        return place + 4, length

    def tables(self, index: int) -> Iterator["Table"]:
        """Yield the tables of a list."""
        place, length = self.list(index)
        require(length <= MOST)
        for at in range(place, place + 4 * length, 4):
            yield Table(self.content, at + number(self.content, at, "<I"))


def number(content: memoryview, place: int, kind: str) -> int:
    require(0 <= place <= len(content) - struct.calcsize(kind))
    return int(struct.unpack_from(kind, content, place)[0])


def check(content: memoryview) -> None:
    """Raise BadInputError, without a path, if a model needs other files, or operators that LiteRT has not built in."""
    model = Table(content, number(content, 0, "<I"))
    if model.list(EXTERNAL_GROUPS)[1] or model.list(EXTERNAL_BUFFERS)[1]:
        raise BadInputError("has its weights in another file", remedy="export it with its weights inside")
    for code in model.tables(OPERATOR_CODES):
        if max(code.field(OLD_CODE, "<b"), code.field(CODE, "<i")) == CUSTOM:
            place, length = code.list(CUSTOM_CODE)
            name = bytes(content[place : place + min(length, 40)]).decode(errors="replace")
            raise BadInputError(f"asks for {name!r}, an operator that LiteRT has not", remedy="export it without")
    require(any(True for _ in model.tables(SUBGRAPHS)) and any(True for _ in model.tables(BUFFERS)))
