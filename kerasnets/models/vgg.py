"""VGG: stages of 3x3 convolutions, each stage closed by a 2x2 max-pooling, then three dense layers.

Source: Simonyan and Zisserman, ICLR 2015, arXiv:1409.1556, table 1. VGG-7, VGG-9 and `head="compact"` are the
tutorials' own, for smaller pictures.
Departures: with `batch_norm`, each convolution, which keeps its bias, is followed by batch normalization (the paper
predates it). Feature maps of another size than 7x7 are average-pooled to it (the paper's pictures are 224x224). Both
are torchvision's, and so are the initial weights: He normal by fan-out, dense ones N(0, 0.01), where the paper's
N(0, 0.01) everywhere trains the deeper columns from the weights of column A alone. The heads of VGG-7 and VGG-9 follow
the 256 and 512 channels of their last stage; in the tutorials' listing they do not.
"""

import keras
from keras import layers

from kerasnets.models.initializers import he_normal, pytorch_uniform
from kerasnets.models.pooling import adaptive_average_pool

# depth: (kernel sizes of the convolutions, filters) of each stage. The letters are the paper's columns.
STAGES = {
    7: (((3,), 64), ((3,), 128), ((3, 3), 256)),
    9: (((3,), 64), ((3,), 128), ((3, 3), 256), ((3, 3), 512)),
    11: (((3,), 64), ((3,), 128), ((3, 3), 256), ((3, 3), 512), ((3, 3), 512)),  # A
    13: (((3, 3), 64), ((3, 3), 128), ((3, 3), 256), ((3, 3), 512), ((3, 3), 512)),  # B
    16: (((3, 3), 64), ((3, 3), 128), ((3, 3, 3), 256), ((3, 3, 3), 512), ((3, 3, 3), 512)),  # D
    "16_1x1": (((3, 3), 64), ((3, 3), 128), ((3, 3, 1), 256), ((3, 3, 1), 512), ((3, 3, 1), 512)),  # C
    19: (((3, 3), 64), ((3, 3), 128), ((3, 3, 3, 3), 256), ((3, 3, 3, 3), 512), ((3, 3, 3, 3), 512)),  # E
}


def vgg(depth, batch_norm=False, head="paper", dropout=None, units=4096, filters=64, input_shape=(224, 224, 3),
        num_classes=1000):  # fmt: skip
    """Build the VGG with `depth` weighted layers ("16_1x1": column C); VGG-16 has 138,357,544 parameters.

    head: "paper" or "compact", a key of HEADS; both take feature maps of 7x7.
    dropout: the fraction of activations dropped in training; None for the head's own, 0.5 and 0.4.
    units: the width of the first dense layer. The second is as wide ("paper"), or half as wide ("compact").
    filters: of the first stage; those of the others follow in the paper's proportion.
    Raises ValueError for an unknown head.
    """
    if head not in HEADS:
        raise ValueError(f"unknown head {head!r}; choose one of: {', '.join(HEADS)}")
    inputs = keras.Input(input_shape, name="input")
    x = conv_stages(inputs, STAGES[depth], batch_norm, filters)
    x = adaptive_average_pool(x, 7, 7, name="average_pool")
    x = layers.Flatten(name="flatten")(x)
    x = HEADS[head](x, units, **({} if dropout is None else {"dropout": dropout}))
    return keras.Model(inputs, class_logits(x, num_classes), name=f"vgg{depth}" + "_bn" * batch_norm)


def vgg_cifar(input_shape=(32, 32, 3), num_classes=10):
    """Build column A with batch normalization and a single dense layer: 9,231,114 parameters.

    Source: `VGG('VGG11')` of kuangliu/pytorch-cifar.
    Departure: global average pooling before the dense layer; at 32x32, where 1x1 is left, it changes nothing, and it
    takes larger pictures too. Weights begin as PyTorch's own do there, not as in this file's other networks.
    """
    inputs = keras.Input(input_shape, name="input")
    x = conv_stages(inputs, STAGES[11], True, 64, pytorch_uniform)
    x = layers.GlobalAveragePooling2D(name="average_pool")(x)
    x = layers.Dense(num_classes, kernel_initializer=pytorch_uniform(), name="logits")(x)
    return keras.Model(inputs, x, name="vgg_cifar")


def conv_stages(x, stages, batch_norm, first_filters, first_weights=None):
    for i, (kernel_sizes, filters) in enumerate(stages, start=1):
        x = conv_stage(x, kernel_sizes, filters // 64 * first_filters, batch_norm, first_weights, name=f"stage{i}")
    return x


def conv_stage(x, kernel_sizes, filters, batch_norm, first_weights, name):
    """Convolutions with ReLU, then half the height and width."""
    for j, kernel_size in enumerate(kernel_sizes, start=1):
        x = layers.Conv2D(
            filters,
            kernel_size,
            padding="same",
            activation=None if batch_norm else "relu",
            kernel_initializer=first_weights() if first_weights else he_normal("fan_out"),
            name=f"{name}_conv{j}",
        )(x)
        if batch_norm:
            x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm{j}")(x)
            x = layers.ReLU(name=f"{name}_relu{j}")(x)
    return layers.MaxPooling2D(2, name=f"{name}_pool")(x)


def paper_head(x, units, dropout=0.5):
    x = dense(x, units, activation="relu", name="fc1")
    x = layers.Dropout(dropout, name="dropout1")(x)
    x = dense(x, units, activation="relu", name="fc2")
    return layers.Dropout(dropout, name="dropout2")(x)


def compact_head(x, units, dropout=0.4):
    """Dropout before the first dense layer too, ReLU6, and a second dense layer of half the width."""
    x = layers.Dropout(dropout, name="dropout0")(x)
    x = dense(x, units, activation="relu6", name="fc1")
    x = layers.Dropout(dropout, name="dropout1")(x)
    x = dense(x, units // 2, activation="relu6", name="fc2")
    return layers.Dropout(dropout, name="dropout2")(x)


HEADS = {"paper": paper_head, "compact": compact_head}


def class_logits(x, num_classes):
    return dense(x, num_classes, activation=None, name="logits")


def dense(x, units, activation, name):
    initializer = keras.initializers.RandomNormal(stddev=0.01)
    return layers.Dense(units, activation=activation, kernel_initializer=initializer, name=name)(x)
