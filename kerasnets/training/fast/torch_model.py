"""The trainee on torch: the network as a list of PyTorch functions. Its numbers equal Keras' up to rounding.

A profile shows that Keras 3.15 spends some milliseconds of each step on work that a training run does not need: each
layer's call inspects and casts its arguments and enters scopes; a convolution's bias is added in a second pass over the
map; batch normalization is composed of ten operations, although PyTorch has one; a kernel is permuted in the forward
pass, and its gradient in the backward pass. Here the graph is walked once, and the step runs the functions in a list.
"""

import contextlib
import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import torch
from keras import layers
from torch.nn import functional

from kerasnets import graph
from kerasnets.recipes import Recipe
from kerasnets.training.fast.torch_layers import forward_pass
from kerasnets.training.fast.torch_optimizers import step_of
from kerasnets.training.optimizers import LOSSES, Weights, is_decayed

if TYPE_CHECKING:
    from kerasnets.training.fast.torch_workers import Engine

# With fewer channels PyTorch's batch normalization takes five times as long in NHWC memory as in NCHW; the rest of a
# network is faster in NHWC (torch 2.14 on two cores with AVX2; docs/benchmarks/training.md has whole networks).
FEW_CHANNELS = 16

MOST_SHAPES = 64  # of batches that are compiled: of each size of the photos a whole batch, and the end of an epoch

DTYPES = {"float32": torch.float32, "mixed_bfloat16": torch.bfloat16}


def torch_trainee(
    network: keras.Model,
    recipe: Recipe,
    scaling: graph.Scaling | None,
    class_weights: Weights = None,
    engine: "Engine | None" = None,
) -> "TorchNetwork | None":
    """Return a TorchNetwork with the weights of `network`, from raw pixels to logits, for `recipe`.

    It is in channels_first: in channels_last, Keras' torch backend copies to NCHW and back around every convolution and
    pooling. None for a network with several outputs, or with regularizers or constraints of its own.
    """
    extras = [getattr(layer, "activity_regularizer", None) for layer in network.layers]
    extras += [each for variable in network.variables for each in (variable.constraint, variable.regularizer)]
    if any(extras) or len(network.outputs) > 1:
        return None
    copy = graph.rebuild(network, layout="channels_first", scaling=scaling)
    loss = mean_loss(recipe, copy.output_shape[-1], class_weights)
    return TorchNetwork(
        copy.inputs, copy.outputs, copy.name,
        mean_loss=loss, precision=DTYPES[recipe.precision], compiled=recipe.compiled,
        decays=lambda variable: is_decayed(variable, recipe.decay_norms), engine=engine,
    )  # fmt: skip


