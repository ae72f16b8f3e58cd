"""The graph of a network, rebuilt: from raw pixels, up to probabilities, with the channels where a backend likes them.

This is the one place that knows of the layout. Architecture files say only what is joined to what.
"""

import keras
from keras import layers

LAYOUTS = ("channels_last", "channels_first")


def rebuild(network, *, layout="channels_last", scaling=None, probabilities=False):
    """A copy of `network` as one flat graph, with the same layer names and the same weights.

    layout: where the channels lie inside. Arrays that go in are (n, height, width, channels) in either.
    scaling: (scale, offset) of a Rescaling layer, numbers or a list with one per channel. With it, the input is
        uint8 pixels 0..255; without, the float32 that `network` takes.
    probabilities: end in a softmax.
    Raises ValueError for an unknown layout.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}; choose one of: {', '.join(LAYOUTS)}")
    inputs = entered = keras.Input(
        network.input_shape[1:], dtype="uint8" if scaling else "float32", name="pixels" if scaling else "input"
    )
    if scaling:
        scale, offset = scaling
        entered = layers.Rescaling(scale, offset, name="rescaling")(entered)
    if layout == "channels_first":
        entered = layers.Permute((3, 1, 2), name="channels_first")(entered)

    def call(layer, *args, **kwargs):
        args = keras.tree.map_structure(lambda tensor: entered if tensor is inputs else tensor, args)
        return layer(*args, **kwargs)

    copy = keras.models.clone_model(
        network,
        input_tensors=inputs,
        clone_function=lambda layer: type(layer).from_config(in_layout(layer, layout)),
        call_function=call,
    )
    if probabilities:
        copy = keras.Model(inputs, layers.Softmax(name="probabilities")(copy.output), name=network.name)
    copy.set_weights(network.get_weights())
    return copy


def in_layout(layer, layout):
    """The configuration of `layer`, with its channels where `layout` has them."""
    config = layer.get_config()
    if "data_format" in config:
        config["data_format"] = layout
    if "axis" in config and config["axis"] in (-1, 3) and len(layer.output.shape) == 4:
        config["axis"] = -1 if layout == "channels_last" else 1
    return config
