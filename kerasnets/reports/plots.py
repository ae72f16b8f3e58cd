"""Pictures for people, drawn with matplotlib without a window: learning curves, and what a classifier saw."""

import io
from pathlib import Path

import numpy as np

from kerasnets.errors import shorten
from kerasnets.runtime.atomic import whole_file

BLUE, ORANGE, GREY, LIGHT = "#1f5fa8", "#d9731a", "#8a8f98", "#b9cfe6"
MOST_POINTS = 600  # of the figures by batch that are drawn
SHOWN = 8  # pictures of a class
MOST_NAMED = 20  # classes whose names and numbers are written into a confusion matrix
LONGEST_NAME = 26  # characters of a picture's, below it
TOP = 5  # classes shown
TALLEST = 1.5  # of its width, that a sheet is given: 40 of them fit into a JPEG, which has 65,500 pixels at most
SUFFIXES = (".png", ".jpg", ".svg", ".pdf")


def learning_curves(run, by_batch):
    """Draw accuracy and loss of a training.Run by epoch, and thinly by batch; return a matplotlib Figure.

    by_batch: {"accuracy", "loss": list, one figure a step}.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = zip(
        figure.subplots(1, 2),
        ("accuracy", "loss"),
        (run.accuracy, run.loss),
        (run.val_accuracy, run.val_loss),
        (run.test_accuracy, run.test_loss),
        strict=True,
    )
    marker = dict(markersize=4) if run.epochs <= 50 else dict(markersize=0)
    for axes, title, training, validation, test in panels:
        steps, figures = thinned(by_batch[title])
        axes.plot(np.array(steps) * run.epochs / len(by_batch[title]), figures, color=LIGHT, linewidth=0.8,
                  label="each batch")  # fmt: skip
        axes.plot(range(1, len(training) + 1), training, "o-", color=BLUE, label="training", **marker)
        if validation:
            axes.plot(range(1, len(validation) + 1), validation, "s-", color=ORANGE, label="validation", **marker)
        axes.axhline(test, color=GREY, linestyle="--", label=f"test {test:.4f}")
        if run.best_epoch < run.epochs:
            axes.axvline(run.best_epoch, color=GREY, linestyle=":", label=f"kept: epoch {run.best_epoch}")
        axes.set(title=title.capitalize(), xlabel="epoch", ylim=limits(title, figures, training + validation + [test]))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)
    figure.suptitle(f"{run.recipe}, {run.backend}, seed {run.seed}", fontweight="bold")
    return figure


def thinned(figures):
    """(steps from 1, figures): at most MOST_POINTS of them, each the mean of its neighbours."""
    size = -(-len(figures) // MOST_POINTS)
    parts = np.array_split(np.asarray(figures, float), -(-len(figures) // size))
    return np.cumsum([len(part) for part in parts]), [part.mean() for part in parts]


def limits(title, figures, epochs):
    """The range of an axis: from the worst of all but the first batches, which begin by guessing, to the best."""
    settled = figures[len(figures) // 20 :] or figures
    low, high = min([*settled, *epochs]), max([*settled, *epochs])
    margin = 0.05 * (high - low) or 0.05
    return (
        (max(0, low - margin), min(1, high + margin)) if title == "accuracy" else (max(0, low - margin), high + margin)
    )


def confusion(matrix, class_names):
    """Draw how many of each class (row) were taken for each class (column); return a matplotlib Figure.

    matrix: int (classes, classes). Shares of a row give the shade; numbers are written where there is room.
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
        slanted = dict(rotation=45, ha="right", rotation_mode="anchor") if max(map(len, names)) > 2 else {}
        axes.set_xticks(range(count), names, **slanted)
        axes.set_yticks(range(count), names)
        for row, column in np.argwhere(matrix):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, matrix[row, column], ha="center", va="center", fontsize=8, color=colour)
    axes.set(xlabel="predicted class", ylabel="true class")
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the class")
    return figure


