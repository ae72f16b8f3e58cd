"""The style that all plots share: colours, and axes without a frame."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREY, LIGHT = "#1f5fa8", "#d9731a", "#8a8f98", "#b9cfe6"
PALE, DARK = "#eef1f5", "#5d6570"


def draw_grid(axes: "Axes") -> None:
    """Draw a pale grid behind all else, and no frame at the top and at the right."""
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
