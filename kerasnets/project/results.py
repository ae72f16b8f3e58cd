"""The results of all runs: docs/results.csv, one line for each run."""

import csv
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from kerasnets.errors import BadInputError
from kerasnets.recipes import RECIPES
from kerasnets.runtime import backends
from kerasnets.runtime.atomic import one_at_a_time, whole_file
from kerasnets.runtime.provenance import CHECKOUT

RESULTS = CHECKOUT / "docs/results.csv"
COLUMNS = (
    "recipe", "backend", "seed", "precision", "compiled", "test_accuracy", "test_loss", "val_accuracy",
    "train_accuracy", "majority", "epochs", "best_epoch", "seconds", "dataset", "machine", "versions", "commit", "date",
)  # fmt: skip
DEFAULTS = {"precision": "float32", "compiled": ""}  # columns that results of earlier versions lack
MARKS = {"float32": "", "mixed_bfloat16": "bfloat16"}  # of the precision, in tables and names of files

Line = dict[str, str]
Key = tuple[str, str, str, str, str]


def read(path: str | Path) -> list[Line]:
    """Return the lines of the results; none if there is no file. Raises BadInputError if it has other columns."""
    if not Path(path).is_file():
        return []
    with Path(path).open(newline="", encoding="utf-8") as file:
        lines = [{**DEFAULTS, **line} for line in csv.DictReader(file)]
    if lines and set(lines[0]) != set(COLUMNS):
        raise BadInputError(
            "is damaged: its first line is not that of the results", path=path, remedy="take it from git again"
        )
    return lines


def key_of(line: Mapping[str, object]) -> Key:
    """Return what identifies a run: (recipe, backend, seed, precision, "compiled" or "")."""
    compiled = "compiled" if line["compiled"] else ""
    return str(line["recipe"]), str(line["backend"]), str(line["seed"]), str(line["precision"]), compiled


def append(path: str | Path, line: Mapping[str, object]) -> None:
    """Add a line, or replace the earlier line of the same run. The file is written whole; processes take turns."""
    path = Path(path)
    with one_at_a_time(path):
        lines: list[Mapping[str, object]] = [there for there in read(path) if key_of(there) != key_of(line)]
        lines.append({column: line[column] for column in COLUMNS})
        lines.sort(key=place)
        with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)


def place(line: Mapping[str, object]) -> tuple[int, int, int, int, str]:
    """Return the place of a line in the file, to sort by: the order of RECIPES, backends, seeds, precisions."""
    recipe, backend, seed, precision, compiled = key_of(line)
    order = list(RECIPES)
    place_of_recipe = order.index(recipe) if recipe in order else len(order)
    return place_of_recipe, backends.BACKENDS.index(backend), int(seed), list(MARKS).index(precision), compiled


def means(names: Iterable[str], lines: Sequence[Line]) -> dict[str, float]:
    """Return {recipe: mean test accuracy over seeds and backends}, without recipes that have no run."""
    accuracies = {name: [float(line["test_accuracy"]) for line in lines if line["recipe"] == name] for name in names}
    return {name: statistics.mean(values) for name, values in accuracies.items() if values}


def model_file(line: Mapping[str, object], runs: str | Path) -> Path:
    """Return the model file of a run in the folder `runs`."""
    recipe, backend, seed, precision, compiled = key_of(line)
    return Path(runs) / f"{'-'.join(filter(None, (recipe, backend, seed, MARKS[precision], compiled)))}.keras"
