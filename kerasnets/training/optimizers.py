"""A network compiled for a recipe: optimizer, loss, weight decay."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from kerasnets.recipes import Recipe
from kerasnets.training.schedules import rate_of

Weights = Sequence[float] | None  # how much an example of each class counts; None for all the same
Loss = Callable[[Any, Any], Any]  # of whole-number labels (n,) and logits (n, classes): (n,), one for each example


def compile_for(
    network: keras.Model, recipe: Recipe, steps_per_epoch: int, epochs: int, class_weights: Weights = None
) -> None:
    """Compile `network`, which gives logits, with the settings of `recipe`.

    Labels are whole numbers (n,), or shares of each class (n, classes).
    """
    num_classes = network.output_shape[-1]
    loss = LOSSES[recipe.loss](num_classes, recipe, class_weights)
    metrics: list[Any] = [accuracy_of(recipe)]
    decays = is_decoupled(recipe)
    if recipe.weight_decay and not decays:
        decay_weights(network, recipe.weight_decay, norms=recipe.decay_norms)
        metrics.append(keras.metrics.MeanMetricWrapper(loss, name="data_loss"))  # `loss` includes the decay
    rate = rate_of(recipe, steps_per_epoch, epochs)
    optimizer = OPTIMIZERS[recipe.optimizer](recipe, rate, **options_of(recipe))
    if decays:
        spared = [variable for variable in network.trainable_variables if not is_decayed(variable, recipe.decay_norms)]
        optimizer.exclude_from_weight_decay(var_list=spared)
    network.compile(optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=recipe.compiled or "auto")


def make_metrics(network: keras.Model) -> None:
    """Make the variables of a compiled network's metrics, which Keras makes in the first step on TensorFlow."""
    network.compute_metrics(None, ops.zeros((1,), "int32"), ops.zeros((1, network.output_shape[-1])))
    network.reset_metrics()


def accuracy_of(recipe: Recipe) -> Any:
    """Return the metric of accuracy; the label of a mixed image is its larger part."""
    if recipe.mixup or recipe.cutmix:
        return keras.metrics.MeanMetricWrapper(is_right, name="accuracy")
    return "accuracy" if recipe.loss == "cross_entropy" else keras.metrics.SparseCategoricalAccuracy("accuracy")


def is_right(labels: Any, logits: Any) -> Any:
    """Return 1 for each example whose likeliest class is that of its label, else 0."""
    right = ops.argmax(shares_of(labels, logits.shape[-1]), axis=-1) == ops.argmax(logits, axis=-1)
    return ops.cast(right, "float32")


# name in a recipe -> function of the recipe, a learning rate, and options of all optimizers
OPTIMIZERS: dict[str, Callable[..., keras.optimizers.Optimizer]] = {
    "adam": lambda recipe, rate, **options: keras.optimizers.Adam(rate, **options),
    "adamw": lambda recipe, rate, **options: keras.optimizers.AdamW(
        rate, **options | {"weight_decay": recipe.weight_decay}
    ),
    "rmsprop": lambda recipe, rate, **options: keras.optimizers.RMSprop(rate, **options),
    "sgd": lambda recipe, rate, **options: keras.optimizers.SGD(rate, momentum=recipe.momentum, **options),
}


def options_of(recipe: Recipe) -> dict[str, Any]:
    """Return the options that every optimizer of Keras takes."""
    options: dict[str, Any] = {}
    if recipe.gradient_clip:
        options["global_clipnorm"] = recipe.gradient_clip
    if recipe.accumulate > 1:
        options["gradient_accumulation_steps"] = recipe.accumulate
    if recipe.ema:
        options |= {"use_ema": True, "ema_momentum": recipe.ema}
    return options


def cross_entropy(num_classes: int, recipe: Recipe, weights: Weights = None) -> Loss:
    smoothing = recipe.label_smoothing

    def of_whole_numbers(labels: Any, logits: Any) -> Any:
        return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)

    def of_shares(labels: Any, logits: Any) -> Any:
        labels = shares_of(labels, num_classes)
        return keras.losses.categorical_crossentropy(labels, logits, from_logits=True, label_smoothing=smoothing)

    def weighted(labels: Any, logits: Any) -> Any:
        labels = shares_of(labels, num_classes) * (1 - smoothing) + smoothing / num_classes
        counts = ops.convert_to_tensor(weights, dtype=logits.dtype)
        return -ops.sum(counts * labels * ops.log_softmax(logits), axis=-1)

    if weights is not None:
        return weighted
    return of_shares if smoothing or recipe.mixup or recipe.cutmix else of_whole_numbers


def squared_error(num_classes: int, recipe: Recipe, weights: Weights = None) -> Loss:
    def of_probabilities(labels: Any, logits: Any) -> Any:
        labels = shares_of(labels, num_classes)
        error = keras.losses.mean_squared_error(labels, ops.softmax(logits))
        if weights is None:
            return error
        return error * ops.sum(labels * ops.convert_to_tensor(weights, dtype=logits.dtype), axis=-1)

    return of_probabilities


def shares_of(labels: Any, num_classes: int) -> Any:
    """Return the share of each class (n, classes) in labels that are such shares, or whole numbers (n,) or (n, 1)."""
    if len(labels.shape) == 2 and labels.shape[1] == num_classes:
        return ops.cast(labels, "float32")
    return ops.one_hot(ops.reshape(ops.cast(labels, "int32"), (-1,)), num_classes)


# name in a recipe -> function of the number of classes, the recipe and weights of the classes. A loss gives one number
# for each example: Keras averages a metric that is one number over batches as if all batches had the same size
LOSSES: dict[str, Callable[..., Loss]] = {"cross_entropy": cross_entropy, "squared_error": squared_error}


def is_decoupled(recipe: Recipe) -> bool:
    """Whether the optimizer shrinks the weights itself, apart from the gradient."""
    return recipe.optimizer == "adamw"


def is_decayed(variable: Any, norms: bool) -> bool:
    """Whether a trainable variable decays; biases and the weights of normalizations have one axis."""
    return norms or len(variable.shape) > 1


def decay_weights(network: keras.Model, decay: float, *, norms: bool = True) -> None:
    """Add `decay` times each trainable weight to its gradient, as PyTorch's optimizers do.

    The `weight_decay` of Keras' optimizers differs: it shrinks the weights in a step of its own.

    Args:
        network: Its trainable variables get a regularizer.
        decay: The multiple.
        norms: Whether biases and the weights of normalizations decay too.
    """
    for variable in network.trainable_variables:
        if is_decayed(variable, norms):  # the gradient of d/2 w^2 is d w
            variable.regularizer = keras.regularizers.L2(decay / 2)
