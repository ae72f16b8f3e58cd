"""The pictures of docs/results.md: test error against size and cost of the networks, and the learning curves."""

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kerasnets.project import curves
from kerasnets.project.results import MARKS, Key, Line
from kerasnets.recipes import RECIPES
from kerasnets.reports.plots import save_figure
from kerasnets.reports.style import BLUE, GREY, ORANGE, draw_grid
from kerasnets.runtime.provenance import CHECKOUT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOLDER = CHECKOUT / "docs/results"
PANELS = {  # data set -> its title; a network's best recipe on it is a point
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
}
COLUMNS = 4  # learning curves in a row
GREEN = "#2e8b57"
COLOURS = {"torch": BLUE, "tensorflow": ORANGE, "jax": GREEN}

Sizes = Mapping[str, tuple[int, int]]  # recipe -> (parameters, multiply-adds for one picture)


def sizes(names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return {recipe: (trainable parameters, multiply-adds for one picture)}. It imports Keras."""
    from kerasnets import describe
    from kerasnets.data import DATASETS

    by_recipe = {}
    for name in names:
        recipe, dataset = RECIPES[name], DATASETS[RECIPES[name].dataset]
        shape = recipe.image_shape or dataset.image_shape
        description = describe(recipe.model, input_shape=shape, num_classes=len(dataset.class_names), **recipe.options)
        by_recipe[name] = description.parameters, description.multiply_adds
    return by_recipe


def best_accuracies(lines: Sequence[Line], dataset: str) -> dict[str, tuple[str, float]]:
    """Return {network: (recipe, mean test accuracy)} for the best recipe of each network on a data set."""
    best: dict[str, tuple[str, float]] = {}
    for name, recipe in RECIPES.items():
        accuracies = [float(line["test_accuracy"]) for line in lines if line["recipe"] == name]
        if recipe.dataset == dataset and accuracies:
            mean = statistics.mean(accuracies)
            best[recipe.model] = max(best.get(recipe.model, ("", 0.0)), (name, mean), key=lambda pair: pair[1])
    return best


def draw_errors(lines: Sequence[Line], sizes_of: Sizes) -> "Figure":
    """Draw the error of each trained network against its parameters (above) and its multiply-adds (below).

    Args:
        lines: The runs.
        sizes_of: As `sizes` returns them, for the recipe of each run.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 7.4), layout="constrained")
    rows = figure.subplots(2, len(PANELS), sharey="col")
    for column, (dataset, title) in enumerate(PANELS.items()):
        best = best_accuracies(lines, dataset)
        for row, (axes, what) in enumerate(zip(rows[:, column], ("parameters", "multiply-adds"), strict=True)):
            points = [(sizes_of[name][row], 100 * (1 - accuracy), model) for model, (name, accuracy) in best.items()]
            scatter(axes, points, what)
        rows[0, column].set_title(title, fontweight="bold")
    for axes in rows[:, 0]:
        axes.set_ylabel("test error, %")
    return figure


def scatter(axes: "Axes", points: Sequence[tuple[int, float, str]], what: str) -> None:
    """Draw (size, error in %, network) on logarithmic axes, the best at the top, with the names beside the points."""
    from matplotlib.ticker import EngFormatter, FixedLocator, LogLocator, NullFormatter, StrMethodFormatter

    axes.set(xscale="log", yscale="log", xlabel=what)
    axes.xaxis.set_major_locator(LogLocator())
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 10k, 1M
    axes.yaxis.set_major_locator(FixedLocator((0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter(NullFormatter())
    draw_grid(axes)
    if not points:
        axes.text(0.5, 0.5, "not yet run", transform=axes.transAxes, ha="center")
        return
    xs, ys, _ = zip(*points, strict=True)
    axes.set_xlim(min(xs) / 3, max(xs) * 30)  # with room for the names
    axes.set_ylim(max(ys) * 1.4, min(ys) / 1.4)
    axes.plot(xs, ys, "o", color=BLUE, markersize=6)
    step = math.log(max(ys) / min(ys) * 2) / 18  # the height of a line of text
    last = -math.inf
    for x, y, name in sorted(points, key=lambda point: -point[1]):
        height = max(-math.log(y), last + step)
        axes.annotate(f"  {name}", (x, math.exp(-height)), va="center", fontsize=9)
        last = height


def draw_curves(runs: Mapping[Key, Sequence[curves.Line]], names: Iterable[str]) -> "Figure":
    """Draw validation accuracy by epoch, one small plot for each recipe, a line for each run in the backend's colour.

    A run without validation data has its training accuracy, dashed. A run of one epoch has no curve.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    long = {key: lines for key, lines in runs.items() if len(lines) > 1}
    chosen = {name: {key: lines for key, lines in long.items() if key[0] == name} for name in names}
    chosen = {name: runs_of_recipe for name, runs_of_recipe in chosen.items() if runs_of_recipe}
    columns = max(min(COLUMNS, len(chosen)), 1)
    rows = max(-(-len(chosen) // columns), 1)
    figure = Figure(figsize=(3 * columns, 2.5 * rows + 0.5), layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, runs_of_recipe) in zip(places, chosen.items(), strict=False):
        for (_, backend, _, precision, _), lines in runs_of_recipe.items():
            figures = [line["val_accuracy"] or line["accuracy"] for line in lines]
            style = "-" if lines[0]["val_accuracy"] else "--"
            width = 1.8 if MARKS[precision] else 1.2
            axes.plot(range(1, len(lines) + 1), [100 * float(figure) for figure in figures], style,
                      color=COLOURS[backend], linewidth=width, alpha=0.85)  # fmt: skip
        axes.set_title(name, fontsize=9)
        draw_grid(axes)
        axes.tick_params(labelsize=8)
    for axes in places[len(chosen) :]:
        axes.set_visible(False)
    backends = {backend for _, backend, *_ in itertools.chain.from_iterable(chosen.values())}
    handles = [Line2D([], [], color=COLOURS[backend], label=backend) for backend in COLOURS if backend in backends]
    if not all(line["val_accuracy"] for of_recipe in chosen.values() for lines in of_recipe.values() for line in lines):
        handles.append(Line2D([], [], color=GREY, linestyle="--", label="training accuracy (no validation data)"))
    figure.legend(handles=handles, loc="outside lower center", ncols=max(len(handles), 1), frameon=False, fontsize=9)
    figure.supylabel("accuracy, %", fontsize=9)
    return figure


def write(lines: Sequence[Line], folder: Path = FOLDER, curves_file: Path = curves.CURVES) -> None:
    """Write errors.png, and curves.png if there are curves, into `folder`."""
    from kerasnets.runtime.processes import alone

    names = sorted({line["recipe"] for line in lines} & RECIPES.keys())
    measured = alone(lines[0]["backend"], sizes, names) if lines else {}
    save_figure(draw_errors(lines, measured), folder / "errors.png")
    runs = curves.read(curves_file)
    if any(len(lines) > 1 for lines in runs.values()):
        save_figure(draw_curves(runs, RECIPES), folder / "curves.png")
