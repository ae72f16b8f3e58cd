"""The report of a training run or an evaluation: one HTML page, its plots as PNG, and the figures as CSV."""

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerasnets.errors import note, visible
from kerasnets.recipes import Recipe
from kerasnets.reports import plots
from kerasnets.reports.curves import Curve, learning_curves
from kerasnets.reports.fonts import drawable, lacked_by_all
from kerasnets.reports.names import label_and_answer
from kerasnets.reports.pages import render, write_page
from kerasnets.reports.tables import Table
from kerasnets.runtime.atomic import whole_file
from kerasnets.training import checkpoints, findings, sections
from kerasnets.training.facts import LOSSES, table_of_settings
from kerasnets.training.findings import NOTHING, Material
from kerasnets.training.remarks import of_test, remarks

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

    from kerasnets.data import Data
    from kerasnets.training.callbacks import Figures
    from kerasnets.training.evaluation import Evaluation
    from kerasnets.training.jobs import TrainingJob
    from kerasnets.training.run import Run

WORST = 18  # wrong answers that are shown
MOST_CLASSES = 30  # rows of the table of classes; of more, the others are folded away
CONFUSIONS = 10  # pairs of classes that are named
NARROW = "narrow"  # the ending of a plot's name for a phone, which is only on the page


def write(
    job: "TrainingJob",
    run: "Run",
    evaluation: "Evaluation",
    figures: "Figures",
    permuted: Mapping[str, float] | None = None,
    material: Material = NOTHING,
) -> None:
    """Write report.html, curves.png, confusion.png, mistakes.png, epochs.csv and batches.csv, each file whole.

    Args:
        job: The training; the files go into its folder.
        run: Its result.
        evaluation: The evaluation of the test data.
        figures: Accuracy and loss by epoch and by batch.
        permuted: {recipe: test accuracy} of runs with and without permuted pixels; None for other recipes.
        material: What there is besides.

    Raises:
        OSError: A file cannot be written.
    """
    escapes = escaped_names(evaluation, job.data)
    drawn = encode_all(itertools.chain(curves_of(run, figures, job.recipe), plots_of(evaluation, job.data, material)))
    save_plots(job.folder, drawn)
    write_history(job.folder, figures)
    source = "Test accuracies of the runs whose model files are in the same folder."
    write_page(
        job.report,
        "training.html",
        title=f"{run.recipe} on {run.dataset}",
        **values_of(evaluation, drawn, job.data, material),
        remarks=[*remarks(run, evaluation, len(job.data.train_labels) - len(figures.plan.labels), job), *escapes],
        permuted=order_of_pixels(permuted, source) if permuted else None,
        settings=table_of_settings(job, run, len(figures.plan.labels)),
        checkpoints=checkpoints.mark_of(job.report.with_name("checkpoints")),
    )


def write_evaluation(
    folder: Path, title: str, evaluation: "Evaluation", data: "Data", material: Material = NOTHING
) -> None:
    """Write report.html, confusion.png and mistakes.png into `folder`, each file whole.

    Args:
        folder: Where the files go.
        title: The title of the page.
        evaluation: The evaluation of the test part of `data`.
        data: The data set.
        material: What there is besides.

    Raises:
        OSError: A file cannot be written.
    """
    escapes = escaped_names(evaluation, data)
    drawn = encode_all(plots_of(evaluation, data, material))
    save_plots(folder, drawn)
    write_page(
        folder / "report.html",
        "evaluation.html",
        title=title,
        **values_of(evaluation, drawn, data, material),
        remarks=[*of_test(evaluation), *escapes],
    )


def write_history(folder: Path, figures: "Figures") -> None:
    """Write epochs.csv and batches.csv into `folder`."""
    write_csv(folder / "epochs.csv", "epoch", figures.history)
    write_csv(folder / "batches.csv", "step", figures.batches)


# ---- plots ----


def curves_of(run: "Run", figures: "Figures", recipe: Recipe) -> Iterator[tuple[str, "Figure"]]:
    """Yield (name, figure): the learning curves for a wide page and for a narrow one."""
    is_cross_entropy = recipe.loss == "cross_entropy" and not recipe.label_smoothing  # as the test's loss is
    smoothing = f", labels smoothed by {recipe.label_smoothing:g}" * bool(recipe.label_smoothing)
    loss = "loss" if is_cross_entropy else f"loss: {LOSSES[recipe.loss]}{smoothing}"
    title = f"{run.recipe}, {run.backend}, seed {run.seed}"
    curves = [
        Curve("accuracy", figures.batches["accuracy"], run.accuracy, run.val_accuracy, run.test_accuracy),
        Curve(loss, figures.batches["loss"], run.loss, run.val_loss, run.test_loss if is_cross_entropy else None),
    ]
    for name, is_narrow in (("curves", False), (f"curves_{NARROW}", True)):
        yield name, learning_curves(title, curves, run.best_epoch, is_narrow)


def plots_of(evaluation: "Evaluation", data: "Data", material: Material = NOTHING) -> Iterator[tuple[str, "Figure"]]:
    """Yield (name, figure): the confusion matrix and, for pictures with wrong answers, the worst mistakes."""
    yield "confusion", plots.confusion(evaluation.confusion(), evaluation.class_names)
    worst = evaluation.worst(WORST) if data.test_images.ndim == 4 else np.zeros(0, int)
    if len(worst):
        captions, names = [caption(evaluation, i) for i in worst], [data.name_of(i) for i in worst]
        maps, images = findings.heats(material, data, worst, evaluation.predictions[worst]), data.test_images[worst]
        yield "mistakes", plots.grid(images, captions, names, 6, maps)
        yield f"mistakes_{NARROW}", plots.grid(images, captions, names, 3 if maps is None else 2, maps)


