"""A .tflite file of LiteRT: the card in the zip after the model, and the model's flatbuffer, read within limits.

Sources: github.com/google-ai-edge/LiteRT, schema.fbs; flatbuffers.dev/internals.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from kerasnets.errors import BadInputError
from kerasnets.runtime.archive import Archive
from kerasnets.saving.onnx_file import LONGEST_CARD

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


def entry_of(path: Path, name: str) -> tuple[bytes, int]:
    """Return the only entry of the zip at the end of a file, and the place where the zip begins.

    Raises:
        BadInputError: Without a path. There are other entries, or the entry is larger than a card.
        zipfile.BadZipFile: The zip is damaged.
    """
    with Archive(path, LONGEST_CARD, 1) as archive:
        require(archive.names == [name])
        return bytes(archive.read(name)), archive.begin(name)


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
