"""ResNet: blocks that add the output of their convolutions to their input.

Source: He, Zhang, Ren and Sun, CVPR 2016, arXiv:1512.03385, table 1 (`resnet`) and section 4.2 (`resnet_cifar`).
Kernels are drawn as in torchvision: He normal by fan-out, not truncated; the last dense layer by Keras' default.
Order of the weights: the convolutions of a block, each with its norm, then the convolution and norm of its shortcut.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

from kerasnets.models.initializers import he_normal, pytorch_uniform

# depth: (block, number of blocks in each stage)
STAGES = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}


Shortcut = Callable[[keras.KerasTensor, tuple[int, ...], int, str], keras.KerasTensor]
Block = Callable[[keras.KerasTensor, int, int, Shortcut, str], keras.KerasTensor]


def resnet(
    depth: int,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    num_classes: int = 1000,
    *,
    small_stem: bool = False,
) -> keras.Model:
    """Build the ResNet with `depth` weighted layers, in torchvision's form; ResNet-50 has 25,557,032 parameters.

    Departure: the stride of a bottleneck is in its 3x3 convolution ("v1.5"; the paper has it in the first 1x1).

    Args:
        depth: A key of STAGES, which the name of the network decides.
        input_shape: (height, width, channels) in pixels.
        num_classes: The number of logits.
        small_stem: For small images: a 3x3 convolution of stride 1, instead of a 7x7 one of stride 2 and a pooling.
    """
    kind, stages = STAGES[depth]
    block = {"basic": basic, "bottleneck": bottleneck}[kind]
    inputs = keras.Input(input_shape, name="input")
    if small_stem:
        x = conv_norm(inputs, 64, 3, 1, name="stem")
        x = layers.ReLU(name="stem_relu")(x)
    else:
        x = conv_norm(inputs, 64, 7, 2, name="stem")
        x = layers.ReLU(name="stem_relu")(x)
        x = layers.ZeroPadding2D(1, name="stem_pool_pad")(x)  # PyTorch pads by -inf: the same after ReLU
        x = layers.MaxPooling2D(3, 2, name="stem_pool")(x)
    x = residual_stages(x, stages, 64, block, projection)
    return keras.Model(inputs, head(x, num_classes), name=f"resnet{depth}")


def resnet_cifar(depth: int, input_shape: tuple[int, int, int] = (32, 32, 3), num_classes: int = 10) -> keras.Model:
    """Build the paper's CIFAR network with `depth` = 6n + 2 weighted layers; ResNet-20 has 269,722 parameters.

    Three stages of n basic blocks with 16, 32 and 64 filters; shortcuts have no weights (option A).
    """
    inputs = keras.Input(input_shape, name="input")
    x = conv_norm(inputs, 16, 3, 1, name="stem")
    x = layers.ReLU(name="stem_relu")(x)
    x = residual_stages(x, [(depth - 2) // 6] * 3, 16, basic, zero_padding)
    return keras.Model(inputs, head(x, num_classes), name=f"resnet{depth}")


def residual_stages(
    x: keras.KerasTensor, stages: Sequence[int], filters: int, block: Block, shortcut: Shortcut
) -> keras.KerasTensor:
    """Stages of blocks; from the second on, each halves height and width in its first block and doubles the filters."""
    for i, num_blocks in enumerate(stages, start=1):
        for j in range(1, num_blocks + 1):
            strides = 2 if i > 1 and j == 1 else 1
            x = block(x, filters * 2 ** (i - 1), strides, shortcut, f"stage{i}_block{j}")
    return x


def basic(x: keras.KerasTensor, filters: int, strides: int, shortcut: Shortcut, name: str) -> keras.KerasTensor:
    """Two 3x3 convolutions and a shortcut."""
    y = conv_norm(x, filters, 3, strides, name, 1)
    y = layers.ReLU(name=f"{name}_relu1")(y)
    y = conv_norm(y, filters, 3, 1, name, 2)
    x = shortcut(x, y.shape, strides, name)
    x = layers.Add(name=f"{name}_add")([y, x])
    return layers.ReLU(name=f"{name}_relu")(x)


def bottleneck(x: keras.KerasTensor, filters: int, strides: int, shortcut: Shortcut, name: str) -> keras.KerasTensor:
    """1x1 convolution to fewer channels, 3x3, 1x1 to four times as many, and a shortcut."""
    y = conv_norm(x, filters, 1, 1, name, 1)
    y = layers.ReLU(name=f"{name}_relu1")(y)
    y = conv_norm(y, filters, 3, strides, name, 2)
    y = layers.ReLU(name=f"{name}_relu2")(y)
    y = conv_norm(y, 4 * filters, 1, 1, name, 3)
    x = shortcut(x, y.shape, strides, name)
    x = layers.Add(name=f"{name}_add")([y, x])
    return layers.ReLU(name=f"{name}_relu")(x)


def projection(x: keras.KerasTensor, shape: tuple[int, ...], strides: int, name: str) -> keras.KerasTensor:
    """Option B: x itself, or a 1x1 convolution if the shapes differ."""
    return x if x.shape == shape else conv_norm(x, shape[-1], 1, strides, name=f"{name}_shortcut")


def zero_padding(x: keras.KerasTensor, shape: tuple[int, ...], strides: int, name: str) -> keras.KerasTensor:
    """Option A: x itself, or every second pixel with as many channels of zeros added as there were.

    The paper does not say which channels are zero: here the last ones are.
    """
    if x.shape == shape:
        return x
    x = layers.AveragePooling2D(1, strides, name=f"{name}_shortcut_pool")(x)
    zeros = layers.Rescaling(0.0, name=f"{name}_shortcut_zeros")(x)
    return layers.Concatenate(name=f"{name}_shortcut")([x, zeros])


def conv_norm(
    x: keras.KerasTensor, filters: int, kernel_size: int, strides: int, name: str, i: int | str = ""
) -> keras.KerasTensor:
    """A convolution without bias, padded as PyTorch pads, and batch norm."""
    if strides > 1 and kernel_size > 1:
        x = layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad{i}")(x)
    conv = layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding="same" if strides == 1 else "valid",
        use_bias=False,
        kernel_initializer=he_normal("fan_out"),
        name=f"{name}_conv{i}",
    )
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm{i}")(conv(x))


def head(x: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return layers.Dense(num_classes, name="logits")(x)


def resnet_mini(input_shape: tuple[int, int, int] = (28, 28, 1), num_classes: int = 10) -> keras.Model:
    """Build two 5x5 convolutions, a residual block after each, and a dense layer: 41,514 parameters.

    Source: the Fashion-MNIST "ResNet" of the PyTorch tutorials (mean 0.1307, std 0.3081, SGD 0.1): no batch norm.
    Kernels are drawn by PyTorch's default, U(+-1/sqrt(fan_in)), because the tutorials depend on it. Departure: biases
    start at 0.
    """
    inputs = x = keras.Input(input_shape, name="input")
    for i, filters in enumerate((16, 32), start=1):
        x = mini_conv(filters, 5, activation="relu", name=f"conv{i}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{i}")(x)
        y = mini_conv(filters, 3, padding="same", activation="relu", name=f"residual{i}_conv1")(x)
        y = mini_conv(filters, 3, padding="same", name=f"residual{i}_conv2")(y)
        x = layers.Add(name=f"residual{i}_add")([x, y])
        x = layers.ReLU(name=f"residual{i}_relu")(x)
    x = layers.Flatten(name="flatten")(x)
    logits = layers.Dense(num_classes, kernel_initializer=pytorch_uniform(), name="logits")(x)
    return keras.Model(inputs, logits, name="resnet_mini")


def mini_conv(filters: int, kernel_size: int, **options: Any) -> keras.Layer:
    return layers.Conv2D(filters, kernel_size, kernel_initializer=pytorch_uniform(), **options)


# resnet_cifar_wide: padding of each stage's convolution, number of residual blocks after it. Filters double by stage.
WIDE_STAGES = (("same", 1), ("valid", 2), ("valid", 3), ("valid", 1))


def resnet_cifar_wide(
    input_shape: tuple[int, int, int] = (32, 32, 3),
    num_classes: int = 10,
    *,
    filters: int = 64,
    units: int = 1024,
    dropout: float = 0.5,
) -> keras.Model:
    """Build stages of 64 to 512 filters, residual blocks without batch norm, and a dense head: 63,435,018 parameters.

    Source: the CIFAR-10 "ResNet" of the TensorFlow tutorials (pixels / 255, Adam 0.001, batch 500).
    A residual block has its ReLU before the sum and none after it. Only the first stage has a pooling.
    Departure: the last layer gives logits; the tutorial trains a softmax by squared error.

    Args:
        input_shape: (height, width, channels) in pixels, at least 14x14.
        num_classes: The number of logits.
        filters: Of the first stage.
        units: The width of the first dense layer; the second is half as wide.
        dropout: The fraction of activations that training drops after each dense layer.
    """
    inputs = x = keras.Input(input_shape, name="input")
    for i, (padding, num_blocks) in enumerate(WIDE_STAGES, start=1):
        width = filters * 2 ** (i - 1)
        x = layers.Conv2D(width, 3, padding=padding, activation="relu", name=f"stage{i}_conv")(x)
        if i == 1:
            x = layers.MaxPooling2D(2, name="stage1_pool")(x)
        for j in range(1, num_blocks + 1):
            name = f"stage{i}_block{j}"
            y = layers.Conv2D(width, 3, padding="same", activation="relu", name=f"{name}_conv1")(x)
            y = layers.Conv2D(width, 3, padding="same", activation="relu", name=f"{name}_conv2")(y)
            x = layers.Add(name=f"{name}_add")([x, y])
    x = layers.Flatten(name="flatten")(x)
    for i, width in enumerate((units, units // 2), start=1):
        x = layers.Dense(width, activation="relu", name=f"dense{i}")(x)
        x = layers.Dropout(dropout, name=f"dropout{i}")(x)
    logits = layers.Dense(num_classes, name="logits")(x)
    return keras.Model(inputs, logits, name="resnet_cifar_wide")
