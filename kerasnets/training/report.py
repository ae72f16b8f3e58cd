"""The report of a training run or an evaluation: one HTML page, its plots as PNG, and the figures as CSV."""

import csv
import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kerasnets.recipes import Recipe
from kerasnets.reports import plots
from kerasnets.reports.curves import Curve, learning_curves
from kerasnets.reports.pages import render, write_page
from kerasnets.reports.tables import Table
from kerasnets.runtime.atomic import whole_file
from kerasnets.training import checkpoints
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
MOST_NAMED = 3  # frozen layers whose names are listed

# Name in a recipe -> words for the page
AUGMENTATIONS = {
    "": "",
    "crop_flip": "shifted by up to 4 pixels, half of the pictures mirrored",
    "crop_flip_cutout": "shifted by up to 4 pixels, half of the pictures mirrored, a square of 16 pixels greyed out",
    "shift": "shifted by up to 2 pixels",
    "shift_flip": "shifted by up to 2 pixels, half of the pictures mirrored",
    "crop": "shifted by up to 4 pixels",
    "flip": "half of the pictures mirrored",
    "photo": "a part of 8 to 100 % of the photo, half of them mirrored",
    "photo_colour": "a part of 8 to 100 % of the photo, half of them mirrored, in other colours",
}
LOSSES = {"cross_entropy": "cross-entropy", "squared_error": "squared error of the probabilities"}
SCHEDULES: dict[str, Callable[..., str]] = {
    "steps": lambda factor, steps: f", times {factor:g} from step {' and '.join(f'{step:,}' for step in steps)} on",
    "cosine": lambda warmup: f", reached in {warmup:g} epochs" * (warmup > 0) + ", falling to 0 in half a cosine",
    "linear": lambda warmup: f", reached in {warmup:g} epochs" * (warmup > 0) + ", falling to 0 in a line",
    "constant": lambda warmup: f", reached in {warmup:g} epochs" * (warmup > 0),
    "epochs": lambda factor, epochs, warmup=0: (
        f", reached in {warmup:g} epochs" * (warmup > 0)
        + f", times {factor:g} after epoch {' and '.join(map(str, epochs))}"
    ),
    "onecycle": lambda rise: f", reached after {rise:.0%} of all steps, then falling to almost 0",
}


def write(
    job: "TrainingJob",
    run: "Run",
    evaluation: "Evaluation",
    figures: "Figures",
    permuted: Mapping[str, float] | None = None,
) -> None:
    """Write report.html, curves.png, confusion.png, mistakes.png, epochs.csv and batches.csv, each file whole.

    Args:
        job: The training; the files go into its folder.
        run: Its result.
        evaluation: The evaluation of the test data.
        figures: Accuracy and loss by epoch and by batch.
        permuted: {recipe: test accuracy} of runs with and without permuted pixels; None for other recipes.

    Raises:
        OSError: A file cannot be written.
    """
    drawn = {"curves": curves_of(run, figures, job.recipe), **plots_of(evaluation, job.data)}
    save_plots(job.folder, drawn)
    write_history(job.folder, figures)
    source = "Test accuracies of the runs whose model files are in the same folder."
    write_page(
        job.report,
        "training.html",
        title=f"{run.recipe} on {run.dataset}",
        **values_of(evaluation, drawn),
        remarks=remarks(run, evaluation, len(job.data.train_labels) - len(figures.plan.images)),
        permuted=order_of_pixels(permuted, source) if permuted else None,
        settings=table_of_settings(job, run, len(figures.plan.images)),
        checkpoints=checkpoints.mark_of(job.report.with_name("checkpoints")),
    )


