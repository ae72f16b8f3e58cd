"""Shape, parameters, multiply-adds, receptive field and memory of each layer, read from a network's graph.

All figures follow from the shapes and settings of the layers. No layer is run, so every backend gives the same figures.
Multiply-adds are counted as in torchvision's `_ops`: for convolutions and dense layers, without biases.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import Operation, layers

from kerasnets.graph import TO_LAST, count, nodes
from kerasnets.graph.layout import TO_FIRST
from kerasnets.inspection.receptive_field import KERNELS, Output, cannot_count, field_and_stride

PERMUTES = {TO_FIRST: "channels_first", TO_LAST: "channels_last"}  # dims of a Permute -> layout of its output


@dataclass(frozen=True)
class LayerDescription:
    """One layer, for one picture. Shapes are (height, width, channels) in either layout, or (units,)."""

    name: str
    kind: str  # the name of its class
    output_shape: tuple[int, ...]
    parameters: int  # trainable parameters
    non_trainable_parameters: int  # moving mean and variance, and frozen weights
    multiply_adds: int
    receptive_field: tuple[int, int] | None  # height and width in pixels, padding included; None for a row of numbers
    stride: tuple[int, int] | None  # pixels between two outputs, down and across; None if each sees the whole picture
    memory: int  # bytes of the output as float32
    settings: str = ""  # kernel size, strides, padding, activation and the like, unless they are the usual ones


def read(model: keras.Model) -> tuple[tuple[int, ...], tuple[LayerDescription, ...]]:
    """Return (input shape, layers) of a model; one branch after another, first to last.

    Raises:
        ValueError: The model is not one graph of known layers, each called once, from one input of fixed shape.
    """
    graph = graph_of(model)
    layout = layout_of_input(graph)
    picture = channels_last_shape(graph.inputs[0].shape[1:], layout)
    if None in picture:
        raise ValueError(f"{model.name} takes pictures of any size, {picture}; build it with an input_shape")
    outputs: dict[int, Output] = {}  # id of a Keras tensor -> the output that it is
    described = []
    walked = nodes(graph)
    operations = [node.operation for node in walked]
    for node in walked:
        if operations.count(node.operation) > 1:
            raise ValueError(f"{model.name} calls {node.operation.name!r} more than once; describe cannot count that")
        sources = [outputs[id(tensor)] for tensor in node.input_tensors]
        output = outputs[id(node.outputs[0])] = output_of(node, sources, picture, layout)
        described.append(describe_layer(node.operation, output))
    return picture, tuple(described)


def graph_of(model: keras.Model) -> keras.Model:
    """Return a functional or sequential model as one functional graph with an input layer."""
    inputs = getattr(model, "inputs", None) if getattr(model, "built", False) else None
    if not inputs or len(inputs) > 1:
        raise ValueError(f"describe needs a name or a built keras.Model with one input, not {model!r:.60}")
    return keras.Model(model.inputs, model.outputs)


def layout_of_input(graph: keras.Model) -> str:
    """Return the layout of the network's input: the layout of the first layer that has one, before any Permute."""
    for operation in (node.operation for node in nodes(graph)):
        if isinstance(operation, layers.Permute):
            break
        if hasattr(operation, "data_format"):
            return str(operation.data_format)
    return "channels_last"


def output_of(node: Any, sources: Sequence[Output], picture: tuple[int, ...], layout: str) -> Output:
    """Return the output of the layer of a graph's node.

    Args:
        node: A node of Keras' graph.
        sources: The inputs of the layer; none for an input layer.
        picture: The shape of the network's input.
        layout: The layout of the network's input.
    """
    operation = node.operation
    has_kernel = any(len(weight.shape) > 1 for weight in getattr(operation, "weights", ()))
    if isinstance(operation, keras.Model) or (has_kernel and not isinstance(operation, KERNELS)):
        raise ValueError(cannot_count(operation))
    layout = sources[0].layout if sources else layout
    if isinstance(operation, layers.Permute):
        layout = PERMUTES.get(operation.dims, layout)
    shape = channels_last_shape(node.outputs[0].shape[1:], layout)
    if sources:
        field, stride = field_and_stride(operation, sources, shape, picture)
    else:
        field = stride = (1, 1) if len(picture) == 3 else None
    return Output(name_of(operation, sources), layout, field, stride, shape)


def name_of(operation: Operation, sources: Sequence[Output]) -> str:
    """Return the name of a layer, without the numbers that Keras adds to automatic names."""
    if isinstance(operation, layers.InputLayer) and operation.name.startswith("input_layer"):
        return "input"
    if not isinstance(operation, layers.Layer):  # an operation of keras.ops
        return f"{sources[0].layer}_{type(operation).__name__.lower()}"
    return str(operation.name)


def describe_layer(operation: Operation, output: Output) -> LayerDescription:
    positions = math.prod(output.shape[:-1])
    return LayerDescription(
        name=output.layer,
        kind=type(operation).__name__,
        output_shape=output.shape,
        parameters=count(getattr(operation, "trainable_weights", ())),
        non_trainable_parameters=count(getattr(operation, "non_trainable_weights", ())),
        multiply_adds=positions * count([operation.kernel]) if isinstance(operation, KERNELS) else 0,
        receptive_field=output.field,
        stride=output.stride,
        memory=4 * math.prod(output.shape),
        settings=settings_of(operation),
    )


def settings_of(layer: Operation) -> str:
    """Return the settings that, with the shapes, are needed to write the layer again: "5x5 stride 2 same relu"."""
    config: dict[str, Any] = layer.get_config() if isinstance(layer, layers.Layer) else {}
    size = config.get("kernel_size") or config.get("pool_size")
    strides, usual = config.get("strides"), config.get("pool_size") or (1, 1)
    padding: Any = config.get("padding")
    rate = config.get("rate")
    if isinstance(layer, layers.ZeroPadding2D):
        is_even = len({pixels for sides in padding for pixels in sides}) == 1
        return str(padding[0][0]) if is_even else " ".join(f"{before}+{after}" for before, after in padding)
    settings = (
        by_x(size) if size else "",
        f"stride {shortest(strides)}" if strides and tuple(strides) != tuple(usual) else "",
        padding if padding == "same" else "",
        f"dilation {shortest(config['dilation_rate'])}" if max(config.get("dilation_rate", (1,))) > 1 else "",
        f"groups {config['groups']}" if config.get("groups", 1) > 1 else "",
        "no bias" if config.get("use_bias") is False else "",
        config.get("activation", "linear") if config.get("activation", "linear") != "linear" else "",
        f"eps {config['epsilon']:g}" if "momentum" in config else "",
        f"{rate:g}" if rate is not None else "",
    )
    return " ".join(filter(None, settings))


def channels_last_shape(shape: tuple[int, ...], layout: str) -> tuple[int, ...]:
    """Return the shape of one picture as (height, width, channels); another shape is returned unchanged."""
    return (*shape[1:], shape[0]) if len(shape) == 3 and layout == "channels_first" else tuple(shape)


def by_x(shape: Sequence[int]) -> str:
    """Return a shape as text: "28x28x6"."""
    return "x".join(map(str, shape))


def shortest(pair: Sequence[int]) -> str:
    """Return height and width as text, as one number if they are equal."""
    return str(pair[0]) if len(set(pair)) == 1 else by_x(pair)
