"""A network as TensorFlow trains it with less around each step: for the inside of a training on TensorFlow.

Keras 3.15 runs a step as a function within a function, gives what comes of it back in an Optional, and has a batch of
NumPy's copied by way of a Python generator: of baseline_cnn's step of 7.0 ms, 0.9 (TensorFlow 2.21 on two cores). Here
a step is one function, and where pictures are not changed, TensorFlow gathers its batch. Batch normalization, which
Keras composes of many operations, is TensorFlow's own one. The numbers are the same to rounding.
"""

import functools

import keras
import tensorflow as tf
from keras import layers

from kerasnets import graph

# Of 3 channels TensorFlow's batch normalization took 2.2 times as long as Keras', and with it a step of baseline_cnn,
# which has 6, 1.4 times as long; of 12 and more it took 0.5 to 0.75 times as long (the same machine).
FEW_CHANNELS = 8


def computed_by_tensorflow(network, row, scaling):
    """A TensorFlowNetwork with the weights of `network`, from raw pixels to logits, for a training by `row`."""
    copy = graph.rebuild(network, scaling=scaling, precision=row.precision)
    if any(map(can_be_fused, copy.layers)):
        fused = keras.models.clone_model(copy, clone_function=fused_where_it_can)
        graph.copy_weights(copy, fused)
        copy = fused
    return TensorFlowNetwork(copy.inputs, copy.outputs, name=copy.name)


def fused_where_it_can(layer):
    kind = FusedBatchNormalization if can_be_fused(layer) else type(layer)
    return kind.from_config(layer.get_config())


def can_be_fused(layer):
    return (
        type(layer) is layers.BatchNormalization
        and len(layer.input.shape) == 4
        and layer.axis in (3, -1)
        and layer.input.shape[3] >= FEW_CHANNELS
        and layer.compute_dtype == "float32"
        and layer.scale
        and layer.center
        and not layer.renorm
    )


class FusedBatchNormalization(layers.BatchNormalization):
    """BatchNormalization of maps (n, height, width, channels), in training by one operation of TensorFlow's."""

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable):
            return super().call(inputs, training, mask)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
        )
        count = tf.cast(tf.size(inputs) // inputs.shape[3], variance.dtype)
        variance *= tf.maximum(count - 1, 1) / count  # the running one is biased, as Keras has it
        for running, found in ((self.moving_mean, mean), (self.moving_variance, variance)):
            running.assign(running * self.momentum + found * (1 - self.momentum))
        return outputs


class TensorFlowNetwork(keras.Model):
    """A functional model whose training step begins with the fetching of its batch."""

    def make_train_function(self, force=False):
        if self.train_function is not None and not force:
            return
        step = tf.function(self.train_step, jit_compile=True) if self.jit_compile else self.train_step

        def fetch_and_step(batches):
            return step(batches.get_next())

        # else TensorFlow would look in each step for the trace that fits
        traced = functools.cache(tf.function(fetch_and_step, autograph=False).get_concrete_function)
        self.train_function = lambda batches: traced(batches)(batches)


def dataset_of(plan):
    """The same batches as a tf.data.Dataset gives them, of a Batches that leaves its pictures as they are.

    `plan` hands over its pictures, so that they are held once, and gives no batches any more.
    """
    with tf.device("CPU"):  # where tf.data computes
        images, labels, size = tf.constant(plan.images), tf.constant(plan.labels), plan.batch_size
    plan.images = images

    def of_epoch(epoch):
        order = tf.numpy_function(lambda epoch: plan.plan(epoch)[0], [epoch], tf.int64)
        order = tf.ensure_shape(order, len(plan.labels))

        def of_step(step):
            chosen = order[step * size : (step + 1) * size]
            return tf.gather(images, chosen), tf.gather(labels, chosen)

        return tf.data.Dataset.range(plan.steps_per_epoch).map(of_step)

    return tf.data.Dataset.range(plan.first, plan.epochs + 1).flat_map(of_epoch)
