"""DenseNet: each layer reads the features of all layers before it in its block, and adds a few of its own.

Source: Huang, Liu, van der Maaten and Weinberger, CVPR 2017, arXiv:1608.06993: table 1, and section 4
for CIFAR.
The ImageNet form is torchvision's: same order of features, so that its weights fit.
Departures: `dropout` is 0.0 in every network, where the paper has 0.2 on data without augmentation, and it follows the
last convolution of each layer alone, as in torchvision, where the paper has one after every convolution but the first.
A tutorial's listing ends in a 7x7 average pooling, which fails on pictures below 224x224, and has a 26 for a 16 in its
table of layers: here the last pooling is global, and the table is the paper's. Kernels begin as torchvision's do.
"""

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


def densenet(depth, input_shape=(224, 224, 3), num_classes=1000, dropout=0.0):
    """Build the DenseNet-BC with `depth` weighted layers for ImageNet; DenseNet-121 has 7,978,856 parameters.

    `dropout` is the fraction of a layer's new features that training drops.
    """
    growth_rate, filters, blocks = BLOCKS[depth]
    inputs = keras.Input(input_shape, name="input")
    x = layers.ZeroPadding2D(3, name="stem_pad")(inputs)
    x = convolution(x, filters, 7, strides=2, padding="valid", name="stem_conv")
    x = norm_relu(x, "stem_norm", "stem_relu")
    x = layers.ZeroPadding2D(1, name="stem_pool_pad")(x)  # zeros serve as minus infinity: after ReLU nothing is below
    x = layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)
    x = dense_blocks(x, blocks, growth_rate, dropout, bottleneck=True)
    return keras.Model(inputs, head(x, num_classes), name=f"densenet{depth}")


def densenet_cifar(depth, bottleneck=False, input_shape=(32, 32, 3), num_classes=10, dropout=0.0):
    """Build the DenseNet of growth rate 12 for CIFAR: `depth` 40 has 1,019,722 parameters.

    With `bottleneck` it is a DenseNet-BC, each layer led by a 1x1 convolution and each transition halving the features:
    `depth` 100 has 769,162 parameters. `dropout` is the fraction of a layer's new features that training drops.
    """
    growth_rate = 12
    num_layers = (depth - 4) // (6 if bottleneck else 3)  # of each of 3 blocks; the 4: stem, two transitions, logits
    inputs = keras.Input(input_shape, name="input")
    x = convolution(inputs, 2 * growth_rate if bottleneck else 16, 3, name="stem_conv")
    x = dense_blocks(x, (num_layers,) * 3, growth_rate, dropout, bottleneck)
    return keras.Model(inputs, head(x, num_classes), name=f"densenet_bc{depth}" if bottleneck else f"densenet{depth}")


def dense_blocks(x, blocks, growth_rate, dropout, bottleneck):
    """Blocks of dense layers, with a transition between one and the next."""
    for i, num_layers in enumerate(blocks, start=1):
        if i > 1:
            channels = x.shape[-1]
            x = transition(x, channels // 2 if bottleneck else channels, name=f"transition{i - 1}")
        for j in range(1, num_layers + 1):
            x = dense_layer(x, growth_rate, dropout, bottleneck, name=f"block{i}_layer{j}")
    return x


def dense_layer(x, growth_rate, dropout, bottleneck, name):
    """`x`, and after it `growth_rate` new features that a 3x3 convolution makes of all of it."""
    new = norm_relu(x, f"{name}_norm1", f"{name}_relu1")
    if bottleneck:
        new = convolution(new, BOTTLENECK * growth_rate, 1, name=f"{name}_conv1")
        new = norm_relu(new, f"{name}_norm2", f"{name}_relu2")
    new = convolution(new, growth_rate, 3, name=f"{name}_conv2" if bottleneck else f"{name}_conv1")
    new = layers.Dropout(dropout, name=f"{name}_dropout")(new)
    return layers.Concatenate(name=f"{name}_concat")([x, new])


def transition(x, filters, name):
    """A 1x1 convolution to `filters`, and half the height and width."""
    x = norm_relu(x, f"{name}_norm", f"{name}_relu")
    x = convolution(x, filters, 1, name=f"{name}_conv")
    return layers.AveragePooling2D(2, name=f"{name}_pool")(x)


def head(x, num_classes):
    x = norm_relu(x, "final_norm", "final_relu")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return layers.Dense(num_classes, kernel_initializer=pytorch_uniform(), name="logits")(x)


def norm_relu(x, norm_name, relu_name):
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=norm_name)(x)
    return layers.ReLU(name=relu_name)(x)


def convolution(x, filters, kernel_size, strides=1, padding="same", *, name):
    """A convolution without bias, begun by He's normal distribution, not truncated."""
    return layers.Conv2D(
        filters, kernel_size, strides, padding, use_bias=False, kernel_initializer=he_normal("fan_in"), name=name
    )(x)
