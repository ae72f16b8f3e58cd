"""The learning curves of a training run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kerasnets.reports.names import cut
from kerasnets.reports.style import BLUE, GREY, LIGHT, ORANGE, draw_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_POINTS = 600  # points in a curve by batch
OUTLIER = 4  # times what is usual
LONGEST = 34  # characters of a name in a legend
ERRORS = "errors"


@dataclass(frozen=True)
class Curve:
    """One quantity of a training run: accuracies as fractions, losses in nats."""

    name: str  # "accuracy" or "loss", with a bracket that says which
    by_batch: Sequence[float]
    training: Sequence[float]  # by epoch
    validation: Sequence[float]  # by epoch; empty without validation data
    test: float | None  # None if the test has another quantity


def learning_curves(title: str, curves: Sequence[Curve], best_epoch: int, is_narrow: bool = False) -> "Figure":
    """Draw curves side by side: by epoch, and thinly by batch.

    Args:
        title: The line above all curves.
        curves: What to draw, each on its own axes.
        best_epoch: The epoch, from 1, whose weights were kept; it is marked unless it is the last.
        is_narrow: Whether they are below each other, for a phone.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(4.4, 3.2 * len(curves)) if is_narrow else (9, 3.6), layout="constrained")
    panels = figure.subplots(len(curves), 1) if is_narrow else figure.subplots(1, len(curves))
    for axes, curve in zip(panels, curves, strict=True):
        epochs = len(curve.training)
        size = 4 if epochs <= 50 else 0
        steps, points = thin(curve.by_batch)
        axes.plot(steps * epochs / len(curve.by_batch), points, color=LIGHT, linewidth=0.8, label="each batch")
        axes.plot(range(1, epochs + 1), curve.training, "o-", color=BLUE, label="training", markersize=size)
        if curve.validation:
            axes.plot(range(1, epochs + 1), curve.validation, "s-", color=ORANGE, label="validation", markersize=size)
        if curve.test is not None:
            axes.axhline(curve.test, color=GREY, linestyle="--", label=f"test {curve.test:.4f}")
        if best_epoch < epochs:
            axes.axvline(best_epoch, color=GREY, linestyle=":", label=f"kept: epoch {best_epoch}")
        low, high, beyond = limits(curve, points)
        axes.set(title=curve.name[0].upper() + curve.name[1:], xlabel="epoch", ylim=(low, high))
        if beyond is not None:
            words = f"off the scale: {'down' if beyond < low else 'up'} to {beyond:.3g}"
            axes.text(0.02, 0.02 if beyond < low else 0.98, words, transform=axes.transAxes, color=GREY, fontsize=9,
                      ha="left", va="bottom" if beyond < low else "top")  # fmt: skip
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        draw_grid(axes)
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
    axes.plot(rates, smooth, color=BLUE, label="running average")
    for (words, rate), (color, style) in zip(marks.items(), ((ORANGE, "-"), (GREY, ":")), strict=False):
        axes.axvline(rate, color=color, linestyle=style, label=words)
    low, first = min(*smooth, *losses), smooth[0]
    top = max(first, float(np.median(smooth)))
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss", ylim=(low - 0.1 * (top - low), top + (top - low) / 2))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    draw_grid(axes)
    axes.legend(frameon=False, fontsize=9)
    figure.suptitle(title, fontweight="bold")
    return figure


def thin(values: Sequence[float]) -> tuple[np.ndarray, list[float]]:
    """Return (steps from 1, values): at most MOST_POINTS values, each the mean of its neighbours."""
    size = -(-len(values) // MOST_POINTS)
    parts = np.array_split(np.asarray(values, float), -(-len(values) // size))
    return np.cumsum([len(part) for part in parts]), [float(part.mean()) for part in parts]


def limits(curve: Curve, points: list[float]) -> tuple[float, float, float | None]:
    """Return the range of the y axis, and the value that is farthest off it; None if all that matter are on it.

    The first twentieth of the batches is ignored, because training starts with guesses. A few outliers, as after a
    collapse of a few steps, are off the axis: all else would be a flat line beside them.
    """
    if curve.name == "accuracy":  # its outliers are low: the same for the share of errors
        low, high, beyond = limits(mirrored(curve), [1 - point for point in points])
        return 1 - high, 1 - low, None if beyond is None else 1 - beyond
    settled = points[len(points) // 20 :] or points
    tests = [] if curve.test is None else [curve.test]
    by_epoch = [*curve.training, *curve.validation, *tests]
    usual = max(float(np.quantile(by_epoch, 0.75)), *tests, float(np.quantile(settled, 0.9)))
    low, highest = min(*settled, *by_epoch), max(*settled, *by_epoch)
    high = min(highest, max(OUTLIER * usual, low))
    margin = 0.05 * (high - low) or 0.05
    top = high + margin
    return max(0, low - margin), min(1, top) if curve.name == ERRORS else top, highest if highest > top else None


def mirrored(curve: Curve) -> Curve:
    """Return a curve of accuracies as one of errors."""
    by_batch, training, validation = ([1 - value for value in values] for values in
                                      (curve.by_batch, curve.training, curve.validation))  # fmt: skip
    return Curve(ERRORS, by_batch, training, validation, None if curve.test is None else 1 - curve.test)


@dataclass(frozen=True)
class Line:
    """One quantity of one run by epoch; `validation` is empty without validation data."""

    name: str
    training: Sequence[float]
    validation: Sequence[float]


def curves_of_runs(parts: Mapping[str, Sequence[Line]]) -> "Figure":
    """Draw the curves of several runs on top of each other: {quantity: a line for each run}."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    count = len(next(iter(parts.values())))
    rows = -(-count // 2)  # of the legend
    figure = Figure(figsize=(6.4, 3.2 * len(parts) + 0.3 * rows), layout="constrained")
    colours = colormaps["tab10" if count <= 10 else "tab20"]
    for axes, (quantity, lines) in zip(figure.subplots(len(parts), 1, squeeze=False)[:, 0], parts.items(), strict=True):
        ends = []
        for i, line in enumerate(lines):
            marker = "o" if len(line.training) == 1 else ""
            label, colour = cut(line.name, LONGEST), colours(i)
            main = line.validation or line.training
            axes.plot(range(1, len(main) + 1), main, color=colour, label=label, linewidth=1.8, marker=marker)
            if line.validation:
                places = range(1, len(line.training) + 1)
                axes.plot(places, line.training, color=colour, linewidth=0.8, linestyle="--", marker=marker)
            ends += [value for value in (*main, *line.training) if np.isfinite(value)]
        axes.set(title=quantity[0].upper() + quantity[1:], xlabel="epoch")
        if quantity == "loss" and ends:  # one run that diverges does not flatten the others
            axes.set_ylim(0, min(max(ends), OUTLIER * float(np.median(ends))) * 1.05 or None)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        draw_grid(axes)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(count, 2), frameon=False, fontsize=9)
    return figure
