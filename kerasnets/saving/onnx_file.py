"""ONNX files with our card inside, read without onnx, an engine or a framework.

An ONNX file is one protocol buffer message; onnx/onnx.proto in github.com/onnx/onnx lists its fields. The card is an
entry of its metadata, which every engine ignores. The last entry is a checksum of the file before it.
"""

import contextlib
import math
import mmap
import operator
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from kerasnets.errors import BadInputError, name_path
from kerasnets.runtime.digests import sha256_of_file
from kerasnets.saving import onnx_check
from kerasnets.saving.card import Card, as_json, check_present, from_json
from kerasnets.saving.protobuf import (
    LENGTH_DELIMITED,
    Budget,
    Value,
    bytes_field,
    damage_error,
    dict_of,
    fields,
    message_of,
    text,
)

CARD, CHECKSUM = "kerasnets", "kerasnets_sha256"  # keys of our entries
LARGEST = 2**31  # bytes, the limit of a protocol buffer message
MOST_PIXELS = 50_000_000  # in an input, as in a picture
LONGEST_CARD = 2**22  # bytes; the names of 20,000 classes take a tenth of it

IR_VERSION, PRODUCER, GRAPH, OPSETS, METADATA = 1, 2, 7, 8, 14  # fields of a model
PRODUCERS = ("pytorch", "tf2onnx")  # of our exports
INITIALIZER, INPUT, OUTPUT = 5, 11, 12  # fields of a graph
DTYPES = {1: "float32", 2: "uint8"}  # data_type of an input


@dataclass(frozen=True)
class Input:
    """The input of a network.

    Args:
        name: Its name in the graph.
        dtype: "uint8" or "float32".
        shape: The first dimension is the batch; None for a dimension that is open.
        channels_first: Whether the shape is (n, channels, height, width).
        doubt: Why the graph cannot be judged to be harmless; "" for a harmless one.
        version: Of the file that was read, as `version_of`.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    channels_first: bool
    doubt: str = field(default="not judged", compare=False)
    version: str = field(default="", compare=False)


def version_of(path: str | Path) -> str:
    """Return a text that changes when a file is rewritten."""
    status = os.stat(path)
    return f"{status.st_ino} {status.st_mtime_ns} {status.st_size}"


def add_card(path: str | Path, card: Card) -> None:
    """Append `card` and a checksum to an ONNX file that no other process reads yet.

    Raises:
        BadInputError: The file has a card already, or `read` would refuse it.
    """
    with open_message(path) as (message, budget):
        if has_card(message, metadata(message, budget)):
            raise BadInputError("has a card already", remedy="export the model again")
        onnx_check.check(message, budget)
        input_of(message, budget)
    with open(path, "ab") as file:
        file.write(entry(CARD, as_json(card)))
    checksum = sha256_of_file(path)
    with open(path, "ab") as file:
        file.write(entry(CHECKSUM, checksum))


def read(path: str | Path) -> tuple[Card, Input]:
    """Return the Card and the Input of an ONNX file, which is opened once. Whoever made it, all of it is judged.

    The card of another program's file has no names: Card("", (), input_shape). Its input_shape is () if the file leaves
    height or width open, and (columns,) for rows of numbers.

    Raises:
        BadInputError: The file is missing or damaged, takes neither pictures nor rows, or needs more than numbers and
            common operators.
    """
    from kerasnets.saving import onnx_graph

    check_present(path)
    card, version = None, version_of(path)  # before it is read, so that a later change is noticed
    with open_message(path) as (message, budget):
        entries = metadata(message, budget)
        if has_card(message, entries):
            if CARD not in entries or not is_rewritten(message, budget):
                check_seal(path, message, entries)
            card = from_json(entries[CARD], path)
        onnx_check.check(message, budget)
        onnx_input = input_of(message, budget)
        onnx_input = replace(onnx_input, doubt=onnx_graph.doubt(message, budget), version=version)
    if card:
        return card, onnx_input
    size = [side for side in onnx_input.shape[1:] if side is not None]
    if len(size) < len(onnx_input.shape) - 1:
        return Card("", (), ()), onnx_input
    return Card("", (), (*size[1:], size[0]) if onnx_input.channels_first else tuple(size)), onnx_input


def load_card(path: str | Path) -> Card:
    """Return the Card of an ONNX file. Raises as `read`."""
    return read(path)[0]


@contextlib.contextmanager
def open_message(path: str | Path) -> Iterator[tuple[memoryview, Budget]]:
    """Yield the message in an ONNX file, mapped into memory, and a Budget. A BadInputError names `path`."""
    check_present(path)
    with name_path(path):
        if Path(path).stat().st_size > LARGEST:
            problem = "is larger than the 2 GB of an ONNX file with its weights inside"
            raise BadInputError(problem, remedy="export a smaller one")
        with open(path, "rb") as file:
            message = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        budget = Budget()
        numbers = bytes(min(number, 255) for number, _, _ in fields(message, budget))
        if IR_VERSION not in numbers or numbers.count(GRAPH) != 1:
            raise damage_error()
        yield message, budget


# ---- the card --------------------------------------------------------------------------------------------------------


def has_card(message: memoryview, entries: dict[str, str]) -> bool:
    """Whether a message has any entry of ours, even a damaged one."""
    seal = entry(CHECKSUM, "0" * 64)
    return bytes(message[-len(seal) : -64]) == seal[:-64] or not {CARD, CHECKSUM}.isdisjoint(entries)


def check_seal(path: str | Path, message: memoryview, entries: dict[str, str]) -> None:
    """Raise BadInputError if a file with a card differs from the one that `add_card` wrote."""
    size = len(message) - len(entry(CHECKSUM, "0" * 64))
    is_same = size >= 0 and bytes(message[size:]) == entry(CHECKSUM, sha256_of_file(path, size))
    if not is_same or CARD not in entries:
        raise BadInputError("is damaged: it is not what was exported", remedy="export or copy it again")


def is_rewritten(message: memoryview, budget: Budget) -> bool:
    """Whether another program made a copy with our card: a quantized or optimized one, which is not damaged.

    Such a program names itself, or imports onnxruntime's operators, which no export of ours needs. What it wrote is
    judged like any file. Every program writes its name before the graph; after it, the name is a damaged checksum.
    """
    before = True
    for number, wire, value in fields(message, budget):
        before = before and number != GRAPH
        if wire != LENGTH_DELIMITED:
            continue
        if number == PRODUCER and before and not any(differs_little(text(value), name) for name in PRODUCERS):
            return True
        if number == OPSETS and text(dict_of(value, budget).get(1)).startswith("com.microsoft"):
            return True
    return False


def differs_little(text: str, name: str) -> bool:
    """Whether `text` is `name`, or `name` with one damaged character."""
    return len(text) == len(name) and sum(map(operator.ne, text, name)) <= 1


def metadata(message: memoryview, budget: Budget) -> dict[str, str]:
    """Return {key: value} of our entries of a model's metadata."""
    entries: dict[str, str] = {}
    for number, wire, value in fields(message, budget):
        if (number, wire) == (METADATA, LENGTH_DELIMITED):
            both = dict_of(value, budget)
            key, content = both.get(1), both.get(2, memoryview(b""))
            if key is None or isinstance(key, int) or key not in (CARD.encode(), CHECKSUM.encode()):
                continue
            if not isinstance(content, int) and len(content) > LONGEST_CARD:
                raise BadInputError("has a card that cannot be read", remedy="export or copy it again")
            entries[text(key)] = text(content)
    return entries