def grid(images, captions, names, columns=6):
    """Draw pictures in rows, a caption above and a name below each; return a matplotlib Figure.

    images: uint8 (n, height, width, 1 or 3).
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


def data(found, summary):
    """Draw some pictures of each class of a data.Data, and how many there are; return a matplotlib Figure.

    summary: its data.summary.Summary.
    """
    from matplotlib.figure import Figure

    names = found.class_names[:MOST_NAMED]
    chosen = [np.flatnonzero(found.train_labels == i)[:SHOWN] for i in range(len(names))]
    figure = Figure(figsize=(11, 0.4 + 0.72 * max(len(names), 4)), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.6, 1))
    places = left.subplots(len(names), SHOWN, squeeze=False, gridspec_kw=dict(hspace=0, wspace=0))
    for row, name, indices in zip(places, names, chosen, strict=True):
        for i, axes in enumerate(row):
            axes.set_axis_off()
            if i < len(indices):
                axes.imshow(np.squeeze(found.train_images[indices[i]]), cmap="grey", vmin=0, vmax=255)
        row[0].text(-0.15, 0.5, name, transform=row[0].transAxes, ha="right", va="center", fontsize=10)
    axes = right.subplots()
    if len(found.class_names) > MOST_NAMED:  # too many for a line each
        axes.hist([summary.counts["train"], summary.counts["test"]], color=[BLUE, ORANGE], label=["train", "test"])
        axes.set(xlabel="pictures of a class", ylabel="classes")
    else:
        for part, colour, shift in (("train", BLUE, -0.2), ("test", ORANGE, 0.2)):
            axes.barh(np.arange(len(names)) + shift, summary.counts[part], 0.4, color=colour, label=part)
        axes.set(yticks=[], ylim=(len(names) - 0.5, -0.5), xlabel="pictures")  # each beside its pictures
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    shape = "x".join(map(str, summary.image_shape))
    mean, std = (", ".join(f"{v:.4f}" for v in values) for values in (summary.mean, summary.std))
    figure.suptitle(f"{found.title}: {shape}, mean {mean}, std {std}", fontweight="bold")
    return figure


def predictions(pictures, names, results):
    """Draw, row by row, each picture, the pixels that the network got, and bars of the top classes.

    pictures: uint8 arrays (height, width[, 3]) RGB; names: their captions; results: prediction.Prediction each.
    Returns a matplotlib Figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 2.5 * len(results)), layout="constrained")
    rows = figure.subplots(len(results), 3, width_ratios=(1.1, 1, 1.6), squeeze=False)
    for (shown, seen, bars), picture, name, result in zip(rows, pictures, names, results, strict=True):
        draw_pixels(shown, picture, name if len(name) <= 30 else f"...{name[-27:]}")
        draw_pixels(seen, result.pixels, "what the network sees")
        labels, shares = zip(*result.top(TOP), strict=True)
        drawn = bars.barh(labels, shares, color=[BLUE] + [GREY] * (len(labels) - 1), height=0.7)
        bars.bar_label(drawn, [f"{share:.1%}" for share in shares], padding=4, fontsize=9)
        bars.set(xlim=(0, 1.25), xticks=[])
        bars.set_title(f"{result.label}  ({result.probability:.1%})", fontsize=11, fontweight="bold", loc="left")
        bars.invert_yaxis()
        bars.tick_params(length=0)
        bars.spines[["top", "right", "bottom"]].set_visible(False)
    return figure


def sheets(pictures, captions):
    """Draw pictures below each other, each as wide as the page or, if tall, narrower; return a matplotlib Figure.

    pictures: uint8 arrays (height, width, 3) RGB.
    """
    from matplotlib.figure import Figure

    heights = [min(picture.shape[0] / picture.shape[1], TALLEST) for picture in pictures]
    figure = Figure(figsize=(8.5, sum(8.5 * height + 0.4 for height in heights)), layout="constrained")
    rows = figure.subplots(len(pictures), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, picture, caption in zip(rows, pictures, captions, strict=True):
        draw_pixels(axes, picture, caption if len(caption) <= 90 else f"{caption[:87]}...")
    return figure


def cut(name, length):
    """The beginning of a class' name, in at most `length` characters."""
    return name if len(name) <= length else f"{name[: length - 1]}…"


def draw_pixels(axes, pixels, title):
    """Show uint8 pixels (height, width[, 1 or 3]) without axes."""
    axes.imshow(np.squeeze(pixels), cmap="grey", vmin=0, vmax=255)
    axes.set_title(title, fontsize=9)
    axes.set(xticks=[], yticks=[])


def check_suffix(path):
    """Raise ValueError for a file that cannot be drawn."""
    if Path(path).suffix not in SUFFIXES:
        raise ValueError(f"cannot draw {shorten(path)}: it must end in {', '.join(SUFFIXES)}")


def save_figure(figure, path):
    """Write a matplotlib Figure in the format of the suffix of `path`, whole or not at all."""
    check_suffix(path)
    content = encoded(figure, Path(path).suffix.lstrip("."))
    with whole_file(path) as part:
        part.write_bytes(content)


def encoded(figure, suffix):
    """The bytes of a figure as png, jpg, svg or pdf."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a class or a file may be called "$5 to $9", which is no formula
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix, dpi=110)
    return buffer.getvalue()
