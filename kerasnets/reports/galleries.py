"""Figures of many pictures: predictions, what they depend on, sheets of digits.

A function imports matplotlib when it is called, because a prediction without a plot must start fast.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kerasnets.reports.drawn import Prediction
from kerasnets.reports.fonts import drawable
from kerasnets.reports.plots import MOST_NAMED, TOP, draw_pixels
from kerasnets.reports.style import BLUE, GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

IN_ONE_STRIP = 8  # pictures below each other; more are a grid
TALLEST = 1.5  # height by width of a sheet at most; 40 sheets then fit into a JPEG, whose limit is 65,500 pixels


def predictions(
    pictures: Sequence[np.ndarray], names: Sequence[str], results: Sequence[Prediction], top: int = TOP
) -> "Figure":
    """Draw three panels for each picture: the picture, the network's input, and bars of the likeliest classes.

    More than eight pictures are a grid, about as high as wide. An answer that is not sure is grey, with its verdict.

    Args:
        pictures: uint8 (height, width[, 3]), RGB.
        names: The captions of the pictures.
        results: The prediction for each picture.
        top: Number of bars.
    """
    from matplotlib.figure import Figure

    across, down = places(len(results), 8.5 / 2.5)
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
        colour, words = (BLUE, "") if result.verdict.is_sure else (GREY, f"  {result.verdict.name}")
        drawn = bars.barh([*map(drawable, labels)], shares, color=[colour] + [GREY] * (len(labels) - 1), height=0.7)
        bars.bar_label(drawn, [f"{share:.1%}" for share in shares], padding=4, fontsize=9)
        bars.set(xlim=(0, 1.25), xticks=[])
        title = f"{result.label}  ({result.probability:.1%}){words}"
        bars.set_title(title, fontsize=11, loc="left", fontweight="normal" if words else "bold")
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
    """Draw panels for each picture: the picture, and the network's input below each map of what the answer depends on.

    More than eight pictures are a grid, about as high as wide.

    Args:
        pictures: uint8 (height, width[, 3]), RGB.
        names: The captions of the pictures.
        results: The prediction for each picture.
        maps: {method: float32 (height, width) of 0..1} for each picture, of the same methods.
    """
    from matplotlib.figure import Figure

    panels = 1 + max(map(len, maps))
    across, down = places(len(results), 2.8 * panels / 3)
    figure = Figure(figsize=(2.8 * panels * across, 3 * down), layout="constrained")
    rows = figure.subplots(down, panels * across, squeeze=False).reshape(-1, panels)
    for axes in rows[len(results) :].ravel():
        axes.set_axis_off()
    rows = rows[: len(results)]
    for (shown, *others), picture, name, result, heats in zip(rows, pictures, names, results, maps, strict=True):
        draw_pixels(shown, picture, name if len(name) <= 30 else f"...{name[-27:]}")
        for axes, (method, heat) in zip(others, heats.items(), strict=True):
            words = "" if result.verdict.is_sure else f" ({result.verdict.name})"
            draw_pixels(axes, result.pixels, drawable(f"why {result.label}{words}: {method}"))
            draw_heat(axes, heat, result.pixels.shape)
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


def places(count: int, shape: float) -> tuple[int, int]:
    """Return how many pictures stand beside and below each other.

    Args:
        count: Of pictures.
        shape: Width by height of the panels of one.
    """
    across = 1 if count <= IN_ONE_STRIP else math.ceil(math.sqrt(count / shape))
    return across, math.ceil(count / across)


def draw_heat(axes: "Axes", heat: np.ndarray, shape: tuple[int, ...]) -> None:
    """Draw a map, 0..1, over pixels of a shape (height, width, channels), which may be another size."""
    extent = (-0.5, shape[1] - 0.5, shape[0] - 0.5, -0.5)
    axes.imshow(heat, cmap="inferno", vmin=0, vmax=1, alpha=0.25 + 0.5 * heat, extent=extent)
