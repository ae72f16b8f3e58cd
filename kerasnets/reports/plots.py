"""Plots of data sets, training runs and predictions, drawn by matplotlib without a window.

A function imports matplotlib when it is called, because a prediction without a plot must start fast.
"""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from kerasnets.errors import shorten, visible
from kerasnets.runtime.atomic import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY, LIGHT = "#1f5fa8", "#d9731a", "#8a8f98", "#b9cfe6"
SHOWN = 8  # pictures of each class of a data set
MOST_NAMED = 20  # a confusion matrix of more classes has no names and numbers
LONGEST_NAME = 26  # characters of the name below a picture
IN_ONE_STRIP = 8  # pictures below each other; more are a grid
TOP = 5  # classes in a bar chart of probabilities
TALLEST = 1.5  # height by width of a sheet at most; 40 sheets then fit into a JPEG, whose limit is 65,500 pixels
SUFFIXES = (".png", ".jpg", ".svg", ".pdf")


# ---- the part of other packages' classes that is drawn ----


class DataSet(Protocol):
    """A data.Data."""

    @property
    def train_images(self) -> np.ndarray: ...
    @property
    def train_labels(self) -> np.ndarray: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def title(self) -> str: ...


class Summary(Protocol):
    """A data.summary.Summary."""

    @property
    def image_shape(self) -> tuple[int, ...]: ...
    @property
    def counts(self) -> dict[str, np.ndarray]: ...
    @property
    def mean(self) -> tuple[float, ...]: ...
    @property
    def std(self) -> tuple[float, ...]: ...


class Prediction(Protocol):
    """A prediction.Prediction."""

    @property
    def pixels(self) -> np.ndarray: ...
    @property
    def label(self) -> str: ...
    @property
    def probability(self) -> float: ...
    def top(self, count: int) -> Sequence[tuple[str, float]]: ...


# ---- evaluations ----


def confusion(matrix: np.ndarray, class_names: Sequence[str]) -> "Figure":
    """Draw a confusion matrix, shaded by the share of the row.

    Args:
        matrix: int (classes, classes), how many of each class (row) were predicted as each class (column).
        class_names: The names in their order; they and the numbers are left out for more than MOST_NAMED classes.
    """
    from matplotlib.figure import Figure

    count = len(class_names)
    side = min(3.2 + 0.42 * count, 12)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if count <= MOST_NAMED:
        names = [cut(name, 18) for name in class_names]
        axes.set_xticks(range(count), names)
        if max(map(len, names)) > 2:
            for label in axes.get_xticklabels():
                label.set(rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(count), names)
        for row, column in np.argwhere(matrix):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, matrix[row, column], ha="center", va="center", fontsize=8, color=colour)
    axes.set(xlabel="predicted class", ylabel="true class")
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the class")
    return figure


