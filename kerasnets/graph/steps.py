"""Parts of a flat graph, computed by themselves."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from kerasnets.graph.flat import takes_training
from kerasnets.graph.walk import Node, has_weights

OPEN = 32  # pixels, for a size that a network leaves open while its parts are tried


def cuts(steps: Sequence[Node]) -> list[int]:
    """Return the indices of the nodes through whose output all goes that earlier nodes give to later ones."""
    made_by = {id(tensor): index for index, node in enumerate(steps) for tensor in node.outputs}
    last_use = [0] * len(steps)
    for index, node in enumerate(steps):
        for tensor in node.input_tensors:
            last_use[made_by[id(tensor)]] = index
    result, farthest = [], 0
    for index, node in enumerate(steps):
        if len(node.outputs) == 1 and farthest <= index:
            result.append(index)
        farthest = max(farthest, last_use[index])
    return result


def run(steps: Sequence[Node], values: dict[int, Any], *, training: bool | None = None) -> None:
    """Call the nodes whose inputs are in `values`, and put the outputs there: arrays, or symbolic tensors."""
    for node in steps:
        if not node.is_input and all(id(tensor) in values for tensor in node.input_tensors):
            args, kwargs = node.fill_in(values)
            if training is not None and takes_training(node.operation):
                kwargs = {**kwargs, "training": training}
            results = keras.tree.flatten(node.operation(*args, **kwargs))
            values |= {id(tensor): value for tensor, value in zip(node.outputs, results, strict=True)}


def close_sizes(sizes: Sequence[int | None]) -> tuple[int, ...]:
    return tuple(size or OPEN for size in sizes)


def as_numbers(value: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(value), "float64")


def learns(operation: Any) -> bool:
    return has_weights(operation) and not isinstance(operation, layers.Normalization)
