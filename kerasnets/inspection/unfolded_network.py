"""A network with each activation as a layer of its own, so that its input and its output can be inspected."""

from collections.abc import Callable
from os import PathLike
from typing import Any, TypeAlias

import keras
from keras import layers

from kerasnets.graph import copy_weights, nodes, producer
from kerasnets.transfer import main_output, open_model

ModelOrFile: TypeAlias = keras.Model | str | PathLike[str]

# Layers that may contain an activation, and layers that are one
WITH_ACTIVATION = (
    layers.Dense,
    layers.Conv2D,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
    layers.Conv2DTranspose,
)
ACTIVATIONS = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU, layers.PReLU, layers.Softmax)
DROPOUTS = (layers.Dropout, layers.SpatialDropout2D, layers.GaussianDropout, layers.AlphaDropout)


def unfold(model: ModelOrFile) -> keras.Model:
    """Return a copy of `model` that takes float32 and gives the main logits, with every activation as its own layer.

    Layers keep their names and weights; an activation that a layer contained has that layer's name as `inside_of`.
    Dropout has a rate of 0.

    Raises:
        ValueError: The model is not one graph of one input that calls each layer once.
    """
    model = open_model(model)
    if not getattr(model, "built", False) or len(getattr(model, "inputs", None) or ()) != 1:
        raise ValueError(f"inspection needs a built keras.Model with one input, not {model!r:.60}")
    network = keras.Model(model.input, main_output(model), name=model.name)
    called = [node.operation for node in nodes(network)]
    for operation in called:
        if called.count(operation) > 1:
            raise ValueError(f"{model.name} calls {operation.name!r} more than once; it cannot be traced by layer")

    def call(layer: layers.Layer, *args: Any, **kwargs: Any) -> keras.KerasTensor:
        output = layer(*args, **kwargs)
        function = inside[layer.name]
        if function is None:
            return output
        activation = layers.Activation(function, name=f"{layer.name}_activation_inside")
        activation.inside_of = layer.name
        return activation(output)

    def copy_layer(layer: layers.Layer) -> layers.Layer:
        config = layer.get_config()
        inside[layer.name] = activation_inside(layer)
        if inside[layer.name] is not None:
            config["activation"] = "linear"
        if isinstance(layer, DROPOUTS):
            config["rate"] = 0.0
        return type(layer).from_config(config)

    inside: dict[str, Callable[..., Any] | None] = {}  # name of a layer -> the activation that it contains
    inputs = keras.Input(network.input_shape[1:], name="input")
    copy = keras.models.clone_model(network, input_tensors=inputs, clone_function=copy_layer, call_function=call)
    copy_weights(network, copy)
    output = copy.output
    while is_softmax(producer(output)):
        output = producer(output).input
    return keras.Model(copy.input, output, name=network.name)


def activation_inside(layer: layers.Layer) -> Callable[..., Any] | None:
    """Return the activation that a layer contains; None if there is none, or it is linear."""
    function = layer.activation if isinstance(layer, WITH_ACTIVATION) else None
    return None if function is keras.activations.linear else function


def is_softmax(layer: layers.Layer) -> bool:
    return isinstance(layer, layers.Softmax) or getattr(layer, "activation", None) is keras.activations.softmax


def kind_of(layer: layers.Layer) -> str:
    """Return the name of an Activation's function, or of the layer's class."""
    is_function = isinstance(layer, layers.Activation)
    return getattr(layer.activation, "__name__", "Activation") if is_function else type(layer).__name__
