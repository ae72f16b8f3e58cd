"""From a recipe's row to what Keras compiles a network with: optimizer, learning-rate schedule, loss, weight decay."""

import keras
from keras import ops


def compile_for(network, row, steps_per_epoch, epochs):
    """Compile `network`, which gives logits, for the settings of `row`; labels are whole numbers."""
    num_classes = network.output_shape[-1]
    loss = LOSSES[row.loss](num_classes, row)
    metrics = ["accuracy" if row.loss == "cross_entropy" else keras.metrics.SparseCategoricalAccuracy("accuracy")]
    if row.weight_decay:
        decay_weights(network, row.weight_decay)
        metrics.append(keras.metrics.MeanMetricWrapper(loss, name="data_loss"))  # `loss` counts the decay in
    network.compile(optimizer=OPTIMIZERS[row.optimizer](row, rate_of(row, steps_per_epoch, epochs)), loss=loss,
                    metrics=metrics, jit_compile=row.compiled or "auto")  # fmt: skip


# name in a recipe -> optimizer of a row and a learning rate or schedule
OPTIMIZERS = {
    "adam": lambda row, rate: keras.optimizers.Adam(rate),
    "rmsprop": lambda row, rate: keras.optimizers.RMSprop(rate),
    "sgd": lambda row, rate: keras.optimizers.SGD(rate, momentum=row.momentum),
}


def rate_of(row, steps_per_epoch, epochs):
    """The learning rate: a number, or its schedule over the steps."""
    if not row.schedule:
        return row.learning_rate
    return SCHEDULES[row.schedule[0]](row.learning_rate, steps_per_epoch, epochs, *row.schedule[1:])


def in_steps(rate, steps_per_epoch, epochs, factor, boundaries):
    """Multiplied by `factor` from each of the steps in `boundaries` on."""
    rates = [rate * factor**i for i in range(len(boundaries) + 1)]
    last = [boundary - 1 for boundary in boundaries]  # Keras asks for the last step before each change, from 0
    return keras.optimizers.schedules.PiecewiseConstantDecay(last, rates)


def cosine(rate, steps_per_epoch, epochs, warmup):
    """Up to `rate` in a line over `warmup` epochs, then down to 0 in half a cosine."""
    total, warm = steps_per_epoch * epochs, steps_per_epoch * min(warmup, epochs - 1)
    if not warm:
        return keras.optimizers.schedules.CosineDecay(rate, total)
    return keras.optimizers.schedules.CosineDecay(rate / warm, total - warm, warmup_target=rate, warmup_steps=warm)


# name in a recipe's schedule -> function
SCHEDULES = {"steps": in_steps, "cosine": cosine}


def cross_entropy(num_classes, row):
    def plain(labels, logits):
        return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)

    def smoothed(labels, logits):
        labels = ops.one_hot(ops.reshape(ops.cast(labels, "int32"), (-1,)), num_classes)
        return keras.losses.categorical_crossentropy(
            labels, logits, from_logits=True, label_smoothing=row.label_smoothing
        )

    return smoothed if row.label_smoothing else plain


def squared_error(num_classes, row):
    def of_probabilities(labels, logits):
        labels = ops.one_hot(ops.reshape(ops.cast(labels, "int32"), (-1,)), num_classes)
        return keras.losses.mean_squared_error(labels, ops.softmax(logits))

    return of_probabilities


# name in a recipe -> function that makes the loss of whole-number labels and logits: (n,), one for each example, since
# Keras weighs a metric of one number by batch as if all batches had one size
LOSSES = {"cross_entropy": cross_entropy, "squared_error": squared_error}


def decay_weights(network, weight_decay):
    """Add `weight_decay` times each trainable weight, biases too, to its gradient, as PyTorch's optimizers do.

    Keras' own `weight_decay` is another thing: it shrinks weights beside the gradient.
    """
    for variable in network.trainable_variables:
        variable.regularizer = keras.regularizers.L2(weight_decay / 2)  # the gradient of d/2 w^2 is d w
