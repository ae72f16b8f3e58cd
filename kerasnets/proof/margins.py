"""Weights with which no input of a ReLU lies near 0, and no maximum is a close call, so that rounding does not matter.

In float32, rounding moves some inputs of a ReLU from one side of 0 to the other, and the gradient jumps: that of
DenseNet-121 in plain PyTorch was 0.27 of its largest value away from float64. Here each bias moves to the middle of the
widest gap between the inputs of its channel, for one batch; the same gradient then was 3e-4 away.

Max-pooling jumps in the same way where the two largest inputs of a window are equal up to rounding, and no bias parts
them. One window of the 300,000 of vgg_cifar turned the sign of some gradients on JAX, and Adam's first step, which is
the sign, was 0.25 away. So of some draws the one is taken whose closest call is the least close.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import torch
from keras import layers
from torch.nn import functional

from kerasnets.graph import node_of, nodes
from kerasnets.graph.steps import run

MIDDLE = (0.3, 0.7)  # the quantiles of a channel's inputs between which the gap is searched
PASSING = (layers.MaxPooling2D, layers.AveragePooling2D, layers.Dropout)  # whose output shifts with their input


def widen(network: keras.Model, images: np.ndarray, *, until_pooling: bool = False) -> float:
    """Move the biases of `network`, on torch, so that no ReLU has an input near 0 if it is trained on `images`.

    A ReLU whose input has no bias of its own is left as it is. Moving statistics do not change.

    Args:
        network: On torch.
        images: A batch for it.
        until_pooling: Whether to end at the last max-pooling, which is enough for the result.

    Returns:
        The smallest difference between the two largest inputs of a window of max-pooling, as a share of the largest
        input; infinity without max-pooling.
    """
    closest = np.inf
    statistics = [(variable, variable.numpy()) for variable in network.non_trainable_variables]
    values = {id(network.inputs[0]): keras.ops.convert_to_tensor(images, network.compute_dtype)}
    with torch.no_grad():
        every = nodes(network)
        pooling = [number for number, node in enumerate(every) if isinstance(node.operation, layers.MaxPooling2D)]
        for node in every[: max(pooling, default=-1) + 1] if until_pooling else every:
            layer = node.operation
            if isinstance(layer, layers.MaxPooling2D):
                closest = min(closest, closest_call(layer, values[id(node.input_tensors[0])]))
            if is_relu(layer) and not learns_a_shift(layer):
                shift(bias_of(node.input_tensors[0]), values, node.input_tensors[0])
                run([node], values, training=True)
            elif is_relu(layer):
                with without_activation(layer) as activation:
                    run([node], values, training=True)
                shift(layer.bias, values, node.outputs[0])
                values[id(node.outputs[0])] = activation(values[id(node.outputs[0])])
            else:
                run([node], values, training=True)
    for variable, value in statistics:
        variable.assign(value)
    return closest


def closest_call(layer: layers.MaxPooling2D, inputs: torch.Tensor) -> float:
    """Return the smallest difference between the two largest inputs, (n, height, width, channels), of a window.

    As a share of the largest input. Equal inputs of 0 come from a ReLU, and pass no gradient.
    """
    axes = list(zip(inputs.shape[1:3], layer.pool_size, layer.strides, strict=True))
    missing = [max((-(-side // stride) - 1) * stride + size - side, 0) for side, size, stride in axes]
    (top, bottom), (left, right) = [(each // 2, each - each // 2) for each in missing]
    is_padded = layer.padding == "same"
    windows = functional.pad(inputs, (0, 0, left, right, top, bottom), value=-np.inf) if is_padded else inputs
    for axis, (_, size, stride) in enumerate(axes, 1):
        windows = windows.unfold(axis, size, stride)
    first, second = windows.flatten(4).topk(2).values.unbind(-1)
    gaps = (first - second)[(first != 0) | (second != 0)]
    return float(gaps.min() / inputs.abs().max()) if len(gaps) else np.inf


def shift(bias: keras.Variable | None, values: dict[int, Any], tensor: keras.KerasTensor) -> None:
    """Move a bias, and the value of the tensor that it shifts."""
    if bias is not None:
        distance = -middle_of_gap(values[id(tensor)].flatten(0, -2).T.contiguous())
        bias.assign_add(distance)
        values[id(tensor)] = values[id(tensor)] + distance


def middle_of_gap(inputs: torch.Tensor) -> torch.Tensor:
    """Return (channels,): the middle of the widest gap near the median of each row of `inputs`, (channels, n)."""
    count = inputs.shape[1]
    first, last = int(MIDDLE[0] * count), max(int(np.ceil(MIDDLE[1] * count)), int(MIDDLE[0] * count) + 2)
    ranked = inputs.sort(dim=1).values[:, first:last]
    widest = ranked.diff(dim=1).argmax(dim=1, keepdim=True)
    return (ranked.gather(1, widest) + ranked.gather(1, widest + 1))[:, 0] / 2


def is_relu(layer: Any) -> bool:
    """Whether a layer is a ReLU, or ends in one."""
    return isinstance(layer, layers.ReLU) or getattr(layer, "activation", None) is keras.activations.relu


def learns_a_shift(layer: Any) -> bool:
    """Whether a layer adds a bias of its own."""
    return getattr(layer, "bias", None) is not None


def bias_of(tensor: keras.KerasTensor) -> keras.Variable | None:
    """Return the variable that shifts all values of a channel of `tensor`, and nothing else; None if there is none."""
    node = node_of(tensor)
    layer = node.operation
    if isinstance(layer, layers.BatchNormalization):
        return layer.beta
    if learns_a_shift(layer):
        return layer.bias if layer.activation is keras.activations.linear else None
    if isinstance(layer, layers.Add):
        biases = [bias_of(source) for source in node.input_tensors]
        return next((bias for bias in reversed(biases) if bias is not None), None)
    return bias_of(node.input_tensors[0]) if isinstance(layer, PASSING) else None


@contextlib.contextmanager
def without_activation(layer: Any) -> Iterator[Any]:
    """Let `layer` return the input of its activation within the block; yield the activation."""
    activation, layer.activation = layer.activation, keras.activations.linear
    try:
        yield activation
    finally:
        layer.activation = activation
