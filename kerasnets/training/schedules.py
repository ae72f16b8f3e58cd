"""The learning rate of a recipe by step: a number, or a schedule of Keras."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from keras import ops
from keras.optimizers import schedules

from kerasnets.recipes import Recipe

FIRST, LAST = 1 / 25, 1 / 25e4  # of the rate, at the ends of "onecycle": those of PyTorch's OneCycleLR

Rate: TypeAlias = "float | schedules.LearningRateSchedule"


def rate_of(recipe: Recipe, steps_per_epoch: int, epochs: int) -> Rate:
    """Return the recipe's learning rate: a number, or a schedule over the batches."""
    if not recipe.schedule:
        return float(recipe.learning_rate)
    schedule, *options = recipe.schedule
    return SCHEDULES[schedule](float(recipe.learning_rate), steps_per_epoch, epochs, *options)


def constant(rate: float, steps_per_epoch: int, epochs: int, warmup: float) -> Rate:
    """Raise the rate linearly over `warmup` epochs."""
    return warmed_up(rate, rate, round(steps_per_epoch * warmup))


def steps(rate: float, steps_per_epoch: int, epochs: int, factor: float, boundaries: Sequence[int]) -> Rate:
    """Multiply the rate by `factor` at each of the steps in `boundaries`."""
    rates = [rate * factor**i for i in range(len(boundaries) + 1)]
    last = [boundary - 1 for boundary in boundaries]  # Keras takes the last step before each change, counted from 0
    return schedules.PiecewiseConstantDecay(last, rates)


def at_epochs(
    rate: float, steps_per_epoch: int, epochs: int, factor: float, boundaries: Sequence[int], warmup: float = 0
) -> Rate:
    """Multiply the rate by `factor` after each of the epochs in `boundaries`, after a warm-up."""
    after = steps(rate, steps_per_epoch, epochs, factor, [epoch * steps_per_epoch for epoch in boundaries])
    return warmed_up(rate, after, round(steps_per_epoch * warmup))


def cosine(rate: float, steps_per_epoch: int, epochs: int, warmup: float) -> Rate:
    """Raise the rate linearly over `warmup` epochs, then lower it to 0 along half a cosine."""
    total, warm = steps_per_epoch * epochs, round(steps_per_epoch * min(warmup, epochs - 1))
    if not warm:
        return schedules.CosineDecay(rate, total)
    return schedules.CosineDecay(rate / warm, total - warm, warmup_target=rate, warmup_steps=warm)


def linear(rate: float, steps_per_epoch: int, epochs: int, warmup: float) -> Rate:
    """Raise the rate linearly over `warmup` epochs, then lower it linearly to 0."""
    total, warm = steps_per_epoch * epochs, round(steps_per_epoch * min(warmup, epochs - 1))
    fall = schedules.PolynomialDecay(rate, total - warm, end_learning_rate=0.0)
    return warmed_up(rate, fall, warm, starts_late=True)


def one_cycle(rate: float, steps_per_epoch: int, epochs: int, rise: float) -> Rate:
    """Raise the rate to its full height over a share `rise` of all steps, then lower it to almost 0."""
    return OneCycle(rate, steps_per_epoch * epochs, rise)


def search(rate: float, steps_per_epoch: int, epochs: int, first: float, last: float, count: int) -> Rate:
    """Multiply the rate by the same factor in each step, from `first` to `last` in `count` steps."""
    return schedules.ExponentialDecay(first, count - 1, last / first)


# name in a recipe's schedule -> function
SCHEDULES: dict[str, Callable[..., Rate]] = {
    "constant": constant, "cosine": cosine, "linear": linear, "steps": steps, "epochs": at_epochs,
    "onecycle": one_cycle, "search": search,
}  # fmt: skip


def warmed_up(rate: float, after: Rate, warm: int, starts_late: bool = False) -> Rate:
    return WarmUp(rate, after, warm, starts_late) if warm else after


class WarmUp(schedules.LearningRateSchedule):
    """A rate that rises linearly from a first part to `rate`, and then follows another schedule.

    Source: Goyal et al. 2017, arXiv:1706.02677, section 2.2.

    Args:
        rate: Reached after `warm` steps.
        after: The schedule from then on.
        warm: Steps, at least 1; the first has the rate / warm.
        starts_late: Whether `after` counts its steps from the end of the warm-up.
    """

    def __init__(self, rate: float, after: Rate, warm: int, starts_late: bool) -> None:
        super().__init__()
        self.rate, self.after, self.warm, self.starts_late = rate, after, warm, starts_late

    def __call__(self, step: Any) -> Any:
        place = ops.cast(step, "float32")
        rising = self.rate / self.warm + (self.rate - self.rate / self.warm) * place / self.warm
        after = self.after
        if not isinstance(after, float):
            # Before the end of the warm-up the value is not used; a step below 0 has none
            after = after(ops.maximum(step - self.warm, 0) if self.starts_late else step)
        return ops.where(place < self.warm, rising, after)

    def get_config(self) -> dict[str, Any]:
        return {"rate": self.rate, "after": self.after, "warm": self.warm, "starts_late": self.starts_late}


class OneCycle(schedules.LearningRateSchedule):
    """PyTorch's OneCycleLR without its change of the momentum.

    Source: Smith and Topin 2017, arXiv:1708.07120, with two halves of a cosine for the straight lines.
    """

    def __init__(self, rate: float, total: int, rise: float) -> None:
        super().__init__()
        self.rate, self.total, self.rise = rate, total, rise

    def __call__(self, step: Any) -> Any:
        place = ops.cast(step, "float32")
        top, end = max(self.rise * self.total - 1, 1e-3), self.total - 1
        up = self.between(self.rate * FIRST, self.rate, place / top)
        down = self.between(self.rate, self.rate * LAST, (place - top) / max(end - top, 1e-3))
        return ops.where(place <= top, up, down)

    def between(self, first: float, last: float, share: Any) -> Any:
        return last + (first - last) / 2 * (1 + ops.cos(3.141592653589793 * ops.clip(share, 0.0, 1.0)))

    def get_config(self) -> dict[str, Any]:
        return {"rate": self.rate, "total": self.total, "rise": self.rise}
