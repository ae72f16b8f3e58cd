"""The competitor in TensorFlow: a step compiled by tf.function, on tensors in memory."""

import keras
import numpy as np
import tensorflow as tf

from kerasnets import models
from kerasnets.benchmark.train import Learn
from kerasnets.graph import copy_weights
from kerasnets.recipes import Recipe
from kerasnets.training.optimizers import OPTIMIZERS


def competitors(network: keras.Model, recipe: Recipe, pixels: np.ndarray, labels: np.ndarray) -> dict[str, Learn]:
    """Return {name: function that trains one epoch}; arguments as in torch_loops.competitors."""
    twin = models.build(
        recipe.model, input_shape=network.input_shape[1:], num_classes=network.output_shape[-1], **recipe.options
    )
    copy_weights(network, twin)
    scale, offset = (np.asarray(each, np.float32) for each in recipe.scaling)
    images = tf.constant(pixels * scale + offset, tf.float32)
    all_labels = tf.constant(labels)
    optimizer = OPTIMIZERS[recipe.optimizer](recipe, recipe.learning_rate)
    optimizer.build(twin.trainable_variables)

    def step(chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        labels = tf.gather(all_labels, chosen)
        with tf.GradientTape() as tape:
            logits = twin(tf.gather(images, chosen), training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        weights = twin.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss, tf.reduce_mean(tf.cast(tf.argmax(logits, 1) == labels, tf.float32))

    # jit_compile as Keras decides
    compiled = tf.function(step, jit_compile=bool(tf.config.list_physical_devices("GPU")))

    def train(order: np.ndarray) -> tuple[float, float]:
        figures = [
            compiled(tf.constant(order[i : i + recipe.batch_size])) for i in range(0, len(order), recipe.batch_size)
        ]
        loss, accuracy = np.mean([[float(value) for value in figure] for figure in figures], axis=0)
        return float(loss), float(accuracy)

    return {"tf.function": train}
