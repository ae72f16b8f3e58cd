"""Whether the graph of an ONNX file is harmless, so that an engine may run it in the process that asks.

Harmless is a graph of common operators whose sizes, checked from node to node, follow from the file and are small:
nothing in it depends on the pixels but the numbers. Every byte must have a meaning here. All other graphs may be as
good, and run in a process of their own.
"""

import math
import struct
from typing import Any, NamedTuple

import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.saving.onnx_node import BOOL, FLOAT, INT32, INT64, MOST_VALUES, UINT8, Doubt, Node, Tensor
from kerasnets.saving.onnx_operators import OPERATORS, compute
from kerasnets.saving.protobuf import FOUR_BYTES, LENGTH_DELIMITED, Budget, fields, varint

OPSETS, IR_VERSIONS = range(13, 26), range(7, 14)
MOST_NODES = 5000
LARGEST = 2**24  # bytes of a file: above it, loading takes longer than to start a process
NUMBERS, PRODUCTS = 2**25, 2**28  # of all maps of one picture, and the products to compute them: 0.1 s on one core
COUNTS = (1, 64)  # pictures at a time: a size that is right for both is linear in it

DTYPES = {FLOAT: "<f4", UINT8: "u1", INT32: "<i4", INT64: "<i8", BOOL: "?"}
ATTRIBUTE_FIELDS = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints"}  # type of an attribute -> its one value

# message -> {number of a field: its name and type}; a star marks fields that may be repeated
SCHEMA = {
    "model": {
        1: "ir_version int", 2: "producer text", 3: "producer_version text", 4: "domain text", 5: "version int",
        6: "doc text", 7: "graph graph", 8: "opsets opset*", 14: "metadata entry*"},
    "opset": {1: "domain text", 2: "version int"},
    "entry": {1: "key text", 2: "value text"},
    "graph": {
        1: "nodes node*", 2: "name text", 5: "tensors tensor*", 10: "doc text", 11: "inputs value*",
        12: "outputs value*", 13: "values value*", 16: "metadata entry*"},
    "node": {
        1: "inputs text*", 2: "outputs text*", 3: "name text", 4: "operator text", 5: "attributes attribute*",
        6: "doc text", 7: "domain text", 9: "metadata entry*"},
    "attribute": {
        1: "name text", 2: "f float", 3: "i int", 4: "s text", 5: "t tensor", 7: "floats float*", 8: "ints int*",
        13: "doc text", 20: "type int"},
    "tensor": {1: "dims int*", 2: "kind int", 8: "name text", 9: "raw bytes", 12: "doc text"},
    "value": {1: "name text", 2: "type type", 3: "doc text"},
    "type": {1: "tensor tensor type", 6: "denotation text"},
    "tensor type": {1: "kind int", 2: "shape shape"},
    "shape": {1: "dims dim*"},
    "dim": {1: "size int", 2: "name text", 3: "denotation text"},
}  # fmt: skip


class Field(NamedTuple):
    name: str
    type: str
    is_repeated: bool


def field_of(text: str) -> Field:
    name, _, kind = text.rstrip("*").partition(" ")
    return Field(name, kind, text.endswith("*"))


FIELDS = {message: {number: field_of(text) for number, text in row.items()} for message, row in SCHEMA.items()}


def doubt(message: memoryview, budget: Budget) -> str:
    """Return why an ONNX model cannot be judged to be harmless; "" for a harmless one."""
    try:
        judge(message, budget)
    except Doubt as reason:
        return str(reason)
    except (BadInputError, ArithmeticError, LookupError, TypeError, ValueError) as error:  # the cautious answer
        return f"cannot be judged ({type(error).__name__})"
    return ""


def judge(message: memoryview, budget: Budget) -> None:
    """Raise Doubt if a model is not known to be harmless."""
    if len(message) > LARGEST:
        raise Doubt("is large")
    model = parse(message, "model", budget)
    versions = [opset.get("version", 0) for opset in model.get("opsets", ()) if opset.get("domain", "") == ""]
    if len(versions) != 1 or versions[0] not in OPSETS or model["ir_version"] not in IR_VERSIONS:
        raise Doubt("is of another version")
    graph = model["graph"]
    nodes = [node_of(record, versions[0]) for record in graph.get("nodes", ())]
    constants = {record["name"]: tensor_of(record) for record in graph.get("tensors", ())}
    (given,), (result,) = graph["inputs"], graph["outputs"]
    kind, (first, *others) = shape_of(given)
    sides = [side for side in others if side is not None]
    if len(nodes) > MOST_NODES or len(constants) < len(graph.get("tensors", ())) or len(sides) < len(others):
        raise Doubt("has too many nodes, two tensors of one name, or no known size")
    for count in (first,) if first else COUNTS:
        tensors = walk(nodes, constants, given["name"], Tensor(kind, (count, *sides)), count)
        for value in (result, *graph.get("values", ())):
            check_value(value, tensors)
        if tensors[result["name"]].kind != FLOAT or len(tensors[result["name"]].shape) != 2:
            raise Doubt("gives no row of scores")


