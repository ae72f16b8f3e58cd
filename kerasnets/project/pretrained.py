"""The models that ship with the project, in models_saved/pretrained: chosen among the runs, and listed."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from kerasnets.project.reproduction import RUNS
from kerasnets.project.results import Line, means, model_file
from kerasnets.recipes import RECIPES, permuted_pairs
from kerasnets.reports.tables import Table
from kerasnets.runtime import backends
from kerasnets.runtime.atomic import whole_file
from kerasnets.runtime.provenance import CHECKOUT

PRETRAINED = CHECKOUT / "models_saved/pretrained"
MISTAKES = CHECKOUT / "docs/results/mistakes.png"  # of the best network on CIFAR-10
MOST_BYTES = 5_000_000  # of a model that ships


def ship(lines: Sequence[Line], runs: Path = RUNS, pretrained: Path = PRETRAINED) -> list[Path]:
    """Copy the model and report of the best run of each recipe into `pretrained`; return the models' files.

    The best run is the best on validation data over all backends and seeds, or the first line without validation data.
    A model of more than 5 MB does not ship. Reports on permuted pixels get the means over all runs.
    """
    from kerasnets.training import report

    shipped = []
    for name in RECIPES:
        best = best_of([line for line in lines if line["recipe"] == name])
        if best is None:
            continue
        file = model_file(best, runs)
        if not file.is_file() or file.stat().st_size > MOST_BYTES:
            continue  # if it was run on another machine, it ships already
        target = Path(pretrained) / f"{name}.keras"
        with whole_file(target) as part:
            shutil.copyfile(file, part)
        page = (file.with_suffix("") / "report.html").read_text(encoding="utf-8")
        if name in permuted_pairs():
            page = report.with_order_of_pixels(page, means(permuted_pairs(), lines))
        with whole_file(Path(pretrained) / f"{name}-report.html") as part:
            part.write_text(page, encoding="utf-8")
        shipped.append(target)
    return shipped


def best_of(lines: Sequence[Line]) -> Line | None:
    """Return the run that is best on validation data, or the first without such data; None if there is no run."""
    return max(lines, key=lambda line: float(line["val_accuracy"] or 0), default=None)


def ship_mistakes(lines: Sequence[Line], runs: Path = RUNS, target: Path = MISTAKES) -> None:
    """Copy the picture of the worst mistakes of the best run on CIFAR-10 to `target`, if its report is in `runs`."""
    known = [line for line in lines if line["recipe"] in RECIPES]
    best = best_of([line for line in known if RECIPES[str(line["recipe"])].dataset == "cifar10"])
    if best is None:
        return
    picture = model_file(best, runs).with_suffix("") / "mistakes.png"
    if picture.is_file():
        with whole_file(target) as part:
            shutil.copyfile(picture, part)


def ship_forms(shipped: Path) -> None:
    """Write the shipped .keras file again in each other format that is beside it: .h5, .onnx."""
    from kerasnets import export, saving

    if shipped.with_suffix(".h5").is_file():
        model, card = saving.load(shipped)
        saving.save(model, shipped.with_suffix(".h5"), card)
    if shipped.with_suffix(".onnx").is_file():
        export.export(shipped, shipped.with_suffix(".onnx"))


def shipped_table(pretrained: Path = PRETRAINED) -> str:
    """Return a Markdown table of the models that ship, from the cards in their files."""
    from kerasnets.saving import load_card

    rows = []
    for path in sorted(Path(pretrained).glob("*.keras"), key=lambda path: list(RECIPES).index(path.stem)):
        card = load_card(path)
        backend = next(name for name in backends.BACKENDS if name in card.versions)
        rows.append((f"`pretrained/{path.name}`", f"{card.accuracy:.4f}", card.dataset, backend, str(card.seed)))
    return Table(("file", "test accuracy", "on", "trained on", "seed"), rows).markdown()
