"""Networks without a convolution: the pixels in a row, then dense layers. What convolutions are measured against."""

import keras
from keras import layers


def dnn_mnist(input_shape=(28, 28, 1), num_classes=10):
    """Build dense layers of 512, 256, 128 and 64 with ReLU: 575,050 parameters. The last layer gives logits.

    Source: the fully connected MNIST network of the PyTorch tutorials (mean 0.1307, deviation 0.3081, SGD 0.01).
    """
    inputs = keras.Input(input_shape)
    x = layers.Flatten(name="flatten")(inputs)
    for i, units in enumerate((512, 256, 128, 64), start=1):
        x = layers.Dense(units, activation="relu", name=f"dense{i}")(x)
    logits = layers.Dense(num_classes, name="logits")(x)
    return keras.Model(inputs, logits, name="dnn_mnist")
