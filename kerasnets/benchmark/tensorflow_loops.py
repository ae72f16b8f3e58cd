"""The rival in TensorFlow: a step compiled by tf.function, on tensors in memory."""

import numpy as np
import tensorflow as tf

from kerasnets import models
from kerasnets.graph import copy_weights
from kerasnets.training.optimizers import OPTIMIZERS


def rivals(network, row, pixels, labels):
    """{name: function that trains one epoch in an order of the pictures and returns its (loss, accuracy)}."""
    twin = models.build(
        row.model, input_shape=network.input_shape[1:], num_classes=network.output_shape[-1], **row.options
    )
    copy_weights(network, twin)
    scale, offset = (np.float32(each) for each in row.scaling)
    images = tf.constant(pixels * scale + offset, tf.float32)
    labels = tf.constant(labels)
    optimizer = OPTIMIZERS[row.optimizer](row, row.learning_rate)
    optimizer.build(twin.trainable_variables)

    @tf.function(jit_compile=bool(tf.config.list_physical_devices("GPU")))  # as Keras decides it
    def step(chosen):
        these = tf.gather(labels, chosen)
        with tf.GradientTape() as tape:
            logits = twin(tf.gather(images, chosen), training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(these, logits))
        weights = twin.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss, tf.reduce_mean(tf.cast(tf.argmax(logits, 1) == these, tf.float32))

    def train(order):
        figures = [step(tf.constant(order[i : i + row.batch_size])) for i in range(0, len(order), row.batch_size)]
        return tuple(np.mean([[float(one) for one in each] for each in figures], axis=0))

    return {"tf.function": train}
