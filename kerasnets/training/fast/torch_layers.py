"""A network's layers as PyTorch's own functions, and the order in which they run.

A kernel's axes stay as Keras has them, (height, width, in, out), however it lies in memory.
"""

import collections
import functools
import inspect

import keras
import torch
from keras import layers
from torch.nn import functional

from kerasnets import graph


def forward_pass(network, memory_format):
    """A function of (images, training) that gives the output of a functional `network` of one input and one output.

    Within torch.autocast the output is computed in float32 all the same.
    """
    nodes = [node for node in graph.nodes(network) if not isinstance(node.operation, layers.InputLayer)]
    uses = collections.Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    paddings = {id(node.input_tensors[0]) for node in nodes if takes_padding(node, uses)}
    steps, place = [], {id(network.inputs[0]): 0}
    for node in nodes:
        if id(node.outputs[0]) in paddings:
            continue
        function, sources = function_of(node, uses, memory_format)
        steps.append((function, [place[id(tensor)] for tensor in sources]))
        place[id(node.outputs[0])] = len(steps)
    last = place[id(network.outputs[0])]
    function, sources = steps[last - 1]
    steps[last - 1] = in_float32(function), sources

    def forward(images, training):
        values = [images]
        for function, sources in steps:
            values.append(function(training, *[values[i] for i in sources]))
        return values[last]

    return forward


def in_float32(function):
    def compute(training, *inputs):
        with torch.autocast(inputs[0].device.type, enabled=False):
            return function(training, *[x.float() for x in inputs])

    return compute


def function_of(node, uses, memory_format):
    """(function of (training, *inputs) that does what a node of the graph does, the tensors that are its inputs).

    uses: {id of a tensor: how many nodes take it}.
    """
    layer, sources = node.operation, node.input_tensors
    if isinstance(layer, layers.Permute) and len(layer.dims) == 3:
        axes = (0, *layer.dims)
        return lambda training, x: x.permute(axes).contiguous(memory_format=memory_format), sources
    if flattens_maps(layer) and memory_format == torch.contiguous_format:
        return lambda training, x: HeightWidthChannels.apply(x), sources
    if takes_padding(node, uses):
        padding = graph.node_of(sources[0])
        (height, _), (width, _) = padding.operation.padding
        return conv2d(layer, (height, width)), padding.input_tensors
    if isinstance(layer, layers.Add):
        sources = sorted(sources, key=lambda tensor: not is_spare(tensor, uses))
    table = IN_PLACE if type(layer) in IN_PLACE and is_spare(sources[0], uses) else FUNCTIONS
    return (type(layer) in table and table[type(layer)](layer)) or as_keras_does(node), sources


def flattens_maps(layer):
    return isinstance(layer, layers.Flatten) and layer.data_format == "channels_first" and len(layer.input.shape) == 4


def takes_padding(node, uses):
    """Whether a node is a convolution that can do itself what the layer before it does: pad both ends alike."""
    layer, before = node.operation, graph.node_of(node.input_tensors[0]).operation
    return (
        isinstance(layer, layers.Conv2D)
        and (layer.padding, layer.data_format) == ("valid", "channels_first")
        and isinstance(before, layers.ZeroPadding2D)
        and before.data_format == "channels_first"
        and all(first == last for first, last in before.padding)
        and uses[id(node.input_tensors[0])] == 1
    )


def is_spare(tensor, uses):
    """Whether the one node that takes it may write over it: no gradient needs what a convolution or a norm gives.

    New memory costs more than what is computed into it: a ReLU that takes it anew, 1.7 ms; one in place, 0.1 ms
    (ResNet-18 on 64 pictures of CIFAR-10, torch 2.14).
    """
    layer = graph.node_of(tensor).operation
    is_linear = getattr(layer, "activation", keras.activations.linear) is keras.activations.linear
    return isinstance(layer, NEED_NO_OUTPUT) and is_linear and uses[id(tensor)] == 1


def as_keras_does(node):
    """The call of the layer itself, without what Keras does around it."""
    layer, arguments = node.operation, (node.args, node.kwargs)
    more = ("training",) if "training" in inspect.signature(layer.call).parameters else ()

    def compute(training, *inputs):
        waiting = iter(inputs)
        args, kwargs = keras.tree.map_structure(
            lambda argument: next(waiting) if isinstance(argument, keras.KerasTensor) else argument, arguments
        )
        return layer.call(*args, **kwargs | dict.fromkeys(more, training))

    return compute


# ---- layers as PyTorch's functions: None where it has none that does the same ----


