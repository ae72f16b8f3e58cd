"""A module compared with the Keras model that it was made of."""

from typing import Any

import keras
import numpy as np

from kerasnets.convert.to_torch.program import Block, Value
from kerasnets.errors import BadInputError

MOST = 2e-5  # the largest difference, as a share of the largest number of the output


def check(model: keras.Model, module: Any, network: Block) -> None:
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal([size or 8 for size in (2, *value.shape[1:])]).astype("float32") for value in network.inputs]
    expected = keras.tree.flatten(model(inputs if len(inputs) > 1 else inputs[0], training=False))
    results = run(module, network, inputs)
    for value, y, keras_y in zip(network.outputs, results, expected, strict=True):
        keras_y = keras.ops.convert_to_numpy(keras_y)
        y = y.transpose(np.argsort(value.order))
        d = distance(y, keras_y)
        print("distance", d)
        if not d <= MOST:
            raise BadInputError(f"differs by {d}")


def run(module: Any, network: Block, inputs: list[np.ndarray]) -> list[np.ndarray]:
    import torch

    tensors = [torch.from_numpy(np.ascontiguousarray(array.transpose(value.order))) for value, array in zip(network.inputs, inputs)]
    with torch.no_grad():
        outputs = module(*tensors)
    outputs = list(outputs.values()) if isinstance(outputs, dict) else outputs
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return [output.numpy() for output in outputs]


def distance(y: np.ndarray, expected: np.ndarray) -> float:
    if y.shape != expected.shape:
        return float("inf")
    return float(np.abs(y - expected).max() / max(np.abs(expected).max(), 1e-30))
