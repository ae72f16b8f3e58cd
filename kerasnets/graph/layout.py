"""A network rebuilt from raw pixels to probabilities, with the channels first or last.

No other file of the package handles the layout: architecture files say only how layers are joined.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import keras
from keras import layers

from kerasnets.graph.walk import copy_weights, nodes, producer, register_parameters, skip_initializers
from kerasnets.runtime.backends import LAYOUTS

AXES = {1: 2, 2: 3, 3: 1, -1: 1}  # an axis of (n, height, width, channels) -> the same axis of channels_first
PROOF = "float64"  # the policy of a proof
TO_FIRST, TO_LAST = (3, 1, 2), (2, 3, 1)  # dims of a Permute layer, which counts from 1

Scaling = tuple[float | Sequence[float], float | Sequence[float]]  # scale and offset, as recipes.Scaling

Function = TypeVar("Function", bound=Callable[..., Any])


@contextlib.contextmanager
def full_precision(*kept: str) -> Iterator[None]:
    """Make new layers compute in float32 under any policy and floatx of Keras but those in `kept`."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    if policy.name not in kept:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def in_full_precision(*kept: str) -> Callable[[Function], Function]:
    """Return the decorator of a function that runs in `full_precision`."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with full_precision(*kept):
                return function(*args, **kwargs)

        return wrapper  # type: ignore[return-value]

    return decorate


def is_full(network: keras.Model) -> bool:
    """Whether no layer of a network computes in 16 bits."""
    return not any(map(is_half, network.layers))


def is_half(layer: Any) -> bool:
    """Whether a layer computes in 16 bits."""
    return getattr(layer, "compute_dtype", "") in ("float16", "bfloat16")


@in_full_precision(PROOF)
def rebuild(
    network: keras.Model,
    *,
    layout: str = "channels_last",
    scaling: Scaling | None = None,
    probabilities: bool = False,
    precision: str = "float32",
    shape: tuple[int | None, ...] | None = None,
) -> keras.Model:
    """Return a copy of `network` as one flat graph in float32, with the same layer names and weights.

    Args:
        network: A network in channels_last.
        layout: Where the channels are inside the copy. Arrays that go in are (n, height, width, channels) in either.
        scaling: (scale, offset) of a Rescaling layer, each a number or a list of one number per channel. With it the
            copy takes uint8 pixels 0..255; without it, the input of `network`.
        probabilities: Whether to end in a softmax of the logits, as `up_to_probabilities` does.
        precision: The dtype policy of the inner layers, such as "mixed_bfloat16". Weights and the output stay float32.
        shape: (height, width, channels) of the copy's input, None for a side that may have any length; by default those
            of `network`.

    Raises:
        ValueError: The layout is unknown, `network` is in channels_first already, or `scaling` is passed and `network`
            scales its pixels itself.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}; choose one of: {', '.join(LAYOUTS)}")
    if any(layer.name == "channels_first" for layer in network.layers):
        raise ValueError(f"{network.name} is in channels_first already; rebuild the network that it was made from")
    if scaling and any(layer.name == "rescaling" for layer in network.layers):
        raise ValueError(f"{network.name} scales its pixels already; rebuild it without scaling")
    shape = shape or network.input_shape[1:]
    network = keras.Model(network.input, network.output, name=network.name)  # clone_model would compile a compiled one
    layout = layout if len(shape) == 3 else "channels_last"  # a row of numbers has no layout
    dtype = "uint8" if scaling else network.input.dtype
    inputs = first = keras.Input(shape, dtype=dtype, name="pixels" if dtype == "uint8" else "input")
    if scaling:
        scale, offset = scaling
        first = layers.Rescaling(scale, offset, name="rescaling")(first)
    own = None if scaling else own_scaling(network)  # of each channel: it stands before the channels change place
    if layout == "channels_first" and not own:
        first = layers.Permute(TO_FIRST, name="channels_first")(first)

    last = [producer(tensor) for tensor in network.outputs]

    def copy(layer: keras.Layer) -> keras.Layer:
        policy = {} if precision == "float32" or layer in last else {"dtype": precision}
        if not policy and is_half(layer):
            policy = {"dtype": "float32"}
        return type(layer).from_config(in_layout(layer, layout) | policy)

    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        if own and layer.name == own.name and layout == "channels_first":
            return layers.Permute(TO_FIRST, name="channels_first")(layer(*args))
        args = keras.tree.map_structure(lambda tensor: first if tensor is inputs else tensor, args)
        if layout == "channels_first" and stays_in_channels_last(layer):
            return in_channels_last(layer, *args)
        return layer(*args, **kwargs)

    with skip_initializers():
        rebuilt = keras.models.clone_model(network, input_tensors=inputs, clone_function=copy, call_function=call)
    register_parameters(rebuilt)
    copy_weights(network, rebuilt)
    return up_to_probabilities(rebuilt) if probabilities else rebuilt


