"""A network looked into: its weights, one picture layer by layer, gradients, one step, the pixels an answer hangs on.

`model` is a keras.Model, as `build` and `load` give, or the path of a model file; it stays as it is, since all is done
on a copy. `images` are what it takes, (n, height, width, channels) or rows: of a model file raw pixels, 0..255.
"""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import keras
import numpy as np
from keras import layers, ops

from kerasnets.graph import copy_weights, nodes, weighted_layers
from kerasnets.inspection.backward import backward, in_channels_first
from kerasnets.transfer import channels_last, check_images, main_output, opened, producer

LEARNING_RATE = 0.01  # of the step, where no optimizer is passed

# Layers that may hold an activation inside, and those that are one
WITH_ACTIVATION = (
    layers.Dense,
    layers.Conv2D,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
    layers.Conv2DTranspose,
)
ACTIVATIONS = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU, layers.PReLU, layers.Softmax)
DROPOUTS = (layers.Dropout, layers.SpatialDropout2D, layers.GaussianDropout, layers.AlphaDropout)


@dataclass(frozen=True)
class Weight:
    """One array that a layer holds. values: float32, as Keras has its axes."""

    name: str  # "c1/kernel"
    trainable: bool
    values: np.ndarray = field(repr=False, compare=False)

    @property
    def shape(self):
        return self.values.shape


@dataclass(frozen=True)
class Activity:
    """What one layer, or the activation inside of it, gave.

    output: float32 (n, height, width, channels) or (n, units). before: what an activation was given; of others None.
    """

    name: str  # of the layer
    kind: str  # name of its class, or of the activation's function
    output: np.ndarray = field(repr=False, compare=False)
    before: np.ndarray | None = field(repr=False, compare=False)

    @property
    def shape(self):
        """Of one picture's output."""
        return self.output.shape[1:]

    @property
    def smallest(self):
        return float(self.output.min())

    @property
    def largest(self):
        return float(self.output.max())

    @property
    def zeros(self):
        """The share of the output that is exactly 0."""
        return share_of_zeros(self.output)

    @property
    def zeros_before(self):
        """The same of what an activation was given; None of other layers."""
        return None if self.before is None else share_of_zeros(self.before)


@dataclass(frozen=True)
class Gradient:
    """The gradient of one trainable weight: what lay on it before the backward pass, and after; None for none."""

    name: str  # as in Weight
    shape: tuple[int, ...]
    before: np.ndarray | None = field(repr=False, compare=False)
    after: np.ndarray | None = field(repr=False, compare=False)


@dataclass(frozen=True)
class Step:
    """One step of an optimizer: right before and right after it, on the batch that it was taken for."""

    optimizer: str  # name of its class
    learning_rate: float
    examples: int
    loss_before: float  # cross-entropy in nats, the mean over the batch
    loss_after: float
    right_before: int  # how many of the batch are classified correctly
    right_after: int


def named_weights(model):
    """The Weights of `model` in their order: those that train, and moving statistics."""
    found = (variable for layer in weighted_layers(opened(model)) for variable in layer.weights)
    return [Weight(each.path, bool(each.trainable), ops.convert_to_numpy(each)) for each in found]


def trace(model, images):
    """What each layer gives for `images` on the way to the logits: an Activity each, from the input on.

    A layer with an activation inside has two: what it gives to the activation, and what that makes of it.
    Raises ValueError for images that do not fit, BadInputError for a bad model file.
    """
    network = unfolded(model)
    images = fitting(network, images)
    walked = [node.operation for node in nodes(network) if isinstance(node.operation, layers.Layer)]
    probe = keras.Model(network.input, [channels_last(network, layer) for layer in walked])
    found = probe.predict(images, batch_size=len(images), verbose=0)
    outputs = {layer.name: output for layer, output in zip(walked, found, strict=True)}

    def activity(layer):
        before = outputs.get(producer(layer.input).name) if isinstance(layer, ACTIVATIONS) else None
        return Activity(getattr(layer, "inside_of", layer.name), kind_of(layer), outputs[layer.name], before)

    return [activity(layer) for layer in walked]


def gradients(model, images, labels):
    """The Gradient of the mean cross-entropy by each trainable weight, as one step of training has it.

    Batch normalization takes the batch's own statistics. Dropout does nothing: its mask differs by backend.
    labels: whole numbers (n,). Raises ValueError for images or labels that do not fit.
    """
    network = unfolded(model)
    images, labels = fitting(network, images), checked(labels, network, images)
    found = pass_of_training(network, labels)(images)
    weights = zip(network.trainable_variables, found.before, found.weights, strict=True)
    return [Gradient(each.path, tuple(each.shape), before, after) for each, before, after in weights]


