"""LeNet-5: convolutions that alternate with average pooling, then dense layers.

Source: LeCun, Bottou, Bengio and Haffner, Proceedings of the IEEE 86 (1998), section II.B and figure 2.
Departures: C3 is connected to all of S2 (table I of the paper omits some connections), the pooling layers have no
weights, tanh is not scaled, and the output is a dense layer instead of radial basis functions.
The image is 28x28 and C1 pads it by 2; the paper pads it to 32x32 beforehand. Kernels are drawn by PyTorch's default,
U(+-1/sqrt(fan_in)), because the tutorials that train this form by SGD with a learning rate of 0.9 depend on it: from
Keras' default (glorot_uniform) some seeds end at 0.973 (models_saved/README.md). Biases start at 0; PyTorch's do not.
"""

import keras
from keras import layers

from kerasnets.models.initializers import pytorch_uniform


def lenet5(input_shape: tuple[int, int, int] = (28, 28, 1), num_classes: int = 10) -> keras.Model:
    """Build LeNet-5 with tanh: 61,706 parameters. Layers have the paper's names; the last gives logits."""
    inputs = keras.Input(input_shape, name="input")
    x = layers.Conv2D(6, 5, padding="same", activation="tanh", kernel_initializer=pytorch_uniform(), name="c1")(inputs)
    x = layers.AveragePooling2D(2, name="s2")(x)
    x = layers.Conv2D(16, 5, activation="tanh", kernel_initializer=pytorch_uniform(), name="c3")(x)
    x = layers.AveragePooling2D(2, name="s4")(x)
    x = layers.Conv2D(120, 5, activation="tanh", kernel_initializer=pytorch_uniform(), name="c5")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(84, activation="tanh", kernel_initializer=pytorch_uniform(), name="f6")(x)
    logits = layers.Dense(num_classes, kernel_initializer=pytorch_uniform(), name="logits")(x)
    return keras.Model(inputs, logits, name="lenet5")


def lenet5_sigmoid(input_shape: tuple[int, int, int] = (32, 32, 1), num_classes: int = 10) -> keras.Model:
    """Build LeNet-5 with sigmoid for an image padded beforehand: 61,706 parameters. c5 is a dense layer.

    Source: Zhang, Lipton, Li and Smola, Dive into Deep Learning, section 7.6 (LeNet). Weights are drawn by Keras'
    default, glorot_uniform. Departure: c1 does not pad; the image is 32x32, as in the paper.
    """
    inputs = keras.Input(input_shape, name="input")
    x = layers.Conv2D(6, 5, activation="sigmoid", name="c1")(inputs)
    x = layers.AveragePooling2D(2, name="s2")(x)
    x = layers.Conv2D(16, 5, activation="sigmoid", name="c3")(x)
    x = layers.AveragePooling2D(2, name="s4")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(120, activation="sigmoid", name="c5")(x)
    x = layers.Dense(84, activation="sigmoid", name="f6")(x)
    logits = layers.Dense(num_classes, name="logits")(x)
    return keras.Model(inputs, logits, name="lenet5_sigmoid")
