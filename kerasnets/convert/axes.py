"""One layer's weights in PyTorch's axes and in Keras'.

A convolution's kernel is OIHW in PyTorch and HWIO in Keras, a dense one (out, in) and (in, out). A dense layer after a
Flatten has its inputs by (channels, height, width) in PyTorch and by (height, width, channels) in Keras.
"""

from collections.abc import Mapping

import keras
import numpy as np
from numpy.typing import ArrayLike

from kerasnets.graph import has_weights, producer

# The names in PyTorch of a layer's weights, in Keras' order. A layer without bias has only the first.
CONVOLUTION = ("weight", "bias")
NORMALIZATION = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def to_keras(layer: keras.Layer, tensors: Mapping[str, ArrayLike]) -> list[np.ndarray]:
    """Return the weights of one layer in Keras' order and axes, from PyTorch's {"weight": array, ...}."""
    return [transpose(layer, np.asarray(tensors[part])) for part in parts(layer)]


def parts(layer: keras.Layer) -> tuple[str, ...]:
    """Return the names in PyTorch of a layer's weights, in Keras' order."""
    if isinstance(layer, keras.layers.BatchNormalization):  # which may lack a scale or a center
        return tuple(NORMALIZATION[weight.name] for weight in layer.weights)
    return CONVOLUTION[: len(layer.weights)]


def shapes(layer: keras.Layer) -> dict[str, tuple[int, ...]]:
    """Return {part: shape} of PyTorch's tensors of one layer."""
    axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
    return {
        part: tuple(weight.shape[axis] for axis in axes[len(weight.shape)])
        for part, weight in zip(parts(layer), layer.weights, strict=True)
    }


def transpose(layer: keras.Layer, array: np.ndarray) -> np.ndarray:
    """Return one array of PyTorch's with its axes as Keras has them."""
    if array.ndim == 4:  # OIHW
        return array.transpose(2, 3, 1, 0)
    if array.ndim != 2:
        return array
    height, width, channels = flattened_shape(layer) or (1, 1, array.shape[1])
    return array.reshape(-1, channels, height, width).transpose(2, 3, 1, 0).reshape(height * width * channels, -1)


def flattened_shape(layer: keras.Layer) -> tuple[int, int, int] | None:
    """Return (height, width, channels) of the input of the Flatten before this dense layer; None without a Flatten."""
    while not isinstance(layer, keras.layers.Flatten):
        layer = producer(layer.input)
        if isinstance(layer, keras.layers.InputLayer) or has_weights(layer) or isinstance(layer.input, list):
            return None
    shape = layer.input.shape[1:]
    if len(shape) != 3:
        return None
    return shape if layer.data_format == "channels_last" else (*shape[1:], shape[0])
