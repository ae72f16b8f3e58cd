"""Network in Network: each convolution followed by two of 1x1, and no dense layer; the classes are feature maps.

Source: Lin, Chen and Yan, ICLR 2014, arXiv:1312.4400, section 3 and figure 2; filters and kernel sizes from the
authors' CIFAR-10 definition.
Departures: dropout takes whole feature maps (theirs single activations), and no ReLU follows the last convolution, so
that logits may be negative. Poolings pad by 1 (theirs by none, rounding the size up: the same 32 to 16 to 8), and the
second is a maximum like the first (theirs an average). Kernels begin He normal by fan-in, which keeps the signal's size
through nine layers without batch normalization; the paper sets each layer's deviation by hand, and prints none. From
PyTorch's U(+-1/sqrt(fan_in)), which keeps 0.41 of it at a layer, the tutorials' listing never left a loss of 2.305.
"""

import keras
from keras import layers

from kerasnets.models.initializers import he_normal


def nin(input_shape=(32, 32, 3), num_classes=10, dropout=0.5):
    """Build three stages of three convolutions and a global average, whose results are the logits: 966,986 parameters.

    dropout: the fraction of feature maps dropped in training, after the first and the second stage.
    """
    inputs = keras.Input(input_shape, name="input")
    x = mlpconv(inputs, 5, (192, 160, 96), name="stage1")
    x = pool_and_drop(x, dropout, name="stage1")
    x = mlpconv(x, 5, (192, 192, 192), name="stage2")
    x = pool_and_drop(x, dropout, name="stage2")
    x = mlpconv(x, 3, (192, 192, num_classes), name="stage3", last_activation=None)
    logits = layers.GlobalAveragePooling2D(name="logits")(x)
    return keras.Model(inputs, logits, name="nin")


def mlpconv(x, kernel_size, filters, name, last_activation="relu"):
    """A convolution, then two of 1x1: a small dense network that slides over the picture."""
    x = conv(x, filters[0], kernel_size, "relu", name=f"{name}_conv1")
    x = conv(x, filters[1], 1, "relu", name=f"{name}_conv2")
    return conv(x, filters[2], 1, last_activation, name=f"{name}_conv3")


def conv(x, filters, kernel_size, activation, name):
    return layers.Conv2D(
        filters, kernel_size, padding="same", activation=activation, kernel_initializer=he_normal("fan_in"), name=name
    )(x)


def pool_and_drop(x, dropout, name):
    x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)  # after ReLU 0 is as good as PyTorch's -inf
    x = layers.MaxPooling2D(3, strides=2, name=f"{name}_pool")(x)
    return layers.SpatialDropout2D(dropout, name=f"{name}_dropout")(x)