def write_evaluation(folder: Path, title: str, evaluation: "Evaluation", data: "Data") -> None:
    """Write report.html, confusion.png and mistakes.png into `folder`, each file whole.

    Args:
        folder: Where the files go.
        title: The title of the page.
        evaluation: The evaluation of the test part of `data`.
        data: The data set.

    Raises:
        OSError: A file cannot be written.
    """
    drawn = plots_of(evaluation, data)
    save_plots(folder, drawn)
    write_page(
        folder / "report.html",
        "evaluation.html",
        title=title,
        **values_of(evaluation, drawn),
        remarks=of_test(evaluation),
    )


def write_history(folder: Path, figures: "Figures") -> None:
    """Write epochs.csv and batches.csv into `folder`."""
    write_csv(folder / "epochs.csv", "epoch", figures.history)
    write_csv(folder / "batches.csv", "step", figures.batches)


# ---- plots ----


def curves_of(run: "Run", figures: "Figures", recipe: Recipe) -> "Figure":
    is_cross_entropy = recipe.loss == "cross_entropy" and not recipe.label_smoothing  # as the test's loss is
    smoothing = f", labels smoothed by {recipe.label_smoothing:g}" * bool(recipe.label_smoothing)
    loss = "loss" if is_cross_entropy else f"loss: {LOSSES[recipe.loss]}{smoothing}"
    curves = [
        Curve("accuracy", figures.batches["accuracy"], run.accuracy, run.val_accuracy, run.test_accuracy),
        Curve(loss, figures.batches["loss"], run.loss, run.val_loss, run.test_loss if is_cross_entropy else None),
    ]
    return learning_curves(f"{run.recipe}, {run.backend}, seed {run.seed}", curves, run.best_epoch)


def plots_of(evaluation: "Evaluation", data: "Data") -> dict[str, "Figure"]:
    """Return {name: figure}: the confusion matrix and, for pictures with wrong answers, the worst mistakes."""
    drawn = {"confusion": plots.confusion(evaluation.confusion(), evaluation.class_names)}
    worst = evaluation.worst(WORST) if data.test_images.ndim == 4 else ()
    if len(worst):
        captions = [caption(evaluation, i) for i in worst]
        drawn["mistakes"] = plots.grid(data.test_images[worst], captions, [data.name_of(i) for i in worst])
    return drawn


def caption(evaluation: "Evaluation", i: int) -> str:
    """Return two lines: the class of the i-th picture; the answer and its probability."""
    name, answer = (evaluation.class_names[labels[i]] for labels in (evaluation.labels, evaluation.predictions))
    return f"{plots.cut(name, 22)}\n→ {plots.cut(answer, 14)}  {evaluation.sureness[i]:.1%}"


def save_plots(folder: Path, drawn: Mapping[str, "Figure"]) -> None:
    for name, figure in drawn.items():
        plots.save_figure(figure, folder / f"{name}.png")


# ---- parts of the page ----


def values_of(evaluation: "Evaluation", drawn: dict[str, "Figure"]) -> dict[str, object]:
    """Return the values of the template evaluation.html."""
    classes = [
        (name, f"{precision:.4f}", f"{recall:.4f}", f"{f1:.4f}", f"{count:,}")
        for name, precision, recall, f1, count in evaluation.by_class()
    ]
    return {
        "evaluation": evaluation,
        "wrong": int((evaluation.predictions != evaluation.labels).sum()),
        "classes": Table(("class", "precision", "recall", "F1", "examples"), classes, align="<>"),
        "figures": {"mistakes": None, **drawn},
    }


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


