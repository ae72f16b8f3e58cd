"""The report of a training: one HTML page, its images as PNG, and the figures as CSV."""

import csv
import html
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasnets.reports import plots
from kerasnets.reports.pages import image, section, table_of, write_page
from kerasnets.runtime.atomic import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kerasnets.data import Data
    from kerasnets.recipes import Recipe
    from kerasnets.training.callbacks import Figures
    from kerasnets.training.evaluation import Evaluation
    from kerasnets.training.jobs import TrainingJob
    from kerasnets.training.run import Run

WORST = 18  # misclassified images that are shown
MOST_NAMED = 3  # frozen layers that are named

# Words for the names in a recipe.
AUGMENTATIONS = {
    "": "",
    "crop_flip": "moved by up to 4 pixels, half of them mirrored",
    "crop_flip_cutout": "moved by up to 4 pixels, half of them mirrored, a square of 16 pixels greyed",
    "shift": "moved by up to 2 pixels",
}
LOSSES = {"cross_entropy": "cross-entropy", "squared_error": "squared error of the probabilities"}


def write(
    job: "TrainingJob",
    run: "Run",
    test: "Evaluation",
    figures: "Figures",
    permuted: Mapping[str, float] | None = None,
) -> None:
    """Write report.html, curves.png, confusion.png, mistakes.png, epochs.csv and batches.csv into the job's folder.

    Each file is written whole or not at all.

    Args:
        job: The training.
        run: Its result.
        test: The evaluation of the test data.
        figures: The figures by batch and epoch.
        permuted: {recipe: test accuracy} of runs with and without permuted pixels, if this run is one of them.
    """
    folder, curves = job.folder, plots.learning_curves(run, figures.batches)
    drawn = {"curves": curves, **images_of(test, job.data)}
    for name, figure in drawn.items():
        plots.save_figure(figure, folder / f"{name}.png")
    write_history(folder, figures)
    body = [
        f'<p class="lead">{lead(run.test_accuracy, test)}</p>',
        section("Learning curves", image(drawn["curves"])),
        *([section("The order of the pixels", order_of_pixels(permuted))] if permuted else []),
        *sections_of(test, drawn),
        section("How it was made", table_of(facts_of(job, run, len(figures.plan.images)))),
    ]
    write_page(job.report, f"{run.recipe} on {run.dataset}", body)


def write_history(folder: Path, figures: "Figures") -> None:
    """Write epochs.csv and batches.csv into `folder`."""
    write_csv(folder / "epochs.csv", "epoch", figures.history)
    write_csv(folder / "batches.csv", "step", figures.batches)


def write_evaluation(folder: Path, title: str, test: "Evaluation", data: "Data") -> None:
    """Write report.html, confusion.png and mistakes.png of the evaluation `test` of `data` into `folder`."""
    drawn = images_of(test, data)
    for name, figure in drawn.items():
        plots.save_figure(figure, folder / f"{name}.png")
    body = [f'<p class="lead">{lead(test.accuracy, test)}</p>', *sections_of(test, drawn)]
    write_page(folder / "report.html", title, body)


def lead(accuracy: float, test: "Evaluation") -> str:
    """Return the first paragraph of the page."""
    wrong = int((test.predictions != test.labels).sum())
    nothing = " The model is <b>no better than that</b>; try a smaller learning rate or more epochs."
    return (
        f"<b>{accuracy:.2%}</b> of {len(test.labels):,} test examples are classified correctly, {wrong:,} are not; "
        f"the cross-entropy is {test.loss:.4f}. Always naming the most frequent class would be right in "
        f"{test.majority:.2%} of cases.{'' if test.beats_majority else nothing}"
    )


def images_of(test: "Evaluation", data: "Data") -> "dict[str, Figure]":
    """Draw the confusion matrix, and the mistakes if the data are images and some are misclassified."""
    drawn = {"confusion": plots.confusion(test.confusion(), test.class_names)}
    worst = test.worst(WORST) if data.test_images.ndim == 4 else ()
    if len(worst):
        captions = [caption(test, i) for i in worst]
        drawn["mistakes"] = plots.grid(data.test_images[worst], captions, [data.name_of(i) for i in worst])
    return drawn


def caption(test: "Evaluation", i: int) -> str:
    """Return the class of the i-th image and, in a second line, its prediction and the probability of that."""
    name, answer = (test.class_names[classes[i]] for classes in (test.labels, test.predictions))
    return f"{plots.cut(name, 22)}\n→ {plots.cut(answer, 14)}  {test.sureness[i]:.1%}"


def sections_of(test: "Evaluation", drawn: "Mapping[str, Figure]") -> Iterator[str]:
    """Yield the sections of the page that describe an Evaluation."""
    yield section("Each class", by_class(test))
    yield section("Confusion matrix", image(drawn["confusion"]))
    if "mistakes" in drawn:
        note = (
            "<p>The wrong answers with the highest probability. Above each image are its class, the "
            "answer and the answer's probability; below it is its file or its index in the test data.</p>"
        )
        yield section("The worst mistakes", note + image(drawn["mistakes"]))