def conv2d(layer, around=(0, 0)):
    """around: the zeros that a layer of their own would put at each end of height and width."""
    sides, dilation = layer.kernel_size, layer.dilation_rate
    padded = layer.padding == "same"
    uneven = padded and (max(layer.strides) > 1 or not all(side % 2 for side in sides))  # more on one side
    if layer.data_format != "channels_first" or uneven:
        return None
    padding = [step * (side // 2) for side, step in zip(sides, dilation, strict=True)] if padded else around
    kernel, bias, activate = layer.kernel.value, value_of(layer.bias), over_its_input(layer.activation)

    def compute(training, x):
        return activate(
            functional.conv2d(x, kernel.permute(3, 2, 0, 1), bias, layer.strides, padding, dilation, layer.groups)
        )

    return compute


def dense(layer):
    if len(layer.input.shape) != 2:
        return None
    kernel, bias, activate = layer.kernel.value, value_of(layer.bias), over_its_input(layer.activation)
    return lambda training, x: activate(x @ kernel if bias is None else torch.addmm(bias, x, kernel))


def batch_normalization(layer):
    if layer.axis != 1 or layer.renorm:
        return None
    scale, shift, mean, variance = map(value_of, (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance))
    epsilon, step, learns = layer.epsilon, 1 - layer.momentum, layer.trainable

    def compute(training, x):
        if not (training and learns):
            return functional.batch_norm(x, mean, variance, scale, shift, False, 0.0, epsilon)
        outputs, batch_mean, inverse = torch.native_batch_norm(x, scale, shift, None, None, True, 0.0, epsilon)
        with torch.no_grad():  # the running variance is biased, as Keras has it; PyTorch's own is not
            mean.lerp_(batch_mean.float(), step)  # of bfloat16 on a CPU
            variance.lerp_(inverse.float().pow(-2).sub_(epsilon), step)
        return outputs

    return compute


def pooling(function):
    def of(layer):
        sides = zip(layer.input.shape[2:], layer.pool_size, layer.strides, strict=True)
        uncut = all(side % step == 0 and pool == step for side, pool, step in sides)  # where "same" pads nothing
        if layer.data_format != "channels_first" or (layer.padding != "valid" and not uncut):
            return None
        return lambda training, x: function(x, layer.pool_size, layer.strides)

    return of


def activation(layer, function_for=lambda activation: ACTIVATIONS.get(activation, activation)):
    function = function_for(layer.activation)
    return lambda training, x: function(x)


def relu(layer, function=functional.relu):
    if layer.max_value is not None or layer.negative_slope or layer.threshold:
        return None
    return lambda training, x: function(x)


def add(layer, function=torch.add):
    if len(layer.input) != 2 or layer.input[0].shape != layer.input[1].shape:
        return None
    return lambda training, x, y: function(x, y)


def rescaling(layer):
    """Row by row of a picture, since a handful of channels alone is too short a run of numbers to be quick."""
    if layer.input.dtype != "uint8" or len(layer.input.shape) != 4:  # no pixels, whose channels are the last
        return None
    width, channels = layer.input.shape[2:]
    scale, offset = (
        keras.ops.convert_to_tensor(each, "float32").expand(channels).repeat(width)
        for each in (layer.scale, layer.offset)
    )
    return lambda training, x: x.flatten(2).to(torch.float32, copy=True).mul_(scale).add_(offset).reshape(x.shape)


class HeightWidthChannels(torch.autograd.Function):
    """Rows of numbers in the order of channels_last; the gradient lies as the maps do, which saves others copies."""

    @staticmethod
    def forward(context, x):
        _, *context.shape = x.shape
        return x.permute(0, 2, 3, 1).flatten(1)

    @staticmethod
    def backward(context, gradient):
        channels, height, width = context.shape
        return gradient.reshape(-1, height, width, channels).permute(0, 3, 1, 2).contiguous()


def value_of(variable):
    return None if variable is None else variable.value


def over_its_input(activation):
    """A function that may write over what it is given."""
    return ACTIVATIONS_IN_PLACE.get(activation, activation)


# Keras' activation -> PyTorch's
ACTIVATIONS = {
    keras.activations.linear: lambda x: x,
    keras.activations.relu: functional.relu,
    keras.activations.tanh: torch.tanh,
    keras.activations.sigmoid: torch.sigmoid,
}
ACTIVATIONS_IN_PLACE = {
    keras.activations.linear: lambda x: x,
    keras.activations.relu: torch.relu_,
    keras.activations.tanh: torch.tanh_,
    keras.activations.sigmoid: torch.sigmoid_,
}

# whose gradient needs what they take, not what they give
NEED_NO_OUTPUT = (layers.Conv2D, layers.Dense, layers.BatchNormalization, layers.Add)

# class of a layer -> function that makes of a layer a function of (training, input), or None; of others the call serves
FUNCTIONS = {
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
# of these, what writes over its first input
IN_PLACE = {
    layers.Activation: functools.partial(activation, function_for=over_its_input),
    layers.ReLU: functools.partial(relu, function=torch.relu_),
    layers.Add: functools.partial(add, function=torch.Tensor.add_),
}