def table_of_settings(job: "TrainingJob", run: "Run", train_count: int) -> Table:
    """Return how the model was made; `train_count` is the number of training examples without validation."""
    left_out = job.data.left_out
    shape, examples = "x".join(map(str, job.network.input_shape[1:])), len(job.data.train_labels)
    kept = f", the weights are from epoch {run.best_epoch}" if run.best_epoch < run.epochs else ""
    settings = {
        "recipe": run.recipe,
        "data": run.dataset,
        "examples": f"{train_count:,} for training, {examples - train_count:,} for validation, "
                    f"{len(job.data.test_labels):,} for the test",
        "left out": f"{len(left_out)} pictures that cannot be read: {name_some(left_out, 'pictures')}" * bool(left_out),
        "network": f"{job.recipe.model} for {shape}, {job.parameters:,} trained parameters",
        "options": ", ".join(f"{name} {value}" for name, value in job.recipe.options.items()),
        "first weights": str(job.weights or ""),
        "frozen layers": name_some(job.frozen),
        "scaling": scaling_of(job),
        **settings_of(job.recipe),
        "epochs": f"{run.epochs} in {run.seconds:,.0f} s{kept}",
        "seed": str(run.seed),
        "backend": run.backend,
        "machine": run.machine,
        "versions": ", ".join(f"{name} {version}" for name, version in run.versions.items()),
        "commit": run.commit,
        "model": ", ".join(run.files),
        "figures": "epochs.csv and batches.csv in the same folder",
    }  # fmt: skip
    return Table((), [(name, value) for name, value in settings.items() if value])


def settings_of(recipe: Recipe) -> dict[str, str]:
    """Return {name: words} of a recipe's settings of the training; "" for an unused one."""
    momentum = f", momentum {recipe.momentum:g}" if recipe.momentum and recipe.optimizer == "sgd" else ""
    schedule = SCHEDULES[recipe.schedule[0]](*recipe.schedule[1:]) if recipe.schedule else ""
    spared = "" if recipe.decay_norms else ", without biases and normalizations"
    words = {
        "augmentation": AUGMENTATIONS[recipe.augmentation],
        "batch size": str(recipe.batch_size or "all examples at once"),
        "optimizer": f"{recipe.optimizer}{momentum}",
        "learning rate": f"{recipe.learning_rate:g}{schedule}",
        "precision": f"{recipe.precision}; evaluated in float32" if recipe.precision != "float32" else "",
        "compiled": "each step as one program" if recipe.compiled else "",
        "loss": LOSSES[recipe.loss],
        "weight decay": f"{recipe.weight_decay:g}{spared}",
        "label smoothing": f"{recipe.label_smoothing:g}",
        "mixup": f"alpha {recipe.mixup:g}",
        "cutmix": f"alpha {recipe.cutmix:g}",
        "random erasing": f"a box in {recipe.random_erasing:.0%} of the pictures",
        "trivial augment": "one change out of fourteen to each picture",
        "class weights": recipe.class_weights,
        "gradient clip": f"norm of at most {recipe.gradient_clip:g}",
        "accumulate": f"{recipe.accumulate} batches for one step of the optimizer",
        "ema": f"average of the weights, momentum {recipe.ema:g} by batch; tested and saved",
        "patience": f"{recipe.patience} epochs without a better one",
    }
    defaults = {field.name: field.default for field in dataclasses.fields(Recipe)}

    def is_unused(name: str) -> bool:
        field = name.replace(" ", "_")
        return field != "loss" and field in defaults and getattr(recipe, field) == defaults[field]

    return {name: "" if is_unused(name) else text for name, text in words.items()}


def scaling_of(job: "TrainingJob") -> str:
    """Return how pixels were scaled; "" for rows of numbers, which are not scaled."""
    if job.scaling:
        return f"mean {job.recipe.mean}, std {job.recipe.std} of pixels / 255"
    return "as in the model file of the first weights" if job.weights else ""


def name_some(names: Sequence[str], things: str = "layers") -> str:
    """Return the first names of some things, and their number if there are more."""
    return ", ".join(names[:MOST_NAMED]) + (f", ... ({len(names)} {things})" if len(names) > MOST_NAMED else "")


def write_csv(path: Path, first: str, columns: Mapping[str, Sequence[float]]) -> None:
    """Write {name: values} as CSV, after a column called `first` that counts from 1."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([first, *columns])
    writer.writerows([i, *values] for i, values in enumerate(zip(*columns.values(), strict=True), start=1))
    with whole_file(path) as part:
        part.write_text(buffer.getvalue(), encoding="utf-8")
