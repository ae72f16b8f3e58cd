"""GoogLeNet (Inception V1): blocks of parallel branches with kernels of several sizes, whose outputs are concatenated.

Source: Szegedy et al., CVPR 2015, arXiv:1409.4842, table 1 and section 5. Layers have the paper's names (3a, 3b, ...).
A max-pooling window may reach over the edge of the map, as in Caffe, in which the network was published.
Order of the weights: the stem; the 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5 and pool proj of each inception; logits;
auxiliary heads.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from kerasnets.models.initializers import he_normal, pytorch_uniform
from kerasnets.models.pooling import adaptive_average_pool

Filters = tuple[int, tuple[int, int], tuple[int, int], int]

# Table 1: filters of 1x1; 3x3 reduce and 3x3; 5x5 reduce and 5x5; pool proj. A max-pooling comes before 4a and 5a.
INCEPTIONS: dict[str, Filters] = {
    "3a": (64, (96, 128), (16, 32), 32),
    "3b": (128, (128, 192), (32, 96), 64),
    "4a": (192, (96, 208), (16, 48), 64),
    "4b": (160, (112, 224), (24, 64), 64),
    "4c": (128, (128, 256), (24, 64), 64),
    "4d": (112, (144, 288), (32, 64), 64),
    "4e": (256, (160, 320), (32, 128), 128),
    "5a": (256, (160, 320), (32, 128), 128),
    "5b": (384, (192, 384), (48, 128), 128),
}
AUXILIARY_HEADS = {"aux1": "4a", "aux2": "4d"}  # head: the inception that it reads

Conv = Callable[..., keras.KerasTensor]  # makes a convolution: (x, filters, kernel_size, name, strides=1)


def googlenet(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    num_classes: int = 1000,
    *,
    auxiliary_heads: bool = False,
    dropout: float | None = None,
) -> keras.Model:
    """Build the paper's network: 6,998,552 parameters, 13,378,280 with auxiliary heads.

    Departures: no local response normalization after the first pooling and before the second (the paper does not print
    its constants). The last average pooling is global at any size. The paper prints no initialization: convolutions
    are drawn from He's normal distribution by fan-in, not truncated, so that the signal does not fade over 21 layers
    without batch norm.

    Args:
        input_shape: (height, width, channels) in pixels, at least 31x31, or 79x79 with auxiliary heads.
        num_classes: The number of logits.
        auxiliary_heads: Whether the outputs are [logits, aux1_logits, aux2_logits]. The paper adds the losses of the
            auxiliary heads with a weight of 0.3.
        dropout: The fraction that training drops in each head; None for the paper's 0.4, and 0.7 in auxiliary heads.
    """
    inputs = keras.Input(input_shape, name="input")
    inceptions = features(inputs, conv_relu, kernel_of_5x5=5, size_of_pool4=3)
    outputs = [head(inceptions["5b"], num_classes, 0.4 if dropout is None else dropout)]
    if auxiliary_heads:
        for name, inception_name in AUXILIARY_HEADS.items():
            x = layers.AveragePooling2D(5, 3, name=f"{name}_pool")(inceptions[inception_name])
            outputs.append(auxiliary_head(x, num_classes, conv_relu, dropout, name))
    return keras.Model(inputs, outputs if auxiliary_heads else outputs[0], name="googlenet")


def googlenet_torchvision(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    num_classes: int = 1000,
    *,
    auxiliary_heads: bool = False,
    dropout: float | None = None,
) -> keras.Model:
    """Build torchvision's network, for its weights: 6,624,904 parameters, 13,004,888 with auxiliary heads.

    Source: torchvision.models.googlenet. It differs from the paper: batch norm after each convolution, 3x3 instead of
    5x5 (the layers keep the name 5x5), a 2x2 pool4, and auxiliary heads that average to 4x4 from any size.
    Departure: dense layers are drawn by Keras' default. torchvision's weights need pixels / 255 with mean 0.5 and std
    0.5, into which its `transform_input` turns the usual normalization.

    Args:
        input_shape: (height, width, channels) in pixels, at least 15x15.
        num_classes: The number of logits.
        auxiliary_heads: Whether the outputs are [logits, aux1_logits, aux2_logits]. torchvision gives aux2 before
            aux1, and both in training only.
        dropout: The fraction that training drops in each head; None for torchvision's 0.2, and 0.7 in auxiliary heads.
    """
    inputs = keras.Input(input_shape, name="input")
    inceptions = features(inputs, conv_norm_relu, kernel_of_5x5=3, size_of_pool4=2)
    outputs = [head(inceptions["5b"], num_classes, 0.2 if dropout is None else dropout)]
    if auxiliary_heads:
        for name, inception_name in AUXILIARY_HEADS.items():
            x = adaptive_average_pool(inceptions[inception_name], 4, 4, name=f"{name}_pool")
            outputs.append(auxiliary_head(x, num_classes, conv_norm_relu, dropout, name))
    return keras.Model(inputs, outputs if auxiliary_heads else outputs[0], name="googlenet_torchvision")


def features(x: keras.KerasTensor, conv: Conv, kernel_of_5x5: int, size_of_pool4: int) -> dict[str, keras.KerasTensor]:
    """The outputs of all inceptions, by name. `conv` makes every convolution."""
    x = conv(x, 64, 7, name="stem_conv1", strides=2)
    x = max_pool(x, 3, name="stem_pool1")
    x = conv(x, 64, 1, name="stem_conv2")
    x = conv(x, 192, 3, name="stem_conv3")
    x = max_pool(x, 3, name="stem_pool2")
    outputs = {}
    for name, filters in INCEPTIONS.items():
        if name == "4a":
            x = max_pool(x, 3, name="pool3")
        if name == "5a":
            x = max_pool(x, size_of_pool4, name="pool4")
        x = outputs[name] = inception(x, filters, conv, kernel_of_5x5, name)
    return outputs


def inception(x: keras.KerasTensor, filters: Filters, conv: Conv, kernel_of_5x5: int, name: str) -> keras.KerasTensor:
    """Four parallel branches: 1x1; 3x3; 5x5, or the kernel in its place; max-pooling. 1x1 ones reduce channels."""
    of_1x1, of_3x3, of_5x5, of_pool = filters
    branch1 = conv(x, of_1x1, 1, name=f"{name}_1x1")
    branch2 = conv(x, of_3x3[0], 1, name=f"{name}_3x3_reduce")
    branch2 = conv(branch2, of_3x3[1], 3, name=f"{name}_3x3")
    branch3 = conv(x, of_5x5[0], 1, name=f"{name}_5x5_reduce")
    branch3 = conv(branch3, of_5x5[1], kernel_of_5x5, name=f"{name}_5x5")
    branch4 = layers.MaxPooling2D(3, 1, padding="same", name=f"{name}_pool")(x)
    branch4 = conv(branch4, of_pool, 1, name=f"{name}_pool_proj")
    return layers.Concatenate(name=name)([branch1, branch2, branch3, branch4])


def conv_relu(x: keras.KerasTensor, filters: int, kernel_size: int, name: str, strides: int = 1) -> keras.KerasTensor:
    x = pad(x, kernel_size, strides, name)
    conv = layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding="same" if strides == 1 else "valid",
        activation="relu",
        kernel_initializer=he_normal("fan_in"),
        name=name,
    )
    return conv(x)


def conv_norm_relu(
    x: keras.KerasTensor, filters: int, kernel_size: int, name: str, strides: int = 1
) -> keras.KerasTensor:
    x = pad(x, kernel_size, strides, name)
    conv = layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding="same" if strides == 1 else "valid",
        use_bias=False,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        name=name,
    )
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_norm")(conv(x))
    return layers.ReLU(name=f"{name}_relu")(x)


def pad(x: keras.KerasTensor, kernel_size: int, strides: int, name: str) -> keras.KerasTensor:
    """Pad as Caffe and PyTorch do, all sides alike; at a stride, Keras' "same" pads even sizes unevenly."""
    return x if strides == 1 else layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)