def walk(nodes: list[Node], constants: dict[str, Tensor], name: str, given: Tensor, count: int) -> dict[str, Tensor]:
    """Return {name: Tensor} of all values in a graph for an input of `count` pictures."""
    tensors = {**constants, name: given}
    if name in constants:
        raise Doubt("has two values of one name")
    numbers = products = 0
    for node in nodes:
        inputs = [tensors[name] if name else None for name in node.inputs]  # KeyError: not in order
        if node.output in tensors or not node.output:
            raise Doubt("has two values of one name, or one without")
        tensor, cost = compute(node, inputs)
        size = math.prod(tensor.shape)
        if (not size and tensor.value is None) or max(tensor.shape, default=1) >= 2**31:
            raise Doubt("has an empty map")
        numbers, products = numbers + size, products + cost
        if numbers > NUMBERS * count or products > PRODUCTS * count:
            raise Doubt("is large")
        tensors[node.output] = tensor
    return tensors


def parse(message: memoryview, kind: str, budget: Budget) -> dict[str, Any]:
    """Return {name of a field: value, or list of values} of a message; raise Doubt at anything else than in SCHEMA."""
    record: dict[str, Any] = {}
    schema = FIELDS[kind]
    for number, wire, value in fields(message, budget):
        if number not in schema:
            raise Doubt(f"has an unknown field {number} in a {kind}")
        field = schema[number]
        items: list[Any]
        if isinstance(value, int):
            items = [to_signed(value)] if field.type == "int" else []
        elif field.type == "int" and wire == LENGTH_DELIMITED and field.is_repeated:
            items = varints(value)
        elif field.type == "float" and (wire == FOUR_BYTES or (wire == LENGTH_DELIMITED and field.is_repeated)):
            items = list(struct.unpack(f"<{len(value) // 4}f", value))
        elif field.type in ("int", "float") or wire != LENGTH_DELIMITED:
            items = []
        elif field.type == "text":
            items = [str(value, "utf-8")]
        else:
            items = [value if field.type == "bytes" else parse(value, field.type, budget)]
        if field.is_repeated and (items or field.type in ("int", "float")):
            record.setdefault(field.name, []).extend(items)
        elif not items or field.name in record:
            raise Doubt(f"has a {kind} with a strange {field.name}")
        else:
            record[field.name] = items[0]
    return record


def varints(content: memoryview) -> list[int]:
    numbers, place = [], 0
    while place < len(content):
        number, place = varint(content, place)
        numbers.append(to_signed(number))
        if len(numbers) > MOST_VALUES:
            raise Doubt("has a long list")
    return numbers


def to_signed(number: int) -> int:
    """Return the integer of 64 bits that a varint holds."""
    if number >= 2**64:
        raise Doubt("has a number of more than 64 bits")
    return number - 2**64 if number >= 2**63 else number


def node_of(record: dict[str, Any], version: int) -> Node:
    """Return the Node of a parsed message; raise Doubt if its operator or an attribute is not in OPERATORS."""
    name = record["operator"]
    if name not in OPERATORS or record.get("domain", "") != "":
        raise Doubt(f"has {name!r:.40}")
    operator, attributes = OPERATORS[name], {}
    for each in record.get("attributes", ()):
        field = ATTRIBUTE_FIELDS.get(each.get("type", 0), "")
        if set(each) - {"name", "type", "doc"} - {field} or operator.attributes.get(each["name"]) != field:
            raise Doubt(f"has {name} with a strange {each['name']!r:.40}")
        if each["name"] in attributes:
            raise Doubt(f"has {name} with two of {each['name']}")
        value = each.get(field, [] if field in ("floats", "ints") else 0)
        attributes[each["name"]] = tensor_of(value) if field == "t" else value
    inputs = record.get("inputs", [])
    if not operator.fewest <= len(inputs) <= operator.most:
        raise Doubt(f"has {name} of {len(inputs)} inputs")
    (output,) = record["outputs"]
    return Node(name, inputs, output, attributes, version)


def tensor_of(record: dict[str, Any]) -> Tensor:
    """Return the Tensor of a parsed message."""
    kind, shape, raw = record["kind"], tuple(record.get("dims", ())), record.get("raw", memoryview(b""))
    if kind not in DTYPES or len(shape) > 8 or min(shape, default=1) < 0:
        raise Doubt("has a tensor of another type")
    dtype = np.dtype(DTYPES[kind])
    if math.prod(shape) * dtype.itemsize != len(raw) or (not len(raw) and len(shape) != 1):
        raise Doubt("has a tensor of another size")
    is_kept = kind in (INT32, INT64) and len(raw) <= MOST_VALUES * dtype.itemsize
    value = np.frombuffer(raw, dtype).astype(np.int64).reshape(shape) if is_kept else None
    if value is None and not len(raw):
        raise Doubt("has an empty tensor")
    return Tensor(kind, shape, value, is_constant=True)


def shape_of(value: dict[str, Any]) -> tuple[int, list[int | None]]:
    """Return the type and the sizes of a value, None for an open one."""
    tensor = value["type"]["tensor"]
    sizes = [dim.get("size") for dim in tensor["shape"].get("dims", ())]
    if any(size is not None and size < 1 for size in sizes):
        raise Doubt("has a size below 1")
    return tensor["kind"], sizes


def check_value(value: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Raise Doubt if the file declares a type or a size of a value that is not its own."""
    kind, sizes = shape_of(value)
    tensor = tensors[value["name"]]
    if kind != tensor.kind or len(sizes) != len(tensor.shape):
        raise Doubt(f"declares {value['name']!r:.40} of another shape")
    if any(size not in (None, own) for size, own in zip(sizes, tensor.shape, strict=True)):
        raise Doubt(f"declares {value['name']!r:.40} of another size")
