"""Runs beside each other: their figures, the settings in which they differ, their curves. No framework is loaded."""

import csv
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasnets import saving
from kerasnets.errors import BadInputError, shorten
from kerasnets.reports.curves import Line, curves_of_runs
from kerasnets.reports.pages import write_page
from kerasnets.reports.tables import Table
from kerasnets.saving import keras_file
from kerasnets.training.durations import duration
from kerasnets.training.places import folder_of

EPOCHS = "epochs.csv"
NOT_COMPARED = {"epochs", "frozen", "model", "dataset"}  # settings that have a column of their own, or another form
WEIGHTS_ALONE = ".weights.h5"  # ends the name of what Keras' save_weights writes
NO_CARD, NOT_RECORDED = "no card", "not recorded"
LOSS = "loss", "label_smoothing"  # settings that say what a loss is
NAMED = 3  # files without a card
MOST_CURVES = 20  # more cannot be told apart


@dataclass(frozen=True)
class Entry:
    """One run.

    Args:
        name: The model file's name without its ending, or the path if two runs have one name.
        path: The model file.
        card: Its card.
        weights: How many numbers it learned, with moving statistics.
        history: {figure: value by epoch}; {} if the report is gone.
        has_card: Whether the file has a card; another program's has none, so that nothing is known of its training.
    """

    name: str
    path: Path
    card: saving.Card
    weights: int
    history: dict[str, list[float]]
    has_card: bool = True

    @property
    def seconds(self) -> float | None:
        """Of all epochs; None if the report is gone."""
        total = sum(self.history.get("seconds", [math.nan]))
        return total if math.isfinite(total) else None

    @property
    def facts(self) -> dict[str, str]:
        """{name: words}: the settings, data and versions of a run, as far as its card has them."""
        card, settings = self.card, self.card.settings
        frozen = settings.get("frozen", [])
        return {
            "network": card.model,
            "data": card.dataset,
            "digest of the data": card.data_digest[:8] or NOT_RECORDED,
            "input": "x".join(map(str, card.input_shape)),
            **{name.replace("_", " "): words_of(settings[name]) for name in settings if name not in NOT_COMPARED},
            "frozen layers": str(len(frozen)) if settings and isinstance(frozen, list) else NOT_RECORDED,
            "planned epochs": words_of(settings.get("epochs", NOT_RECORDED)),
            "seed": str(card.seed),
            "first weights": card.parent,
            "versions": ", ".join(f"{name} {version}" for name, version in card.versions.items()) or NOT_RECORDED,
            "commit": card.commit[:10] or NOT_RECORDED,
        }

    def as_dict(self) -> dict[str, Any]:
        """Return everything for a program to read."""
        card = self.card
        return {
            "run": self.name, "file": str(self.path), "card": self.has_card, "test_accuracy": card.accuracy,
            "val_accuracy": card.val_accuracy,
            "epochs": card.epochs, "seconds": self.seconds, "weights": self.weights, "date": card.date,
            "model": card.model, "data": card.dataset, "data_digest": card.data_digest, "seed": card.seed,
            "parent": card.parent, "settings": card.settings, "history": self.history,
        }  # fmt: skip


