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
import logging

import keras
import torch
from keras import layers
from torch.nn import functional

from kerasnets import graph
from kerasnets.training.fast.torch_layers import forward_pass
from kerasnets.training.fast.torch_optimizers import step_of
from kerasnets.training.optimizers import LOSSES

# In NHWC memory PyTorch's batch normalization of fewer channels takes five times as long as in NCHW; the rest of a
# network is faster there (torch 2.14 on two cores with AVX2; docs/benchmarks/training.md has whole networks).
FEW_CHANNELS = 16


DTYPES = {"float32": torch.float32, "mixed_bfloat16": torch.bfloat16}


def computed_by_torch(network, row, scaling):
    """A TorchNetwork with the weights of `network`, from raw pixels to logits, for a training by the recipe `row`.

    In channels_last, Keras' torch backend copies to NCHW and back around every convolution and pooling.
    None for a network with several outputs, or one that asks more of its weights or maps than a recipe does.
    """
    asked = [getattr(layer, "activity_regularizer", None) for layer in network.layers]
    asked += [each for variable in network.variables for each in (variable.constraint, variable.regularizer)]
    if any(asked) or len(network.outputs) > 1:
        return None
    copy = graph.rebuild(network, layout="channels_first", scaling=scaling)
    loss = mean_loss(row, copy.output_shape[-1])
    return TorchNetwork(copy.inputs, copy.outputs, copy.name, loss, DTYPES[row.precision], row.compiled)


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
        forward = forward_pass(self, self.memory_format)
        self.forward_pass = compiled_by_torch(forward) if compiled else forward

    def compile(self, *args, **kwargs):
        super().compile(*args, **kwargs | {"jit_compile": False})  # of which the optimizer would be a part
        self.optimizer.build(self.trainable_variables)
        lay_out([*self.variables, *self.optimizer.variables], self.memory_format)
        self.learn = learner(self)

    def call(self, inputs, training=None, mask=None):
        images = keras.ops.convert_to_tensor(inputs)  # on the device where the weights are
        with autocast(images.device.type, self.precision if training else torch.float32):
            return self.forward_pass(images, bool(training))

    def train_step(self, data):
        return self.learn(*map(keras.ops.convert_to_tensor, data))


def learner(network):
    """A function of (images, labels) that takes one step, and gives {name: mean over the epoch so far}."""
    variables = network.trainable_variables
    values = [variable.value for variable in variables]
    decays = [2 * variable.regularizer.l2 if variable.regularizer else 0 for variable in variables]  # of l2 w^2
    take_step = step_of(network.optimizer, variables)
    sums = functools.cache(lambda: sums_of(network))  # Keras makes the metrics when the first batch comes

    def learn(images, labels):
        means = {}
        for value in values:
            value.grad = None  # not before: memory that is given back after a step costs more than it is worth
        logits = network.call(images, training=True)
        loss = network.mean_loss(logits, labels)
        if values:
            loss.backward()
        with torch.no_grad():
            for value, decay in zip(values, decays, strict=True):
                if decay:
                    value.grad.add_(value, alpha=decay)
            take_step([value.grad for value in values])
            right = (logits.argmax(1) == labels).sum()
            for name, value in (("loss", loss.detach() * len(labels)), ("accuracy", right)):
                total, count = sums()[name]
                means[name] = total.add_(value) / count.add_(len(labels))
        return means

    return learn


def sums_of(network):
    """{"loss", "accuracy": (sum, count)}, the variables in which Keras' metrics keep them over an epoch."""
    loss, others = network.metrics[:2]
    return {metric.name: (metric.total.value, metric.count.value) for metric in (loss, *others.metrics)}


def compiled_by_torch(function):
    """`function` by torch.compile, which on a machine without a GPU is not to warn that CUDA's files are there."""
    logging.getLogger("torch.utils.cpp_extension").addFilter(is_worth_telling)
    return torch.compile(function)


def is_worth_telling(record):
    return not record.getMessage().startswith("No CUDA runtime is found")


def autocast(device, precision):
    if precision == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device, precision)


def memory_format(network):
    """The order in memory of (n, channels, height, width) in which PyTorch computes `network` fastest."""
    norms = [layer for layer in network.layers if isinstance(layer, layers.BatchNormalization)]
    normalized = [layer.input.shape[1] for layer in norms if layer.axis == 1]
    return torch.contiguous_format if min(normalized, default=FEW_CHANNELS) < FEW_CHANNELS else torch.channels_last


def lay_out(variables, memory_format):
    """Let kernels lie in memory as PyTorch's convolution takes them, whatever the order of their axes in Keras."""
    for variable in variables:
        if len(variable.shape) == 4:
            kernel = variable.value.detach().permute(3, 2, 0, 1).contiguous(memory_format=memory_format)
            variable.value.data = kernel.permute(2, 3, 1, 0)
