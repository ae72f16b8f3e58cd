"""The steps of Keras' optimizers on torch, in place, variable by variable, with the optimizer's own variables.

In a step of Adam or RMSprop, Keras 3.15 allocates new arrays of the size of all weights several times, and inspects
each variable and its rank: on a VGG of 9 million weights its Adam took 1.5 times as long as PyTorch's.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

Step = Callable[[Sequence[torch.Tensor], float], None]  # of the gradients and the learning rate
Update = Callable[[Sequence[torch.Tensor]], None]  # of the gradients

# Options of every optimizer that are implemented here
COMMON = {"name", "learning_rate", "weight_decay", "global_clipnorm", "use_ema", "ema_momentum",
          "gradient_accumulation_steps"}  # fmt: skip


def step_of(
    optimizer: Any, variables: Sequence[Any], decays: Sequence[bool] | None = None
) -> Callable[[Sequence[torch.Tensor]], None]:
    """Return a function of [gradient of each variable] that takes one step of a built Keras optimizer, in place.

    Args:
        optimizer: It may clip by the global norm, accumulate, and average the weights.
        variables: Those of the optimizer, in its order.
        decays: Whether each of them shrinks by the optimizer's own weight decay; None for all.

    Raises:
        ValueError: The optimizer, or one of its options, is not implemented here.
    """
    make, known = STEPS.get(type(optimizer).__name__, (None, set()))
    defaults = type(optimizer)().get_config()
    others = [
        name for name, value in optimizer.get_config().items() if name not in known | COMMON and value != defaults[name]
    ]
    if make is None or others:
        raise ValueError(f"no PyTorch step for {type(optimizer).__name__} {' '.join(others)}".rstrip())
    values = [variable.value for variable in variables]
    shrinking = [value for value, decay in zip(values, decays or [True] * len(values), strict=True) if decay]
    step, batches = make(optimizer, values), optimizer.variables[0].value

    def update(gradients: Sequence[torch.Tensor]) -> None:
        rate = float(optimizer.learning_rate)
        if optimizer.global_clipnorm:
            clip(gradients, optimizer.global_clipnorm)
        if optimizer.weight_decay:
            for value in shrinking:
                value.mul_(1 - optimizer.weight_decay * rate)
        step(gradients, rate)

    collect, average = accumulating(optimizer, update), averaging(optimizer, values)

    def take(gradients: Sequence[torch.Tensor]) -> None:
        collect(gradients)
        average()
        batches.add_(1)

    return take


def clip(gradients: Sequence[torch.Tensor], limit: float) -> None:
    """Scale all gradients, in place, so that their norm together is at most `limit`."""
    squares = [gradient.square().sum() for gradient in gradients]
    scale = limit / torch.stack(squares).sum().sqrt().clamp(min=limit)
    for gradient in gradients:
        gradient.mul_(scale)


def accumulating(optimizer: Any, update: Update) -> Update:
    """Return `update` for the mean gradients of several batches; of the batches in between it does nothing."""
    count = optimizer.gradient_accumulation_steps
    if not count:
        return update
    sums, batches = states(optimizer, "gradient_accumulator"), optimizer.variables[0].value

    def add_up(gradients: Sequence[torch.Tensor]) -> None:
        for total, gradient in zip(sums, gradients, strict=True):
            total.add_(gradient)
        if (int(batches) + 1) % count == 0:
            update([total / count for total in sums])
            for total in sums:
                total.zero_()

    return add_up


def averaging(optimizer: Any, values: Sequence[torch.Tensor]) -> Callable[[], None]:
    """Return the function that takes the weights after a batch into their average."""
    if not optimizer.use_ema:
        return lambda: None
    averages = states(optimizer, "average")

    def average() -> None:
        share = 1 - optimizer.ema_momentum if int(optimizer.iterations) else 1.0  # the first weights are the average
        for mean, value in zip(averages, values, strict=True):
            mean.lerp_(value, share)

    return average


def adam(optimizer: Any, values: Sequence[torch.Tensor]) -> Step:
    first, second = states(optimizer, "momentum"), states(optimizer, "velocity")

    def step(gradients: Sequence[torch.Tensor], rate: float) -> None:
        steps = int(optimizer.iterations) + 1
        rate *= (1 - optimizer.beta_2**steps) ** 0.5 / (1 - optimizer.beta_1**steps)
        for value, gradient, mean, square in zip(values, gradients, first, second, strict=True):
            mean.lerp_(gradient, 1 - optimizer.beta_1)
            square.mul_(optimizer.beta_2).addcmul_(gradient, gradient, value=1 - optimizer.beta_2)
            value.addcdiv_(mean, square.sqrt().add_(optimizer.epsilon), value=-rate)

    return step


def rmsprop(optimizer: Any, values: Sequence[torch.Tensor]) -> Step:
    squares = states(optimizer, "velocity")

    def step(gradients: Sequence[torch.Tensor], rate: float) -> None:
        for value, gradient, square in zip(values, gradients, squares, strict=True):
            square.mul_(optimizer.rho).addcmul_(gradient, gradient, value=1 - optimizer.rho)
            value.addcdiv_(gradient, square.add(optimizer.epsilon).sqrt_(), value=-rate)

    return step


def sgd(optimizer: Any, values: Sequence[torch.Tensor]) -> Step:
    speeds = states(optimizer, "momentum")

    def step(gradients: Sequence[torch.Tensor], rate: float) -> None:
        for value, gradient, speed in zip(values, gradients, speeds or gradients, strict=True):
            if speeds:
                value.add_(speed.mul_(optimizer.momentum).sub_(gradient, alpha=rate))
            else:
                value.sub_(gradient, alpha=rate)

    return step


def states(optimizer: Any, name: str) -> list[torch.Tensor]:
    """Return the optimizer's state with this name for each variable, in their order; empty if it has none."""
    return [variable.value for variable in optimizer.variables if variable.path.endswith(f"_{name}")]


# class of an optimizer -> (function that makes its step, options that the step implements)
STEPS: dict[str, tuple[Callable[[Any, Sequence[torch.Tensor]], Step], set[str]]] = {
    "Adam": (adam, {"beta_1", "beta_2", "epsilon"}),
    "AdamW": (adam, {"beta_1", "beta_2", "epsilon"}),
    "RMSprop": (rmsprop, {"rho", "epsilon"}),
    "SGD": (sgd, {"momentum"}),
}