def take_step(model, images, labels, optimizer=None):
    """The Step that `optimizer` would take for this batch: loss and number right before and after it.

    optimizer: of Keras, without a step behind it; else SGD with a learning rate of 0.01. As in `gradients`, all is
    judged with the batch's own statistics and without dropout, before and after: nothing but the step differs.
    """
    network = unfolded(model)
    images, labels = fitting(network, images), checked(labels, network, images)
    optimizer = optimizer or keras.optimizers.SGD(LEARNING_RATE)
    judge = pass_of_training(network, labels)
    before = judge(images).outputs
    jit_compile = in_channels_first(network) if keras.backend.backend() == "tensorflow" else "auto"  # by XLA
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer, loss, jit_compile=jit_compile)
    network.train_on_batch(images, labels)
    after = judge(images).outputs
    rate = float(str(ops.convert_to_numpy(optimizer.learning_rate)))  # 0.01, not what float32 makes of it
    losses = [cross_entropy(logits, labels) for logits in (before, after)]
    right = [int((logits.argmax(axis=1) == labels).sum()) for logits in (before, after)]
    return Step(type(optimizer).__name__, rate, len(labels), *losses, *right)


def saliency(model, images, classes=None):
    """How much each pixel moves the logit of a class: |d logit / d pixel|, float32 (n, height, width), or (n, columns).

    The largest over the channels, in logits per unit of what the model takes. classes: whole numbers (n,); where None,
    the likeliest class of each. Source: Simonyan, Vedaldi and Zisserman 2014, arXiv:1312.6034, section 3.1.
    """
    network = unfolded(model)
    images = fitting(network, images)
    if classes is None:
        classes = network.predict(images, batch_size=len(images), verbose=0).argmax(axis=1)
    chosen = ops.one_hot(checked(classes, network, images), network.output_shape[-1])
    found = backward(network, lambda logits: ops.sum(logits * chosen), training=False)(images)
    slopes = np.abs(found.pictures)
    return slopes.max(axis=-1) if slopes.ndim == 4 else slopes


# ---- helpers ----


def unfolded(model):
    """A copy of `model` from float32 to its main logits, each activation a layer of its own, dropout doing nothing.

    Layers have the same names and weights. An activation that was inside of a layer has its name in `inside_of`.
    Raises ValueError for a model that is no graph of one input, or that calls a layer twice.
    """
    model = opened(model)
    if not getattr(model, "built", False) or len(getattr(model, "inputs", None) or ()) != 1:
        raise ValueError(f"what is inspected is a built keras.Model with one input, not {model!r:.60}")
    network = keras.Model(model.input, main_output(model), name=model.name)
    called = [node.operation for node in nodes(network)]
    for operation in called:
        if called.count(operation) > 1:
            raise ValueError(
                f"{model.name} calls {operation.name!r} more than once; it cannot be told of layer by layer"
            )

    def call(layer, *args, **kwargs):
        output = layer(*args, **kwargs)
        function = inside[layer.name]
        if function is None:
            return output
        activation = layers.Activation(function, name=f"{layer.name}_activation_inside")
        activation.inside_of = layer.name
        return activation(output)

    def copied(layer):
        config = layer.get_config()
        inside[layer.name] = activation_inside(layer)
        if inside[layer.name] is not None:
            config["activation"] = "linear"
        if isinstance(layer, DROPOUTS):
            config["rate"] = 0.0
        return type(layer).from_config(config)

    inside = {}  # name of a layer -> its activation, or None
    inputs = keras.Input(network.input_shape[1:], name="input")
    copy = keras.models.clone_model(network, input_tensors=inputs, clone_function=copied, call_function=call)
    copy_weights(network, copy)
    output = copy.output
    while is_softmax(producer(output)):
        output = producer(output).input
    return keras.Model(copy.input, output, name=network.name)


def activation_inside(layer):
    """The function of the activation inside of `layer`; None where there is none, or it does nothing."""
    function = layer.activation if isinstance(layer, WITH_ACTIVATION) else None
    return None if function is keras.activations.linear else function


def is_softmax(layer):
    return isinstance(layer, layers.Softmax) or getattr(layer, "activation", None) is keras.activations.softmax


def kind_of(layer):
    """What a layer is, in one word: the function of an Activation, else the name of its class."""
    is_function = isinstance(layer, layers.Activation)
    return getattr(layer.activation, "__name__", "Activation") if is_function else type(layer).__name__


def pass_of_training(network, labels):
    """A function: images -> Backward of the mean cross-entropy of an `unfolded` network."""

    def loss(logits):
        return ops.mean(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))

    return backward(network, loss, training=True)


def fitting(network, images):
    """`images` as float32; ValueError in one line where `network` cannot take them."""
    images = np.asarray(images)
    check_images(network, images)
    if not len(images):
        raise ValueError("there is nothing to inspect in no images; pass at least one")
    return images.astype("float32")


def checked(labels, network, images):
    """`labels` as int64 (n,); ValueError where they are none of the classes of `network`, or not one for each image."""
    labels, classes = np.asarray(labels), network.output_shape[-1]
    whole = labels.shape == (len(images),) and labels.dtype.kind in "iu"
    if not whole or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must be {len(images)} whole numbers of 0 to {classes - 1}, not {labels!r:.60}")
    return labels.astype("int64")


def cross_entropy(logits, labels):
    """The mean over the batch, in nats, in float64."""
    logits = np.asarray(logits, "float64")
    logits = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return float(-log_probabilities[np.arange(len(labels)), labels].mean())


def share_of_zeros(array):
    return float((array == 0).mean())


def matching(name, patterns):
    """Whether the name of a layer, or of its weight, fits one of shell-style patterns."""
    return any(fnmatchcase(name, pattern) or fnmatchcase(name.split("/")[0], pattern) for pattern in patterns)
