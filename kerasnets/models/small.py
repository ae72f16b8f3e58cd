"""The small convolutional networks of the tutorials: a few convolutions, a small dense head."""

import keras
from keras import layers


def mnist_cnn(input_shape=(28, 28, 1), num_classes=10):
    """Build three 3x3 convolutions, two poolings and a dense layer of 64: 93,322 parameters.

    Source: Chollet, Deep Learning with Python (2017), section 5.1.
    Departure: the last layer gives logits; the model file adds the softmax.
    """
    inputs = keras.Input(input_shape)
    x = layers.Conv2D(32, 3, activation="relu", name="conv1")(inputs)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = layers.Conv2D(64, 3, activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(2, name="pool2")(x)
    x = layers.Conv2D(64, 3, activation="relu", name="conv3")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(64, activation="relu", name="dense1")(x)
    logits = layers.Dense(num_classes, name="logits")(x)
    return keras.Model(inputs, logits, name="mnist_cnn")


def baseline_cnn(input_shape=(32, 32, 3), num_classes=10, dropout=0.2):
    """Build a block of convolution, batch norm, ReLU, pooling and dropout, and a dense head: 198,494 parameters.

    Source: the CIFAR-10 baseline of Cao Jian's TensorFlow 2 course (Peking University), for the block.
    Departure: the head (dense 128, dropout, dense) is ours.
    `dropout` is the fraction of activations dropped in training, after the block and in the head.
    """
    inputs = keras.Input(input_shape)
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
