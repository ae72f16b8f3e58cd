"""Probes of a network: its weights, the output of each layer, gradients, one optimizer step, saliency.

`model` is a built keras.Model, as `build` and `load` return it, or the path of a model file. Probes work on a copy, so
the model does not change. `images` are the model's inputs: (n, height, width, channels), or rows (n, columns). A model
file takes raw pixels, 0..255.
"""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from scipy.special import log_softmax

from kerasnets.graph import nodes, producer, weighted_layers
from kerasnets.inspection.backward import Backward, backward, in_channels_first
from kerasnets.inspection.results import Activity, Gradient, Step, Weight
from kerasnets.inspection.unfolded_network import ACTIVATIONS, ModelOrFile, kind_of, unfold
from kerasnets.transfer import channels_last, check_images, open_model

LEARNING_RATE = 0.01  # of a step without an optimizer


def named_weights(model: ModelOrFile) -> list[Weight]:
    """Return the weights of a model: trainable ones, and moving means and variances.

    Args:
        model: A built keras.Model, or a .keras or .h5 file.

    Returns:
        A Weight for each array, in the order of the layers.

    Raises:
        BadInputError: The model file is missing or damaged.

    Example:
        >>> import kerasnets
        >>> weights = kerasnets.named_weights(kerasnets.build("lenet5"))
        >>> [(weight.name, weight.shape) for weight in weights[:2]]
        [('c1/kernel', (5, 5, 1, 6)), ('c1/bias', (6,))]
    """
    variables = (variable for layer in weighted_layers(open_model(model)) for variable in layer.weights)
    return [Weight(each.path, bool(each.trainable), ops.convert_to_numpy(each)) for each in variables]


def trace(model: ModelOrFile, images: np.ndarray) -> list[Activity]:
    """Return the output of each layer for `images`, from the input to the logits.

    A layer that contains an activation gives two: its output before the activation, and after it.

    Args:
        model: A built keras.Model with one input, or a .keras or .h5 file.
        images: (n, height, width, channels) or rows (n, columns), as the model takes them; raw pixels 0..255 for a
            model file.

    Returns:
        An Activity for each layer and activation, in their order.

    Raises:
        BadInputError: The model file is missing or damaged.
        ValueError: The images have another shape, or the model is not one graph that calls each layer once.

    Example:
        >>> import numpy as np
        >>> import kerasnets
        >>> for activity in kerasnets.trace(kerasnets.build("lenet5"), np.zeros((2, 28, 28, 1)))[:3]:
        ...     print(activity.name, activity.kind, activity.shape)
        input InputLayer (28, 28, 1)
        c1 Conv2D (28, 28, 6)
        c1 tanh (28, 28, 6)
    """
    network = unfold(model)
    images = check_input(network, images)
    walked = [node.operation for node in nodes(network) if isinstance(node.operation, layers.Layer)]
    probe = keras.Model(network.input, [channels_last(network, layer) for layer in walked])
    arrays = probe.predict(images, batch_size=len(images), verbose=0)
    outputs = {layer.name: output for layer, output in zip(walked, arrays, strict=True)}

    def activity(layer: layers.Layer) -> Activity:
        before = outputs.get(producer(layer.input).name) if isinstance(layer, ACTIVATIONS) else None
        return Activity(getattr(layer, "inside_of", layer.name), kind_of(layer), outputs[layer.name], before)

    return [activity(layer) for layer in walked]


def gradients(model: ModelOrFile, images: np.ndarray, labels: np.ndarray) -> list[Gradient]:
    """Return the gradient of the mean cross-entropy with respect to each trainable weight.

    Batch normalization uses the statistics of the batch. Dropout is off, because its mask differs between backends.

    Args:
        model: A built keras.Model with one input, or a .keras or .h5 file.
        images: As in `trace`.
        labels: Integers (n,), 0 to the number of classes less one.

    Returns:
        A Gradient for each trainable weight, in the order of `model.trainable_variables`.

    Raises:
        BadInputError: The model file is missing or damaged.
        ValueError: The images or labels do not fit the model, or the model is not one graph that calls each layer once.

    Example:
        >>> import numpy as np
        >>> import kerasnets
        >>> images, labels = np.ones((2, 28, 28, 1)), np.array([3, 5])
        >>> gradient = kerasnets.gradients(kerasnets.build("lenet5"), images, labels)[0]
        >>> gradient.name, gradient.before, gradient.after.shape
        ('c1/kernel', None, (5, 5, 1, 6))
    """
    network = unfold(model)
    images, labels = check_input(network, images), check_labels(labels, network, images)
    result = training_pass(network, labels)(images)
    weights = zip(network.trainable_variables, result.before, result.weights, strict=True)
    return [Gradient(each.path, tuple(each.shape), before, after) for each, before, after in weights]


