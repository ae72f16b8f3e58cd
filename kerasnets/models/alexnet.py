"""AlexNet: five convolutions that shrink a large image quickly, then dense layers with dropout.

Source: Krizhevsky, Sutskever and Hinton, NIPS 2012, section 3 and figure 2, for `alexnet`. The docstrings of its two
simpler descendants name their own sources. Pooling windows overlap in all three: 3x3 at a stride of 2.
"""

from typing import Any

import keras
from keras import layers

from kerasnets.models.pooling import adaptive_average_pool

K, N, ALPHA, BETA = 2.0, 5, 1e-4, 0.75  # of the local response normalization, section 3.3


def alexnet(
    input_shape: tuple[int, int, int] = (227, 227, 3),
    num_classes: int = 1000,
    *,
    dropout: float = 0.5,
    units: int = 4096,
) -> keras.Model:
    """Build the network of 2012, in two groups and with local response normalization: 60,965,224 parameters.

    Departures: the image is 227x227, because the paper's 224x224 does not give its 55x55 maps. Both groups run on one
    device. Normalization comes before pooling, as in section 3.5; a tutorial's text has pooling first.
    Weights are drawn as in section 5: N(0, 0.01), with biases of 1 in conv2, conv4, conv5 and the hidden dense layers,
    so that their ReLUs start from positive inputs.

    Args:
        input_shape: (height, width, channels) in pixels, at least 67x67.
        num_classes: The number of logits.
        dropout: The fraction of fc6 and fc7 that training drops.
        units: The width of fc6 and fc7.
    """
    inputs = keras.Input(input_shape, name="input")
    x = layers.Conv2D(96, 11, strides=4, activation="relu", **initial(), name="conv1")(inputs)
    x = local_response_normalization(x, name="lrn1")
    x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    x = layers.Conv2D(256, 5, padding="same", groups=2, activation="relu", **initial("ones"), name="conv2")(x)
    x = local_response_normalization(x, name="lrn2")
    x = layers.MaxPooling2D(3, 2, name="pool2")(x)
    x = layers.Conv2D(384, 3, padding="same", activation="relu", **initial(), name="conv3")(x)
    x = layers.Conv2D(384, 3, padding="same", groups=2, activation="relu", **initial("ones"), name="conv4")(x)
    x = layers.Conv2D(256, 3, padding="same", groups=2, activation="relu", **initial("ones"), name="conv5")(x)
    x = layers.MaxPooling2D(3, 2, name="pool5")(x)
    x = layers.Flatten(name="flatten")(x)
    for i in (6, 7):
        x = layers.Dense(units, activation="relu", **initial("ones"), name=f"fc{i}")(x)
        x = layers.Dropout(dropout, name=f"dropout{i}")(x)
    logits = layers.Dense(num_classes, **initial(), name="logits")(x)
    return keras.Model(inputs, logits, name="alexnet")


def alexnet_plain(
    input_shape: tuple[int, int, int] = (224, 224, 1),
    num_classes: int = 10,
    *,
    first_padding: int = 1,
    dropout: float = 0.5,
    units: int = 4096,
) -> keras.Model:
    """Build AlexNet of the textbooks, without groups and normalization: 46,764,746 parameters.

    Source: Zhang, Lipton, Li and Smola, Dive into Deep Learning, section 8.1 (AlexNet). Weights are drawn by Keras'
    default, glorot_uniform. Departure: 10 classes by default, for Fashion-MNIST, as in the experiment there.

    Args:
        input_shape: (height, width, channels) in pixels, at least 65x65, or 67x67 without padding.
        num_classes: The number of logits.
        first_padding: Zeros around the image, in pixels: 1 or 0.
        dropout: The fraction of fc6 and fc7 that training drops.
        units: The width of fc6 and fc7.
    """
    if first_padding not in (0, 1):
        raise ValueError(f"first_padding must be 0 or 1, not {first_padding!r}")
    inputs = keras.Input(input_shape, name="input")
    x = convolutions(inputs, (96, 256, 384, 384, 256), first_padding)
    x = layers.Flatten(name="flatten")(x)
    for i in (6, 7):
        x = layers.Dense(units, activation="relu", name=f"fc{i}")(x)
        x = layers.Dropout(dropout, name=f"dropout{i}")(x)
    logits = layers.Dense(num_classes, name="logits")(x)
    return keras.Model(inputs, logits, name="alexnet_plain")


