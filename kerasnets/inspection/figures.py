"""The figures of an inspection: picture and saliency, filters, feature maps, zeros and gradients by layer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from kerasnets.errors import shorten
from kerasnets.reports.names import cut
from kerasnets.reports.plots import TOP, draw_pixels
from kerasnets.reports.style import BLUE, GREY, LIGHT, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from kerasnets.inspection.results import Activity, Gradient, Weight

MOST_LAYERS = 12  # layers with feature maps, spread evenly over a deep network
MOST_KERNELS = 6  # layers with filters
MOST_MAPS = 32  # feature maps of a layer
COLUMNS = 16  # maps or filters side by side
MOST_INPUTS = 3  # input channels for which a filter is drawn
MOST_BARS = 60  # layers with a bar or point
LONGEST_NAME = 34  # characters of the name of a layer

Item = TypeVar("Item")
Ranking = Sequence[tuple[str, float]]  # (label, probability), the likeliest first


def answer(
    picture: np.ndarray, original: np.ndarray | None, saliency: np.ndarray, ranking: Ranking, label: str
) -> "Figure":
    """Draw the picture file, the network's input, its saliency, and bars of the likeliest classes.

    Args:
        picture: The network's input, uint8 (height, width, channels).
        original: The picture file, uint8 (height, width[, 3]), or None.
        saliency: float32 (height, width), 0 or more.
        ranking: The classes and their probabilities.
        label: The class of the saliency.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3), layout="constrained")
    shown = [(picture, "what the network sees")]
    if original is not None:
        shown.insert(0, (original, "the file"))
    *places, map_, bars = figure.subplots(1, len(shown) + 2, width_ratios=[1] * (len(shown) + 1) + [1.1])
    for axes, (pixels, title) in zip(places, shown, strict=True):
        draw_pixels(axes, pixels, title)
    map_.imshow(saliency, cmap="inferno")
    map_.set(xticks=[], yticks=[])
    map_.set_title(f"saliency: |d logit {cut(label, 14)} / d pixel|", fontsize=9)
    draw_ranking(bars, ranking)
    return figure