def mean_loss(
    recipe: Recipe, num_classes: int, class_weights: Weights = None
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return the recipe's loss, a function of logits (n, classes) and labels: int64 (n,), or shares (n, classes)."""
    if recipe.loss == "cross_entropy" and class_weights is None:
        return functools.partial(functional.cross_entropy, label_smoothing=recipe.label_smoothing)
    of_each = LOSSES[recipe.loss](num_classes, recipe, class_weights)
    return lambda logits, labels: of_each(labels, logits).mean()


class TorchNetwork(keras.Model):
    """A functional model in channels_first whose forward pass and training step are PyTorch's.

    Args:
        inputs: As in keras.Model, like `outputs` and `name`.
        mean_loss: A function of logits (n, classes) and int64 labels (n,).
        precision: The dtype of convolutions and matrix products, as in `torch.autocast`; weights stay float32.
        compiled: Whether `torch.compile` compiles the forward pass and its gradient.
        decays: Whether a variable shrinks by the weight decay of an optimizer that has its own.
        engine: Of several workers.
    """

    def __init__(
        self,
        inputs: list[keras.KerasTensor],
        outputs: list[keras.KerasTensor],
        name: str,
        *,
        mean_loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        precision: torch.dtype = torch.float32,
        compiled: bool = False,
        decays: Callable[[Any], bool] = lambda variable: True,
        engine: "Engine | None" = None,
    ) -> None:
        super().__init__(inputs, outputs, name=name)
        self.mean_loss, self.precision, self.decays, self.engine = mean_loss, precision, decays, engine
        self.memory_format = memory_format(self)
        forward = forward_pass(self, self.memory_format, engine.functions if engine else {})
        self.forward_pass = compile_by_torch(forward) if compiled else forward

    def compile(self, *args: Any, **kwargs: Any) -> None:
        super().compile(*args, **kwargs | {"jit_compile": False})  # which would compile the optimizer too
        self.optimizer.build(self.trainable_variables)
        lay_out([*self.variables, *self.optimizer.variables], self.memory_format)
        self.learn = learner(self)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> torch.Tensor:
        images = keras.ops.convert_to_tensor(inputs)  # on the device of the weights
        with autocast(images.device.type, self.precision if training else torch.float32):
            return self.forward_pass(images, bool(training))

    def train_step(self, data: tuple[Any, Any]) -> dict[str, torch.Tensor]:
        return self.learn(*map(keras.ops.convert_to_tensor, data))


def learner(network: TorchNetwork) -> Callable[[torch.Tensor, torch.Tensor], dict[str, torch.Tensor]]:
    """Return a function of (images, labels) that takes one step and returns {metric: mean over the epoch so far}."""
    variables = network.trainable_variables
    values = [variable.value for variable in variables]
    decays = [2 * variable.regularizer.l2 if variable.regularizer else 0 for variable in variables]  # l2 w^2
    take_step = step_of(network.optimizer, variables, [network.decays(variable) for variable in variables])
    engine = network.engine
    forward = engine.forward_pass(network) if engine else functools.partial(network.call, training=True)
    sums = functools.cache(lambda: sums_of(network))  # the metrics exist only after Keras has seen the first batch

    def learn(images: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        means = {}
        for value in values:
            value.grad = None  # not at the end of a step: to free and allocate memory between two steps takes time
        if engine:
            engine.next_batch()
        logits = forward(images)
        loss = network.mean_loss(logits, labels)
        if values:
            (engine.weigh(loss, logits) if engine else loss).backward()
        with torch.no_grad():
            for value, decay in zip(values, decays, strict=True):
                if decay:
                    value.grad.add_(value, alpha=decay)
            take_step([value.grad for value in values])
            right = (logits.argmax(1) == (labels if labels.ndim == 1 else labels.argmax(1))).sum()
            size, figures = len(labels), (loss.detach() * len(labels), right)
            if engine:
                figures, size = engine.sum_figures(*figures, size), engine.total
            for name, value in zip(("loss", "accuracy"), figures, strict=True):
                total, count = sums()[name]
                means[name] = total.add_(value) / count.add_(size)
        return means

    return learn


def sums_of(network: TorchNetwork) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return {"loss", "accuracy": (sum, count)}, the variables of Keras' metrics over an epoch."""
    loss, others = network.metrics[:2]
    return {metric.name: (metric.total.value, metric.count.value) for metric in (loss, *others.metrics)}


def compile_by_torch(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` by torch.compile, without its warning that a machine without a GPU has CUDA's files.

    Each shape of a batch has a program of its own, whatever was compiled before: by default the second shape gets one
    for all shapes, which rounds otherwise, and a resumed training, whose second shape is another, is not exact.
    """
    logging.getLogger("torch.utils.cpp_extension").addFilter(is_relevant)
    torch.compiler.reset()
    torch._dynamo.config.recompile_limit = MOST_SHAPES
    return torch.compile(function, dynamic=False)


def is_relevant(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("No CUDA runtime is found")


def autocast(device: str, precision: torch.dtype) -> contextlib.AbstractContextManager[Any]:
    if precision == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device, precision)


def memory_format(network: keras.Model) -> torch.memory_format:
    """Return the memory format of (n, channels, height, width) in which PyTorch computes `network` fastest."""
    norms = [layer for layer in network.layers if isinstance(layer, layers.BatchNormalization)]
    normalized = [layer.input.shape[1] for layer in norms if layer.axis == 1]
    return torch.contiguous_format if min(normalized, default=FEW_CHANNELS) < FEW_CHANNELS else torch.channels_last


def lay_out(variables: list[Any], memory_format: torch.memory_format) -> None:
    """Store kernels in the memory format that PyTorch's convolution takes; their axes keep Keras' order."""
    for variable in variables:
        if len(variable.shape) == 4:
            kernel = variable.value.detach().permute(3, 2, 0, 1).contiguous(memory_format=memory_format)
            variable.value.data = kernel.permute(2, 3, 1, 0)
