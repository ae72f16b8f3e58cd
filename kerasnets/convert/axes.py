"""One layer's weights in PyTorch's axes and in Keras'.

Kernels are OIHW there and HWIO here, dense ones (out, in) and (in, out). A dense layer after a Flatten has its inputs
by (channels, height, width) there and by (height, width, channels) here.
"""

import keras
import numpy as np

from kerasnets.graph import has_weights, producer

# A layer's weights in Keras' order, as PyTorch names them. A layer without bias has the first alone.
CONVOLUTION = ("weight", "bias")
NORMALIZATION = ("weight", "bias", "running_mean", "running_var")


def to_torch(layer):
    """PyTorch's tensors of one layer, as {"weight": float32 array, ...}: kernels OIHW, dense ones (out, in)."""
    arrays = [np.asarray(keras.ops.convert_to_numpy(weight)) for weight in layer.weights]
    return dict(zip(parts(layer), [turned(layer, array, to="torch") for array in arrays], strict=True))


def to_keras(layer, tensors):
    """The weights of one layer in Keras' order and axes, from {"weight": array, ...} in PyTorch's."""
    return [turned(layer, np.asarray(tensors[part]), to="keras") for part in parts(layer)]


def parts(layer):
    names = NORMALIZATION if isinstance(layer, keras.layers.BatchNormalization) else CONVOLUTION
    return names[: len(layer.weights)]


def shapes(layer):
    """{part: shape} of the tensors that PyTorch has for one layer."""
    axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
    return {
        part: tuple(weight.shape[axis] for axis in axes[len(weight.shape)])
        for part, weight in zip(parts(layer), layer.weights, strict=True)
    }


def turned(layer, array, to):
    """One array with its axes where PyTorch or Keras has them."""
    if array.ndim == 4:  # OIHW and HWIO
        return array.transpose((3, 2, 0, 1) if to == "torch" else (2, 3, 1, 0))
    if array.ndim != 2:
        return array
    height, width, channels = flattened_shape(layer) or (1, 1, len(array) if to == "torch" else array.shape[1])
    if to == "torch":  # rows by (H, W, C) -> columns by (C, H, W)
        array = array.reshape(height, width, channels, -1).transpose(3, 2, 0, 1)
        return array.reshape(len(array), -1)
    return array.reshape(-1, channels, height, width).transpose(2, 3, 1, 0).reshape(height * width * channels, -1)


def flattened_shape(layer):
    """(height, width, channels) of what a Flatten before this dense layer flattened; None without one."""
    while not isinstance(layer, keras.layers.Flatten):
        layer = producer(layer.input)
        if isinstance(layer, keras.layers.InputLayer) or has_weights(layer) or isinstance(layer.input, list):
            return None
    shape = layer.input.shape[1:]
    if len(shape) != 3:
        return None
    return shape if layer.data_format == "channels_last" else (*shape[1:], shape[0])
