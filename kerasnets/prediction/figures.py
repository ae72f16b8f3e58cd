"""Figures of predictions, for files and windows."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerasnets import pictures
from kerasnets.errors import BadInputError
from kerasnets.prediction.answers import DOUBTFUL, Prediction, Result, Sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kerasnets.prediction.classifier import Classifier

MOST = 40  # pictures in one figure
SIDE, SHEET_SIDE = 500, 1500  # pixels: larger photos, and sheets, are shrunk to it


class Gallery:
    """The first 40 pictures with an answer, each shrunk, so that none is decoded a second time to be drawn.

    Attributes:
        top: Number of classes in the bars of a picture; 1 stands for the usual number.
        answered: How many pictures with an answer were added, including those that are not kept.
    """

    def __init__(self, top: int = 1) -> None:
        self.top = top
        self.answered = 0
        self.predictions: list[tuple[np.ndarray, str, Prediction]] = []
        self.sheets: list[tuple[np.ndarray, str]] = []

    @property
    def is_full(self) -> bool:
        return self.answered >= MOST

    def add(self, picture: np.ndarray | None, name: str, result: Result) -> None:
        """Keep a picture, uint8 (height, width[, 1 or 3]), unless it has no answer or the gallery is full.

        picture may be None only if the gallery was full before.
        """
        if isinstance(result, BadInputError):
            return
        if picture is not None and not self.is_full:
            if isinstance(result, Sheet):
                self.sheets.append((with_boxes(picture, result), f"{name}: {result.marked}"))
            else:
                self.predictions.append((thumbnail(picture), name, result))
        self.answered += 1

    def draw(self, save: str | Path | None = None, show: bool = False) -> None:
        """Draw the pictures; do nothing if there are none.

        Args:
            save: The file to write, by its suffix: .png, .jpg, .svg, .pdf.
            show: Open a window.

        Raises:
            OSError: The file cannot be written, or there is no screen.
        """
        if self.predictions:
            draw(self.predictions, save, show, self.top)
        if self.sheets:
            draw_sheets(self.sheets, save, show)

    def explain(self, classifier: "Classifier", save: str | Path | None = None, show: bool = False) -> Path | None:
        """Draw the places that each answer depends on; return the file, whose name is that of `save` with "-why"."""
        if not self.predictions:
            return None
        from kerasnets.prediction.explanations import explain
        from kerasnets.reports import galleries

        path = Path(save).with_stem(f"{Path(save).stem}-why") if save else None
        thumbnails, names, results = zip(*self.predictions, strict=True)
        maps = [explain(classifier, result) for result in results]
        finish(galleries.explanations(thumbnails, names, results, maps), path, show)
        return path


def draw(
    predictions: list[tuple[np.ndarray, str, Prediction]],
    save: str | Path | None = None,
    show: bool = False,
    top: int = 1,
) -> None:
    """Draw, for each (picture, name, Prediction), the picture, the network's input, and bars of the `top` classes."""
    from kerasnets.reports import galleries

    thumbnails, names, results = zip(*predictions, strict=True)
    finish(galleries.predictions(thumbnails, names, results, top if top > 1 else galleries.TOP), save, show)


def draw_sheets(sheets: list[tuple[np.ndarray, str]], save: str | Path | None = None, show: bool = False) -> None:
    """Draw each (picture with boxes, caption)."""
    from kerasnets.reports import galleries

    boxed, captions = zip(*sheets, strict=True)
    finish(galleries.sheets(boxed, captions), save, show)


def finish(figure: "Figure", save: str | Path | None, show: bool) -> None:
    """Save a matplotlib Figure, and show it in a window."""
    from kerasnets.reports import plots, window

    if save:
        plots.save_figure(figure, save)
    if show:
        window.show(figure)


def thumbnail(picture: np.ndarray) -> np.ndarray:
    return pictures.shrink(np.squeeze(picture), SIDE)


def with_boxes(picture: np.ndarray, sheet: Sheet) -> np.ndarray:
    """Return a shrunk picture with a box around each digit of its sheet and its label above; grey if it is not sure."""
    digits, predictions = zip(*sheet.digits, strict=True)
    is_sure = [prediction.verdict.is_sure for prediction in predictions]
    labels = [each.label + DOUBTFUL * (not each.verdict.is_sure) for each in predictions]
    boxed = pictures.draw_boxes(picture, digits, labels, is_sure)
    return pictures.shrink(boxed, SHEET_SIDE)