def words_of(value: Any) -> str:
    """Return a setting in words."""
    if isinstance(value, (list, tuple)):
        return " ".join(map(words_of, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {words_of(each)}" for name, each in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


# ---- reading ---------------------------------------------------------------------------------------------------------


def read_all(paths: Iterable[str | Path]) -> tuple[list[Entry], list[str], list[BadInputError]]:
    """Return the runs at paths, the best on validation data first, the names of paths without a run, and the damages.

    Args:
        paths: Model files, or the folders of their reports; both may name one run.

    Raises:
        BadInputError: A path is missing, all model files are damaged, or there is no run.
    """
    files, others = list[Path](), list[str]()
    for path in map(Path, paths):
        if not path.exists():
            raise BadInputError("no file or folder {path}", path=path, remedy="check the name")
        file = model_of(path)
        if file is None:
            others.append(path.name or str(path))
        elif not any(file.with_suffix("").resolve() == each.with_suffix("").resolve() for each in files):
            files.append(file)
    if not files:
        raise BadInputError("no model file of a training is there", remedy="name .keras or .h5 files, or their folders")
    stems = [file.stem for file in files]
    entries, damages = list[Entry](), list[BadInputError]()
    for file in files:
        try:
            entries.append(read(file, file.stem if stems.count(file.stem) == 1 else shorten(file)))
        except BadInputError as error:  # the others are compared; the caller tells it
            damages.append(error)
    if not entries:
        raise damages[0]
    return sorted(entries, key=lambda entry: -(entry.card.val_accuracy or 0)), others, damages


def model_of(path: Path) -> Path | None:
    """Return the model file of a run at a path; None if there is none."""
    if path.is_dir():
        folder = path if path.name else path.resolve()  # "." has no name
        beside = (folder.parent / f"{folder.name}{suffix}" for suffix in saving.SUFFIXES)
        return next((file for file in beside if file.is_file()), None)
    return path if path.suffix in saving.SUFFIXES and not path.name.endswith(WEIGHTS_ALONE) else None


def read(path: Path, name: str) -> Entry:
    """Return the run of a model file; BadInputError if the file is damaged."""
    content = keras_file.read(path)
    card, history = keras_file.card_in(content, path), history_in(folder_of(path) / EPOCHS)
    return Entry(name, path, card, content.numbers, history, has_card=content.card is not None)


def history_in(path: Path) -> dict[str, list[float]]:
    """Return {figure: value by epoch} of a report's CSV file; {} if it is missing or damaged."""
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        return {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else ()) if name != "epoch"}
    except (OSError, ValueError, TypeError):
        return {}


# ---- for a person ----------------------------------------------------------------------------------------------------


def differences(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """Return {setting: its words in each run} of the settings in which the runs differ, as far as they are recorded."""
    facts = [entry.facts if entry.has_card else {} for entry in entries]
    names = list(dict.fromkeys(name for each in facts for name in each))
    values = {name: [each.get(name, NOT_RECORDED) if each else NO_CARD for each in facts] for name in names}
    return {name: words for name, words in values.items() if len({*words} - {NO_CARD, NOT_RECORDED}) > 1}


def tables(entries: Sequence[Entry]) -> tuple[Table, Table]:
    """Return the table of results, and that of the settings in which the runs differ, a row each."""
    results = [
        (entry.name, figure(entry.card.accuracy), figure(entry.card.val_accuracy), figure(least_loss(entry)),
         f"{entry.card.epochs:,}" if entry.card.epochs else "",
         "" if entry.seconds is None else duration(entry.seconds), f"{entry.weights:,}",
         entry.card.date[:10] if entry.has_card else NO_CARD)
        for entry in entries
    ]  # fmt: skip
    head = ("run", "test accuracy", "validation", "least val. loss", "epochs", "time", "weights", "date")
    other = differences(entries)
    rows = [(entry.name, *(words[i] for words in other.values())) for i, entry in enumerate(entries)]
    return Table(head, results, align="<>"), Table(("run", *other), rows)


def figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def least_loss(entry: Entry) -> float | None:
    return min(entry.history.get("val_loss", ()), default=None)


def remarks(entries: Sequence[Entry]) -> list[str]:
    """Return a sentence on each thing that a reader of the figures must know."""
    notes = []
    runs, others = [entry for entry in entries if entry.has_card], [each.name for each in entries if not each.has_card]
    if others:
        names, have = ", ".join(others[:NAMED]) + ", ..." * (len(others) > NAMED), "has" if len(others) == 1 else "have"
        notes.append(f"{names} {have} no card, which kerasnets train writes: nothing is known of the training.")
    if any(itertools.starmap(differ_in_data, itertools.combinations((entry.card for entry in runs), 2))):
        notes.append("The runs were trained on different data, so their accuracies are not of one test.")
    recorded = [entry.card.settings for entry in runs]
    if any(len({words_of(each[name]) for each in recorded if name in each}) > 1 for name in LOSS):
        notes.append("The runs have different losses, which do not compare.")
    if len(entries) > MOST_CURVES:
        notes.append(f"The curves are those of the first {MOST_CURVES} runs.")
    return notes


def differ_in_data(first: saving.Card, second: saving.Card) -> bool:
    """Whether two runs had different data, by their digests if both cards have one, else by their names."""
    if first.data_digest and second.data_digest:
        return first.data_digest != second.data_digest
    return first.dataset != second.dataset


def save_page(entries: Sequence[Entry], path: str | Path) -> None:
    """Write one HTML page with both tables, and the curves in common axes; OSError if that fails."""
    drawn = [entry for entry in entries if entry.history][:MOST_CURVES]
    lines = {
        part: [Line(entry.name, entry.history.get(part, []), entry.history.get(f"val_{part}", [])) for entry in drawn]
        for part in ("accuracy", "loss")
    }
    results, other = tables(entries)
    write_page(
        path, "comparison.html", title=f"{len(entries)} runs compared", results=results, remarks=remarks(entries),
        differences=other if len(other.head) > 1 else None, curves=curves_of_runs(lines) if drawn else None,
    )  # fmt: skip
