"""DenseNet: each layer reads the features of all layers before it in its block, and adds a few of its own.

Source: Huang, Liu, van der Maaten and Weinberger, CVPR 2017, arXiv:1608.06993: table 1, and section 4 for CIFAR.
The ImageNet form is torchvision's, with the same order of features, so that its weights fit.
Departures: `dropout` is 0.0 by default; the paper has 0.2 on data without augmentation. Dropout follows only the last
convolution of each layer, as in torchvision; in the paper it follows every convolution but the first. A tutorial's
listing ends in a 7x7 average pooling, which fails on images below 224x224, and its table of layers has a 26 for a 16:
here the last pooling is global, and the table is the paper's. Kernels are drawn as torchvision's are.
"""

from collections.abc import Sequence

import keras
from keras import layers

from kerasnets.models.initializers import he_normal, pytorch_uniform

# depth: (growth rate, filters of the stem, layers of each block). Table 1 of the paper.
BLOCKS = {
    121: (32, 64, (6, 12, 24, 16)),
    161: (48, 96, (6, 12, 36, 24)),
    169: (32, 64, (6, 12, 32, 32)),
    201: (32, 64, (6, 12, 48, 32)),
}
BOTTLENECK = 4  # filters of a bottleneck's 1x1 convolution, in growth rates


def densenet(
    depth: int,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    num_classes: int = 1000,
    *,
    dropout: float = 0.0,
) -> keras.Model:
    """Build the DenseNet-BC with `depth` weighted layers for ImageNet; DenseNet-121 has 7,978,856 parameters.

    Args:
        depth: A key of BLOCKS, which the name of the network decides.
        input_shape: (height, width, channels) in pixels, at least 29x29.
        num_classes: The number of logits.
        dropout: The fraction of each layer's new features that training drops.
    """
    growth_rate, filters, blocks = BLOCKS[depth]
    inputs = keras.Input(input_shape, name="input")
    x = layers.ZeroPadding2D(3, name="stem_pad")(inputs)
    x = convolution(x, filters, 7, strides=2, padding="valid", name="stem_conv")
    x = norm_relu(x, "stem_norm", "stem_relu")
    x = layers.ZeroPadding2D(1, name="stem_pool_pad")(x)  # after ReLU, 0 has the effect of PyTorch's -inf
    x = layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)
    x = dense_blocks(x, blocks, growth_rate, dropout, bottleneck=True)
    return keras.Model(inputs, head(x, num_classes), name=f"densenet{depth}")


def densenet_cifar(
    depth: int,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    num_classes: int = 10,
    *,
    bottleneck: bool = False,
    dropout: float = 0.0,
) -> keras.Model:
    """Build the DenseNet of growth rate 12 for CIFAR: `depth` 40 has 1,019,722 parameters.

    Args:
        depth: The number of weighted layers, which the name of the network decides, as it does `bottleneck`.
        input_shape: (height, width, channels) in pixels, at least 4x4.
        num_classes: The number of logits.
        bottleneck: Whether to build a DenseNet-BC: a 1x1 convolution comes first in each layer, and each transition
            halves the features. `depth` 100 has 769,162 parameters.
        dropout: The fraction of each layer's new features that training drops.
    """
    growth_rate = 12
    num_layers = (depth - 4) // (6 if bottleneck else 3)  # of each of 3 blocks; the 4: stem, two transitions, logits
    inputs = keras.Input(input_shape, name="input")
    x = convolution(inputs, 2 * growth_rate if bottleneck else 16, 3, name="stem_conv")
    x = dense_blocks(x, (num_layers,) * 3, growth_rate, dropout, bottleneck)
    return keras.Model(inputs, head(x, num_classes), name=f"densenet_bc{depth}" if bottleneck else f"densenet{depth}")


def dense_blocks(
    x: keras.KerasTensor, blocks: Sequence[int], growth_rate: int, dropout: float, bottleneck: bool
) -> keras.KerasTensor:
    """Blocks of dense layers, with a transition between two blocks."""
    for i, num_layers in enumerate(blocks, start=1):
        if i > 1:
            channels = x.shape[-1]
            x = transition(x, channels // 2 if bottleneck else channels, name=f"transition{i - 1}")
        for j in range(1, num_layers + 1):
            x = dense_layer(x, growth_rate, dropout, bottleneck, name=f"block{i}_layer{j}")
    return x


def dense_layer(
    x: keras.KerasTensor, growth_rate: int, dropout: float, bottleneck: bool, name: str
) -> keras.KerasTensor:
    """`x`, followed by `growth_rate` new features that a 3x3 convolution computes from all channels of `x`."""
    new = norm_relu(x, f"{name}_norm1", f"{name}_relu1")
    if bottleneck:
        new = convolution(new, BOTTLENECK * growth_rate, 1, name=f"{name}_conv1")
        new = norm_relu(new, f"{name}_norm2", f"{name}_relu2")
    new = convolution(new, growth_rate, 3, name=f"{name}_conv2" if bottleneck else f"{name}_conv1")
    new = layers.Dropout(dropout, name=f"{name}_dropout")(new)
    return layers.Concatenate(name=f"{name}_concat")([x, new])


def transition(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """A 1x1 convolution to `filters`, and half the height and width."""
    x = norm_relu(x, f"{name}_norm", f"{name}_relu")
    x = convolution(x, filters, 1, name=f"{name}_conv")
    return layers.AveragePooling2D(2, name=f"{name}_pool")(x)


def head(x: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    x = norm_relu(x, "final_norm", "final_relu")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return layers.Dense(num_classes, kernel_initializer=pytorch_uniform(), name="logits")(x)


def norm_relu(x: keras.KerasTensor, norm_name: str, relu_name: str) -> keras.KerasTensor:
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=norm_name)(x)
    return layers.ReLU(name=relu_name)(x)


def convolution(
    x: keras.KerasTensor, filters: int, kernel_size: int, strides: int = 1, padding: str = "same", *, name: str
) -> keras.KerasTensor:
    """A convolution without bias, drawn from He's normal distribution, not truncated."""
    return layers.Conv2D(
        filters, kernel_size, strides, padding, use_bias=False, kernel_initializer=he_normal("fan_in"), name=name
    )(x)
