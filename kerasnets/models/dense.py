"""Networks without a convolution: the pixels in a row, then dense layers. They serve for comparison."""

import keras
from keras import layers


def dnn_mnist(input_shape: tuple[int, ...] = (28, 28, 1), num_classes: int = 10) -> keras.Model:
    """Build dense layers of 512, 256, 128 and 64 with ReLU: 575,050 parameters. The last layer gives logits.

    Source: the dense MNIST network of the PyTorch tutorials (mean 0.1307, std 0.3081, SGD 0.01).
    """
    return dense_network((512, 256, 128, 64), input_shape, num_classes, name="dnn_mnist")


def dnn_tabular(input_shape: tuple[int, ...] = (3,), num_classes: int = 3) -> keras.Model:
    """Build three dense layers of 5 with ReLU, for the columns of a table: 98 parameters.

    Source: the first network of the same tutorials, which classifies the sum of three random numbers: below 1, between
    1 and 2, above 2.
    """
    return dense_network((5, 5, 5), input_shape, num_classes, name="dnn_tabular")


def fc2layer(input_shape: tuple[int, ...] = (28, 28, 1), num_classes: int = 10) -> keras.Model:
    """Build two dense layers of 8 with ReLU: 6,442 parameters, to be compared with `small_cnn`, which has 6,422.

    Source: Canziani, Deep Learning (New York University, 2020), week 3, notebook "convnet", class FC2Layer.
    Departure: the last layer gives logits; there it gives logarithms of probabilities.
    """
    return dense_network((8, 8), input_shape, num_classes, name="fc2layer")


def dense_network(
    hidden_units: tuple[int, ...], input_shape: tuple[int, ...], num_classes: int, name: str
) -> keras.Model:
    inputs = keras.Input(input_shape, name="input")
    x = layers.Flatten(name="flatten")(inputs)
    for i, units in enumerate(hidden_units, start=1):
        x = layers.Dense(units, activation="relu", name=f"dense{i}")(x)
    logits = layers.Dense(num_classes, name="logits")(x)
    return keras.Model(inputs, logits, name=name)
