"""Made the files in this folder, by TensorFlow 2.15.1 with its Keras 2: networks, pictures, and its answers.

python3.11 -m venv /tmp/v && /tmp/v/bin/pip install tensorflow-cpu==2.15.1 "numpy<2" && /tmp/v/bin/python make.py
"""

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

keras.utils.set_random_seed(1)


def stir(model):
    """Give statistics and biases values that matter."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if "kernel" not in weight.name:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))


def graph(prepare=keras.applications.resnet50.preprocess_input):
    """Operations of TensorFlow, a frozen model in a model that is called twice, and its own preprocessing."""
    inner_input = keras.Input((12, 12, 3))
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(inner_input)
    left = layers.BatchNormalization(name="left_norm")(layers.Conv2D(4, 1, use_bias=False, name="left")(x))
    right = layers.BatchNormalization(scale=False, name="right_norm")(layers.SeparableConv2D(4, 3, padding="same")(x))
    inner = keras.Model(inner_input, left + tf.nn.relu(right), name="inner")
    inner.trainable = False
    inputs = keras.Input((12, 12, 3))
    x = prepare(inputs)
    x = tf.concat([inner(x, training=False), inner(x / 2.0, training=False)], axis=-1)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def chain():
    """A Sequential with another in it, the layers that Keras 3 has under other names or not at all."""
    change = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)])
    parts = [
        keras.Input((12, 12, 3)), change, layers.Rescaling(1 / 255),
        layers.Conv2D(4, 3, kernel_regularizer="l2", kernel_constraint="max_norm"), layers.BatchNormalization(),
        layers.LeakyReLU(0.1), layers.PReLU(shared_axes=[1, 2]), layers.ThresholdedReLU(0.05),
        layers.SpatialDropout2D(0.2), layers.MaxPooling2D(), layers.Flatten(),
        layers.Dense(3, activation=tf.nn.softmax),
    ]  # fmt: skip
    return keras.Sequential(parts)


pictures = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 3)).astype("float32")
answers = {"pictures": pictures}
models = {
    "graph.h5": graph(),
    "graph.keras": graph(keras.applications.mobilenet_v2.preprocess_input),  # Keras 2 cannot save x[..., ::-1] in it
    "chain.h5": chain(),
    "chain.keras": chain(),
}
for name, model in models.items():
    stir(model)
    answers[name] = model.predict(pictures, verbose=0)
    model.save(name)
np.savez_compressed("answers.npz", **answers)