def alexnet_torchvision(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    num_classes: int = 1000,
    *,
    dropout: float = 0.5,
    units: int = 4096,
) -> keras.Model:
    """Build torchvision's one tower of 64 to 384 filters, for its weights: 61,100,840 parameters.

    Source: torchvision/models/alexnet.py, after Krizhevsky, "One weird trick for parallelizing convolutional neural
    networks", arXiv:1404.5997. Dropout comes before a dense layer, and maps of any size are averaged to 6x6.
    Departure: fresh weights are drawn by Keras' default (glorot_uniform, biases 0), not by PyTorch's.

    Args:
        input_shape: (height, width, channels) in pixels, at least 63x63.
        num_classes: The number of logits.
        dropout: The fraction of the inputs of fc6 and fc7 that training drops.
        units: The width of fc6 and fc7.
    """
    inputs = keras.Input(input_shape, name="input")
    x = convolutions(inputs, (64, 192, 384, 256, 256), first_padding=2)
    x = adaptive_average_pool(x, 6, 6, name="average")
    x = layers.Flatten(name="flatten")(x)
    for i in (6, 7):
        x = layers.Dropout(dropout, name=f"dropout{i}")(x)
        x = layers.Dense(units, activation="relu", name=f"fc{i}")(x)
    logits = layers.Dense(num_classes, name="logits")(x)
    return keras.Model(inputs, logits, name="alexnet_torchvision")


def convolutions(x: keras.KerasTensor, filters: tuple[int, ...], first_padding: int) -> keras.KerasTensor:
    """Five convolutions with ReLU, and a max-pooling after the first, the second and the fifth."""
    if first_padding:
        x = layers.ZeroPadding2D(first_padding, name="pad1")(x)
    x = layers.Conv2D(filters[0], 11, strides=4, activation="relu", name="conv1")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    x = layers.Conv2D(filters[1], 5, padding="same", activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(3, 2, name="pool2")(x)
    for i in (3, 4, 5):
        x = layers.Conv2D(filters[i - 1], 3, padding="same", activation="relu", name=f"conv{i}")(x)
    return layers.MaxPooling2D(3, 2, name="pool5")(x)


def local_response_normalization(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """x / (K + ALPHA * sum of x^2 over N adjacent channels) ^ BETA, at each pixel (section 3.3).

    The sum is N times a moving average over the channels. Pooling moves along the steps of a sequence, so the channels
    become its steps. Keras has no layer for the power: it is an operation, which Keras names.
    """
    height, width, channels = x.shape[1:]
    square = layers.Multiply(name=f"{name}_square")([x, x])
    mean = layers.Reshape((height * width, channels), name=f"{name}_pixels")(square)
    mean = layers.Permute((2, 1), name=f"{name}_turn")(mean)
    mean = layers.ZeroPadding1D(N // 2, name=f"{name}_pad")(mean)
    mean = layers.AveragePooling1D(N, strides=1, name=f"{name}_mean")(mean)
    mean = layers.Permute((2, 1), name=f"{name}_turn_back")(mean)
    mean = layers.Reshape((height, width, channels), name=f"{name}_map")(mean)
    base = layers.Rescaling(N * ALPHA, K, name=f"{name}_base")(mean)
    return layers.Multiply(name=name)([x, keras.ops.power(base, -BETA)])


def initial(biases: str = "zeros") -> dict[str, Any]:
    """The initial weights of 2012 as arguments of a layer: N(0, 0.01), with biases of "zeros" or "ones"."""
    return {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.01), "bias_initializer": biases}
