"""The tables of an inspection: weights, the trace of a picture, gradients, one optimizer step."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from kerasnets.errors import shorten
from kerasnets.inspection.layer_descriptions import by_x
from kerasnets.inspection.results import share_of_zeros
from kerasnets.inspection.unfolded_network import DROPOUTS
from kerasnets.reports.tables import Table

if TYPE_CHECKING:
    from kerasnets.inspection.report import Inspection

FIRST = 3  # values of a weight that are shown
LONGEST_NAME = 40  # characters of the name of a layer


def table_of_weights(inspection: "Inspection") -> Table:
    head = ("weight", "shape", "trainable", "smallest", "largest", "mean", "std", "first values")
    rows = [
        (shorten(w.name, LONGEST_NAME), by_x(w.shape), "yes" if w.trainable else "no",
         *map(number, moments(w.values).values()), " ".join(map(number, w.values.ravel()[:FIRST])))
        for w in inspection.weights
    ]  # fmt: skip
    return Table(head, rows, title="Weights", align="<>")


def table_of_trace(inspection: "Inspection") -> Table:
    head = ("layer", "kind", "output", "smallest", "largest", "zeros before", "zeros after")
    rows = [
        (shorten(a.name, LONGEST_NAME), a.kind, by_x(a.shape), number(a.smallest), number(a.largest),
         "" if a.zeros_before is None else f"{a.zeros_before:.1%}", f"{a.zeros:.1%}")
        for a in inspection.activities
    ]  # fmt: skip
    title = f"One picture, layer by layer: {inspection.subject.picture.words}"
    note = "If a layer contains an activation, the activation has its own row. Zeros: the share that is exactly 0."
    return Table(head, rows, title=title, note=note, align="<<>")


def table_of_gradients(inspection: "Inspection") -> Table:
    rows = []
    for gradient in inspection.gradients:
        before = "none" if gradient.before is None else number(norm(gradient.before))
        after = ("none", "", "")
        if gradient.after is not None:
            largest = float(np.abs(gradient.after).max())
            after = (number(norm(gradient.after)), number(largest), f"{share_of_zeros(gradient.after):.1%}")
        rows.append((shorten(gradient.name, LONGEST_NAME), by_x(gradient.shape), before, *after))
    note = f"Gradients of the mean cross-entropy of {words_of_batch(inspection)}, before and after the backward pass."
    kinds = {activity.kind for activity in inspection.activities}
    if "BatchNormalization" in kinds:
        note += " Batch normalization uses the statistics of the batch."
    if kinds & {layer.__name__ for layer in DROPOUTS}:
        note += " Dropout is off."
    head = ("weight", "shape", "before", "after: norm", "largest", "zeros")
    return Table(head, rows, title="Gradients of one batch", note=note, align="<>")


def table_of_step(inspection: "Inspection") -> Table:
    step = inspection.step
    rows = [
        ("before", f"{step.loss_before:.6f}", f"{step.right_before} of {step.examples}"),
        ("after", f"{step.loss_after:.6f}", f"{step.right_after} of {step.examples}"),
    ]
    title = f"One step of {step.optimizer}, learning rate {step.learning_rate:g}"
    note = "Taken on a copy of the network, and evaluated on the same batch."
    return Table(("", "loss", "correct"), rows, title=title, note=note, align="<>")


# In the order on a terminal
TABLES: dict[str, Callable[["Inspection"], Table]] = {
    "weights": table_of_weights,
    "trace": table_of_trace,
    "gradients": table_of_gradients,
    "step": table_of_step,
}


def words_of_batch(inspection: "Inspection") -> str:
    batch = inspection.subject.batch
    if batch.labels is not None:
        return batch.words
    label = inspection.subject.class_names[inspection.label]
    return f"{batch.words} (its class is unknown; {label}, the likeliest, is assumed)"


def number(value: float) -> str:
    return f"{value:.4g}"


def norm(array: np.ndarray) -> float:
    """Return the Euclidean norm of all numbers of an array."""
    return float(np.linalg.norm(array))


def moments(values: np.ndarray) -> dict[str, float]:
    """Return the figures of a weight by their names in JSON."""
    return {
        "smallest": float(values.min()),
        "largest": float(values.max()),
        "mean": float(values.mean()),
        "deviation": float(values.std()),
    }
