"""The HTML page of an inspection: figures and tables from the picture to the optimizer step."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kerasnets.inspection import figures
from kerasnets.inspection.figures import evenly
from kerasnets.inspection.probes import matches
from kerasnets.inspection.tables import TABLES
from kerasnets.reports.pages import write_page
from kerasnets.reports.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kerasnets.inspection.report import Inspection

POOLED = ("MaxPooling2D", "AveragePooling2D", "Concatenate", "Add")  # their maps are drawn, as are activations'


@dataclass(frozen=True)
class Part:
    """A part of the page: a figure with a note, or a table, which has its own note."""

    title: str
    note: str = ""
    figure: "Figure | None" = None
    table: Table | None = None


# From the top of the page to its end: (name of a figure or table, title and note of a figure)
PARTS = (
    ("answer", "The picture and the answer",
     "Saliency: how much each pixel changes the logit of {label_words}, the maximum over the channels. "
     "Bright pixels change it most, up or down (Simonyan et al. 2014, arXiv:1312.6034)."),
    ("maps", "Feature maps",
     "The outputs of layers, and of the activations in them, for this picture. Each layer has its own scale, from dark "
     "(its smallest value) to light (its largest)."),
    ("trace", "", ""),
    ("filters", "Filters",
     "The kernels: red above 0, blue below, white at 0. Kernels on three channels are shown in the colours that they "
     "respond to."),
    ("weights", "", ""),
    ("bars", "Zeros and gradients by layer",
     "If an activation gives only zeros, the layers below it learn nothing."),
    ("gradients", "", ""),
    ("step", "", ""),
)  # fmt: skip


def write(inspection: "Inspection", path: str | Path, names: Sequence[str] = ()) -> None:
    """Write the page to `path`, whole or not at all; `names` and errors as in `parts_of`."""
    (label, probability), *_ = inspection.ranking
    write_page(
        path,
        "inspection.html",
        title=f"Inside {inspection.subject.words}",
        picture=inspection.subject.picture.words,
        label=label,
        probability=f"{probability:.2%}",
        parts=list(parts_of(inspection, names)),
    )


def parts_of(inspection: "Inspection", names: Sequence[str] = ()) -> Iterator[Part]:
    """Yield the parts of the page.

    Args:
        inspection: The inspection to show.
        names: Shell-style patterns of the layers whose filters and maps are drawn; by default the page chooses.

    Raises:
        ValueError: `names` fit no layer that has filters or maps.
    """
    drawn = {name: figure for name, make in FIGURES.items() if (figure := make(inspection, names)) is not None}
    if names and not {"maps", "filters"} & drawn.keys():
        raise ValueError(f"no layer with maps or filters is called {' or '.join(names)}; the trace lists the layers")
    for name, title, note in PARTS:
        if name in drawn:
            yield Part(title, note.format(label_words=inspection.label_words), drawn[name])
        elif name in TABLES:
            table = TABLES[name](inspection)
            yield Part(table.title, table=table)


# ---- figures ----


def figure_of_answer(inspection: "Inspection", names: Sequence[str]) -> "Figure":
    picture, label = inspection.subject.picture.images[0], inspection.subject.class_names[inspection.label]
    if picture.ndim == 1:
        return figures.columns(inspection.saliency, inspection.ranking, label)
    return figures.answer(picture, inspection.subject.original, inspection.saliency, inspection.ranking, label)


def figure_of_maps(inspection: "Inspection", names: Sequence[str]) -> "Figure | None":
    maps = [a for a in inspection.activities if len(a.shape) == 3 and min(a.shape[:2]) > 1]
    if names:
        chosen = [a for a in maps if matches(a.name, names)]
    else:
        chosen = [a for a in maps if a.before is not None or a.kind in POOLED]
        chosen = evenly(chosen or maps, figures.MOST_LAYERS)
    return figures.feature_maps(chosen) if chosen else None


def figure_of_filters(inspection: "Inspection", names: Sequence[str]) -> "Figure | None":
    kernels = [w for w in inspection.weights if len(w.shape) == 4 and min(w.shape[:2]) > 1]
    chosen = [w for w in kernels if matches(w.name, names)] if names else evenly(kernels, figures.MOST_KERNELS)
    return figures.filters(chosen) if chosen else None


def figure_by_layer(inspection: "Inspection", names: Sequence[str]) -> "Figure":
    return figures.by_layer(inspection.activities, inspection.gradients)


# name -> maker of a figure for names of layers; None if there is nothing to draw
FIGURES: dict[str, Callable[["Inspection", Sequence[str]], "Figure | None"]] = {
    "answer": figure_of_answer,
    "maps": figure_of_maps,
    "filters": figure_of_filters,
    "bars": figure_by_layer,
}
