"""ONNX files with our card inside, checked and read without onnx, an engine or a framework.

An ONNX file is one message of protocol buffers. How those lie in a file: protobuf.dev/programming-guides/encoding; what
its numbers of fields mean: onnx/onnx.proto in github.com/onnx/onnx. The card is an entry of its metadata, which every
engine passes over; the last entry is a checksum of all before it.

What the file does not tell, so that it is not refused: how much memory an operator takes whose size is computed, as
that of ConstantOfShape and Expand.
"""

import contextlib
import hashlib
import math
import mmap
from dataclasses import dataclass
from pathlib import Path

from kerasnets.errors import BadInputError, shorten
from kerasnets.saving.card import Card, as_json, check_present, from_json

CARD, CHECKSUM = "kerasnets", "kerasnets_sha256"  # keys of our entries
LARGEST = 2**31  # bytes: protocol buffers hold no larger message
MOST_FIELDS = 1_000_000  # of all messages together, which takes a second; DenseNet-201 has some 20,000
DEEPEST = 100  # messages within messages, as in protocol buffers' own readers
MOST_DIMENSIONS = 32
MOST_PIXELS = 50_000_000  # of an input, as of a picture
CHUNK = 2**20  # bytes looked at in one go

VARINT, EIGHT_BYTES, COUNTED, FOUR_BYTES = 0, 1, 2, 5  # wire types: how a field lies in the file

# message -> the messages in it that are looked at, by the numbers of their fields
PARTS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
    "training": {1: "graph", 2: "graph"},
}
IR_VERSION, GRAPH, METADATA, FUNCTION = 1, 7, 14, 25  # fields of a model
DIMS, DATA_TYPE, FLOAT_DATA, STRING_DATA, TENSOR_NAME, RAW_DATA, DOUBLE_DATA = 1, 2, 4, 6, 8, 9, 10  # of a tensor
EXTERNAL_DATA, DATA_LOCATION = 13, 14
INTEGER_DATA = (5, 7, 11)  # int32, int64, uint64: varints

# data_type of a tensor -> bytes of a number in raw_data. Complex numbers and floats of 8 bits are in no network for
# pictures.
BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
STRING, BFLOAT16 = 8, 16
FLOATS = {1: "<f4", 10: "<f2", 11: "<f8", BFLOAT16: "<u2"}
TAKEN = {1: "float32", 2: "uint8"}  # data_type of an input

# Operators of ONNX, for classical models, and of onnxruntime: what an engine has in itself. Those of other domains need
# somebody's library, and a model file has no business to ask for code.
DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}


@dataclass(frozen=True)
class Input:
    """What a network takes. shape: None for a dimension that is open; the first is the batch."""

    name: str
    dtype: str  # "uint8" or "float32"
    shape: tuple[int | None, ...]
    channels_first: bool


def add_card(path, card):
    """Append `card` and a checksum to an ONNX file that nobody else sees yet, as the part that `whole_file` yields.

    Raises BadInputError where `load_card` would refuse the file, or it has a card.
    """
    with reading(path) as message:
        if is_ours(message):
            raise BadInputError("has a card already; export the model again")
        check(message)
        input_of_graph(message)
    with open(path, "ab") as file:
        file.write(entry(CARD, as_json(card)))
    checksum = sha256(path, Path(path).stat().st_size)
    with open(path, "ab") as file:
        file.write(entry(CHECKSUM, checksum))


def load_card(path):
    """Return the Card of an ONNX file; of another program's one without names: Card("", (), input_shape).

    There, input_shape is () where the file leaves height or width open, and (columns,) for rows of numbers.
    Raises BadInputError for a file that is missing, damaged, or asks for more than numbers and common operators.
    """
    with reading(path) as message:
        ours = is_ours(message)
        if ours:
            check_seal(path, message)
            text = metadata(message)[CARD]
        else:
            check(message)
            taken = input_of_graph(message)
    if ours:
        return from_json(text, path)
    size = taken.shape[1:]
    if None in size:
        return Card("", (), ())
    return Card("", (), (*size[1:], size[0]) if taken.channels_first else size)


def input_of(path):
    """Return the Input of an ONNX file. Raises BadInputError where that is neither pictures nor rows of numbers."""
    with reading(path) as message:
        return input_of_graph(message)


# ---- the file ----


@contextlib.contextmanager
def reading(path):
    """The message that an ONNX file is, read from the disk where it is looked at; what is wrong in it names `path`."""
    check_present(path)
    try:
        if Path(path).stat().st_size > LARGEST:
            raise BadInputError("is larger than the 2 GB of an ONNX file with its weights inside; export a smaller one")
        with open(path, "rb") as file:
            message = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        found = [number for number, _, _ in fields(message)]
        if IR_VERSION not in found or found.count(GRAPH) != 1:
            raise damaged()
        yield message
    except BadInputError as error:
        raise BadInputError(f"{shorten(path)} {error}") from error