def grid(images: np.ndarray, captions: Sequence[str], names: Sequence[str], columns: int = 6) -> "Figure":
    """Draw pictures in rows, a caption above and a name below each.

    Args:
        images: uint8 (n, height, width, 1 or 3).
        captions: n texts.
        names: n texts; a long one loses its beginning.
        columns: Pictures in a row.
    """
    from matplotlib.figure import Figure

    rows = -(-len(images) // columns)
    figure = Figure(figsize=(1.6 * columns, 2.1 * rows), layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for i, axes in enumerate(places):
        if i >= len(images):
            axes.set_visible(False)
            continue
        draw_pixels(axes, images[i], captions[i])
        axes.title.set_fontsize(8)
        axes.set_xlabel(shorten(names[i], LONGEST_NAME), fontsize=7, color=GREY)
    return figure


# ---- data sets ----


def data(dataset: DataSet, summary: Summary) -> "Figure":
    """Draw some pictures of each class of a data set of pictures, and the number of pictures by class."""
    from matplotlib.figure import Figure

    names = dataset.class_names[:MOST_NAMED]
    chosen = [np.flatnonzero(dataset.train_labels == i)[:SHOWN] for i in range(len(names))]
    figure = Figure(figsize=(11, 0.4 + 0.72 * max(len(names), 4)), layout="constrained")
    left, right = np.array(figure.subfigures(1, 2, width_ratios=(1.6, 1)))
    places = left.subplots(len(names), SHOWN, squeeze=False, gridspec_kw=dict(hspace=0, wspace=0))
    for row, name, indices in zip(places, names, chosen, strict=True):
        for i, axes in enumerate(row):
            axes.set_axis_off()
            if i < len(indices):
                axes.imshow(np.squeeze(dataset.train_images[indices[i]]), cmap="grey", vmin=0, vmax=255)
        row[0].text(-0.15, 0.5, name, transform=row[0].transAxes, ha="right", va="center", fontsize=10)
    axes = right.subplots()
    if len(dataset.class_names) > MOST_NAMED:  # too many for a line each
        axes.hist([summary.counts["train"], summary.counts["test"]], color=[BLUE, ORANGE], label=["train", "test"])
        axes.set(xlabel="pictures in the class", ylabel="classes")
    else:
        for part, colour, shift in (("train", BLUE, -0.2), ("test", ORANGE, 0.2)):
            axes.barh(np.arange(len(names)) + shift, summary.counts[part], 0.4, color=colour, label=part)
        # Without names: each bar is beside the pictures of its class
        axes.set(yticks=[], ylim=(len(names) - 0.5, -0.5), xlabel="pictures")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    shape = "x".join(map(str, summary.image_shape))
    mean, std = (", ".join(f"{v:.4f}" for v in values) for values in (summary.mean, summary.std))
    figure.suptitle(f"{dataset.title}: {shape}, mean {mean}, std {std}", fontweight="bold")
    return figure


# ---- predictions ----


def predictions(
    pictures: Sequence[np.ndarray], names: Sequence[str], results: Sequence[Prediction], top: int = TOP
) -> "Figure":
    """Draw three panels for each picture: the picture, the network's input, and bars of the likeliest classes.

    More than eight pictures are a grid, about as high as wide.

    Args:
        pictures: uint8 (height, width[, 3]), RGB.
        names: The captions of the pictures.
        results: The prediction for each picture.
        top: Number of bars.
    """
    from matplotlib.figure import Figure

    across = 1 if len(results) <= IN_ONE_STRIP else math.ceil(math.sqrt(len(results) * 2.5 / 8.5))
    down = math.ceil(len(results) / across)
    height = 2.5 + 0.2 * max(0, min(top, MOST_NAMED) - 8)
    figure = Figure(figsize=(8.5 * across, height * down), layout="constrained")
    panels = figure.subplots(down, 3 * across, width_ratios=(1.1, 1, 1.6) * across, squeeze=False).reshape(-1, 3)
    for axes in panels[len(results) :].ravel():
        axes.set_axis_off()
    rows = panels[: len(results)]
    for (shown, seen, bars), picture, name, result in zip(rows, pictures, names, results, strict=True):
        draw_pixels(shown, picture, name if len(name) <= 30 else f"...{name[-27:]}")
        draw_pixels(seen, result.pixels, "what the network sees")
        labels, shares = zip(*result.top(min(top, MOST_NAMED)), strict=True)
        drawn = bars.barh([*map(visible, labels)], shares, color=[BLUE] + [GREY] * (len(labels) - 1), height=0.7)
        bars.bar_label(drawn, [f"{share:.1%}" for share in shares], padding=4, fontsize=9)
        bars.set(xlim=(0, 1.25), xticks=[])
        bars.set_title(f"{result.label}  ({result.probability:.1%})", fontsize=11, fontweight="bold", loc="left")
        bars.invert_yaxis()
        bars.tick_params(length=0)
        bars.spines[["top", "right", "bottom"]].set_visible(False)
    return figure


def explanations(
    pictures: Sequence[np.ndarray],
    names: Sequence[str],
    results: Sequence[Prediction],
    maps: Sequence[Mapping[str, np.ndarray]],
) -> "Figure":
    """Draw a row for each picture: the picture, and the network's input below each map of what the answer depends on.

    Args:
        pictures: uint8 (height, width[, 3]), RGB.
        names: The captions of the pictures.
        results: The prediction for each picture.
        maps: {method: float32 (height, width) of 0..1} for each picture, of the same methods.
    """
    from matplotlib.figure import Figure

    panels = 1 + max(map(len, maps))
    figure = Figure(figsize=(2.8 * panels, 3 * len(results)), layout="constrained")
    rows = figure.subplots(len(results), panels, squeeze=False)
    for (shown, *others), picture, name, result, heats in zip(rows, pictures, names, results, maps, strict=True):
        draw_pixels(shown, picture, name if len(name) <= 30 else f"...{name[-27:]}")
        for axes, (method, heat) in zip(others, heats.items(), strict=True):
            draw_pixels(axes, result.pixels, visible(f"why {result.label}: {method}"))
            axes.imshow(heat, cmap="inferno", vmin=0, vmax=1, alpha=0.25 + 0.5 * heat)
    return figure


def sheets(pictures: Sequence[np.ndarray], captions: Sequence[str]) -> "Figure":
    """Draw pictures below each other, each as wide as the page or, if tall, narrower.

    Args:
        pictures: uint8 (height, width, 3), RGB.
        captions: A line for each picture; a long one loses its end.
    """
    from matplotlib.figure import Figure

    heights = [min(picture.shape[0] / picture.shape[1], TALLEST) for picture in pictures]
    figure = Figure(figsize=(8.5, sum(8.5 * height + 0.4 for height in heights)), layout="constrained")
    rows = figure.subplots(len(pictures), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, picture, caption in zip(rows, pictures, captions, strict=True):
        draw_pixels(axes, picture, caption if len(caption) <= 90 else f"{caption[:87]}...")
    return figure


# ---- for all of them ----


def cut(name: str, length: int) -> str:
    """Return the beginning of the name of a class, in at most `length` characters."""
    name = visible(name)
    return name if len(name) <= length else f"{name[: length - 1]}…"


def draw_pixels(axes: "Axes", pixels: np.ndarray, title: str) -> None:
    """Show uint8 pixels (height, width[, 1 or 3]) without axes."""
    axes.imshow(np.squeeze(pixels), cmap="grey", vmin=0, vmax=255)
    axes.set_title(title, fontsize=9)
    axes.set(xticks=[], yticks=[])


def check_suffix(path: str | Path) -> None:
    """Raise ValueError if no plot can be written in the format of `path`."""
    if Path(path).suffix not in SUFFIXES:
        raise ValueError(f"cannot draw {shorten(path)}: it must end in {', '.join(SUFFIXES)}")


def save_figure(figure: "Figure", path: str | Path) -> None:
    """Write a figure in the format of the suffix of `path`, whole or not at all.

    Raises:
        ValueError: The suffix is not one of SUFFIXES.
        OSError: The file cannot be written.
    """
    check_suffix(path)
    content = encode(figure, Path(path).suffix.lstrip("."))
    with whole_file(path) as part:
        part.write_bytes(content)


def encode(figure: "Figure", suffix: str) -> bytes:
    """Return a figure as png, jpg, svg or pdf."""
    from matplotlib.text import Text

    for text in figure.findobj(lambda artist: isinstance(artist, Text)):
        assert isinstance(text, Text)
        text.set_text("\n".join(map(visible, text.get_text().split("\n"))))  # no font has control characters
        text.set_parse_math(False)  # a class or a file may be called "$5 to $9", which is not a formula
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix, dpi=110)
    return buffer.getvalue()
