"""OPERATORS: the operators of a harmless ONNX graph, and how the shape that each gives is found."""

from collections.abc import Callable
from typing import NamedTuple

from kerasnets.saving import onnx_layers as layers
from kerasnets.saving import onnx_shapes as shapes
from kerasnets.saving.onnx_node import Inputs, Node, Result


class Operator(NamedTuple):
    """How the result of an operator is found, its attributes with their types, and its number of inputs."""

    infer: Callable[[Node, Inputs], Result]
    attributes: dict[str, str]
    fewest: int
    most: int


def compute(node: Node, inputs: Inputs) -> Result:
    """Return the Tensor that a node gives and its cost; raise Doubt if its inputs do not fit together."""
    inputs = [*inputs, *[None] * (OPERATORS[node.operator].most - len(inputs))]
    return OPERATORS[node.operator].infer(node, inputs)


INT, FLOAT, TEXT, TENSOR, INTS = "i", "f", "s", "t", "ints"  # types of attributes
WINDOW = {"auto_pad": TEXT, "kernel_shape": INTS, "strides": INTS, "pads": INTS, "dilations": INTS}
REDUCTION = {"axes": INTS, "keepdims": INT, "noop_with_empty_axes": INT}

OPERATORS = {
    **{
        name: Operator(layers.unary, {}, 1, 1)
        for name in ("Abs", "Ceil", "Erf", "Exp", "Floor", "Log", "Neg", "Reciprocal")
    },
    **{name: Operator(layers.unary, {}, 1, 1) for name in ("Relu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Tanh")},
    "HardSwish": Operator(layers.unary, {}, 1, 1),
    "HardSigmoid": Operator(layers.unary, {"alpha": FLOAT, "beta": FLOAT}, 1, 1),
    "LeakyRelu": Operator(layers.unary, {"alpha": FLOAT}, 1, 1),
    "Elu": Operator(layers.unary, {"alpha": FLOAT}, 1, 1),
    "Clip": Operator(layers.unary, {}, 1, 3),
    "Softmax": Operator(layers.along, {"axis": INT}, 1, 1),
    "LogSoftmax": Operator(layers.along, {"axis": INT}, 1, 1),
    **{name: Operator(layers.binary, {}, 2, 2) for name in ("Add", "Div", "Mul", "Pow", "Sub")},
    "Cast": Operator(shapes.cast, {"to": INT}, 1, 1),
    "Identity": Operator(shapes.identity, {}, 1, 1),
    "Conv": Operator(layers.conv, {**WINDOW, "group": INT}, 2, 3),
    "MaxPool": Operator(layers.pool, {**WINDOW, "ceil_mode": INT, "storage_order": INT}, 1, 1),
    "AveragePool": Operator(layers.pool, {**WINDOW, "ceil_mode": INT, "count_include_pad": INT}, 1, 1),
    "GlobalAveragePool": Operator(layers.global_pool, {}, 1, 1),
    "GlobalMaxPool": Operator(layers.global_pool, {}, 1, 1),
    "BatchNormalization": Operator(
        layers.batch_norm, {"epsilon": FLOAT, "momentum": FLOAT, "training_mode": INT}, 5, 5
    ),
    "LRN": Operator(layers.lrn, {"alpha": FLOAT, "beta": FLOAT, "bias": FLOAT, "size": INT}, 1, 1),
    "MatMul": Operator(layers.matmul, {}, 2, 2),
    "Gemm": Operator(layers.gemm, {"alpha": FLOAT, "beta": FLOAT, "transA": INT, "transB": INT}, 2, 3),
    **{name: Operator(layers.reduce, REDUCTION, 1, 2) for name in ("ReduceMax", "ReduceMean", "ReduceSum")},
    "Constant": Operator(shapes.constant, {"value": TENSOR}, 0, 0),
    "ConstantOfShape": Operator(shapes.constant_of_shape, {"value": TENSOR}, 1, 1),
    "Shape": Operator(shapes.shape, {"start": INT, "end": INT}, 1, 1),
    "Reshape": Operator(shapes.reshape, {"allowzero": INT}, 2, 2),
    "Flatten": Operator(shapes.flatten, {"axis": INT}, 1, 1),
    "Transpose": Operator(shapes.transpose, {"perm": INTS}, 1, 1),
    "Squeeze": Operator(shapes.squeeze, {}, 2, 2),
    "Unsqueeze": Operator(shapes.unsqueeze, {}, 2, 2),
    "Concat": Operator(shapes.concat, {"axis": INT}, 1, 1000),
    "Gather": Operator(shapes.gather, {"axis": INT}, 2, 2),
    "Slice": Operator(shapes.cut, {}, 3, 5),
    "Pad": Operator(shapes.pad, {"mode": TEXT}, 2, 4),
}
