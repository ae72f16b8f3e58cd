"""Several workers on TensorFlow: the exchange of MultiWorkerMirroredStrategy, and what sees the whole batch.

Keras' fit cannot run under that strategy (keras #20585). Here it need not: variables, metrics and optimizer belong to
each worker by itself, as in a training alone, and the strategy runs the part of a step that adds up gradients, sums of
batch normalization and figures over the workers. Equal sums keep the workers equal.
"""

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf
from keras import layers

from kerasnets.recipes import Recipe
from kerasnets.runtime.connections import free_port
from kerasnets.training.optimizers import LOSSES, Weights, make_metrics

if TYPE_CHECKING:
    from kerasnets.training.workers import Group

CONVOLUTIONS = (
    layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.DepthwiseConv1D, layers.DepthwiseConv2D, layers.SeparableConv1D,
    layers.SeparableConv2D, layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose,
)  # fmt: skip
Step = Callable[[tuple[tf.Tensor, tf.Tensor]], dict[str, tf.Tensor]]


class Engine:
    """The exchange of gradients and sums.

    Attributes:
        total, start: Tensors within a step: the images in the global batch, and the place of this worker's first one.
        own_statistics: Whether batch normalization is by the mean and variance of each worker's part.
    """

    equal_shares = False
    parts = 1
    own_statistics = False

    def __init__(self, group: "Group") -> None:
        assert group.meeting
        self.group = group
        self.total = self.start = tf.Tensor
        gpus = tf.config.list_physical_devices("GPU")
        if gpus:
            if group.place.local_rank >= len(gpus):
                raise ValueError(
                    f"worker {group.rank} is number {group.place.local_rank + 1} on a machine of {len(gpus)} GPUs; "
                    "start one worker for each GPU"
                )
            tf.config.set_visible_devices(gpus[group.place.local_rank], "GPU")
        own = f"{group.meeting.addresses[group.rank]}:{free_port('')}"
        addresses = group.exchange(own)
        task = {"type": "worker", "index": group.rank}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
        self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
        del os.environ["TF_CONFIG"]  # it is read once

    def close(self) -> None:
        """Nothing is open that does not end with the process."""

    def sum(self, tensors: Any) -> Any:
        """Return the sums of tensors over the workers, within a step. Gradients are added up too."""
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)

    # ---- layers ----

    def network(self, network: keras.Model) -> keras.Model:
        """Return a copy of `network` whose layers see the whole batch, with the same state."""
        copy = keras.models.clone_model(network, clone_function=self.clone)
        for layer, twin in zip(network.layers, copy.layers, strict=True):
            for variable, other in zip(layer.variables, twin.variables, strict=True):  # the state of a dropout too
                other.assign(variable)
        return copy

    def clone(self, layer: layers.Layer) -> layers.Layer:
        kind: Any = type(layer)
        if isinstance(layer, layers.BatchNormalization):
            kind = type("GlobalBatchNormalization", (GlobalBatchNormalization,), {"engine": self})
        elif isinstance(layer, layers.Dropout):
            kind = type(f"Global{kind.__name__}", (GlobalDropout, kind), {"engine": self})
        elif isinstance(layer, CONVOLUTIONS):
            kind = type(f"Sized{kind.__name__}", (SizedConvolution, kind), {})
        return kind.from_config(layer.get_config())

    # ---- steps ----

    def step_of(self, network: keras.Model, recipe: Recipe, class_weights: Weights = None) -> Step:
        """Return a function of (images, labels) that takes one step and returns {metric: mean over the epoch}."""
        classes = network.output_shape[-1]
        loss_of_each, weights = LOSSES[recipe.loss](classes, recipe, class_weights), network.trainable_variables
        make_metrics(network)
        tracker, *others = network.metrics
        sums = [variable for metric in others for variable in metric.variables]

        def share(images: tf.Tensor, labels: tf.Tensor) -> tuple[Any, ...]:
            size = tf.shape(images)[0]
            sizes = tf.cast(
                self.sum(tf.one_hot(self.group.rank, self.group.count) * tf.cast(size, tf.float32)), tf.int32
            )
            self.total, self.start = tf.reduce_sum(sizes), tf.reduce_sum(sizes[: self.group.rank])
            with tf.GradientTape() as tape:
                logits = network(images, training=True)
                loss = tf.reduce_sum(loss_of_each(labels, logits)) / tf.cast(self.total, tf.float32)
                loss += sum(network.losses, 0.0) / self.group.count
            gradients = tape.gradient(loss, [weight.value for weight in weights])
            before = [tf.identity(each.value) for each in sums]
            network.compute_metrics(images, labels, logits)
            changes = [each.value - old for each, old in zip(sums, before, strict=True)]
            gradients, loss, changes = self.sum((gradients, loss, changes))
            for each, old, change in zip(sums, before, changes, strict=True):
                each.assign(old + change)
            return gradients, loss, self.total

        def step(batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
            gradients, loss, total = self.strategy.run(share, args=batch)
            network.optimizer.apply_gradients(zip(gradients, weights, strict=True))
            tracker.update_state(loss, sample_weight=total)
            return network.get_metrics_result()

        return step


class GlobalBatchNormalization(layers.BatchNormalization):
    """Batch normalization by the mean and variance of the global batch, in two passes."""

    engine: Engine

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not (training and self.trainable):
            return super().call(inputs, training, mask)
        x = tf.cast(inputs, tf.float32)
        axis = self.axis % len(x.shape)
        others = [i for i in range(len(x.shape)) if i != axis]
        shape = [-1 if i == axis else 1 for i in range(len(x.shape))]
        count = tf.cast(tf.size(x) // x.shape[axis], tf.float32)
        add_up = tf.identity if self.engine.own_statistics else self.engine.sum
        sums = add_up(tf.concat([[count], tf.reduce_sum(x, others)], 0))
        number = tf.maximum(sums[0], 1)
        mean = sums[1:] / number
        centred = x - tf.reshape(mean, shape)
        variance = add_up(tf.reduce_sum(tf.square(centred), others)) / number
        for running, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            kept = self.mean(batch, count) if self.engine.own_statistics else batch
            running.assign(running * self.momentum + kept * (1 - self.momentum))
        scale = tf.math.rsqrt(variance + self.epsilon)
        if self.scale:
            scale *= tf.cast(self.gamma, tf.float32)
        outputs = centred * tf.reshape(scale, shape)
        if self.center:
            outputs += tf.reshape(tf.cast(self.beta, tf.float32), shape)
        return tf.cast(outputs, inputs.dtype)

    def mean(self, statistic: Any, count: Any) -> Any:
        """Return the mean of the workers' statistics, weighed by `count`: all keep the same."""
        sums = self.engine.sum(tf.concat([[count], statistic * count], 0))
        return sums[1:] / sums[0]


class SizedConvolution(layers.Layer):
    """Goes before a class of convolution: gives maps of the right size for a worker without images in a batch.

    On a CPU, TensorFlow 2.21's convolution by oneDNN gives the shape of its input if that has no images.
    """

    def call(self, inputs: Any) -> Any:
        convolve = super().call
        one = [[0, 1], *[[0, 0]] * (len(inputs.shape) - 1)]
        return tf.cond(tf.shape(inputs)[0] > 0, lambda: convolve(inputs), lambda: convolve(tf.pad(inputs, one))[:0])


class GlobalDropout(layers.Layer):
    """Goes before a class of dropout: draws for the global batch, and takes the rows of this worker."""

    engine: Engine

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        size = tf.shape(inputs)
        whole = tf.ones(tf.concat([[self.engine.total], size[1:]], 0), inputs.dtype)
        rows = super().call(whole, training=True)[self.engine.start : self.engine.start + size[0]]
        return inputs * tf.ensure_shape(rows, inputs.shape)