def columns(saliency: np.ndarray, ranking: Ranking, label: str) -> "Figure":
    """Draw the saliency of a row of numbers, float32 (columns,), and bars of the likeliest classes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.8 + 0.3 * max(len(saliency), TOP)), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.barh([f"column {i}" for i in range(len(saliency))], saliency, color=ORANGE)
    left.invert_yaxis()
    left.set_title(f"|d logit {cut(label, 18)} / d column|", fontsize=9)
    left.spines[["top", "right"]].set_visible(False)
    draw_ranking(right, ranking)
    return figure


def draw_ranking(axes: "Axes", ranking: Ranking) -> None:
    labels, shares = zip(*ranking[:TOP], strict=True)
    drawn = axes.barh([cut(label, 18) for label in labels], shares, color=[BLUE] + [GREY] * (len(labels) - 1))
    axes.bar_label(drawn, [f"{share:.1%}" for share in shares], padding=4, fontsize=9)
    axes.set(xlim=(0, 1.3), xticks=[])
    axes.set_title("probability", fontsize=9)
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def feature_maps(activities: Sequence["Activity"]) -> "Figure":
    """Draw the first feature maps of layers for the first picture, each layer on its own scale."""
    tiles = [activity.output[0].transpose(2, 0, 1)[:MOST_MAPS] for activity in activities]
    titles = [
        f"{shorten(a.name, LONGEST_NAME)}  {a.kind}: {'x'.join(map(str, a.shape))}{first_of(len(t), a.shape[2])}, "
        f"{a.smallest:.3g} to {a.largest:.3g}"
        for a, t in zip(activities, tiles, strict=True)
    ]
    return mosaics(tiles, titles, "viridis")


def filters(weights: Sequence["Weight"]) -> "Figure":
    """Draw the first filters of the kernels of convolutions.

    A kernel on three channels is drawn in colour; any other kernel has a row for each of its first input channels, red
    above 0, blue below, white at 0.
    """
    tiles, titles = [], []
    for weight in weights:
        kernel = weight.values[..., : COLUMNS * 2 if weight.shape[2] in (1, 3) else COLUMNS]
        largest = float(np.abs(weight.values).max()) or 1.0
        inputs = 1 if weight.shape[2] == 3 else min(weight.shape[2], MOST_INPUTS)
        if weight.shape[2] == 3:
            tiles.append(0.5 + kernel.transpose(3, 0, 1, 2) / (2 * largest))
        else:
            kernel = kernel[:, :, :inputs] / largest
            tiles.append(kernel.transpose(2, 3, 0, 1).reshape(-1, *kernel.shape[:2]))
        seen = f", a row for each of channels 0 to {inputs - 1} of {weight.shape[2]}" if inputs > 1 else ""
        size = "x".join(map(str, weight.shape[:2]))
        of = first_of(kernel.shape[3], weight.shape[3])
        name = shorten(weight.name, LONGEST_NAME)
        titles.append(f"{name}: {weight.shape[3]} filters of {size}{of}{seen}, ±{largest:.3g}")
    return mosaics(tiles, titles, "RdBu_r", (-1, 1))


def first_of(shown: int, count: int) -> str:
    return f", the first {shown}" if shown < count else ""


def mosaics(
    tiles: Sequence[np.ndarray],
    titles: Sequence[str],
    cmap: str,
    limits: tuple[float | None, float | None] = (None, None),
) -> "Figure":
    """Draw a mosaic for each array of tiles (n, height, width[, 3]), one below another."""
    from matplotlib.figure import Figure

    drawn = [mosaic(each) for each in tiles]
    heights = [11 * each.shape[0] / each.shape[1] for each in drawn]
    figure = Figure(figsize=(11, sum(heights) + 0.42 * len(drawn)), layout="constrained")
    rows = figure.subplots(len(drawn), 1, height_ratios=[height + 0.42 for height in heights], squeeze=False)[:, 0]
    for axes, pixels, title in zip(rows, drawn, titles, strict=True):
        axes.imshow(pixels, cmap=cmap, vmin=limits[0], vmax=limits[1], interpolation="nearest")
        axes.set_title(title, fontsize=9, loc="left")
        axes.set_axis_off()
    return figure


def mosaic(tiles: np.ndarray) -> np.ndarray:
    """Return tiles (n, height, width[, 3]) as one image, in rows of COLUMNS with gaps of NaN, or white for colours.

    A row always has room for COLUMNS tiles, so that the maps of two layers can be compared.
    """
    n, height, width = tiles.shape[:3]
    gap = max(1, round(0.08 * width))
    rows = -(-n // COLUMNS)
    empty = np.full((rows * (height + gap) - gap, COLUMNS * (width + gap) - gap, *tiles.shape[3:]), np.nan)
    if tiles.ndim == 4:
        empty[:] = 1.0
    for i, tile in enumerate(tiles):
        top, left = i // COLUMNS * (height + gap), i % COLUMNS * (width + gap)
        empty[top : top + height, left : left + width] = tile
    return empty


def by_layer(activities: Sequence["Activity"], gradients: Sequence["Gradient"]) -> "Figure":
    """Draw the share of zeros before and after each activation as bars, and the norm of each gradient as a point.

    A bar would have no length on the logarithmic axis of the norms.
    """
    from matplotlib.figure import Figure

    activations = evenly([activity for activity in activities if activity.before is not None], MOST_BARS)
    gradients = evenly([gradient for gradient in gradients if gradient.after is not None], MOST_BARS)
    figure = Figure(figsize=(11, 1 + 0.22 * max(len(activations), len(gradients), 4)), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_zeros(left, activations)
    draw_norms(right, gradients)
    for axes, count in ((left, len(activations)), (right, len(gradients))):
        axes.set_ylim(count - 0.4, -0.6)
        axes.tick_params("y", labelsize=8)
        axes.title.set_fontsize(9)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_zeros(axes: "Axes", activations: Sequence["Activity"]) -> None:
    before, after = ([getattr(each, when) for each in activations] for when in ("zeros_before", "zeros"))
    series = ((-0.2, 0.4, LIGHT, before), (0.2, 0.4, BLUE, after)) if any(before) else ((0, 0.7, BLUE, after),)
    for shift, height, colour, shares in series:
        bars = axes.barh(np.arange(len(shares)) + shift, shares, height, color=colour)
        axes.bar_label(bars, [f"{share:.0%}" for share in shares], padding=3, fontsize=7, color=GREY)
    axes.set_yticks(range(len(activations)), [f"{shorten(each.name, 24)} {each.kind}" for each in activations])
    words = "before (light) and after (dark) each activation" if any(before) else "after each activation (before: none)"
    axes.set(xlim=(0, 1.1), xticks=np.linspace(0, 1, 5), title=f"share of zeros {words}")
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")


def draw_norms(axes: "Axes", gradients: Sequence["Gradient"]) -> None:
    norms = [float(np.linalg.norm(gradient.after)) for gradient in gradients if gradient.after is not None]
    colours = [ORANGE if gradient.name.endswith("kernel") else GREY for gradient in gradients]
    axes.scatter(norms, range(len(norms)), 24, colours)
    axes.set_yticks(range(len(norms)), [shorten(each.name, 30) for each in gradients])
    axes.set(title="norm of the gradient (kernels orange)")
    axes.grid(color=GREY, alpha=0.25)
    positive = [length for length in norms if 0 < length < np.inf]
    if positive:
        ends = np.floor(np.log10(min(positive))), np.ceil(np.log10(max(positive)))
        axes.set(xscale="log", xlim=(10 ** (ends[0] - (ends[0] == ends[1])), 10 ** ends[1]))
        axes.xaxis.set_major_formatter(lambda length, _: f"{length:g}")  # matplotlib's default is a formula
        axes.xaxis.set_minor_formatter(lambda length, _: "")


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most `most` of `items`, spread evenly, with the first and the last."""
    if len(items) <= most:
        return list(items)
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, most).round().astype(int))]
