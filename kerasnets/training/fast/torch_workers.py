"""Several workers on torch: DistributedDataParallel, batch normalization over the global batch, and its dropout.

All is computed as one worker would compute the global batch, whatever its parts, which may be unequal or empty: sums
are exchanged, not means. Each worker draws the dropout of the whole batch and takes its rows, so that all generators
stay in step, and in the state that the generator of one worker would have.
"""

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import keras
import torch
from keras import layers
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from kerasnets.training.fast import torch_layers

if TYPE_CHECKING:
    from kerasnets.training.workers import Group

LIMIT = timedelta(hours=24)  # of an exchange; a lost worker is noticed by runtime.meeting
DRAWS = (layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D)


class Engine:
    """The exchange of gradients and sums.

    Attributes:
        total, start: Images in the global batch of this step, and the place of this worker's first one in it.
        own_statistics: Whether batch normalization is by the mean and variance of each worker's part.
    """

    equal_shares = False
    parts = 1
    own_statistics = False

    def __init__(self, group: "Group") -> None:
        self.group = group
        self.total, self.start = 0, 0
        self.device = torch.device("cpu")
        if torch.cuda.is_available():
            self.device = torch.device("cuda", group.place.local_rank)
            if group.place.local_rank >= torch.cuda.device_count():
                raise ValueError(
                    f"worker {group.rank} is number {group.place.local_rank + 1} on a machine of "
                    f"{torch.cuda.device_count()} GPUs; start one worker for each GPU"
                )
            torch.cuda.set_device(self.device)
        store = self.store()
        kind = "nccl" if self.device.type == "cuda" else "gloo"
        distributed.init_process_group(kind, store=store, rank=group.rank, world_size=group.count, timeout=LIMIT)

    def store(self) -> distributed.TCPStore:
        """Return the store by which the processes of PyTorch find each other; worker 0 holds it."""
        group = self.group
        assert group.meeting
        if group.leads:
            store = distributed.TCPStore(group.place.address, 0, None, True, wait_for_workers=False)
            group.exchange(store.port)
            return store
        [port, *_] = group.exchange(0)
        return distributed.TCPStore(group.place.address, port, None, False, wait_for_workers=False)

    def close(self) -> None:
        if distributed.is_initialized():
            distributed.destroy_process_group()

    def next_batch(self) -> None:
        """Note which part of the next global batch is this worker's."""
        self.total, self.start = self.group.next_batch()

    def sum_figures(self, loss: torch.Tensor, right: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the sums over workers of the sum of losses and of the number of right answers of a batch."""
        sums = torch.stack([loss, right.to(loss.dtype)]) if size else loss.new_zeros(2)  # the mean of none is NaN
        distributed.all_reduce(sums)
        return sums[0], sums[1]

    # ---- layers ----

    @property
    def functions(self) -> dict[type, Callable[[Any], Any]]:
        """{class of a layer: function that makes its PyTorch function}, for the layers that see the whole batch."""
        return {layers.BatchNormalization: self.batch_normalization, **dict.fromkeys(DRAWS, self.dropout)}

    def batch_normalization(self, layer: layers.BatchNormalization) -> Callable[[bool, torch.Tensor], torch.Tensor]:
        """Normalize by the mean and variance of the global batch, in two passes, of which each adds up all workers."""
        axis = layer.axis % len(layer.input.shape)
        others = [i for i in range(len(layer.input.shape)) if i != axis]
        shape = [-1 if i == axis else 1 for i in range(len(layer.input.shape))]
        step, learns = 1 - layer.momentum, layer.trainable
        infer = torch_layers.batch_normalization(layer) or (lambda training, x: layer.call(x, training=training))

        def compute(training: bool, x: torch.Tensor) -> torch.Tensor:
            if not (training and learns):
                return infer(False, x)
            inputs, x = x, x.float()
            add_up = torch.clone if self.own_statistics else Sum.apply
            count = x.new_full((1,), x.numel() // x.shape[axis])
            sums = add_up(torch.cat([count, x.sum(others)]))
            number = sums[0].clamp(min=1)
            mean = sums[1:] / number
            centred = x - mean.view(shape)
            variance = add_up(centred.square().sum(others)) / number
            with torch.no_grad():
                layer.moving_mean.value.lerp_(self.mean(mean, count), step)
                layer.moving_variance.value.lerp_(self.mean(variance, count), step)
            scale = torch.rsqrt(variance + layer.epsilon)
            if layer.gamma is not None:
                scale = scale * layer.gamma.value
            outputs = centred * scale.view(shape)
            if layer.beta is not None:
                outputs = outputs + layer.beta.value.view(shape)
            return outputs.to(inputs.dtype)

        return compute

    def mean(self, statistic: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        """Return a statistic as all workers keep it: if each has its own, their mean, weighed by `count`."""
        if not self.own_statistics:
            return statistic
        sums = torch.cat([count, statistic * count])
        distributed.all_reduce(sums)
        return sums[1:] / sums[0]

    def dropout(self, layer: layers.Layer) -> Callable[[bool, torch.Tensor], torch.Tensor]:
        def compute(training: bool, x: torch.Tensor) -> torch.Tensor:
            if not training:
                return x
            whole = torch.empty_strided((self.total, *x.shape[1:]), x.stride(), dtype=x.dtype, device=x.device).fill_(1)
            return x * layer.call(whole, training=True)[self.start : self.start + len(x)]

        return compute

    # ---- steps ----

    def forward_pass(self, network: keras.Model) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return the forward pass of `network` in training."""
        if not network.trainable_variables:
            return functools.partial(network.call, training=True)
        return Forward(self, network)

    def weigh(self, loss: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Return the loss whose gradients, averaged over workers by PyTorch, are the gradients of the global batch."""
        if not len(logits):
            return logits.sum() * 0
        return loss * (len(logits) * self.group.count / self.total)


class Sum(torch.autograd.Function):
    """The sum over workers; its gradient is the sum of gradients over workers."""

    @staticmethod
    def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        distributed.all_reduce(x)
        return x

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        gradient = gradient.contiguous().clone()
        distributed.all_reduce(gradient)
        return gradient


class Module(torch.nn.Module):
    """The forward pass of a network, and its trained weights, as DistributedDataParallel takes them."""

    def __init__(self, network: keras.Model) -> None:
        super().__init__()
        self.weights = torch.nn.ParameterList([variable.value for variable in network.trainable_variables])
        self.compute = network.call

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.compute(images, training=True)


class Forward:
    """The forward pass in training, whose backward pass exchanges gradients."""

    def __init__(self, engine: Engine, network: keras.Model) -> None:
        self.engine, self.network = engine, network
        self.module: Any = None

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        if self.module is None:
            self.module = DistributedDataParallel(Module(self.network))
            self.rehearse(images)
        return self.module(images)

    def rehearse(self, images: torch.Tensor) -> None:
        """Run one step without effect: after its first step, PyTorch orders the gradients that it adds up anew.

        A sum over three workers depends on the order. A resumed run must not have it otherwise for a step.
        """
        states = [variable.value.clone() for variable in self.network.non_trainable_variables]
        random = torch.get_rng_state(), torch.cuda.get_rng_state() if self.engine.device.type == "cuda" else None
        for _ in range(2):
            self.module(images).sum().mul(0).backward()
        torch.set_rng_state(random[0])
        if random[1] is not None:
            torch.cuda.set_rng_state(random[1])
        with torch.no_grad():
            for variable, state in zip(self.network.non_trainable_variables, states, strict=True):
                variable.value.copy_(state)
        for variable in self.network.trainable_variables:
            variable.value.grad = None
