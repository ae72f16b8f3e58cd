"""Plots of data sets and evaluations, drawn by matplotlib without a window.

A function imports matplotlib when it is called, because a prediction without a plot must start fast.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerasnets.errors import shorten
from kerasnets.reports.drawn import DataSet, Summary
from kerasnets.reports.fonts import use_fonts
from kerasnets.reports.names import tell_apart
from kerasnets.reports.style import BLUE, DARK, GREY, ORANGE, PALE
from kerasnets.runtime.atomic import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DENSITY = 110  # pixels of an inch of a plot
SHOWN = 8  # pictures of each class of a data set
MOST_NAMED = 20  # classes of a confusion matrix, or of a data set, that are drawn by name
LONGEST_NAME = 26  # characters of the name below a picture
WIDE, GAP, LINE = 1.4, 0.16, 0.14  # inches: a picture in a grid, the space between two, a line of its caption
TOP = 5  # classes in a bar chart of probabilities
SUFFIXES = (".png", ".jpg", ".svg", ".pdf")


# ---- evaluations ----


def confusion(matrix: np.ndarray, class_names: Sequence[str]) -> "Figure":
    """Draw a confusion matrix. Errors are shaded by their share of the row; right answers, in grey, are no part of it.

    Args:
        matrix: int (classes, classes), how many of each class (row) were predicted as each class (column).
        class_names: The names in their order. Of more than MOST_NAMED classes, those with the most errors are drawn.
    """
    from matplotlib.figure import Figure

    errors = matrix - np.diag(np.diag(matrix))
    sizes, every = np.maximum(matrix.sum(axis=1, keepdims=True), 1), len(class_names)
    worst = np.argsort(-(errors.sum(axis=0) + errors.sum(axis=1)), kind="stable")[:MOST_NAMED]
    chosen = np.sort(worst)
    shares, matrix = (errors / sizes)[np.ix_(chosen, chosen)], matrix[np.ix_(chosen, chosen)]
    side = 3.2 + 0.42 * len(chosen)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    highest = float(shares.max()) or 1.0
    edges = np.arange(len(chosen) + 1) - 0.5
    cells = np.ma.masked_where(np.eye(len(chosen)) > 0, shares)
    mesh = axes.pcolormesh(edges, edges, cells, cmap="Oranges", vmin=0, vmax=highest)  # imshow takes 90 MiB for it
    axes.invert_yaxis()
    axes.set(aspect="equal", facecolor=PALE)
    names = tell_apart([class_names[i] for i in chosen], 18)
    axes.set_xticks(range(len(chosen)), names)
    if max(map(len, names)) > 2:
        for label in axes.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(chosen)), names)
    for row, column in np.argwhere(matrix):
        colour = DARK if row == column else "white" if shares[row, column] > 0.6 * highest else "black"
        axes.text(column, row, matrix[row, column], ha="center", va="center", fontsize=8, color=colour)
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.spines[:].set_visible(False)
    if len(chosen) < every:
        axes.set_title(f"the {len(chosen)} of {every:,} classes with the most mistakes", fontsize=10)
    figure.colorbar(mesh, ax=axes, shrink=0.8, label="mistakes, share of the class", format=lambda x, _: f"{x:.2g}")
    return figure


def grid(
    images: np.ndarray, captions: Sequence[str], names: Sequence[str], columns: int = 6,
    heats: np.ndarray | None = None,
) -> "Figure":  # fmt: skip
    """Draw pictures in rows, a caption above and a name below each.

    Args:
        images: uint8 (n, height, width, 1 or 3).
        captions: n texts.
        names: n texts; a long one loses its beginning.
        columns: Places in a row; a picture with a map takes two.
        heats: float32 (n, height, width), 0..1, a map of each picture that is drawn over it, beside it.
    """
    from matplotlib.figure import Figure

    each = 1 if heats is None else 2
    rows, lines = -(-len(images) // (columns // each)), max(caption.count("\n") for caption in captions) + 1
    height, width = images.shape[1:3]
    tall = min(WIDE * height / width, 1.5 * WIDE)
    above, pitch = lines * LINE, lines * LINE + tall + 2 * LINE  # a name below, and space
    figure = Figure(figsize=(columns * (WIDE + GAP) + GAP, rows * pitch + GAP))
    axes = figure.add_axes((0, 0, 1, 1))  # in inches; axes for each picture would take twice as long
    axes.set(xlim=(0, columns * (WIDE + GAP) + GAP), ylim=(rows * pitch + GAP, 0))
    axes.set_axis_off()
    for i, (image, caption, name) in enumerate(zip(images, captions, names, strict=True)):
        row, column = divmod(i * each, columns // each * each)
        top = GAP + row * pitch + above
        left = GAP + column * (WIDE + GAP)
        for k in range(each):
            draw_at(axes, np.squeeze(image), left + k * (WIDE + GAP), top, tall)
        if heats is not None:
            draw_at(axes, heats[i], left + WIDE + GAP, top, tall, cmap="inferno", vmax=1, alpha=0.25 + 0.5 * heats[i])
        axes.text(left + WIDE / 2, top - 0.04, caption, ha="center", va="bottom", fontsize=8)
        below = shorten(name, LONGEST_NAME)
        axes.text(left + WIDE / 2, top + tall + 0.04, below, ha="center", va="top", fontsize=7, color=GREY)
    return figure


def draw_at(
    axes: "Axes", values: np.ndarray, left: float, top: float, tall: float, cmap: str = "grey", vmax: float = 255,
    alpha: np.ndarray | None = None,
) -> None:  # fmt: skip
    """Draw a picture, or the map of one, in a box WIDE inches wide and `tall` inches tall, with a thin frame."""
    height, width = values.shape[:2]
    wide = min(WIDE, tall * width / height)
    middle = left + WIDE / 2
    extent = (middle - wide / 2, middle + wide / 2, top + tall, top)
    axes.imshow(values, cmap=cmap, vmin=0, vmax=vmax, alpha=alpha, extent=extent, aspect="auto")
    axes.plot(np.take(extent, (0, 1, 1, 0, 0)), np.take(extent, (3, 3, 2, 2, 3)), color="black", linewidth=0.8)


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


# ---- for all of them ----


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


class Png(bytes):
    """A figure for dense screens, with twice the pixels of its width on a page."""

    @property
    def width(self) -> int:
        """The width on a page, in pixels of CSS."""
        return int.from_bytes(self[16:20]) // 2  # the header has it (PNG, third edition, section 11.2.1)


def dense(figure: "Figure") -> Png:
    """Return a figure as a PNG with twice the pixels."""
    return Png(encode(figure, "png", 2 * DENSITY))


def encode(figure: "Figure", suffix: str, density: int = DENSITY) -> bytes:
    """Return a figure as png, jpg, svg or pdf; `density` is of the pixels, in an inch."""
    use_fonts(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix, dpi=density)
    return buffer.getvalue()