def entry(key: str, value: str) -> bytes:
    """Return a field of metadata."""
    return bytes_field(METADATA, bytes_field(1, key.encode()) + bytes_field(2, value.encode()))


# ---- the input -------------------------------------------------------------------------------------------------------


def input_of(message: memoryview, budget: Budget) -> Input:
    """Return the Input of a model; raise BadInputError if it takes neither pictures nor rows of numbers."""
    graph = next(value for number, _, value in fields(message, budget) if number == GRAPH)
    inputs, outputs = inputs_and_outputs(graph, budget)
    if (len(inputs), outputs) != (1, 1):
        problem = f"has {len(inputs)} inputs and {outputs} outputs; a network for pictures has one of each"
        raise BadInputError(problem, remedy="export it so")
    tensor = dict_of(dict_of(inputs[0].get(2), budget).get(1), budget)
    shape = tuple(sizes(tensor.get(2), budget))
    dtype = DTYPES.get(number) if isinstance(number := tensor.get(1), int) else None
    if dtype is None:
        problem = "takes numbers that are neither float32 nor uint8"
        raise BadInputError(problem, remedy="export it with such an input")
    first = len(shape) == 4 and shape[1] in (1, 3)
    if len(shape) != 2 and not first and not (len(shape) == 4 and shape[3] in (1, 3)):
        problem = f"takes {describe(shape)}, neither pictures of 1 or 3 channels nor rows"
        raise BadInputError(problem, remedy="export it for those")
    if math.prod(size or 1 for size in shape) > 3 * MOST_PIXELS:
        problem = f"takes {describe(shape)}, more than {MOST_PIXELS:,} pixels"
        raise BadInputError(problem, remedy="export it for smaller pictures")
    return Input(text(inputs[0].get(1)), dtype, shape, first)


def inputs_and_outputs(graph: Value, budget: Budget) -> tuple[list[dict[int, Value]], int]:
    """Return the inputs of a graph and the number of its outputs.

    The first versions of ONNX list the weights among the inputs; they are left out.
    """
    if isinstance(graph, int):
        raise damage_error()
    weights, inputs, outputs = set(), [], 0
    for number, wire, value in fields(graph, budget):
        if number == INITIALIZER:
            weights.add(text(dict_of(message_of(wire, value), budget).get(onnx_check.TENSOR_NAME)))
        elif number == INPUT:
            inputs.append(dict_of(message_of(wire, value), budget))
        outputs += number == OUTPUT
    return [each for each in inputs if text(each.get(1)) not in weights], outputs


def describe(shape: tuple[int | None, ...]) -> str:
    """Return a shape for a message."""
    return "arrays of " + (" x ".join(str(size or "any") for size in shape) or "no known shape")


def sizes(shape: Value | None, budget: Budget) -> Iterator[int | None]:
    """Yield the size of each dimension of a TensorShapeProto, None for an open one."""
    for number, wire, value in fields(shape if isinstance(shape, memoryview) else memoryview(b""), budget):
        if number == 1:
            size = dict_of(message_of(wire, value), budget).get(1)
            yield size if isinstance(size, int) and 0 < size < 2**31 else None
