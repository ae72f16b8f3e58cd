"""A network as PyTorch computes it without a detour: for the inside of a training on the torch backend.

By profile, Keras 3.15 spends on the torch backend some milliseconds a step on what a training can do without: each
layer's call looks at its arguments, casts them and enters scopes; a convolution's bias is added in a second pass over
the map; batch normalization is composed of ten operations where PyTorch has one; a kernel is brought into another
order forward, and its gradient backward. Here the graph is walked once, and what is left of it is a list of PyTorch's
functions. The numbers are the same to rounding. Nothing of it reaches a file: what is saved is the network itself, to
which the weights go back.
"""

import contextlib
import functools
import inspect

import keras
import torch
from keras import layers
from torch.nn import functional

from kerasnets import graph
from kerasnets.optimization import LOSSES

# In NHWC memory PyTorch's batch normalization of fewer channels takes five times as long as in NCHW; the rest of a
# network is faster there (torch 2.14 on two cores with AVX2; docs/training.md has whole networks).
FEW_CHANNELS = 16


PRECISIONS = {"float32": torch.float32, "mixed_bfloat16": torch.bfloat16}


def computed_by_torch(network, row, scaling):
    """A TorchNetwork with the weights of `network`, from raw pixels to logits, for a training by the recipe `row`.

    In channels_last, Keras' torch backend copies to NCHW and back around every convolution and pooling.
    """
    copy = graph.rebuild(network, layout="channels_first", scaling=scaling)
    loss = mean_loss(row, copy.output_shape[-1])
    return TorchNetwork(copy.inputs, copy.outputs, copy.name, loss, PRECISIONS[row.precision], row.compiled)


def mean_loss(row, num_classes):
    """The recipe's loss, a function of logits (n, classes) and int64 labels (n,)."""
    if row.loss == "cross_entropy":
        return functools.partial(functional.cross_entropy, label_smoothing=row.label_smoothing)
    of_each = LOSSES[row.loss](num_classes, row)
    return lambda logits, labels: of_each(labels, logits).mean()


class TorchNetwork(keras.Model):
    """A functional model in channels_first whose forward pass and training step are PyTorch's.

    mean_loss: function of logits (n, classes) and int64 labels (n,). precision: what convolutions and matrix products
    are computed in, as `torch.autocast` does it; weights stay float32. compiled: whether `torch.compile` makes one
    program of the forward pass, and of its gradient.
    """

    def __init__(self, inputs, outputs, name, mean_loss, precision=torch.float32, compiled=False):
        super().__init__(inputs, outputs, name=name)
        self.mean_loss, self.precision = mean_loss, precision
        self.memory_format = memory_format(self)
        forward = forward_pass(self)
        self.forward_pass = torch.compile(forward) if compiled else forward

    def compile(self, *args, **kwargs):
        super().compile(*args, **kwargs | {"jit_compile": False})  # of which the optimizer would be a part
        self.optimizer.build(self.trainable_variables)
        lay_out([*self.variables, *self.optimizer.variables], self.memory_format)

    def call(self, inputs, training=None, mask=None):
        with autocast(inputs.device.type, self.precision):
            return self.forward_pass(inputs, bool(training)).float()

    def train_step(self, data):
        images, labels = data
        logits = self.call(images, training=True)
        loss = self.mean_loss(logits, labels)
        variables = self.trainable_variables
        gradients = list(torch.autograd.grad(loss, [variable.value for variable in variables])) if variables else []
        with torch.no_grad():
            for variable, gradient in zip(variables, gradients, strict=True):
                if variable.regularizer:
                    gradient.add_(variable.value, alpha=2 * variable.regularizer.l2)  # that of l2 w^2
            self.optimizer.apply(gradients, variables)
            return self.figures(loss.detach(), logits, labels)

    def figures(self, loss, logits, labels):
        """{name: mean over the epoch so far}, summed where Keras does: in the variables of its metrics."""
        right = (logits.argmax(1) == labels).sum()
        kept = {metric.name: metric for metric in [self.metrics[0], *self.metrics[1].metrics]}
        means = {}
        for name, value in (("loss", loss * len(labels)), ("accuracy", right)):
            total, count = kept[name].total.value.add_(value), kept[name].count.value.add_(len(labels))
            means[name] = total / count
        return means


def autocast(device, precision):
    if precision == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device, precision)


def memory_format(network):
    """The order in memory of (n, channels, height, width) in which PyTorch computes `network` fastest."""
    normalized = [layer.input.shape[1] for layer in network.layers if isinstance(layer, layers.BatchNormalization)]
    return torch.contiguous_format if min(normalized, default=FEW_CHANNELS) < FEW_CHANNELS else torch.channels_last


