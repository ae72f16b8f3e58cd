"""The steps of Keras' optimizers on torch, in place, variable by variable, with the optimizer's own variables.

In a step of Adam or RMSprop, Keras 3.15 allocates new arrays of the size of all weights several times, and inspects
each variable and its rank: on a VGG of 9 million weights its Adam took 1.5 times as long as PyTorch's.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

Step = Callable[[Sequence[torch.Tensor], float], None]  # of the gradients and the learning rate


def step_of(optimizer: Any, variables: Sequence[Any]) -> Callable[[Sequence[torch.Tensor]], None]:
    """Return a function of [gradient of each variable] that takes one step of a built Keras optimizer, in place.

    Raises:
        ValueError: The optimizer, or one of its options, is not implemented here.
    """
    make, known = STEPS.get(type(optimizer).__name__, (None, set()))
    defaults = type(optimizer)().get_config()
    others = [name for name, value in optimizer.get_config().items() if name not in known and value != defaults[name]]
    if make is None or others:
        raise ValueError(f"no PyTorch step for {type(optimizer).__name__} {' '.join(others)}".rstrip())
    step = make(optimizer, [variable.value for variable in variables])

    def take(gradients: Sequence[torch.Tensor]) -> None:
        step(gradients, float(optimizer.learning_rate))
        optimizer.iterations.value.add_(1)

    return take


def adam(optimizer: Any, values: Sequence[torch.Tensor]) -> Step:
    first, second = states(optimizer, "momentum"), states(optimizer, "velocity")

    def step(gradients: Sequence[torch.Tensor], rate: float) -> None:
        steps = int(optimizer.iterations.value) + 1
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
    "Adam": (adam, {"name", "learning_rate", "beta_1", "beta_2", "epsilon"}),
    "RMSprop": (rmsprop, {"name", "learning_rate", "rho", "epsilon"}),
    "SGD": (sgd, {"name", "learning_rate", "momentum"}),
}
