"""Plots of an evaluation: reliability, thresholds of two classes, accuracy by a quantity, a map of the pictures.

Each is narrow enough to be read on a phone.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kerasnets.reports.measures import Bins, Group, deviation
from kerasnets.reports.names import cut, tell_apart
from kerasnets.reports.style import BLUE, DARK, GREY, LIGHT, draw_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (4.4, 3.6)  # inches
FEW = 10  # answers of a bin that tell little
NAMED = 10  # classes of a map that have a colour of their own


def new(size: tuple[float, float] = SIZE, rows: int = 1, columns: int = 1) -> "tuple[Figure, np.ndarray]":
    """Return a figure in the style of the others, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        draw_grid(axes)
    return figure, panels


def reliability(before: Bins, after: Bins, is_calibrated: bool) -> "Figure":
    """Draw the share of right answers by their probability, and below it the number of answers with that probability.

    Args:
        before: By the network's own probabilities.
        after: By those that prediction gives.
        is_calibrated: Whether the two differ.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    figure = Figure(figsize=(4.4, 4.6), layout="constrained")
    axes, below = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1, label="honest")
    if is_calibrated:
        draw_bins(axes, before, "s--", LIGHT, "before")
    draw_bins(axes, after, "o-", BLUE, "calibrated" if is_calibrated else "answers")
    axes.set(ylabel="share of right answers", xlim=(0, 1.02), ylim=(0, 1.03))
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    count = len(after.counts)
    below.bar((np.arange(count) + 0.5) / count, after.counts, 0.9 / count, color=BLUE)
    below.set(xlabel="probability of the answer", ylabel="answers", yscale="log", ylim=(0.7, None))
    below.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    below.yaxis.set_minor_formatter(NullFormatter())
    for each in (axes, below):
        draw_grid(each)
    return figure


def draw_bins(axes: "Axes", bins: Bins, style: str, colour: str, label: str) -> None:
    """Draw the bins that have answers, with two standard errors; bins of few answers without a line between them."""
    for few in (True, False):
        chosen = np.flatnonzero((bins.counts > 0) & ((bins.counts < FEW) == few))
        right = bins.right[chosen]
        errors = [2 * deviation(bins.right[i], int(bins.counts[i])) for i in chosen]
        reach = np.array([np.minimum(errors, right), np.minimum(errors, 1 - right)])
        axes.errorbar(
            bins.claimed[chosen], right, reach, fmt=style[0] if few else style, color=colour, linewidth=1.2,
            markersize=3 if few else 4, alpha=0.5 if few else 1, label=None if few else label, elinewidth=0.8,
        )  # fmt: skip


def two_classes(labels: np.ndarray, shares: np.ndarray, names: Sequence[str]) -> "Figure":
    """Draw the ROC curve, and precision against recall, of the second of two classes.

    Args:
        labels: int (n,), 0 or 1.
        shares: float (n,), the probability of the second class.
        names: Of both.
    """
    from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

    figure, (left, right) = new((4.4, 6.6), rows=2)
    wrong_share, right_share, _ = roc_curve(labels, shares)
    left.plot(wrong_share, right_share, color=BLUE, label=f"area {auc(wrong_share, right_share):.4f}")
    left.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1, label="by chance")
    first, second = tell_apart(names, 18)
    left.set(xlabel=f"share of {first} called {second}", ylabel=f"share of {second} found")
    precision, recall, _ = precision_recall_curve(labels, shares)
    mean = average_precision_score(labels, shares)
    right.step(recall, precision, where="post", color=BLUE, label=f"average precision {mean:.4f}")
    right.axhline(labels.mean(), color=GREY, linestyle=":", linewidth=1, label="by chance")
    right.set(xlabel=f"recall of {second}", ylabel=f"precision of {second}")
    for axes in (left, right):
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.03))
        axes.legend(frameon=False, fontsize=9, loc="lower right" if axes is left else "lower left")
    return figure


def by_quantity(groups: Sequence[Group], accuracy: float, quantity: str) -> "Figure":
    """Draw the accuracy of groups of pictures, with two standard errors.

    Args:
        groups: By growing quantity.
        accuracy: Of all.
        quantity: Its name, with the unit.
    """
    figure, (axes,) = new((4.4, 3.0))
    rights = np.array([group.right for group in groups])
    errors = [2 * deviation(group.right, group.size) for group in groups]
    axes.axhline(accuracy, color=GREY, linestyle=":", linewidth=1, label=f"all {accuracy:.4f}")
    reach = [np.minimum(errors, rights), np.minimum(errors, 1 - rights)]
    axes.errorbar(range(len(groups)), rights, reach, fmt="o", color=BLUE, markersize=6, elinewidth=1.2)
    names = [f"{group.low:,.0f}\nto {group.high:,.0f}" for group in groups]
    axes.set_xticks(range(len(groups)), names, fontsize=9)
    low, high = float(min(rights - reach[0])), float(max(rights + reach[1]))
    margin = 0.08 * (high - low)
    axes.set(xlabel=quantity, ylabel="accuracy", xlim=(-0.5, len(groups) - 0.5), ylim=(low - margin, high + margin))
    axes.legend(frameon=False, fontsize=9)
    return figure


def landscape(points: np.ndarray, labels: np.ndarray, right: np.ndarray, names: Sequence[str]) -> "Figure":
    """Draw pictures as points, coloured by class, and the wrongly answered ones as crosses.

    Args:
        points: float (n, 2).
        labels: int (n,).
        right: bool (n,), whether the answer for each is right.
        names: Of the classes; of many, the most frequent have a colour.
    """
    from matplotlib import colormaps

    sizes = np.bincount(labels, minlength=len(names))
    coloured = np.sort(np.argsort(-sizes, kind="stable")[:NAMED])
    coloured = coloured[sizes[coloured] > 0]
    figure, (axes,) = new((4.4, 4.6 + 0.2 * -(-len(coloured) // 2)))
    palette = colormaps["tab10"]
    others = ~np.isin(labels, coloured)
    for place, members in [*((i, labels == label) for i, label in enumerate(coloured)), (None, others)]:
        colour = LIGHT if place is None else palette(place)
        name = f"{len(names) - len(coloured)} other classes" if place is None else cut(names[coloured[place]], 18)
        if members.any():
            axes.plot(*points[members & right].T, "o", color=colour, markersize=3, alpha=0.7, label=name, mew=0)
            axes.plot(*points[members & ~right].T, "X", color=colour, markersize=7, mec="black", mew=0.7)
    axes.plot([], [], "X", color="white", markersize=7, mec="black", mew=0.7, label="wrong answer")
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set(visible=True, color="#dfe5ec")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=9,
                  labelcolor=DARK)  # fmt: skip
    return figure
