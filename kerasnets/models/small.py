"""The small convolutional networks of the tutorials: a few convolutions and a small dense head.

Those with 5x5 convolutions differ only in widths, activation and initial weights. Weights are drawn by Keras' default
(glorot_uniform, biases 0), for networks of PyTorch's tutorials too, unless a docstring says otherwise.
"""

from collections.abc import Callable

import keras
from keras import layers

from kerasnets.models.initializers import pytorch_uniform


def mnist_cnn(input_shape: tuple[int, int, int] = (28, 28, 1), num_classes: int = 10) -> keras.Model:
    """Build three 3x3 convolutions, two poolings and a dense layer of 64: 93,322 parameters.

    Source: Chollet, Deep Learning with Python (2017), section 5.1.
    Departure: the last layer gives logits; the model file adds the softmax.
    """
    inputs = keras.Input(input_shape, name="input")
    x = layers.Conv2D(32, 3, activation="relu", name="conv1")(inputs)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = layers.Conv2D(64, 3, activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(2, name="pool2")(x)
    x = layers.Conv2D(64, 3, activation="relu", name="conv3")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(64, activation="relu", name="dense1")(x)
    logits = layers.Dense(num_classes, name="logits")(x)
    return keras.Model(inputs, logits, name="mnist_cnn")


def baseline_cnn(
    input_shape: tuple[int, int, int] = (32, 32, 3), num_classes: int = 10, *, dropout: float = 0.2
) -> keras.Model:
    """Build a block of convolution, batch norm, ReLU, pooling and dropout, and a dense head: 198,494 parameters.

    Source: the CIFAR-10 baseline of Cao Jian's TensorFlow 2 course (Peking University), for the block.
    Departure: the head (dense 128, dropout, dense) is ours.
    Batch norm has Keras' momentum 0.99 and epsilon 1e-3; PyTorch's are 0.01 and 1e-5, and weights do not show them.

    Args:
        input_shape: (height, width, channels) in pixels.
        num_classes: The number of logits.
        dropout: The fraction of activations that training drops, after the block and in the head.
    """
    inputs = keras.Input(input_shape, name="input")
    x = layers.Conv2D(6, 5, padding="same", name="conv1")(inputs)
    x = layers.BatchNormalization(name="norm1")(x)
    x = layers.Activation("relu", name="relu1")(x)
    x = layers.MaxPooling2D(2, padding="same", name="pool1")(x)
    x = layers.Dropout(dropout, name="dropout1")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(128, activation="relu", name="dense1")(x)
    x = layers.Dropout(dropout, name="dropout2")(x)
    logits = layers.Dense(num_classes, name="logits")(x)
    return keras.Model(inputs, logits, name="baseline_cnn")


def sigmoid_cnn(input_shape: tuple[int, int, int] = (36, 36, 1), num_classes: int = 10) -> keras.Model:
    """Build three convolutions of 6 filters with sigmoid, each pooled, and no hidden dense layer: 2,038 parameters.

    Source: a tutorial's listing, of no paper. 36x36 is the smallest image of which a pixel is left.
    """
    return conv_pool_network((6, 6, 6), (), input_shape, num_classes, name="sigmoid_cnn", activation="sigmoid")


def small_cnn(input_shape: tuple[int, int, int] = (28, 28, 1), num_classes: int = 10) -> keras.Model:
    """Build two convolutions of 6 filters and a dense layer of 50: 6,422 parameters, about as many as `fc2layer`.

    Source: Canziani, Deep Learning (New York University, 2020), week 3, notebook "convnet", class CNN of 6 features.
    Departure: the last layer gives logits; there it gives logarithms of probabilities.
    """
    return conv_pool_network((6, 6), (50,), input_shape, num_classes, name="small_cnn")


def fashion_cnn(input_shape: tuple[int, int, int] = (28, 28, 1), num_classes: int = 10) -> keras.Model:
    """Build convolutions of 6 and 12 filters and dense layers of 120 and 60: 32,998 parameters.

    Source: deeplizard, Neural Network Programming: Deep Learning with PyTorch, the network for Fashion-MNIST.
    """
    return conv_pool_network((6, 12), (120, 60), input_shape, num_classes, name="fashion_cnn")


def cifar_net(input_shape: tuple[int, int, int] = (32, 32, 3), num_classes: int = 10) -> keras.Model:
    """Build convolutions of 6 and 16 filters and dense layers of 120 and 84: 62,006 parameters.

    Source: the PyTorch tutorial "Training a Classifier" (CIFAR-10).
    Kernels are drawn by PyTorch's default, U(+-1/sqrt(fan_in)), as there; biases start at 0.
    """
    return conv_pool_network(
        (6, 16), (120, 84), input_shape, num_classes, name="cifar_net", kernel_initializer=pytorch_uniform
    )


def conv_pool_network(
    filters: tuple[int, ...],
    units: tuple[int, ...],
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    name: str,
    activation: str = "relu",
    kernel_initializer: Callable[[], keras.initializers.Initializer] = keras.initializers.GlorotUniform,
) -> keras.Model:
    """Build 5x5 convolutions of `filters`, each followed by a 2x2 max-pooling, then dense layers of `units`.

    Args:
        filters: Of each convolution.
        units: Of each hidden dense layer.
        input_shape: (height, width, channels) in pixels.
        num_classes: The number of logits.
        name: Of the network.
        activation: Of all layers but the last.
        kernel_initializer: A function that makes an initializer; each layer needs one of its own.
    """
    inputs = x = keras.Input(input_shape, name="input")
    for i, count in enumerate(filters, start=1):
        x = layers.Conv2D(count, 5, activation=activation, kernel_initializer=kernel_initializer(), name=f"conv{i}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{i}")(x)
    x = layers.Flatten(name="flatten")(x)
    for i, count in enumerate(units, start=1):
        x = layers.Dense(count, activation=activation, kernel_initializer=kernel_initializer(), name=f"dense{i}")(x)
    logits = layers.Dense(num_classes, kernel_initializer=kernel_initializer(), name="logits")(x)
    return keras.Model(inputs, logits, name=name)
