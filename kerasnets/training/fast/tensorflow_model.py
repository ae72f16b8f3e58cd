"""The trainee on TensorFlow: a step with less overhead. Its numbers equal Keras' up to rounding.

Keras 3.15 runs a step as a function in a function, returns its result in an Optional, and copies a NumPy batch by way
of a Python generator: 0.9 ms of the 7.0 ms of baseline_cnn's step (TensorFlow 2.21 on two cores). Here a step is one
function, and TensorFlow gathers the batch itself if the images are not augmented. Batch normalization, which Keras
composes of many operations, is TensorFlow's fused operation. In bfloat16 sums are in float32.
"""

import functools
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf
from keras import layers

from kerasnets import graph
from kerasnets.recipes import Recipe
from kerasnets.training.batches import Batches
from kerasnets.training.fast.bfloat16_layers import exact_kind
from kerasnets.training.optimizers import Weights

if TYPE_CHECKING:
    from kerasnets.training.fast.tensorflow_workers import Engine

# The fused batch normalization took 2.2 times as long as Keras' with 3 channels, made a step of baseline_cnn, which has
# 6, take 1.4 times as long, and took 0.5 to 0.75 times as long with 12 and more (the same machine).
FEW_CHANNELS = 8


def tensorflow_trainee(
    network: keras.Model,
    recipe: Recipe,
    scaling: graph.Scaling | None,
    class_weights: Weights = None,
    engine: "Engine | None" = None,
) -> keras.Model:
    """Return a TensorFlowNetwork with the weights of `network`, from raw pixels to logits, for `recipe`."""
    copy = graph.rebuild(network, scaling=scaling, precision=recipe.precision)
    if any(map(fast_kind, copy.layers)):
        fused = keras.models.clone_model(copy, clone_function=clone)
        graph.copy_weights(copy, fused)
        copy = fused
    if engine:
        copy = engine.network(copy)
    trainee = TensorFlowNetwork(copy.inputs, copy.outputs, name=copy.name)
    if engine:
        trainee.make_step = functools.partial(engine.step_of, trainee, recipe, class_weights)
    return trainee


def clone(layer: layers.Layer) -> layers.Layer:
    kind: type[layers.Layer] = fast_kind(layer) or type(layer)
    return kind.from_config(layer.get_config())


def fast_kind(layer: layers.Layer) -> type[layers.Layer] | None:
    """Return the class that computes a layer faster, or more exactly, if there is one."""
    if can_be_fused(layer):
        return FusedBatchNormalization
    return None if tf.config.list_physical_devices("GPU") else exact_kind(layer)


def can_be_fused(layer: layers.Layer) -> bool:
    return bool(
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
    """BatchNormalization of (n, height, width, channels), in training by TensorFlow's fused operation."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not (training and self.trainable):
            return super().call(inputs, training, mask)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
        )
        count = tf.cast(tf.size(inputs) // inputs.shape[3], variance.dtype)
        variance *= tf.maximum(count - 1, 1) / count  # Keras' running variance is biased
        for running, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            running.assign(running * self.momentum + batch * (1 - self.momentum))
        return outputs


class TensorFlowNetwork(keras.Model):
    """A functional model whose training step fetches its batch itself."""

    train_function: Any
    make_step: Any = None  # function that makes the step of several workers

    def make_train_function(self, force: bool = False) -> None:
        if self.train_function is not None and not force:
            return
        step = tf.function(self.train_step, jit_compile=True) if self.jit_compile else self.train_step
        if self.make_step:
            step = self.make_step()

        def fetch_and_step(batches: Any) -> Any:
            return step(batches.get_next())

        # Without the cache TensorFlow would search for the matching trace in each step
        traced = functools.cache(tf.function(fetch_and_step, autograph=False).get_concrete_function)
        self.train_function = lambda batches: traced(batches)(batches)


def dataset_of_sizes(plan: Batches) -> tf.data.Dataset:
    """Return the batches of `plan`, whose images grow: Keras would give all of them the shape of the first ones."""
    images, labels = plan[0]
    shapes = (None, None, None, images.shape[3]), (None, *labels.shape[1:])
    signature = tuple(tf.TensorSpec(shape, part.dtype) for shape, part in zip(shapes, (images, labels), strict=True))
    return tf.data.Dataset.from_generator(lambda: map(plan.__getitem__, range(len(plan))), output_signature=signature)


def dataset_of(plan: Batches) -> tf.data.Dataset:
    """Return the batches of `plan`, which must not augment or prepare images, as a tf.data.Dataset.

    The images move from `plan` to TensorFlow, so that they are in memory once; `plan` gives no batches afterwards.
    """
    with tf.device("CPU"):  # tf.data computes there
        images, labels, size = tf.constant(plan.images), tf.constant(plan.labels), plan.batch_size
    plan.images = images

    def batches_of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.numpy_function(lambda epoch: plan.plan(epoch)[0], [epoch], tf.int64)
        order = tf.ensure_shape(order, len(plan.labels))

        def batch_of_step(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            chosen = order[step * size : (step + 1) * size]
            return tf.gather(images, chosen), tf.gather(labels, chosen)

        return tf.data.Dataset.range(plan.steps_per_epoch).map(batch_of_step)

    return tf.data.Dataset.range(plan.first, plan.epochs + 1).flat_map(batches_of_epoch).skip(plan.skip)
