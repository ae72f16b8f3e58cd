"""Small model files of rows (n, 3) to three probabilities, written without Keras or a framework."""

import flatbuffers
import numpy as np

WEIGHTS = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)


def write_openvino(path):
    """By OpenVINO's own operations."""
    import openvino
    from openvino import opset13 as ops

    rows = ops.parameter([-1, 3], np.float32, name="rows")
    openvino.save_model(openvino.Model([ops.softmax(ops.matmul(rows, WEIGHTS, False, False), 1)], [rows]), path)


def write_litert(path, change=lambda model: None):
    """By the classes of LiteRT's schema; `change` is called with its ModelT."""
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name, shape, signature, buffer):
        made = schema.TensorT()
        made.name, made.shape, made.shapeSignature, made.buffer = name, shape, signature, buffer
        made.type = schema.TensorType.FLOAT32
        return made

    def code(number):
        made = schema.OperatorCodeT()
        made.builtinCode, made.deprecatedBuiltinCode, made.version = number, number, 1
        return made

    def operator(index, inputs, outputs, kind, options):
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = index, inputs, outputs
        made.builtinOptionsType, made.builtinOptions = kind, options
        return made

    empty, weights, softmax = schema.BufferT(), schema.BufferT(), schema.SoftmaxOptionsT()
    weights.data, softmax.beta = list(WEIGHTS.T.tobytes()), 1.0
    graph, model, options = schema.SubGraphT(), schema.ModelT(), schema.BuiltinOptions
    graph.tensors = [
        tensor("rows", [1, 3], [-1, 3], 0),
        tensor("weights", [3, 3], None, 1),
        tensor("logits", [1, 3], [-1, 3], 0),
        tensor("shares", [1, 3], [-1, 3], 0),
    ]
    graph.inputs, graph.outputs = [0], [3]
    graph.operators = [
        operator(0, [0, 1, -1], [2], options.FullyConnectedOptions, schema.FullyConnectedOptionsT()),
        operator(1, [2], [3], options.SoftmaxOptions, softmax),
    ]
    model.version, model.subgraphs, model.buffers = 3, [graph], [empty, weights]
    model.operatorCodes = [code(schema.BuiltinOperator.FULLY_CONNECTED), code(schema.BuiltinOperator.SOFTMAX)]
    change(model)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