def max_pool(x: keras.KerasTensor, pool_size: int, name: str) -> keras.KerasTensor:
    """Maxima at a stride of 2; the last window may reach over the edge by a pixel. x is at least 0, as after ReLU."""
    over_the_edge = [(0, (pixels - pool_size) % 2) for pixels in x.shape[1:3]]
    x = layers.ZeroPadding2D(over_the_edge, name=f"{name}_pad")(x)
    return layers.MaxPooling2D(pool_size, 2, name=name)(x)


def head(x: keras.KerasTensor, num_classes: int, dropout: float) -> keras.KerasTensor:
    x = layers.GlobalAveragePooling2D(name="pool5")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    return layers.Dense(num_classes, name="logits")(x)


def auxiliary_head(
    x: keras.KerasTensor, num_classes: int, conv: Conv, dropout: float | None, name: str
) -> keras.KerasTensor:
    """A small classifier on the pooled output of an inception, for training only."""
    x = conv(x, 128, 1, name=f"{name}_conv")
    x = layers.Flatten(name=f"{name}_flatten")(x)
    x = layers.Dense(1024, activation="relu", name=f"{name}_fc")(x)
    x = layers.Dropout(0.7 if dropout is None else dropout, name=f"{name}_dropout")(x)
    return layers.Dense(num_classes, name=f"{name}_logits")(x)


def googlenet_mini(input_shape: tuple[int, int, int] = (28, 28, 1), num_classes: int = 10) -> keras.Model:
    """Build two 5x5 convolutions, an inception after each, and a dense layer: 97,298 parameters.

    Source: the Fashion-MNIST "GoogLeNet" of the PyTorch tutorials (mean 0.1307, std 0.3081, SGD 0.1).
    Its inception has no activation inside and no pooling before the fourth branch. Kernels are drawn by PyTorch's
    default, U(+-1/sqrt(fan_in)), because the tutorials depend on it. Departure: biases start at 0.
    """
    inputs = x = keras.Input(input_shape, name="input")
    for i, filters in enumerate((10, 20), start=1):
        x = mini_conv(filters, 5, activation="relu", name=f"conv{i}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{i}")(x)
        x = mini_inception(x, name=f"inception{i}")
    x = layers.Flatten(name="flatten")(x)
    logits = layers.Dense(num_classes, kernel_initializer=pytorch_uniform(), name="logits")(x)
    return keras.Model(inputs, logits, name="googlenet_mini")


def mini_inception(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Four parallel branches of 16, 24, 24 and 24 channels."""
    branch1 = mini_conv(16, 1, padding="same", name=f"{name}_1x1")(x)
    branch2 = mini_conv(16, 1, padding="same", name=f"{name}_3x3_reduce")(x)
    branch2 = mini_conv(24, 3, padding="same", name=f"{name}_3x3_1")(branch2)
    branch2 = mini_conv(24, 3, padding="same", name=f"{name}_3x3_2")(branch2)
    branch3 = mini_conv(16, 1, padding="same", name=f"{name}_5x5_reduce")(x)
    branch3 = mini_conv(24, 5, padding="same", name=f"{name}_5x5")(branch3)
    branch4 = mini_conv(24, 1, padding="same", name=f"{name}_proj")(x)
    return layers.Concatenate(name=name)([branch1, branch2, branch3, branch4])


def mini_conv(filters: int, kernel_size: int, **options: Any) -> keras.Layer:
    return layers.Conv2D(filters, kernel_size, kernel_initializer=pytorch_uniform(), **options)
