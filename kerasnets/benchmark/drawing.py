"""The picture of a benchmark's page: times relative to hand-written loops, or the figures of each competitor."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kerasnets.reports.style import BLUE, GREY, ORANGE, draw_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from kerasnets.benchmark.figures import Figure

COLOURS = (BLUE, ORANGE, "#2e8b57", "#8e44ad", "#c0392b", "#16a085", "#7f8c8d")
OTHERS = "PyTorch", "tutorial", "decoding", "tf.function", "jax.jit"  # begin the names of what is not kerasnets
ROW, HEAD = 0.34, 1.0  # inches of a line, and of title and axis


def draw(figures: "Sequence[Figure]") -> "Drawing":
    """Draw the ratios, a panel for each backend; or, if there are none, a panel of bars for each measured quantity."""
    ratios = [figure for figure in figures if figure.unit == "ratio"]
    return draw_ratios(ratios) if ratios else draw_bars(figures)


def draw_ratios(ratios: "Sequence[Figure]") -> "Drawing":
    """Draw the median and the spread of each ratio, whose `what` is "<network> on <backend>, ..."."""
    from matplotlib.figure import Figure as Drawing

    panels: dict[str, list[tuple[str, Figure]]] = {}
    for ratio in ratios:
        network, _, backend = ratio.what.partition(",")[0].rpartition(" on ")
        panels.setdefault(backend, []).append((network, ratio))
    networks = list(dict.fromkeys(network for rows in panels.values() for network, _ in rows))
    colours = dict(zip(dict.fromkeys(ratio.by for ratio in ratios), COLOURS, strict=False))
    size = 3.6 * len(panels) + 1, 1.6 * ROW * len(networks) + HEAD + 0.6
    drawing = Drawing(figsize=size, layout="constrained")
    axes = drawing.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for panel, (backend, rows) in zip(axes, panels.items(), strict=True):
        rivals = list(dict.fromkeys(ratio.by for _, ratio in rows))
        labelled: set[str] = set()
        for network, ratio in rows:
            place = rivals.index(ratio.by)
            y = networks.index(network) + 0.22 * (place - (len(rivals) - 1) / 2)
            low, high = ratio.median - min(ratio.values), max(ratio.values) - ratio.median
            label = None if ratio.by in labelled else ratio.by
            labelled.add(ratio.by)
            panel.errorbar(ratio.median, y, xerr=[[low], [high]], fmt="o", color=colours[ratio.by], label=label,
                           markersize=5, elinewidth=1.4)  # fmt: skip
        panel.axvline(1, color=GREY, linewidth=1)
        panel.set_title(backend, fontsize=11, fontweight="bold")
        panel.set_xlim(0, max(1.2, panel.get_xlim()[1]))
        panel.set_xlabel("kerasnets' time / the loop's")
        draw_grid(panel)
        panel.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2), frameon=False)
    axes[0].set_yticks(range(len(networks)), networks)
    axes[0].set_ylim(len(networks) - 0.5, -0.5)
    return drawing


def draw_bars(figures: "Sequence[Figure]") -> "Drawing":
    """Draw the median and the spread of each competitor, a panel for each `what`."""
    from matplotlib.figure import Figure as Drawing

    panels: dict[tuple[str, str], list[Figure]] = {}
    for each in figures:
        panels.setdefault((each.what, each.unit), []).append(each)
    heights = [HEAD + ROW * len(rows) for rows in panels.values()]
    drawing = Drawing(figsize=(7.5, sum(heights)), layout="constrained")
    axes = drawing.subplots(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
    for panel, ((what, unit), rows) in zip(axes, panels.items(), strict=True):
        medians = [each.median for each in rows]
        spreads = [
            [median - min(each.values) for median, each in zip(medians, rows, strict=True)],
            [max(each.values) - median for median, each in zip(medians, rows, strict=True)],
        ]
        colours = [GREY if each.by.startswith(OTHERS) else BLUE for each in rows]
        bars = panel.barh(range(len(rows)), medians, xerr=spreads, color=colours, height=0.5, ecolor="#333333")
        panel.bar_label(bars, [f" {each.with_unit(each.median)}" for each in rows], fontsize=8, padding=4)
        panel.set_yticks(range(len(rows)), [each.by for each in rows], fontsize=9)
        panel.invert_yaxis()
        goal = next((each.goal for each in rows if each.goal is not None), None)
        panel.set_title(what if goal is None else f"{what} (dashed: the goal)", fontsize=10, loc="left")
        panel.margins(x=0.15)
        panel.set_xlabel(unit, fontsize=8)
        if goal is not None:
            panel.axvline(goal, color=ORANGE, linestyle="--", linewidth=1.2)
        draw_grid(panel)
    return drawing