def own_scaling(network: keras.Model) -> keras.Layer | None:
    """Return the Rescaling layer of `network` that alone takes its pixels; None if there is none."""
    takers = [node.operation for node in nodes(network) if any(x is network.input for x in node.input_tensors)]
    return takers[0] if len(takers) == 1 and isinstance(takers[0], layers.Rescaling) else None


def up_to_probabilities(network: keras.Model) -> keras.Model:
    """Return `network` from its input to class probabilities, uncompiled, of the same layers: logits get a softmax.

    Auxiliary heads, which only training uses, are left out.
    """
    output = network.outputs[0]
    layer = producer(output)
    if not isinstance(layer, layers.Softmax) and getattr(layer, "activation", None) is not keras.activations.softmax:
        output = layers.Softmax(name="probabilities")(output)
    return keras.Model(network.input, output, name=network.name)


def in_layout(layer: keras.Layer, layout: str) -> dict[str, Any]:
    """Return the configuration of `layer` with its channels at the place that `layout` gives them."""
    config: dict[str, Any] = layer.get_config()
    is_map = any(len(tensor.shape) == 4 for tensor in keras.tree.flatten(layer.input))
    if layout == "channels_first" and is_map and not loses_its_bias(layer):
        if "data_format" in config:
            config["data_format"] = layout
        axis = config.get("axis")
        if isinstance(axis, (list, tuple)) and len(axis) == 1:  # as LayerNormalization has it
            axis = axis[0]
        if isinstance(axis, int) and axis in AXES:
            config["axis"] = AXES[axis]
    return config


def loses_its_bias(layer: keras.Layer) -> bool:
    """Whether Keras, on TensorFlow in channels_first, would add the bias of this convolution along the width.

    Its `ops.add` takes the last axis for the channels if that axis is as long as the bias (3.15.1,
    keras/src/backend/tensorflow/numpy.py): 10 filters on a map 10 pixels wide are enough.
    """
    if keras.backend.backend() != "tensorflow" or not isinstance(layer, layers.Conv2D) or not layer.use_bias:
        return False
    return bool(layer.output.shape[2] == layer.filters)


def stays_in_channels_last(layer: keras.Layer) -> bool:
    """Whether a layer of the copy keeps channels_last: a Reshape does too, whose numbers are in that order."""
    return isinstance(layer, layers.Reshape) or (
        isinstance(layer, layers.Conv2D) and layer.data_format == "channels_last"
    )


def in_channels_last(layer: keras.Layer, x: keras.KerasTensor) -> keras.KerasTensor:
    """Apply a channels_last layer inside a channels_first graph."""
    if len(x.shape) == 4:
        x = layers.Permute(TO_LAST, name=f"{layer.name}_to_last")(x)
    x = layer(x)
    return layers.Permute(TO_FIRST, name=f"{layer.name}_to_first")(x) if len(x.shape) == 4 else x
