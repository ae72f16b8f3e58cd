"""The graph of an ONNX file, checked before an engine reads it.

Not checked, because the file does not tell it: how much memory an operator takes whose size is computed, as
ConstantOfShape and Expand.
"""

import math

from kerasnets.errors import BadInputError
from kerasnets.saving import protobuf
from kerasnets.saving.protobuf import Budget, Value, damage_error, dict_of, fields, integers, message_of, text

DEEPEST = 100  # messages within messages, the limit of protocol buffers' own readers
MOST_DIMENSIONS = 32
CHUNK = 2**20  # bytes that are checked at once

# message -> the messages in it that are checked, by the numbers of their fields
PARTS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
    "training": {1: "graph", 2: "graph"},
}
FUNCTION = 25  # field of a model
OPERATOR, DOMAIN, FUNCTION_DOMAIN = 4, 7, 10  # fields of a node, and of a function
DIMS, DATA_TYPE, FLOAT_DATA, STRING_DATA, TENSOR_NAME, RAW_DATA, DOUBLE_DATA = 1, 2, 4, 6, 8, 9, 10  # of a tensor
EXTERNAL_DATA, DATA_LOCATION = 13, 14
INTEGER_DATA = (5, 7, 11)  # int32, int64, uint64: varints
DATA = {FLOAT_DATA, STRING_DATA, RAW_DATA, DOUBLE_DATA, *INTEGER_DATA}

# data_type of a tensor -> bytes of a number in raw_data. No network for pictures has complex numbers or 8-bit floats.
BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
STRING, BFLOAT16 = 8, 16
FLOATS = {1: "<f4", 10: "<f2", 11: "<f8", BFLOAT16: "<u2"}

# The operators of ONNX, of its classical models, and of onnxruntime, which engines have built in. Operators of other
# domains need another library's code, which a model file must not ask for.
DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
READERS = {"EPContext"}  # of onnxruntime: its network lies in another file


def check(message: memoryview, budget: Budget) -> None:
    """Raise BadInputError, without a path, if an ONNX model cannot be given to an engine.

    Its tensors must be in the file, whole and finite. Its operators must be built into engines. Its parts must not be
    too many or too deep.
    """
    functions = [dict_of(value, budget) for number, _, value in fields(message, budget) if number == FUNCTION]
    domains = DOMAINS | {text(function.get(FUNCTION_DOMAIN)) for function in functions}
    waiting = [("model", message, 0)]
    while waiting:
        kind, part, depth = waiting.pop()
        if depth > DEEPEST:
            raise BadInputError(f"is nested more than {DEEPEST} deep", remedy="export it again")
        if kind == "tensor":
            check_tensor(part, budget)
            continue
        last: dict[int, Value] = {}
        for number, wire, value in fields(part, budget):
            last[number] = value
            if number in PARTS[kind]:
                waiting.append((PARTS[kind][number], message_of(wire, value), depth + 1))
        if kind == "node":
            check_operator(last, domains)


def check_operator(node: dict[int, Value], domains: set[str]) -> None:
    operator, domain = text(node.get(OPERATOR)), text(node.get(DOMAIN))
    if domain not in domains:
        problem = f"asks for {operator!r:.40} of {domain!r:.40}, operators that no engine has"
        raise BadInputError(problem, remedy="export it without")
    if operator in READERS:
        raise BadInputError(f"asks for {operator}, which reads another file", remedy="export it without")


# ---- tensors ---------------------------------------------------------------------------------------------------------


def read_tensor(message: memoryview, budget: Budget) -> tuple[list[int], dict[int, list[Value]], dict[int, Value]]:
    """Return the dims of a TensorProto, its data by field number, and the last value of every other field."""
    dims: list[int] = []
    data: dict[int, list[Value]] = {}
    others: dict[int, Value] = {}
    for number, wire, value in fields(message, budget):
        if number == DIMS:
            dims += integers(value if wire == protobuf.VARINT else message_of(wire, value), MOST_DIMENSIONS)
        elif number in DATA:
            data.setdefault(number, []).append(value)
        else:
            others[number] = value
    return dims, data, others


def check_tensor(message: memoryview, budget: Budget) -> None:
    """Raise BadInputError if the numbers of a tensor are not in the file, too few or too many, or not finite."""
    dims, data, others = read_tensor(message, budget)
    name, kind = repr(text(others.get(TENSOR_NAME)))[:40], others.get(DATA_TYPE, 0)
    if EXTERNAL_DATA in others or others.get(DATA_LOCATION, 0):
        remedy = "export it whole: torch.onnx.export(..., external_data=False), or onnx.save of onnx.load"
        raise BadInputError(f"has its weights in another file ({name})", remedy=remedy)
    if not isinstance(kind, int) or (kind not in BYTES and kind != STRING):
        raise BadInputError(f"has numbers of an unknown type in {name}", remedy="export it in float32")
    if len(dims) > MOST_DIMENSIONS or math.prod(dims) != count(data, kind):
        problem = f"is damaged: {name} is not of the size that it declares"
        raise BadInputError(problem, remedy="export or copy it again")
    if kind in FLOATS:
        for number, dtype in ((RAW_DATA, FLOATS[kind]), (FLOAT_DATA, "<f4"), (DOUBLE_DATA, "<f8")):
            for content in data.get(number, ()):
                if isinstance(content, int):
                    raise damage_error()
                if not is_finite(content, dtype, is_bfloat16=kind == BFLOAT16, is_scalar=math.prod(dims) == 1):
                    raise BadInputError(f"holds weights that are not finite numbers ({name})", remedy="train it again")


def count(data: dict[int, list[Value]], kind: int) -> float:
    """Return how many numbers the data fields of a tensor hold; -1, or a fraction, if they do not suit its type."""
    if RAW_DATA in data:
        content = data[RAW_DATA]
        if len(data) > 1 or len(content) > 1 or kind not in BYTES or isinstance(content[0], int):
            return -1
        return len(content[0]) / BYTES[kind]
    total: float = 0
    for number, values in data.items():
        for value in values:
            if number == STRING_DATA or isinstance(value, int):
                total += 1
            elif number in INTEGER_DATA:
                total += count_varints(value)
            else:
                total += len(value) / (4 if number == FLOAT_DATA else 8)
    return total


def count_varints(content: memoryview) -> int:
    """Return how many varints follow each other in `content`: each ends in a byte below 128."""
    import numpy as np

    pieces = (content[start : start + CHUNK] for start in range(0, len(content), CHUNK))
    return sum(int((np.frombuffer(piece, "u1") < 128).sum()) for piece in pieces)


def is_finite(content: memoryview, dtype: str, *, is_bfloat16: bool, is_scalar: bool) -> bool:
    """Whether numbers are finite. A scalar may be infinite: some networks pad or mask with it."""
    import numpy as np

    for start in range(0, len(content), CHUNK):
        numbers = np.frombuffer(content[start : start + CHUNK], dtype)
        if is_bfloat16 and dtype == "<u2":
            numbers = (numbers.astype("u4") << 16).view("f4")
        if not np.isfinite(numbers).all() and not (is_scalar and not np.isnan(numbers).any()):
            return False
    return True