def escaped_names(evaluation: "Evaluation", data: "Data") -> list[str]:
    """Return a sentence, which is a note too, if no font has letters of the names in the figures; or nothing."""
    shown = [data.name_of(i) for i in evaluation.worst(WORST)] if data.test_images.ndim == 4 else []
    names = [name for name in (*evaluation.class_names, *shown) if lacked_by_all(visible(name))]
    if not names:
        return []
    example = drawable(names[0])
    text = (
        f"no installed font has all letters of {len(names)} of the names in the figures: {names[0]} is shown as "
        f"{example}; install a font with them, such as Noto Sans CJK"
    )
    note(text)
    return [f"{text}."]


def encode_all(figures: Iterable[tuple[str, "Figure"]]) -> dict[str, plots.Png]:
    """Return {name: PNG}. Each figure is drawn when its turn comes, and cleared: a canvas takes 20 MiB."""
    drawn = {}
    for name, figure in figures:
        drawn[name] = plots.dense(figure)
        figure.clear()  # its texts would keep the canvas until Python looks for cycles
    return drawn


def caption(evaluation: "Evaluation", i: int) -> str:
    """Return two lines: the class of the i-th picture; the answer and its probability."""
    name, answer = (evaluation.class_names[labels[i]] for labels in (evaluation.labels, evaluation.predictions))
    name, answer = label_and_answer(name, answer)
    return f"{name}\n→ {answer}  {evaluation.sureness[i]:.1%}"


def save_plots(folder: Path, drawn: Mapping[str, plots.Png]) -> None:
    for name, content in drawn.items():
        if not name.endswith(NARROW):
            with whole_file(folder / f"{name}.png") as part:
                part.write_bytes(content)


# ---- parts of the page ----


def values_of(
    evaluation: "Evaluation", drawn: Mapping[str, plots.Png], data: "Data", material: Material
) -> dict[str, object]:
    """Return the values of the template evaluation.html."""
    by_class = evaluation.by_class()
    is_long = len(by_class) > MOST_CLASSES
    worst_first = sorted(by_class, key=lambda figures: (figures[4] == 0, figures[3])) if is_long else by_class
    return {
        "evaluation": evaluation,
        "wrong": int((~evaluation.right).sum()),
        "classes": table_of(worst_first[:MOST_CLASSES] if is_long else by_class),
        "other_classes": table_of(by_class) if is_long else None,
        "confusions": confusions(evaluation),
        "has_maps": material.model is not None,
        "figures": {"mistakes": None, f"curves_{NARROW}": None, **drawn},
        "sections": sections.of_answers(evaluation, data, material),
        "last_sections": sections.of_pictures(evaluation, data, material),
    }


def table_of(classes: Sequence[tuple[str, float, float, float, int]]) -> Table:
    """Return the figures of classes as a table; a class without examples has no recall and no F1."""
    rows = [(name, f"{precision:.4f}", f"{recall:.4f}" if count else "", f"{f1:.4f}" if count else "", f"{count:,}")
            for name, precision, recall, f1, count in classes]  # fmt: skip
    return Table(("class", "precision", "recall", "F1", "examples"), rows, align="<>")


def confusions(evaluation: "Evaluation") -> Sequence[str]:
    """Return the most frequent confusions in words."""
    matrix = evaluation.confusion()
    sizes, names = matrix.sum(axis=1), evaluation.class_names
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind="stable")[:CONFUSIONS]
    pairs = [(int(i) // len(names), int(i) % len(names)) for i in order]
    return [f"{names[row]} taken for {names[column]}: {matrix[row, column]:,} of {sizes[row]:,}"
            for row, column in pairs if matrix[row, column]]  # fmt: skip


def order_of_pixels(accuracies: Mapping[str, float], source: str) -> "Markup":
    """Return the section on permuted pixels: {recipe: test accuracy}, and a sentence on their source."""
    rows = [(recipe, f"{accuracy:.4f}") for recipe, accuracy in accuracies.items()]
    return render("permuted.html", accuracies=Table(("recipe", "test accuracy"), rows, align="<>"), source=source)


def with_order_of_pixels(page: str, accuracies: Mapping[str, float]) -> str:
    """Return the HTML of a report with {recipe: test accuracy} in its section on permuted pixels.

    An earlier section is replaced.
    """
    before, earlier, after = page.partition("<h2>The order of the pixels</h2>")
    if earlier:
        after = "<h2>" + after.partition("<h2>")[2]
    else:
        before, _, after = page.partition("<h2>Each class")
        after = f"<h2>Each class{after}"
    section = order_of_pixels(accuracies, "Means of all runs listed in models_saved/README.md.")
    return f"{before}{section}\n{after}"


def write_csv(path: Path, first: str, columns: Mapping[str, Sequence[float]]) -> None:
    """Write {name: values} as CSV, after a column called `first` that counts from 1."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([first, *columns])
    writer.writerows([i, *values] for i, values in enumerate(zip(*columns.values(), strict=True), start=1))
    with whole_file(path) as part:
        part.write_text(buffer.getvalue(), encoding="utf-8")
