"""A network's layers as PyTorch functions, and the order in which they run.

A kernel's axes stay in Keras' order (height, width, in, out), whatever its order in memory.
"""

import collections
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

import keras
import torch
from keras import layers
from torch.nn import functional

from kerasnets import graph

Compute = Callable[..., torch.Tensor]  # of (training, *inputs)
Functions = Mapping[type, Callable[[Any], "Compute | None"]]  # class of a layer -> function that makes its Compute
Uses = Mapping[int, int]  # id of a tensor -> number of nodes that take it


def forward_pass(
    network: keras.Model, memory_format: torch.memory_format, special: Functions
) -> Callable[[torch.Tensor, bool], torch.Tensor]:
    """Return a function of (images, training) that computes a functional `network` of one input and one output.

    The output is computed in float32 even within torch.autocast. `special` is a table that goes before FUNCTIONS.
    """
    nodes = [node for node in graph.nodes(network) if not isinstance(node.operation, layers.InputLayer)]
    uses = collections.Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    paddings = {id(node.input_tensors[0]) for node in nodes if takes_padding(node, uses)}
    steps: list[tuple[Compute, list[int]]] = []
    place = {id(network.inputs[0]): 0}  # of each tensor in the list of values
    for node in nodes:
        if id(node.outputs[0]) in paddings:
            continue
        function, sources = function_of(node, uses, memory_format, special)
        steps.append((function, [place[id(tensor)] for tensor in sources]))
        place[id(node.outputs[0])] = len(steps)
    last = place[id(network.outputs[0])]
    function, places = steps[last - 1]
    steps[last - 1] = in_float32(function), places

    def forward(images: torch.Tensor, training: bool) -> torch.Tensor:
        values = [images]
        for function, places in steps:
            values.append(function(training, *[values[i] for i in places]))
        return values[last]

    return forward


def in_float32(function: Compute) -> Compute:
    def compute(training: bool, *inputs: torch.Tensor) -> torch.Tensor:
        with torch.autocast(inputs[0].device.type, enabled=False):
            return function(training, *[x.float() for x in inputs])

    return compute


def function_of(
    node: Any, uses: Uses, memory_format: torch.memory_format, special: Functions
) -> tuple[Compute, list[keras.KerasTensor]]:
    """Return (function of (training, *inputs) that computes a node of the graph, the node's input tensors)."""
    layer, sources = node.operation, list(node.input_tensors)
    if isinstance(layer, layers.Permute) and len(layer.dims) == 3:
        axes = (0, *layer.dims)
        return lambda training, x: x.permute(axes).contiguous(memory_format=memory_format), sources
    if flattens_maps(layer) and memory_format == torch.contiguous_format:
        return lambda training, x: HeightWidthChannels.apply(x), sources
    if takes_padding(node, uses):
        padding = graph.node_of(sources[0])
        (height, _), (width, _) = padding.operation.padding
        return cast(Compute, conv2d(layer, (height, width))), list(padding.input_tensors)
    if isinstance(layer, layers.Add):
        sources = sorted(sources, key=lambda tensor: not is_spare(tensor, uses))
    if type(layer) in special:
        return cast(Compute, special[type(layer)](layer)), sources
    table = IN_PLACE if type(layer) in IN_PLACE and is_spare(sources[0], uses) else FUNCTIONS
    return (type(layer) in table and table[type(layer)](layer)) or as_keras_does(node), sources


def flattens_maps(layer: layers.Layer) -> bool:
    return isinstance(layer, layers.Flatten) and layer.data_format == "channels_first" and len(layer.input.shape) == 4


def takes_padding(node: Any, uses: Uses) -> bool:
    """Whether a node is a convolution that can do the work of the layer before it: pad both ends by the same width."""
    layer, before = node.operation, graph.node_of(node.input_tensors[0]).operation
    return (
        isinstance(layer, layers.Conv2D)
        and (layer.padding, layer.data_format) == ("valid", "channels_first")
        and isinstance(before, layers.ZeroPadding2D)
        and before.data_format == "channels_first"
        and all(first == last for first, last in before.padding)
        and uses[id(node.input_tensors[0])] == 1
    )