def damaged():
    return BadInputError("is damaged or not an ONNX file; export or copy it again")


def is_ours(message):
    """Whether anything in a message is from `add_card`, damaged or not."""
    seal = entry(CHECKSUM, "0" * 64)
    return bytes(message[-len(seal) : -64]) == seal[:-64] or not {CARD, CHECKSUM}.isdisjoint(metadata(message))


def check_seal(path, message):
    """Refuse what is not as `add_card` left it."""
    size = len(message) - len(entry(CHECKSUM, "0" * 64))
    if size < 0 or message[size:] != entry(CHECKSUM, sha256(path, size)) or CARD not in metadata(message):
        raise BadInputError("is damaged: it is not what was exported; export or copy it again")


def sha256(path, size):
    """SHA-256 of the first `size` bytes of a file, which is read in pieces so that it takes no memory."""
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        for start in range(0, size, CHUNK):
            sha.update(file.read(min(CHUNK, size - start)))
    return sha.hexdigest()


def metadata(message):
    """{key: value} of a model."""
    entries = [dict_of(value) for number, wire, value in fields(message) if (number, wire) == (METADATA, COUNTED)]
    return {text(each.get(1)): text(each.get(2)) for each in entries}


def entry(key, value):
    """A field of metadata, as its bytes."""
    return counted(METADATA, counted(1, key.encode()) + counted(2, value.encode()))


# ---- what is refused ----


def check(message):
    """Refuse numbers that lie elsewhere, are none or not all there, operators of no engine, too much of anything."""
    functions = [dict_of(value) for number, _, value in fields(message) if number == FUNCTION]
    domains = DOMAINS | {text(function.get(10)) for function in functions}
    waiting, seen = [("model", message, 0)], 0
    while waiting:
        kind, part, depth = waiting.pop()
        if depth > DEEPEST:
            raise BadInputError(f"is nested more than {DEEPEST} deep; export it again")
        if kind == "tensor":
            check_tensor(part)
            continue
        for number, wire, value in fields(part):
            seen += 1
            if number in PARTS[kind]:
                check_counted(wire)
                waiting.append((PARTS[kind][number], value, depth + 1))
        if kind == "node":
            check_domain(dict_of(part), domains)
        if seen > MOST_FIELDS:
            raise too_many()


def too_many():
    return BadInputError(f"has more than {MOST_FIELDS:,} parts, unlike any network for pictures; export it again")


def check_domain(node, domains):
    domain = text(node.get(7))
    if domain not in domains:
        raise BadInputError(
            f"asks for {text(node.get(4))!r:.40} of {domain!r:.40}, operators that no engine has; export it without"
        )


def check_tensor(tensor):
    """Refuse a tensor whose numbers are not in the file, not as many as its dims say, or not finite."""
    dims, held, one = [], {}, {}
    for number, wire, value in fields(tensor):
        if number == DIMS:
            dims += integers(wire, value)
        elif number in (FLOAT_DATA, STRING_DATA, RAW_DATA, DOUBLE_DATA, *INTEGER_DATA):
            held.setdefault(number, []).append(value)
        else:
            one[number] = value
    name, kind = repr(text(one.get(TENSOR_NAME)))[:40], one.get(DATA_TYPE, 0)
    if EXTERNAL_DATA in one or one.get(DATA_LOCATION, 0):
        raise BadInputError(f"has its weights in another file ({name}); export it with its weights inside")
    if kind not in BYTES and kind != STRING:
        raise BadInputError(f"has numbers of an unknown type in {name}; export it in float32")
    if len(dims) > MOST_DIMENSIONS or math.prod(dims) != count_of(held, kind):
        raise BadInputError(f"is damaged: {name} is not of the size that it declares; export or copy it again")
    if kind in FLOATS:
        for number, type_of_numbers in ((RAW_DATA, FLOATS[kind]), (FLOAT_DATA, "<f4"), (DOUBLE_DATA, "<f8")):
            for numbers in held.get(number, ()):
                check_finite(numbers, type_of_numbers, kind == BFLOAT16, math.prod(dims) == 1, name)


def count_of(held, kind):
    """How many numbers a tensor holds, by what lies in each of its fields; -1 where that is none of its kind."""
    if RAW_DATA in held:
        content = held[RAW_DATA]
        whole = len(held) == len(content) == 1 and kind in BYTES and not isinstance(content[0], int)
        return len(content[0]) / BYTES[kind] if whole else -1
    count = 0
    for number, values in held.items():
        if number == STRING_DATA:
            count += len(values)
            continue
        for value in values:
            if isinstance(value, int):
                count += 1
            elif number in INTEGER_DATA:
                count += varints_in(value)
            else:
                count += len(value) / (4 if number == FLOAT_DATA else 8)
    return count


def varints_in(content):
    """How many varints lie in a row: each ends in a byte below 128."""
    import numpy as np

    pieces = (content[start : start + CHUNK] for start in range(0, len(content), CHUNK))
    return sum(int((np.frombuffer(piece, "u1") < 128).sum()) for piece in pieces)


