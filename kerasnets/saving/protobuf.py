"""The wire format of protocol buffers, read and written without a library.

Source: protobuf.dev/programming-guides/encoding. A message is a sequence of fields; a field has a number, a wire type
and a value.
"""

from collections.abc import Iterator
from typing import TypeAlias

from kerasnets.errors import BadInputError

Value: TypeAlias = int | memoryview  # of a varint, or the bytes of any other field

VARINT, EIGHT_BYTES, LENGTH_DELIMITED, FOUR_BYTES = 0, 1, 2, 5  # wire types
MOST_FIELDS = 500_000  # read of one file, each time it is read; DenseNet-201 has some 20,000
LARGEST_KEY = 2**32  # readers of 32 bits would cut off the rest of a larger one


class Budget:
    """How many fields of a file may still be read, so that reading takes a second at most."""

    def __init__(self, most: int = MOST_FIELDS) -> None:
        self.left = most


def damage_error() -> BadInputError:
    return BadInputError("is damaged or not an ONNX file", remedy="export or copy it again")


def too_many() -> BadInputError:
    problem = f"has more than {MOST_FIELDS:,} parts, unlike any network for pictures"
    return BadInputError(problem, remedy="export it again")


def fields(message: memoryview, budget: Budget) -> Iterator[tuple[int, int, Value]]:
    """Yield (number, wire type, value) of each field in a message.

    Raises:
        BadInputError: Without a path. The message is damaged, or the budget is spent.
    """
    place, size = 0, len(message)
    value: Value
    while place < size:
        key, place = message[place], place + 1
        if key > 127:
            key, place = varint(message, place - 1)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, place = varint(message, place)
        else:
            if wire == LENGTH_DELIMITED:
                length, place = varint(message, place)
            else:
                length = {EIGHT_BYTES: 8, FOUR_BYTES: 4}.get(wire, size)
            value, place = message[place : place + length], place + length
            if place > size:
                raise damage_error()
        budget.left -= 1
        if number == 0 or key >= LARGEST_KEY:
            raise damage_error()
        if budget.left < 0:
            raise too_many()
        yield number, wire, value


def varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return the number at `place` and the place after it. Each byte holds seven bits, the lowest first."""
    if place < len(message) and (byte := message[place]) < 128:  # most are that short
        return byte, place + 1
    number = 0
    for i, byte in enumerate(message[place : place + 10]):
        number |= (byte & 127) << 7 * i
        if byte < 128:
            return number, place + i + 1
    raise damage_error()


def integers(value: Value, most: int) -> list[int]:
    """Return the integers of a repeated field, which holds one varint or a row of them; at most `most` + 1."""
    if isinstance(value, int):
        return [value]
    numbers: list[int] = []
    place = 0
    while place < len(value) and len(numbers) <= most:
        number, place = varint(value, place)
        numbers.append(number)
    return numbers


def message_of(wire: int, value: Value) -> memoryview:
    """Return a field's value as a message or bytes; raise BadInputError if its wire type is another."""
    if wire != LENGTH_DELIMITED or isinstance(value, int):
        raise damage_error()
    return value


def dict_of(message: Value | None, budget: Budget) -> dict[int, Value]:
    """Return {number: value} of a message, the last value if a number repeats; {} for None."""
    if message is None:
        return {}
    if isinstance(message, int):
        raise damage_error()
    return {number: value for number, _, value in fields(message, budget)}


def text(value: Value | None) -> str:
    """Return a field's text, with replacement characters for bytes that are not UTF-8; "" for None."""
    if value is None:
        return ""
    if isinstance(value, int):
        raise damage_error()
    return bytes(value).decode(errors="replace")


def bytes_field(number: int, content: bytes) -> bytes:
    """Return a field of bytes: its key, its length, its content."""
    return as_varint(number << 3 | LENGTH_DELIMITED) + as_varint(len(content)) + content


def as_varint(number: int) -> bytes:
    content = bytearray()
    while number > 127:
        content.append(number & 127 | 128)
        number >>= 7
    return bytes([*content, number])