def is_spare(tensor: keras.KerasTensor, uses: Uses) -> bool:
    """Whether the only node that takes a tensor may overwrite it: no gradient needs the output of the layer before.

    New memory costs more than the computation: a ReLU into new memory takes 1.7 ms, in place 0.1 ms (ResNet-18 on 64
    images of CIFAR-10, torch 2.14).
    """
    layer = graph.node_of(tensor).operation
    is_linear = getattr(layer, "activation", keras.activations.linear) is keras.activations.linear
    return isinstance(layer, NEED_NO_OUTPUT) and is_linear and uses[id(tensor)] == 1


def as_keras_does(node: Any) -> Compute:
    """Return the layer's own `call`, without the work that Keras does around it."""
    layer, arguments = node.operation, (node.args, node.kwargs)
    more = ("training",) if "training" in inspect.signature(layer.call).parameters else ()

    def compute(training: bool, *inputs: torch.Tensor) -> torch.Tensor:
        waiting = iter(inputs)
        args, kwargs = keras.tree.map_structure(
            lambda argument: next(waiting) if isinstance(argument, keras.KerasTensor) else argument, arguments
        )
        return layer.call(*args, **kwargs | dict.fromkeys(more, training))

    return compute


# ---- layers as PyTorch functions; None if PyTorch has no function that computes the same ----


