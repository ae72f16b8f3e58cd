"""A network compiled for a recipe: optimizer, learning-rate schedule, loss, weight decay."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
from keras import ops

from kerasnets.recipes import Recipe

Rate: TypeAlias = "float | keras.optimizers.schedules.LearningRateSchedule"
Loss = Callable[[Any, Any], Any]  # of whole-number labels (n,) and logits (n, classes): (n,), one for each example


def compile_for(network: keras.Model, recipe: Recipe, steps_per_epoch: int, epochs: int) -> None:
    """Compile `network`, which gives logits, with the settings of `recipe`; labels are whole numbers."""
    num_classes = network.output_shape[-1]
    loss = LOSSES[recipe.loss](num_classes, recipe)
    metrics = ["accuracy" if recipe.loss == "cross_entropy" else keras.metrics.SparseCategoricalAccuracy("accuracy")]
    if recipe.weight_decay:
        decay_weights(network, recipe.weight_decay)
        metrics.append(keras.metrics.MeanMetricWrapper(loss, name="data_loss"))  # `loss` includes the decay
    rate = rate_of(recipe, steps_per_epoch, epochs)
    optimizer = OPTIMIZERS[recipe.optimizer](recipe, rate)
    network.compile(optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=recipe.compiled or "auto")


# name in a recipe -> function of the recipe and a learning rate
OPTIMIZERS: dict[str, Callable[[Recipe, Rate], keras.optimizers.Optimizer]] = {
    "adam": lambda recipe, rate: keras.optimizers.Adam(rate),
    "rmsprop": lambda recipe, rate: keras.optimizers.RMSprop(rate),
    "sgd": lambda recipe, rate: keras.optimizers.SGD(rate, momentum=recipe.momentum),
}


def rate_of(recipe: Recipe, steps_per_epoch: int, epochs: int) -> Rate:
    """Return the recipe's learning rate: a number, or a schedule over the steps."""
    if not recipe.schedule:
        return recipe.learning_rate
    schedule, *options = recipe.schedule
    return SCHEDULES[schedule](recipe.learning_rate, steps_per_epoch, epochs, *options)


def steps(rate: float, steps_per_epoch: int, epochs: int, factor: float, boundaries: Sequence[int]) -> Rate:
    """Multiply the rate by `factor` at each of the steps in `boundaries`."""
    rates = [rate * factor**i for i in range(len(boundaries) + 1)]
    last = [boundary - 1 for boundary in boundaries]  # Keras takes the last step before each change, counted from 0
    return keras.optimizers.schedules.PiecewiseConstantDecay(last, rates)


def cosine(rate: float, steps_per_epoch: int, epochs: int, warmup: int) -> Rate:
    """Raise the rate linearly over `warmup` epochs, then lower it to 0 along half a cosine."""
    total, warm = steps_per_epoch * epochs, steps_per_epoch * min(warmup, epochs - 1)
    if not warm:
        return keras.optimizers.schedules.CosineDecay(rate, total)
    return keras.optimizers.schedules.CosineDecay(rate / warm, total - warm, warmup_target=rate, warmup_steps=warm)


# name in a recipe's schedule -> function
SCHEDULES: dict[str, Callable[..., Rate]] = {"steps": steps, "cosine": cosine}


def cross_entropy(num_classes: int, recipe: Recipe) -> Loss:
    def plain(labels: Any, logits: Any) -> Any:
        return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)

    def smooth(labels: Any, logits: Any) -> Any:
        labels = ops.one_hot(ops.reshape(ops.cast(labels, "int32"), (-1,)), num_classes)
        return keras.losses.categorical_crossentropy(
            labels, logits, from_logits=True, label_smoothing=recipe.label_smoothing
        )

    return smooth if recipe.label_smoothing else plain


def squared_error(num_classes: int, recipe: Recipe) -> Loss:
    def of_probabilities(labels: Any, logits: Any) -> Any:
        labels = ops.one_hot(ops.reshape(ops.cast(labels, "int32"), (-1,)), num_classes)
        return keras.losses.mean_squared_error(labels, ops.softmax(logits))

    return of_probabilities


# name in a recipe -> function of the number of classes and the recipe. A loss gives one number for each example: Keras
# averages a metric that is one number over batches as if all batches had the same size
LOSSES: dict[str, Callable[[int, Recipe], Loss]] = {"cross_entropy": cross_entropy, "squared_error": squared_error}


def decay_weights(network: keras.Model, weight_decay: float) -> None:
    """Add `weight_decay` times each trainable weight, biases too, to its gradient, as PyTorch's optimizers do.

    The `weight_decay` of Keras' optimizers differs: it shrinks the weights in a step of its own.
    """
    for variable in network.trainable_variables:
        variable.regularizer = keras.regularizers.L2(weight_decay / 2)  # the gradient of d/2 w^2 is d w
