"""The learning curves of a training run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kerasnets.reports.plots import BLUE, GREY, LIGHT, ORANGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_POINTS = 600  # points in a curve by batch


@dataclass(frozen=True)
class Curve:
    """One quantity of a training run: accuracies as fractions, losses in nats."""

    name: str  # "accuracy" or "loss"
    by_batch: Sequence[float]
    training: Sequence[float]  # by epoch
    validation: Sequence[float]  # by epoch; empty without validation data
    test: float


def learning_curves(title: str, curves: Sequence[Curve], best_epoch: int) -> "Figure":
    """Draw curves side by side: by epoch, and thinly by batch.

    Args:
        title: The line above all curves.
        curves: What to draw, each on its own axes.
        best_epoch: The epoch, from 1, whose weights were kept; it is marked unless it is the last.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, curve in zip(figure.subplots(1, len(curves)), curves, strict=True):
        epochs = len(curve.training)
        size = 4 if epochs <= 50 else 0
        steps, points = thin(curve.by_batch)
        places = np.array(steps) * epochs / len(curve.by_batch)
        axes.plot(places, points, color=LIGHT, linewidth=0.8, label="each batch")
        axes.plot(range(1, epochs + 1), curve.training, "o-", color=BLUE, label="training", markersize=size)
        if curve.validation:
            axes.plot(range(1, epochs + 1), curve.validation, "s-", color=ORANGE, label="validation", markersize=size)
        axes.axhline(curve.test, color=GREY, linestyle="--", label=f"test {curve.test:.4f}")
        if best_epoch < epochs:
            axes.axvline(best_epoch, color=GREY, linestyle=":", label=f"kept: epoch {best_epoch}")
        axes.set(title=curve.name.capitalize(), xlabel="epoch", ylim=limits(curve, points))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)
    figure.suptitle(title, fontweight="bold")
    return figure


def curve_of_rates(
    title: str, rates: Sequence[float], losses: Sequence[float], smooth: Sequence[float], marks: Mapping[str, float]
) -> "Figure":
    """Draw the loss against the learning rate, on a logarithmic axis.

    Args:
        title: The line above the curve.
        rates: The learning rate of each step.
        losses: The loss of each step.
        smooth: The losses, averaged over neighbours.
        marks: {words: rate to mark}, the most important first.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(rates, losses, color=LIGHT, linewidth=0.8, label="each batch")
    axes.plot(rates, smooth, color=BLUE, label="average of ten")
    for (words, rate), (color, style) in zip(marks.items(), ((ORANGE, "-"), (GREY, ":")), strict=False):
        axes.axvline(rate, color=color, linestyle=style, label=words)
    low, first = min(smooth), smooth[0]
    top = max(first, float(np.median(smooth)))
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss", ylim=(low - 0.1 * (top - low), top + (top - low) / 2))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    figure.suptitle(title, fontweight="bold")
    return figure


def thin(values: Sequence[float]) -> tuple[np.ndarray, list[float]]:
    """Return (steps from 1, values): at most MOST_POINTS values, each the mean of its neighbours."""
    size = -(-len(values) // MOST_POINTS)
    parts = np.array_split(np.asarray(values, float), -(-len(values) // size))
    return np.cumsum([len(part) for part in parts]), [float(part.mean()) for part in parts]


def limits(curve: Curve, points: list[float]) -> tuple[float, float]:
    """Return the range of the y axis, without the first twentieth of the batches: training starts with guesses."""
    settled = points[len(points) // 20 :] or points
    values = [*settled, *curve.training, *curve.validation, curve.test]
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 0.05
    top = min(1, high + margin) if curve.name == "accuracy" else high + margin
    return max(0, low - margin), top
