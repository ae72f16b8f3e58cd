"""Network in Network: each convolution is followed by two of 1x1, and the classes are feature maps, averaged.

Source: Lin, Chen and Yan, ICLR 2014, arXiv:1312.4400, section 3 and figure 2; filters and kernel sizes from the
authors' CIFAR-10 definition.
Departures: dropout takes whole feature maps (the authors' takes single activations), and no ReLU follows the last
convolution, so that logits may be negative. Poolings pad by 1; the authors' pad by none and round the size up, to the
same 32, 16 and 8. The second pooling is a maximum like the first (the authors' is an average). Kernels are drawn from
He's normal distribution by fan-in, which keeps the size of the signal through nine layers without batch normalization;
the paper sets the standard deviation of each layer by hand, and prints none. PyTorch's U(+-1/sqrt(fan_in)) keeps 0.41
of the signal per layer: with it the tutorials' listing never left a loss of 2.305.
"""

import keras
from keras import layers

from kerasnets.models.initializers import he_normal


def nin(input_shape: tuple[int, int, int] = (32, 32, 3), num_classes: int = 10, *, dropout: float = 0.5) -> keras.Model:
    """Build three stages of three convolutions and a global average, which gives the logits: 966,986 parameters.

    Args:
        input_shape: (height, width, channels) in pixels.
        num_classes: The number of logits.
        dropout: The fraction of feature maps that training drops after the first and the second stage.
    """
    inputs = keras.Input(input_shape, name="input")
    x = mlpconv(inputs, 5, (192, 160, 96), name="stage1")
    x = pool_and_drop(x, dropout, name="stage1")
    x = mlpconv(x, 5, (192, 192, 192), name="stage2")
    x = pool_and_drop(x, dropout, name="stage2")
    x = mlpconv(x, 3, (192, 192, num_classes), name="stage3", last_activation=None)
    logits = layers.GlobalAveragePooling2D(name="logits")(x)
    return keras.Model(inputs, logits, name="nin")


def mlpconv(
    x: keras.KerasTensor,
    kernel_size: int,
    filters: tuple[int, int, int],
    name: str,
    last_activation: str | None = "relu",
) -> keras.KerasTensor:
    """A convolution, then two of 1x1: a small dense network that slides over the image."""
    x = conv(x, filters[0], kernel_size, "relu", name=f"{name}_conv1")
    x = conv(x, filters[1], 1, "relu", name=f"{name}_conv2")
    return conv(x, filters[2], 1, last_activation, name=f"{name}_conv3")


def conv(x: keras.KerasTensor, filters: int, kernel_size: int, activation: str | None, name: str) -> keras.KerasTensor:
    return layers.Conv2D(
        filters, kernel_size, padding="same", activation=activation, kernel_initializer=he_normal("fan_in"), name=name
    )(x)


def pool_and_drop(x: keras.KerasTensor, dropout: float, name: str) -> keras.KerasTensor:
    x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)  # after ReLU, 0 has the effect of PyTorch's -inf
    x = layers.MaxPooling2D(3, strides=2, name=f"{name}_pool")(x)
    return layers.SpatialDropout2D(dropout, name=f"{name}_dropout")(x)