def lay_out(variables, memory_format):
    """Let kernels lie in memory as PyTorch's convolution takes them, whatever the order of their axes in Keras."""
    for variable in variables:
        if len(variable.shape) == 4:
            kernel = variable.value.detach().permute(3, 2, 0, 1).contiguous(memory_format=memory_format)
            variable.value.data = kernel.permute(2, 3, 1, 0)


def forward_pass(network):
    """A function of (images, training) that gives the output of a functional `network` of one input and one output."""
    steps, place = [], {id(network.inputs[0]): 0}
    for node in graph.nodes(network):
        if not isinstance(node.operation, layers.InputLayer):
            steps.append((function_of(node, network.memory_format), [place[id(each)] for each in node.input_tensors]))
            place[id(node.outputs[0])] = len(steps)
    last = place[id(network.outputs[0])]

    def forward(images, training):
        values = [images]
        for function, sources in steps:
            values.append(function(training, *[values[i] for i in sources]))
        return values[last]

    return forward


def function_of(node, memory_format):
    """The function of (training, *inputs) that does what a node of the graph does."""
    layer = node.operation
    if isinstance(layer, layers.Permute):
        axes = (0, *layer.dims)
        return lambda training, x: x.permute(axes).contiguous(memory_format=memory_format)
    return (type(layer) in FUNCTIONS and FUNCTIONS[type(layer)](layer)) or as_keras_does(node)


def as_keras_does(node):
    """The call of the layer itself, without what Keras does around it."""
    layer, arguments = node.operation, (node.arguments.args, node.arguments.kwargs)
    more = ("training",) if "training" in inspect.signature(layer.call).parameters else ()

    def compute(training, *inputs):
        waiting = iter(inputs)
        args, kwargs = keras.tree.map_structure(
            lambda argument: next(waiting) if isinstance(argument, keras.KerasTensor) else argument, arguments
        )
        return layer.call(*args, **kwargs | dict.fromkeys(more, training))

    return compute


# ---- layers as PyTorch's functions: None where it has none that does the same ----


def conv2d(layer):
    sides, dilation = layer.kernel_size, layer.dilation_rate
    padded = layer.padding == "same"
    uneven = padded and (max(layer.strides) > 1 or not all(side % 2 for side in sides))  # more on one side
    if layer.data_format != "channels_first" or uneven:
        return None
    padding = [step * (side // 2) for side, step in zip(sides, dilation, strict=True)] if padded else 0
    kernel, bias, activate = layer.kernel.value, value_of(layer.bias), function_for(layer.activation)

    def compute(training, x):
        return activate(
            functional.conv2d(x, kernel.permute(3, 2, 0, 1), bias, layer.strides, padding, dilation, layer.groups)
        )

    return compute


def dense(layer):
    if len(layer.input.shape) != 2:
        return None
    kernel, bias, activate = layer.kernel.value, value_of(layer.bias), function_for(layer.activation)
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
            mean.lerp_(batch_mean, step)
            variance.lerp_(inverse.pow(-2).sub_(epsilon), step)
        return outputs

    return compute


def pooling(function):
    def of(layer):
        if layer.data_format != "channels_first" or layer.padding != "valid":
            return None
        return lambda training, x: function(x, layer.pool_size, layer.strides)

    return of


def activation(layer):
    function = function_for(layer.activation)
    return lambda training, x: function(x)


def rescaling(layer):
    """Row by row of a picture, since a handful of channels alone is too short a run of numbers to be quick."""
    if layer.input.dtype != "uint8" or len(layer.input.shape) != 4:  # no pixels, whose channels are the last
        return None
    width, channels = layer.input.shape[2:]
    scale, offset = (
        keras.ops.convert_to_tensor(each, "float32").expand(channels).repeat(width)
        for each in (layer.scale, layer.offset)
    )
    return lambda training, x: x.flatten(2).float().mul_(scale).add_(offset).reshape(x.shape)


def relu(layer):
    if layer.max_value is not None or layer.negative_slope or layer.threshold:
        return None
    return lambda training, x: functional.relu(x)


def value_of(variable):
    return None if variable is None else variable.value


def function_for(activation):
    return ACTIVATIONS.get(activation, activation)


# Keras' activation -> PyTorch's
ACTIVATIONS = {
    keras.activations.linear: lambda x: x,
    keras.activations.relu: functional.relu,
    keras.activations.tanh: torch.tanh,
    keras.activations.sigmoid: torch.sigmoid,
}

# class of a layer -> function that makes of a layer a function of (training, input), or None; of others the call serves
FUNCTIONS = {
    layers.Conv2D: conv2d,
    layers.Dense: dense,
    layers.BatchNormalization: batch_normalization,
    layers.MaxPooling2D: pooling(functional.max_pool2d),
    layers.AveragePooling2D: pooling(functional.avg_pool2d),
    layers.Activation: activation,
    layers.ReLU: relu,
    layers.Rescaling: rescaling,
}