def check_finite(content, type_of_numbers, is_bfloat16, is_lone, name):
    """Refuse NaN; and infinity, but in a lone number, by which some pad what they pool or mask."""
    import numpy as np

    for start in range(0, len(content), CHUNK):
        numbers = np.frombuffer(content[start : start + CHUNK], type_of_numbers)
        if is_bfloat16 and type_of_numbers == "<u2":
            numbers = (numbers.astype("u4") << 16).view("f4")
        if not np.isfinite(numbers).all() and not (is_lone and not np.isnan(numbers).any()):
            raise BadInputError(f"holds weights that are not finite numbers ({name}); train it again")


# ---- the input ----


def input_of_graph(message):
    graph = next(value for number, _, value in fields(message) if number == GRAPH)
    weights, inputs, outputs = set(), [], 0
    for number, wire, value in fields(graph):
        if number == 5:
            check_counted(wire)
            weights.add(text(dict_of(value).get(TENSOR_NAME)))
        elif number == 11:
            check_counted(wire)
            inputs.append(dict_of(value))
        outputs += number == 12
    inputs = [each for each in inputs if text(each.get(1)) not in weights]  # the first ONNX listed weights there too
    if (len(inputs), outputs) != (1, 1):
        raise BadInputError(
            f"has {len(inputs)} inputs and {outputs} outputs; a network for pictures has one of each: export it so"
        )
    tensor = dict_of(dict_of(inputs[0].get(2)).get(1))
    shape = tuple(sizes(tensor.get(2)))
    if tensor.get(1) not in TAKEN:
        raise BadInputError("takes numbers that are neither float32 nor uint8; export it with such an input")
    first = len(shape) == 4 and shape[1] in (1, 3)
    if len(shape) != 2 and not first and not (len(shape) == 4 and shape[3] in (1, 3)):
        raise BadInputError(f"takes {words(shape)}, neither pictures of 1 or 3 channels nor rows; export it for those")
    if math.prod(size or 1 for size in shape) > 3 * MOST_PIXELS:
        raise BadInputError(f"takes {words(shape)}, more than {MOST_PIXELS:,} pixels; export it for smaller pictures")
    return Input(text(inputs[0].get(1)), TAKEN[tensor[1]], shape, first)


def words(shape):
    """A shape for a message."""
    return "arrays of " + (" x ".join(str(size or "any") for size in shape) or "no known shape")


def sizes(shape):
    """Each dimension of a TensorShapeProto: its size, or None."""
    for number, wire, value in fields(shape if isinstance(shape, memoryview) else memoryview(b"")):
        if number == 1:
            check_counted(wire)
            size = dict_of(value).get(1)
            yield size if isinstance(size, int) and 0 < size < 2**31 else None


# ---- protocol buffers ----


def fields(message):
    """Yield (number, wire type, value) of each field in a message: an int for a varint, else a memoryview of it."""
    place, size, count = 0, len(message), 0
    while place < size:
        key, place = varint(message, place)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, place = varint(message, place)
        else:
            if wire == COUNTED:
                length, place = varint(message, place)
            else:
                length = {EIGHT_BYTES: 8, FOUR_BYTES: 4}.get(wire, size)
            value, place = message[place : place + length], place + length
            if place > size:
                raise damaged()
        count += 1
        if number == 0:
            raise damaged()
        if count > MOST_FIELDS:
            raise too_many()
        yield number, wire, value


def varint(message, place):
    """(the number that begins at a place, the place after it): seven bits a byte, the lowest first."""
    number = 0
    for i, byte in enumerate(message[place : place + 10]):
        number |= (byte & 127) << 7 * i
        if byte < 128:
            return number, place + i + 1
    raise damaged()


def integers(wire, value):
    """The integers of a repeated field: one, or as many as lie in a row."""
    if wire == VARINT:
        return [value]
    check_counted(wire)
    numbers, place = [], 0
    while place < len(value) and len(numbers) <= MOST_DIMENSIONS:
        number, place = varint(value, place)
        numbers.append(number)
    return numbers


def dict_of(message):
    """{number: value} of a message, the last where there are several; {} of none."""
    if message is None:
        return {}
    if isinstance(message, int):
        raise damaged()
    return {number: value for number, _, value in fields(message)}


def text(value):
    """A field that is text, in a form that can be printed in one line."""
    if value is None:
        return ""
    if isinstance(value, int):
        raise damaged()
    return bytes(value).decode(errors="replace")


def check_counted(wire):
    if wire != COUNTED:
        raise damaged()


def counted(number, content):
    """A field of bytes: key, length, content."""
    return as_varint(number << 3 | COUNTED) + as_varint(len(content)) + content


def as_varint(number):
    content = bytearray()
    while number > 127:
        content.append(number & 127 | 128)
        number >>= 7
    return bytes([*content, number])
