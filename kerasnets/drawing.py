"""Pictures for people, drawn with matplotlib without a window: learning curves, and what a classifier saw."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from kerasnets.errors import shorten
from kerasnets.files import whole_file

BLUE, ORANGE, GREY = "#1f5fa8", "#d9731a", "#8a8f98"
TOP = 5  # classes shown
SUFFIXES = (".png", ".jpg", ".svg", ".pdf")


def learning_curves(run, path):
    """Draw loss and accuracy by epoch of a training.Run into the PNG file `path`, with the test figures as a line."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = zip(
        figure.subplots(1, 2),
        ("Accuracy", "Loss"),
        (run.accuracy, run.loss),
        (run.val_accuracy, run.val_loss),
        (run.test_accuracy, run.test_loss),
        strict=True,
    )
    epochs = range(1, run.epochs + 1)
    for axes, title, training, validation, test in panels:
        axes.plot(epochs, training, "o-", color=BLUE, label="training", markersize=4)
        axes.plot(epochs, validation, "s-", color=ORANGE, label="validation", markersize=4)
        axes.axhline(test, color=GREY, linestyle="--", label=f"test {test:.4f}")
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    figure.suptitle(f"{run.recipe}, {run.backend}, seed {run.seed}", fontweight="bold")
    save_figure(figure, path)


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


def show(figure):
    """Show a matplotlib Figure in a window of OpenCV's until a key is pressed or the window is closed.

    The window lives in a process of its own: where there is no screen, Qt ends the process that asked for one.
    Raises OSError where there is no screen, or where OpenCV was built without windows.
    """
    command = [sys.executable, "-c", "from kerasnets.drawing import open_window; open_window()"]
    window = subprocess.run(command, input=encoded(figure, "png"), capture_output=True)
    if window.returncode:
        raise OSError("no window can be shown: there is no screen, or OpenCV is the headless one; use --save FILE")


def open_window():
    """Show the PNG that comes on standard input; the main function of the window's own process."""
    import cv2
    import matplotlib

    os.environ["QT_QPA_FONTDIR"] = os.path.join(matplotlib.get_data_path(), "fonts", "ttf")  # OpenCV's Qt has none
    title = "kerasnets"
    cv2.imshow(title, cv2.imdecode(np.frombuffer(sys.stdin.buffer.read(), np.uint8), cv2.IMREAD_COLOR))
    while cv2.waitKey(100) < 0 and cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1:
        pass


def encoded(figure, suffix):
    """The bytes of a figure as png, jpg, svg or pdf."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix, dpi=110)
    return buffer.getvalue()