def conv2d(layer: layers.Conv2D, around: tuple[int, int] = (0, 0)) -> Compute | None:
    """`around` is the zero padding at each end of height and width that a layer before this one would do."""
    sides, dilation = layer.kernel_size, layer.dilation_rate
    padded = layer.padding == "same"
    uneven = padded and (max(layer.strides) > 1 or not all(side % 2 for side in sides))  # more padding on one side
    if layer.data_format != "channels_first" or uneven:
        return None
    padding: Any = [step * (side // 2) for side, step in zip(sides, dilation, strict=True)] if padded else around
    kernel, bias, activate = layer.kernel.value, value_of(layer.bias), over_its_input(layer.activation)

    def compute(training: bool, x: torch.Tensor) -> torch.Tensor:
        return activate(
            functional.conv2d(x, kernel.permute(3, 2, 0, 1), bias, layer.strides, padding, dilation, layer.groups)
        )

    return compute


def dense(layer: layers.Dense) -> Compute | None:
    if len(layer.input.shape) != 2:
        return None
    kernel, bias, activate = layer.kernel.value, value_of(layer.bias), over_its_input(layer.activation)
    return lambda training, x: activate(x @ kernel if bias is None else torch.addmm(bias, x, kernel))


def batch_normalization(layer: layers.BatchNormalization) -> Compute | None:
    if layer.axis != 1 or layer.renorm:
        return None
    scale, shift, mean, variance = map(value_of, (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance))
    epsilon, step, learns = layer.epsilon, 1 - layer.momentum, layer.trainable

    def compute(training: bool, x: torch.Tensor) -> torch.Tensor:
        if not (training and learns):
            return functional.batch_norm(x, mean, variance, scale, shift, False, 0.0, epsilon)
        outputs, batch_mean, inverse = torch.native_batch_norm(x, scale, shift, None, None, True, 0.0, epsilon)
        with torch.no_grad():  # Keras' running variance is biased, PyTorch's is not
            mean.lerp_(batch_mean.float(), step)  # bfloat16 on a CPU
            variance.lerp_(inverse.float().pow(-2).sub_(epsilon), step)
        return outputs

    return compute


def pooling(function: Callable[..., torch.Tensor]) -> Callable[[layers.Layer], Compute | None]:
    def for_layer(layer: layers.Layer) -> Compute | None:
        sides = zip(layer.input.shape[2:], layer.pool_size, layer.strides, strict=True)
        uncut = all(side and side % step == 0 and pool == step for side, pool, step in sides)  # "same" pads nothing
        if layer.data_format != "channels_first" or (layer.padding != "valid" and not uncut):
            return None
        return lambda training, x: function(x, layer.pool_size, layer.strides)

    return for_layer


def activation(layer: layers.Activation) -> Compute:
    function = ACTIVATIONS.get(layer.activation, layer.activation)
    return lambda training, x: function(x)


def activation_in_place(layer: layers.Activation) -> Compute:
    function = over_its_input(layer.activation)
    return lambda training, x: function(x)


def relu(layer: layers.ReLU, function: Callable[[torch.Tensor], torch.Tensor] = functional.relu) -> Compute | None:
    if layer.max_value is not None or layer.negative_slope or layer.threshold:
        return None
    return lambda training, x: function(x)


def add(layer: layers.Add, function: Callable[..., torch.Tensor] = torch.add) -> Compute | None:
    if len(layer.input) != 2 or layer.input[0].shape != layer.input[1].shape:
        return None
    return lambda training, x, y: function(x, y)


def rescaling(layer: layers.Rescaling) -> Compute | None:
    """Rescale whole rows of an image: the channels of one pixel are too few numbers for a fast vector operation."""
    if layer.input.dtype != "uint8" or len(layer.input.shape) != 4:  # not pixels with the channels last
        return None
    width, channels = layer.input.shape[2:]
    factors = [
        keras.ops.convert_to_tensor(each, "float32").expand(channels).repeat(width or 1)
        for each in (layer.scale, layer.offset)
    ]

    def compute(training: bool, x: torch.Tensor) -> torch.Tensor:
        scale, offset = factors if width else [each.repeat(x.shape[2]) for each in factors]
        return x.flatten(2).to(torch.float32, copy=True).mul_(scale).add_(offset).reshape(x.shape)

    return compute


class HeightWidthChannels(torch.autograd.Function):
    """Flatten in the order of channels_last. The gradient keeps the memory layout of the maps, which saves copies."""

    @staticmethod
    def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
        _, *context.shape = x.shape
        return x.permute(0, 2, 3, 1).flatten(1)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        channels, height, width = context.shape
        return gradient.reshape(-1, height, width, channels).permute(0, 3, 1, 2).contiguous()


def value_of(variable: Any) -> Any:
    return None if variable is None else variable.value


def over_its_input(activation: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that computes an activation and may overwrite its input."""
    return ACTIVATIONS_IN_PLACE.get(activation, activation)


# Keras' activation -> PyTorch's
ACTIVATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    keras.activations.linear: lambda x: x,
    keras.activations.relu: functional.relu,
    keras.activations.tanh: torch.tanh,
    keras.activations.sigmoid: torch.sigmoid,
}
ACTIVATIONS_IN_PLACE: dict[Callable[..., Any], Callable[..., Any]] = {
    keras.activations.linear: lambda x: x,
    keras.activations.relu: torch.relu_,
    keras.activations.tanh: torch.tanh_,
    keras.activations.sigmoid: torch.sigmoid_,
}

# Layers whose gradient needs their inputs, not their output
NEED_NO_OUTPUT = (layers.Conv2D, layers.Dense, layers.BatchNormalization, layers.Add)

# class of a layer -> function that turns such a layer into a PyTorch function; other layers run their own call
FUNCTIONS: dict[type, Callable[[Any], Compute | None]] = {
    layers.Conv2D: conv2d,
    layers.Dense: dense,
    layers.BatchNormalization: batch_normalization,
    layers.MaxPooling2D: pooling(functional.max_pool2d),
    layers.AveragePooling2D: pooling(functional.avg_pool2d),
    layers.Activation: activation,
    layers.ReLU: relu,
    layers.Add: add,
    layers.Rescaling: rescaling,
}
# the same, for functions that overwrite their first input
IN_PLACE: dict[type, Callable[[Any], Compute | None]] = {
    layers.Activation: activation_in_place,
    layers.ReLU: functools.partial(relu, function=torch.relu_),
    layers.Add: functools.partial(add, function=torch.Tensor.add_),
}
