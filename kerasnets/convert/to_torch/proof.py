"""A module compared with the Keras model that it was made of."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerasnets.convert.to_torch.head import meaning, takes_pixels
from kerasnets.convert.to_torch.instances import instantiate
from kerasnets.convert.to_torch.program import Block, Step, Value
from kerasnets.errors import BadInputError, shorten
from kerasnets.graph import node_of, nodes

MOST = 2e-5  # the largest difference allowed, as a share of the largest number of the output
BATCH = 2
UNKNOWN_SIZE = 64  # of an axis that the model leaves open


def check(model: keras.Model, module: Any, network: Block) -> float:
    """Return the largest difference of the outputs on random inputs in inference mode, as a share of their scale.

    A softmax can hide a difference, so that the values before the last layer are compared too.

    Raises:
        BadInputError: They differ. The message names the first layer that does.
    """
    inputs = draw_inputs(model)
    differences = compare(model.outputs, network.results, model, network, inputs, module)
    before = before_the_end(model, network)
    if before and max(differences) <= MOST:
        part = up_to(network, before)
        differences += compare([value.tensor for value in before], before, model, part, inputs, instantiate(part))
    if max(differences) <= MOST:
        return max(differences)
    raise BadInputError(
        f"the translation to PyTorch differs from Keras by {max(differences):.1e} of the scale, "
        f"first in layer {first_difference(model, network, inputs)}",
        remedy="please report it with the model; nothing was returned",
    )


def before_the_end(model: keras.Model, network: Block) -> list[Value]:
    """Return the values that the last layer of each output takes, if its activation levels them."""
    values = {id(value.tensor): value for value in network.inputs}
    values |= {id(v.tensor): v for step in network.steps for v in step.outputs if v.tensor is not None}
    results: dict[int, Value] = {}
    for tensor in model.outputs:
        node = node_of(tensor)
        if "probabilities" in meaning(tensor):
            results |= {id(t): values[id(t)] for t in node.input_tensors if id(t) in values}
    return list(results.values())


def up_to(network: Block, values: Sequence[Value]) -> Block:
    """Return the part of a network that makes some values."""
    needed = {id(value) for value in values}
    steps = []
    for step in reversed(network.steps):
        if any(id(value) in needed for value in step.outputs):
            steps.append(step)
            needed |= {id(value) for value in step.inputs}
    return Block("part", network.inputs, list(values), steps[::-1])


def draw_inputs(model: keras.Model) -> list[np.ndarray]:
    """Return random inputs: pixels 0 to 255 if the model scales them, indices of an embedding, else N(0, 1)."""
    rng = np.random.default_rng(0)
    inputs: list[np.ndarray] = []
    for tensor in model.inputs:
        shape = (BATCH, *(size or UNKNOWN_SIZE for size in tensor.shape[1:]))
        indices = [
            node.operation.input_dim
            for node in nodes(model)
            if isinstance(node.operation, keras.layers.Embedding) and node.input_tensors[0] is tensor
        ]
        if indices:
            inputs.append(rng.integers(0, min(indices), shape))
        elif takes_pixels(model, tensor):
            inputs.append(rng.integers(0, 256, shape).astype("float32"))
        else:
            inputs.append(rng.standard_normal(shape, "float32"))
    return inputs


def compare(tensors: Sequence[Any], values: Sequence[Value], model: keras.Model, network: Block,
            inputs: list[np.ndarray], module: Any) -> list[float]:  # fmt: skip
    """Return the difference of each of some tensors of the model, as a share of its largest number."""
    import torch

    keras_model = keras.Model(model.inputs, list(tensors))
    with torch.no_grad():
        expected = keras.tree.flatten(keras_model([keras.ops.convert_to_tensor(x) for x in inputs], training=False))
        results = run(module, network, inputs)
    return [
        difference(in_keras_order(value, result), np.asarray(keras.ops.convert_to_numpy(reference)))
        for value, result, reference in zip(values, results, expected, strict=True)
    ]


def run(module: Any, network: Block, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the outputs of the module in the order of the network's, without gradients."""
    import torch

    tensors = [
        torch.from_numpy(np.ascontiguousarray(x.transpose(value.order)))
        for value, x in zip(network.inputs, inputs, strict=True)
    ]
    outputs = module(*tensors)
    return [output.numpy() for output in keras.tree.flatten(outputs)]


def in_keras_order(value: Value, result: np.ndarray) -> np.ndarray:
    result = result.transpose(np.argsort(value.order))
    return result if value.rows is None else result[:, np.argsort(value.rows)]


def difference(result: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference as a share of the largest number; infinite if a number is none, or of shapes."""
    if result.shape != expected.shape or not np.isfinite(expected).all() or not np.isfinite(result).all():
        return float("inf")
    scale = np.abs(expected).max(initial=0)
    distance = np.abs(result - expected).max(initial=0)
    return float(distance / scale) if scale else float(distance)


def first_difference(model: keras.Model, network: Block, inputs: list[np.ndarray]) -> str:
    """Return the name and class of the first layer whose values differ."""
    ends = [(step, value) for step in network.steps for value in step.outputs if value.tensor is not None]
    part = up_to(network, [value for _, value in ends])
    differences = compare([v.tensor for _, v in ends], part.outputs, model, part, inputs, instantiate(part))
    for (step, _), apart in zip(ends, differences, strict=True):
        if not apart <= MOST:
            return f"{shorten(step.layer)!r} ({kind_of(model, step)})"
    return "none of them alone"


def kind_of(model: keras.Model, step: Step) -> str:
    kinds = [type(node.operation).__name__ for node in nodes(model) if node.operation.name == step.layer]
    return shorten(kinds[0]) if kinds else "operation"
