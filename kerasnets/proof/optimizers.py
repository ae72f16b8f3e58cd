"""The judge's optimizers, in plain PyTorch, with the formulas of Keras' documentation if they differ from PyTorch's."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn

from kerasnets.recipes import Recipe

EPSILON = 1e-7  # PyTorch's is 1e-8

Parameters = Sequence[nn.Parameter]


class Adam(torch.optim.Optimizer):
    """Adam in the form at the end of section 2 of Kingma and Ba (2015), which adds epsilon before the bias correction.

    Args:
        parameters: Parameters, or groups of them with "weight_decay".
        lr: The learning rate.
        decoupled: Whether the weight decay is that of AdamW, and no part of the gradient.
    """

    def __init__(self, parameters: Iterable[Any], lr: float, decoupled: bool = False) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": 0.0, "betas": (0.9, 0.999), "decoupled": decoupled})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            rate, (one, two) = group["lr"], group["betas"]
            for parameter in group["params"]:
                state, gradient = self.state[parameter], parameter.grad
                if group["decoupled"]:
                    parameter.mul_(1 - rate * group["weight_decay"])
                else:
                    gradient = gradient + group["weight_decay"] * parameter
                count = state["count"] = state.get("count", 0) + 1
                mean = state["mean"] = one * state.get("mean", 0) + (1 - one) * gradient
                square = state["square"] = two * state.get("square", 0) + (1 - two) * gradient**2
                corrected = rate * (1 - two**count) ** 0.5 / (1 - one**count)
                parameter.sub_(corrected * mean / (square.sqrt() + EPSILON))


class RMSprop(torch.optim.Optimizer):
    """RMSprop with epsilon inside the root."""

    def __init__(self, parameters: Iterable[Any], lr: float) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": 0.0, "rho": 0.9})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for parameter in group["params"]:
                state, gradient = self.state[parameter], parameter.grad
                gradient = gradient + group["weight_decay"] * parameter
                square = group["rho"] * state.get("square", 0) + (1 - group["rho"]) * gradient**2
                state["square"] = square
                parameter.sub_(group["lr"] * gradient / (square + EPSILON).sqrt())


def sgd(groups: Iterable[Any], recipe: Recipe) -> torch.optim.Optimizer:
    """Return PyTorch's own SGD, whose formula is Keras' at a constant rate."""
    return torch.optim.SGD(groups, recipe.learning_rate, recipe.momentum)


# name in a recipe -> function of groups of parameters and the recipe
OPTIMIZERS: dict[str, Callable[[Iterable[Any], Recipe], torch.optim.Optimizer]] = {
    "sgd": sgd,
    "adam": lambda groups, recipe: Adam(groups, recipe.learning_rate),
    "adamw": lambda groups, recipe: Adam(groups, recipe.learning_rate, decoupled=True),
    "rmsprop": lambda groups, recipe: RMSprop(groups, recipe.learning_rate),
}


def optimizer_of(parameters: Parameters, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the optimizer of a recipe; without `decay_norms`, the weight decay spares biases and normalizations."""
    decayed = [each for each in parameters if recipe.decay_norms or each.ndim > 1]
    kept = {id(each) for each in decayed}
    spared = [each for each in parameters if id(each) not in kept]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": spared, "weight_decay": 0.0}]
    return OPTIMIZERS[recipe.optimizer]([group for group in groups if group["params"]], recipe)


def loss_of(logits: torch.Tensor, labels: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Return the mean loss of a recipe, for logits (n, classes) and whole-number labels (n,)."""
    if recipe.loss == "squared_error":
        return nn.functional.mse_loss(logits.softmax(1), nn.functional.one_hot(labels, logits.shape[1]).to(logits))
    return nn.functional.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