def take_step(
    model: ModelOrFile, images: np.ndarray, labels: np.ndarray, optimizer: keras.Optimizer | None = None
) -> Step:
    """Take one optimizer step on a copy of the model; return loss and correct answers before and after it.

    Both are computed on the batch itself, as in `gradients`: with the statistics of the batch, and without dropout.
    So they differ by the step alone.

    Args:
        model: A built keras.Model with one input, or a .keras or .h5 file. It does not change.
        images: As in `trace`.
        labels: Integers (n,), 0 to the number of classes less one.
        optimizer: A fresh Keras optimizer; by default SGD with a learning rate of 0.01.

    Returns:
        The Step.

    Raises:
        BadInputError: The model file is missing or damaged.
        ValueError: The images or labels do not fit the model, or the model is not one graph that calls each layer once.

    Example:
        >>> import numpy as np
        >>> import kerasnets
        >>> images, labels = np.ones((2, 28, 28, 1)), np.array([3, 5])
        >>> step = kerasnets.take_step(kerasnets.build("lenet5"), images, labels)
        >>> step.optimizer, step.learning_rate, step.loss_after < step.loss_before
        ('SGD', 0.01, True)
    """
    network = unfold(model)
    images, labels = check_input(network, images), check_labels(labels, network, images)
    optimizer = optimizer or keras.optimizers.SGD(LEARNING_RATE)
    run = training_pass(network, labels)
    before = run(images).outputs
    jit_compile = in_channels_first(network) if keras.backend.backend() == "tensorflow" else "auto"  # by XLA
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer, loss, jit_compile=jit_compile)
    network.train_on_batch(images, labels)
    after = run(images).outputs
    losses = [cross_entropy(logits, labels) for logits in (before, after)]
    right = [int((logits.argmax(axis=1) == labels).sum()) for logits in (before, after)]
    return Step(
        optimizer=type(optimizer).__name__,
        learning_rate=float(str(ops.convert_to_numpy(optimizer.learning_rate))),  # 0.01, not float32's 0.0099999998
        examples=len(labels),
        loss_before=losses[0],
        loss_after=losses[1],
        right_before=right[0],
        right_after=right[1],
    )


def saliency(model: ModelOrFile, images: np.ndarray, classes: np.ndarray | None = None) -> np.ndarray:
    """Return how much each pixel changes the logit of a class: |d logit / d pixel|, the maximum over the channels.

    Source: Simonyan, Vedaldi and Zisserman 2014, arXiv:1312.6034, section 3.1.

    Args:
        model: A built keras.Model with one input, or a .keras or .h5 file.
        images: As in `trace`.
        classes: Integers (n,), a class for each image; by default the likeliest class.

    Returns:
        float32 (n, height, width), or (n, columns) for rows; in logits per unit of the model's input.

    Raises:
        BadInputError: The model file is missing or damaged.
        ValueError: The images or classes do not fit the model, or the model is not one graph that calls each layer
            once.

    Example:
        >>> import numpy as np
        >>> import kerasnets
        >>> kerasnets.saliency(kerasnets.build("lenet5"), np.zeros((2, 28, 28, 1))).shape
        (2, 28, 28)
    """
    network = unfold(model)
    images = check_input(network, images)
    if classes is None:
        classes = network.predict(images, batch_size=len(images), verbose=0).argmax(axis=1)
    chosen = ops.one_hot(check_labels(classes, network, images), network.output_shape[-1])
    result = backward(network, lambda logits: ops.sum(logits * chosen), training=False)(images)
    slopes = np.abs(result.pictures)
    return slopes.max(axis=-1) if slopes.ndim == 4 else slopes


# ---- helpers ----


def training_pass(network: keras.Model, labels: np.ndarray) -> Callable[[np.ndarray], Backward]:
    """Return a function of images: the backward pass of the mean cross-entropy of an unfolded network."""

    def loss(logits: Any) -> Any:
        return ops.mean(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))

    return backward(network, loss, training=True)


def check_input(network: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return `images` as float32; raise ValueError if `network` cannot take them."""
    images = np.asarray(images)
    check_images(network, images)
    if not len(images):
        raise ValueError("there are no images to inspect; pass at least one")
    return images.astype("float32")


def check_labels(labels: np.ndarray, network: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return `labels` as int64 (n,); raise ValueError unless they are a class of `network` for each image."""
    labels, classes = np.asarray(labels), network.output_shape[-1]
    are_whole = labels.shape == (len(images),) and labels.dtype.kind in "iu"
    if not are_whole or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must be {len(images)} integers of 0 to {classes - 1}, not {labels!r:.60}")
    return labels.astype("int64")


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over the batch, in nats, computed in float64."""
    log_probabilities = log_softmax(logits.astype("float64"), axis=1)
    return float(-log_probabilities[np.arange(len(labels)), labels].mean())


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a shell-style pattern fits the name of a layer, or of a weight or its layer."""
    return any(fnmatchcase(name, pattern) or fnmatchcase(name.split("/")[0], pattern) for pattern in patterns)
