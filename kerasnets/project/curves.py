"""The learning curves of all runs: docs/curves.csv, one line for each epoch of each run."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasnets.project.results import Key, key_of, place
from kerasnets.runtime.atomic import one_at_a_time, whole_file
from kerasnets.runtime.provenance import CHECKOUT

CURVES = CHECKOUT / "docs/curves.csv"
RUN = ("recipe", "backend", "seed", "precision", "compiled")  # the columns that identify a run
FIGURES = (
    "accuracy",
    "loss",
    "val_accuracy",
    "val_loss",
)  # of an epoch; the last two are empty without validation data
COLUMNS = (*RUN, "epoch", *FIGURES)

Line = dict[str, str]


def read(path: str | Path = CURVES) -> dict[Key, list[Line]]:
    """Return {run, as results.key_of names it: the lines of its epochs}, in the order of the file."""
    curves: dict[Key, list[Line]] = {}
    if Path(path).is_file():
        with Path(path).open(newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file):
                curves.setdefault(key_of(line), []).append(line)
    return curves


def append(path: str | Path, run: Mapping[str, Any]) -> None:
    """Add the epochs of a training.Run as JSON, or replace those of an earlier run with the same key."""
    path = Path(path)
    with one_at_a_time(path):
        curves = read(path)
        curves[key_of(run)] = [
            {**dict(zip(RUN, key_of(run), strict=True)), "epoch": str(epoch + 1), **figures_of(run, epoch)}
            for epoch in range(run["epochs"])
        ]
        with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            for _, lines in sorted(curves.items(), key=lambda item: place(item[1][0])):
                writer.writerows(lines)


def figures_of(run: Mapping[str, Any], epoch: int) -> Line:
    return {name: f"{run[name][epoch]:.4f}" if run[name] else "" for name in FIGURES}
