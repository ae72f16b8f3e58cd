"""VGG: stages of 3x3 convolutions, each stage closed by a 2x2 max-pooling, then three dense layers.

Source: Simonyan and Zisserman, ICLR 2015, arXiv:1409.1556, table 1. VGG-7, VGG-9 and `head="compact"` are the
tutorials' own, for smaller images.
Departures: with `batch_norm`, each convolution, which keeps its bias, is followed by batch normalization (the paper
predates it). Feature maps that are not 7x7 are average-pooled to 7x7 (the paper's images are 224x224). Both are
torchvision's, and so are the initial weights: He normal by fan-out for convolutions, N(0, 0.01) for dense layers. The
paper draws all from N(0, 0.01), with which the deeper columns train only from the weights of column A. The heads of
VGG-7 and VGG-9 take the 256 and 512 channels of their last stage; in the tutorials' listing they do not.
"""

from collections.abc import Callable

import keras
from keras import layers

from kerasnets.models.initializers import he_normal, pytorch_uniform
from kerasnets.models.pooling import adaptive_average_pool

# depth: (kernel sizes of the convolutions, filters) of each stage. The letters are the paper's columns.
STAGES: dict[int | str, tuple[tuple[tuple[int, ...], int], ...]] = {
    7: (((3,), 64), ((3,), 128), ((3, 3), 256)),
    9: (((3,), 64), ((3,), 128), ((3, 3), 256), ((3, 3), 512)),
    11: (((3,), 64), ((3,), 128), ((3, 3), 256), ((3, 3), 512), ((3, 3), 512)),  # A
    13: (((3, 3), 64), ((3, 3), 128), ((3, 3), 256), ((3, 3), 512), ((3, 3), 512)),  # B
    16: (((3, 3), 64), ((3, 3), 128), ((3, 3, 3), 256), ((3, 3, 3), 512), ((3, 3, 3), 512)),  # D
    "16_1x1": (((3, 3), 64), ((3, 3), 128), ((3, 3, 1), 256), ((3, 3, 1), 512), ((3, 3, 1), 512)),  # C
    19: (((3, 3), 64), ((3, 3), 128), ((3, 3, 3, 3), 256), ((3, 3, 3, 3), 512), ((3, 3, 3, 3), 512)),  # E
}


Initializer = Callable[[], keras.initializers.Initializer]  # makes one for each layer


def he_normal_by_fan_out() -> keras.initializers.Initializer:
    return he_normal("fan_out")


def vgg(
    depth: int | str,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    num_classes: int = 1000,
    *,
    batch_norm: bool = False,
    head: str = "paper",
    dropout: float | None = None,
    units: int = 4096,
    filters: int = 64,
) -> keras.Model:
    """Build the VGG with `depth` weighted layers ("16_1x1": column C); VGG-16 has 138,357,544 parameters.

    Args:
        depth: A key of STAGES, which the name of the network decides, as it does `batch_norm`.
        input_shape: (height, width, channels) in pixels, at least 8x8 (VGG-7), 16x16 (VGG-9) or 32x32.
        num_classes: The number of logits.
        batch_norm: Whether batch normalization follows each convolution.
        head: "paper" or "compact", a key of HEADS; both take feature maps of 7x7.
        dropout: The fraction of activations that training drops; None for the default of the head, 0.5 or 0.4.
        units: The width of the first dense layer. The second is as wide ("paper") or half as wide ("compact").
        filters: Of the first stage; the filters of the other stages keep the paper's proportion to it.

    Raises:
        ValueError: The head is unknown.
    """
    if head not in HEADS:
        raise ValueError(f"unknown head {head!r}; choose one of: {', '.join(HEADS)}")
    inputs = keras.Input(input_shape, name="input")
    x = conv_stages(inputs, STAGES[depth], batch_norm, filters)
    x = adaptive_average_pool(x, 7, 7, name="average_pool")
    x = layers.Flatten(name="flatten")(x)
    x = HEADS[head](x, units, **({} if dropout is None else {"dropout": dropout}))
    logits = dense(x, num_classes, activation=None, name="logits")
    return keras.Model(inputs, logits, name=f"vgg{depth}" + "_bn" * batch_norm)


def vgg_cifar(input_shape: tuple[int, int, int] = (32, 32, 3), num_classes: int = 10) -> keras.Model:
    """Build column A with batch normalization and a single dense layer: 9,231,114 parameters.

    Source: `VGG('VGG11')` of kuangliu/pytorch-cifar.
    Departure: global average pooling comes before the dense layer, so that the network takes larger images. A 32x32
    image leaves 1x1, which the pooling does not change. Kernels are drawn by PyTorch's default, as there.
    """
    inputs = keras.Input(input_shape, name="input")
    x = conv_stages(inputs, STAGES[11], True, 64, pytorch_uniform)
    x = layers.GlobalAveragePooling2D(name="average_pool")(x)
    x = layers.Dense(num_classes, kernel_initializer=pytorch_uniform(), name="logits")(x)
    return keras.Model(inputs, x, name="vgg_cifar")


def conv_stages(
    x: keras.KerasTensor,
    stages: tuple[tuple[tuple[int, ...], int], ...],
    batch_norm: bool,
    first_filters: int,
    kernel_initializer: Initializer = he_normal_by_fan_out,
) -> keras.KerasTensor:
    for i, (kernel_sizes, filters) in enumerate(stages, start=1):
        x = conv_stage(x, kernel_sizes, filters // 64 * first_filters, batch_norm, kernel_initializer, f"stage{i}")
    return x


def conv_stage(
    x: keras.KerasTensor,
    kernel_sizes: tuple[int, ...],
    filters: int,
    batch_norm: bool,
    kernel_initializer: Initializer,
    name: str,
) -> keras.KerasTensor:
    """Convolutions with ReLU, then half the height and width."""
    for j, kernel_size in enumerate(kernel_sizes, start=1):
        x = layers.Conv2D(
            filters,
            kernel_size,
            padding="same",
            activation=None if batch_norm else "relu",
            kernel_initializer=kernel_initializer(),
            name=f"{name}_conv{j}",
        )(x)
        if batch_norm:
            x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm{j}")(x)
            x = layers.ReLU(name=f"{name}_relu{j}")(x)
    return layers.MaxPooling2D(2, name=f"{name}_pool")(x)


def paper_head(x: keras.KerasTensor, units: int, dropout: float = 0.5) -> keras.KerasTensor:
    x = dense(x, units, activation="relu", name="fc1")
    x = layers.Dropout(dropout, name="dropout1")(x)
    x = dense(x, units, activation="relu", name="fc2")
    return layers.Dropout(dropout, name="dropout2")(x)


def compact_head(x: keras.KerasTensor, units: int, dropout: float = 0.4) -> keras.KerasTensor:
    """Dropout also before the first dense layer, ReLU6, and a second dense layer of half the width."""
    x = layers.Dropout(dropout, name="dropout0")(x)
    x = dense(x, units, activation="relu6", name="fc1")
    x = layers.Dropout(dropout, name="dropout1")(x)
    x = dense(x, units // 2, activation="relu6", name="fc2")
    return layers.Dropout(dropout, name="dropout2")(x)


HEADS = {"paper": paper_head, "compact": compact_head}


def dense(x: keras.KerasTensor, units: int, activation: str | None, name: str) -> keras.KerasTensor:
    initializer = keras.initializers.RandomNormal(stddev=0.01)
    return layers.Dense(units, activation=activation, kernel_initializer=initializer, name=name)(x)
