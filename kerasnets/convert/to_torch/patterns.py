"""Several nodes of Keras' that PyTorch has one layer for: local response normalization."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import layers

from kerasnets.convert.to_torch.names import literal
from kerasnets.convert.to_torch.program import Value
from kerasnets.convert.to_torch.translate import Translator
from kerasnets.graph import Node, Power, node_of

# From the division back to the square: x * (k + alpha * mean of x^2 over `size` channels) ^ -beta.
CHAIN = (Power, layers.Rescaling, layers.Reshape, layers.Permute, layers.AveragePooling1D, layers.ZeroPadding1D,
         layers.Permute, layers.Reshape, layers.Multiply)  # fmt: skip


@dataclass
class LocalResponseNormalization:
    """The nodes of kerasnets' AlexNet that are one F.local_response_norm."""

    nodes: list[Node]  # all but the last product
    source: keras.KerasTensor
    size: int
    alpha: float
    beta: float
    k: float

    def translate(self, t: Translator) -> Value:
        x = t.values[id(self.source)]
        text = ", ".join(f"{name}={literal(getattr(self, name))}" for name in ("alpha", "beta", "k"))
        return t.apply(f"F.local_response_norm({{0}}, {self.size}, {text})", [x], non_negative=x.non_negative)


def normalizations(walk: Sequence[Node], uses: Counter[int]) -> dict[int, LocalResponseNormalization]:
    """Return the local response normalizations of a network by the id of their last layer."""
    results = ((node, normalization(node, uses)) for node in walk if type(node.operation) is layers.Multiply)
    return {id(node.operation): pattern for node, pattern in results if pattern}


def normalization(product: Node, uses: Counter[int]) -> LocalResponseNormalization | None:
    if len(product.input_tensors) != 2:
        return None
    source, tensor = product.input_tensors
    chain = []
    for kind in CHAIN:
        node = node_of(tensor)
        if type(node.operation) is not kind or uses[id(tensor)] != 1:
            return None
        chain.append(node)
        tensor = node.input_tensors[0]
    power, scaling, unfold, back, mean, padding, turn, fold, square = chain
    size = mean.operation.pool_size[0]
    if (
        len(square.input_tensors) != 2
        or any(other is not source for other in square.input_tensors)
        or len(source.shape) != 4
        or back.operation.dims != (2, 1)
        or turn.operation.dims != (2, 1)
        or fold.outputs[0].shape[1:] != (source.shape[1] * source.shape[2], source.shape[3])
        or unfold.outputs[0].shape[1:] != source.shape[1:]
        or tuple(mean.operation.strides) != (1,)
        or mean.operation.padding != "valid"
        or size % 2 == 0
        or tuple(padding.operation.padding) != (size // 2, size // 2)
        or not all(isinstance(value, (int, float)) for value in power.args[1:])
        or len(power.args) != 2
    ):
        return None
    scale, offset = float(scaling.operation.scale), float(scaling.operation.offset)
    return LocalResponseNormalization(chain, source, int(size), scale, -float(power.args[1]), offset)