def order_of_pixels(accuracies: Mapping[str, float], note: str = "From the model files beside this one.") -> str:
    """Return the text on permuted pixels, with {recipe: test accuracy} as a table and a note below it."""
    rows = "".join(f"<tr><td>{name}</td><td>{accuracy:.4f}</td></tr>" for name, accuracy in accuracies.items())
    return (
        "<p>The <em>-permuted</em> recipes put the pixels of all images into the same random order. A dense network "
        "connects every pixel with every unit, so the order does not matter to it. A convolution sees only "
        "neighbouring pixels, so it loses the advantage that it has on the original images.</p>"
        f"<table><tr><th>recipe</th><th>test accuracy</th></tr>{rows}</table>"
        f'<p class="grey">{note}</p>'
    )


def with_order_of_pixels(page: str, accuracies: Mapping[str, float]) -> str:
    """Return a report's page with {recipe: test accuracy} in its section on permuted pixels, which may be missing."""
    title = "The order of the pixels"
    before, heading, after = page.partition(f"<h2>{title}</h2>")
    if heading:
        after = "<h2>" + after.partition("<h2>")[2]
    else:
        before, _, after = page.partition("<h2>Each class")
        after = f"<h2>Each class{after}"
    text = section(title, order_of_pixels(accuracies, "Means of all runs in models_saved/README.md."))
    return f"{before}{text}\n{after}"


def by_class(test: "Evaluation") -> str:
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{precision:.4f}</td><td>{recall:.4f}</td><td>{f1:.4f}</td><td>{n:,}</td></tr>"
        for name, precision, recall, f1, n in test.by_class()
    )
    return f"<table><tr><th>class</th><th>precision</th><th>recall</th><th>F1</th><th>examples</th></tr>{rows}</table>"


def facts_of(job: "TrainingJob", run: "Run", trained_on: int) -> dict[str, str]:
    """Return the settings of a run that trained on `trained_on` examples, in words; "" if one does not apply."""
    shape, examples = "x".join(map(str, job.network.input_shape[1:])), len(job.data.train_labels)
    kept = f", weights of epoch {run.best_epoch}" if run.best_epoch < run.epochs else ""
    return {
        "recipe": run.recipe,
        "data": run.dataset,
        "examples": f"{trained_on:,} to train on, {examples - trained_on:,} to validate on, "
                    f"{len(job.data.test_labels):,} to test on",
        "network": f"{job.recipe.model} for {shape}, {job.parameters:,} trained parameters",
        "options": ", ".join(f"{name} {value}" for name, value in job.recipe.options.items()),
        "first weights": str(job.weights or ""),
        "frozen layers": first_names(job.frozen),
        "scaling": scaling_of(job),
        **settings_of(job.recipe),
        "epochs": f"{run.epochs} in {run.seconds:,.0f} s{kept}",
        "seed": str(run.seed),
        "backend": run.backend,
        "machine": run.machine,
        "versions": ", ".join(f"{name} {version}" for name, version in run.versions.items()),
        "commit": run.commit,
        "model": ", ".join(run.files),
        "figures": "epochs.csv and batches.csv beside this page",
    }  # fmt: skip


def settings_of(recipe: "Recipe") -> dict[str, str]:
    """Return a recipe's settings in words; "" if the recipe leaves one out."""
    momentum = f", momentum {recipe.momentum:g}" if recipe.momentum else ""
    schedule = SCHEDULES[recipe.schedule[0]](*recipe.schedule[1:]) if recipe.schedule else ""
    return {
        "augmentation": AUGMENTATIONS[recipe.augmentation],
        "batch size": str(recipe.batch_size or "all at once"),
        "optimizer": f"{recipe.optimizer}{momentum}",
        "learning rate": f"{recipe.learning_rate:g}{schedule}",
        "precision": f"{recipe.precision} in training, float32 in the test" if recipe.precision != "float32" else "",
        "compiled": "each step is one program" if recipe.compiled else "",
        "loss": LOSSES[recipe.loss],
        "weight decay": f"{recipe.weight_decay:g}" if recipe.weight_decay else "",
        "label smoothing": f"{recipe.label_smoothing:g}" if recipe.label_smoothing else "",
    }


def steps_in_words(factor: float, steps: Sequence[int]) -> str:
    return f", times {factor:g} from step {' and '.join(f'{step:,}' for step in steps)} on"


def cosine_in_words(warmup: int) -> str:
    return f", reached in {warmup} epochs" * (warmup > 0) + ", falling to 0 in half a cosine"


SCHEDULES: dict[str, Any] = {"steps": steps_in_words, "cosine": cosine_in_words}


def scaling_of(job: "TrainingJob") -> str:
    """Return how pixels are scaled; "" for rows of numbers, which are not."""
    if job.scaling:
        return f"mean {job.recipe.mean}, std {job.recipe.std} of pixels / 255"
    return "the same as in the first weights" if job.weights else ""


def first_names(names: Sequence[str]) -> str:
    """Return the first names of layers, and the number of all."""
    return ", ".join(names[:MOST_NAMED]) + (f", ... ({len(names)} layers)" if len(names) > MOST_NAMED else "")


def write_csv(path: Path, first: str, columns: Mapping[str, Iterable[float]]) -> None:
    """Write {name: values} as CSV, with a column `first` that counts from 1."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([first, *columns])
    writer.writerows([i, *values] for i, values in enumerate(zip(*columns.values(), strict=True), start=1))
    with whole_file(path) as part:
        part.write_text(buffer.getvalue(), encoding="utf-8")
