"""The graph of a network: walked, and rebuilt from raw pixels to probabilities, in the layout that is wanted.

This is the one place that knows of the layout. Architecture files say only what is joined to what.
"""

import keras
from keras import layers

from kerasnets.graph.walk import copy_weights
from kerasnets.runtime.backends import LAYOUTS

AXES = {1: 2, 2: 3, 3: 1, -1: 1}  # an axis of (n, height, width, channels) -> the same one of channels_first
TO_FIRST, TO_LAST = (3, 1, 2), (2, 3, 1)  # of Permute, which counts from 1


def rebuild(network, *, layout="channels_last", scaling=None, probabilities=False, precision="float32"):
    """A copy of `network` as one flat graph, with the same layer names and the same weights.

    network: in channels_last. layout: where the channels lie inside the copy. Arrays that go in are (n, height, width,
        channels) in either.
    scaling: (scale, offset) of a Rescaling layer, numbers or a list with one per channel. With it, the input is
        uint8 pixels 0..255; without, what `network` takes.
    probabilities: end in a softmax of the logits, as in `up_to_probabilities`.
    precision: Keras' name of the dtype policy for what is computed inside, as "mixed_bfloat16"; weights, and the layer
        that gives the output, stay float32.
    Raises ValueError for an unknown layout, for a network that is in channels_first already, and for `scaling` where
    `network` scales its pixels itself.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}; choose one of: {', '.join(LAYOUTS)}")
    if any(layer.name == "channels_first" for layer in network.layers):
        raise ValueError(f"{network.name} is in channels_first already; rebuild the network that it was made from")
    if scaling and any(layer.name == "rescaling" for layer in network.layers):
        raise ValueError(f"{network.name} scales its pixels already; rebuild it without scaling")
    shape = network.input_shape[1:]
    network = keras.Model(network.input, network.output, name=network.name)  # clone_model would compile a compiled one
    layout = layout if len(shape) == 3 else "channels_last"  # a row of numbers has no layout
    dtype = "uint8" if scaling else network.input.dtype
    inputs = entered = keras.Input(shape, dtype=dtype, name="pixels" if dtype == "uint8" else "input")
    if scaling:
        scale, offset = scaling
        entered = layers.Rescaling(scale, offset, name="rescaling")(entered)
    if layout == "channels_first":
        entered = layers.Permute(TO_FIRST, name="channels_first")(entered)

    last = [tensor._keras_history.operation for tensor in network.outputs]

    def copied(layer):
        policy = {} if precision == "float32" or layer in last else {"dtype": precision}
        return type(layer).from_config(in_layout(layer, layout) | policy)

    def call(layer, *args, **kwargs):
        args = keras.tree.map_structure(lambda tensor: entered if tensor is inputs else tensor, args)
        if layout == "channels_first" and stays_in_channels_last(layer):
            return in_channels_last(layer, *args)
        return layer(*args, **kwargs)

    copy = keras.models.clone_model(
        network,
        input_tensors=inputs,
        clone_function=copied,
        call_function=call,
    )
    copy_weights(network, copy)
    return up_to_probabilities(copy) if probabilities else copy


def up_to_probabilities(network):
    """`network` from its input to class probabilities, uncompiled, of the same layers: logits get a softmax.

    Auxiliary heads, which serve training alone, are left out.
    """
    output = network.outputs[0]
    layer = output._keras_history.operation
    if not isinstance(layer, layers.Softmax) and getattr(layer, "activation", None) is not keras.activations.softmax:
        output = layers.Softmax(name="probabilities")(output)
    return keras.Model(network.input, output, name=network.name)


def in_layout(layer, layout):
    """The configuration of `layer`, with its channels where `layout` has them."""
    config = layer.get_config()
    is_map = any(len(tensor.shape) == 4 for tensor in keras.tree.flatten(layer.input))
    if layout == "channels_first" and is_map and not loses_its_bias(layer):
        if "data_format" in config:
            config["data_format"] = layout
        if config.get("axis") in AXES:
            config["axis"] = AXES[config["axis"]]
    return config


def loses_its_bias(layer):
    """Whether Keras, on TensorFlow in channels_first, would add the bias of this convolution along the width.

    Its `ops.add` takes the last axis for the channels wherever that is as long as the bias (3.15.1,
    keras/src/backend/tensorflow/numpy.py), as where 10 filters give a map 10 pixels wide.
    """
    if keras.backend.backend() != "tensorflow" or not isinstance(layer, layers.Conv2D) or not layer.use_bias:
        return False
    return layer.output.shape[2] == layer.filters


def stays_in_channels_last(layer):
    """Whether a layer of the copy is left as built: also a Reshape, whose numbers have the order of channels_last."""
    return isinstance(layer, layers.Reshape) or (
        isinstance(layer, layers.Conv2D) and layer.data_format == "channels_last"
    )


def in_channels_last(layer, x):
    """Apply a layer of channels_last within a graph of channels_first."""
    if len(x.shape) == 4:
        x = layers.Permute(TO_LAST, name=f"{layer.name}_to_last")(x)
    x = layer(x)
    return layers.Permute(TO_FIRST, name=f"{layer.name}_to_first")(x) if len(x.shape) == 4 else x


# ---- walked ----
