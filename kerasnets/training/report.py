"""What a person looks at after a training: one HTML report, its pictures as PNG, and the figures as CSV."""

import csv
import html
import io

from kerasnets.reports import plots
from kerasnets.reports.pages import image, section, table_of, write_page
from kerasnets.runtime.atomic import whole_file

WORST = 18  # wrongly judged pictures that are shown
MOST_NAMED = 3  # layers that are frozen

# Of the names in a recipe, in words.
AUGMENTATIONS = {
    "": "",
    "crop_flip": "moved by up to 4 pixels, half of them mirrored",
    "crop_flip_cutout": "moved by up to 4 pixels, half of them mirrored, a square of 16 pixels greyed",
    "shift": "moved by up to 2 pixels",
}
LOSSES = {"cross_entropy": "cross-entropy", "squared_error": "squared error of the probabilities"}
SCHEDULES = {
    "steps": lambda factor, steps: f", times {factor:g} from step {' and '.join(f'{step:,}' for step in steps)} on",
    "cosine": lambda warmup: f", reached in {warmup} epochs" * (warmup > 0) + ", falling to 0 in half a cosine",
}


def write(job, run, judged, figures, permuted=None):
    """Write report.html, curves.png, confusion.png, mistakes.png, epochs.csv and batches.csv into the job's folder.

    job: jobs.Job; run: training.Run; judged: the test data's evaluation.Evaluation; figures: callbacks.Figures;
    permuted: {recipe: test accuracy} of runs with and without permuted pixels, where this is one of them. Each file is
    written whole or not at all.
    """
    folder, curves = job.folder, plots.learning_curves(run, figures.batches)
    drawn = {"curves": curves, **pictures_of(judged, job.data)}
    for name, figure in drawn.items():
        plots.save_figure(figure, folder / f"{name}.png")
    write_history(folder, figures)
    body = [
        f'<p class="lead">{lead(run.test_accuracy, judged)}</p>',
        section("Learning curves", image(drawn["curves"])),
        *([section("The order of the pixels", order_of_pixels(permuted))] if permuted else []),
        *sections_of(judged, drawn),
        section("How it was made", table_of(facts_of(job, run, len(figures.plan.images)))),
    ]
    write_page(job.report, f"{run.recipe} on {run.dataset}", body)


def write_history(folder, figures):
    """Write epochs.csv and batches.csv into `folder`."""
    write_csv(folder / "epochs.csv", "epoch", figures.history)
    write_csv(folder / "batches.csv", "step", figures.batches)


def write_evaluation(folder, title, judged, data):
    """Write report.html, confusion.png and mistakes.png of an evaluation.Evaluation of a data.Data into `folder`."""
    drawn = pictures_of(judged, data)
    for name, figure in drawn.items():
        plots.save_figure(figure, folder / f"{name}.png")
    body = [f'<p class="lead">{lead(judged.accuracy, judged)}</p>', *sections_of(judged, drawn)]
    write_page(folder / "report.html", title, body)


def lead(accuracy, judged):
    wrong = int((judged.predictions != judged.labels).sum())
    nothing = " The model is <b>no better than that</b>; try a smaller learning rate or more epochs."
    return (
        f"<b>{accuracy:.2%}</b> of {len(judged.labels):,} test examples are classified correctly, {wrong:,} are not; "
        f"the cross-entropy is {judged.loss:.4f}. Always naming the most frequent class would be right in "
        f"{judged.majority:.2%} of cases.{'' if judged.beats_majority else nothing}"
    )


def pictures_of(judged, data):
    """{name: figure}: the confusion matrix, and the mistakes where pictures were judged and some wrongly."""
    drawn = {"confusion": plots.confusion(judged.confusion(), judged.class_names)}
    worst = judged.worst(WORST) if data.test_images.ndim == 4 else ()
    if len(worst):
        captions = [caption(judged, i) for i in worst]
        drawn["mistakes"] = plots.grid(data.test_images[worst], captions, [data.name_of(i) for i in worst])
    return drawn


def caption(judged, i):
    """The class of the i-th picture and, in the line below, what it was taken for and how surely."""
    name, answer = (judged.class_names[found[i]] for found in (judged.labels, judged.predictions))
    return f"{plots.cut(name, 22)}\n→ {plots.cut(answer, 14)}  {judged.sureness[i]:.1%}"


def sections_of(judged, drawn):
    """The parts of the page on an Evaluation."""
    yield section("Each class", by_class(judged))
    yield section("What is taken for what", image(drawn["confusion"]))
    if "mistakes" in drawn:
        note = (
            "<p>Wrong answers that the network was surest of: the class, what it answered, with which probability, and "
            "which picture of the test data it is.</p>"
        )
        yield section("The worst mistakes", note + image(drawn["mistakes"]))


def order_of_pixels(accuracies, of="Of the runs whose model files lie beside this one."):
    """What it does to put the pixels of all pictures into another order: {recipe: test accuracy}."""
    rows = "".join(f"<tr><td>{name}</td><td>{accuracy:.4f}</td></tr>" for name, accuracy in accuracies.items())
    return (
        "<p>In <em>-permuted</em> recipes the pixels of every picture lie in one other order, the same for all. A "
        "dense network joins each pixel with each unit, and does not notice. A convolution looks at neighbours, and "
        "lives on their order: it loses what made it better.</p>"
        f"<table><tr><th>recipe</th><th>test accuracy</th></tr>{rows}</table>"
        f'<p class="grey">{of}</p>'
    )


def with_order_of_pixels(page, accuracies):
    """A report's page, with the section on permuted pixels telling {recipe: test accuracy}, whatever it told before."""
    title = "The order of the pixels"
    before, found, after = page.partition(f"<h2>{title}</h2>")
    if found:
        after = "<h2>" + after.partition("<h2>")[2]
    else:
        before, _, after = page.partition("<h2>Each class")
        after = f"<h2>Each class{after}"
    told = section(title, order_of_pixels(accuracies, "Means of all runs that models_saved/README.md lists."))
    return f"{before}{told}\n{after}"


def by_class(judged):
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{precision:.4f}</td><td>{recall:.4f}</td><td>{f1:.4f}</td><td>{n:,}</td></tr>"
        for name, precision, recall, f1, n in judged.by_class()
    )
    return f"<table><tr><th>class</th><th>precision</th><th>recall</th><th>F1</th><th>examples</th></tr>{rows}</table>"


def facts_of(job, run, trained_on):
    """{what: how} of a run whose training part, less what validates, has `trained_on` examples; "" for what is not."""
    shape, examples = "x".join(map(str, job.network.input_shape[1:])), len(job.data.train_labels)
    kept = f", the weights are those of epoch {run.best_epoch}" if run.best_epoch < run.epochs else ""
    return {
        "recipe": run.recipe,
        "data": run.dataset,
        "examples": f"{trained_on:,} to train on, {examples - trained_on:,} to validate on, "
                    f"{len(job.data.test_labels):,} to test on",
        "network": f"{job.row.model} for {shape}, {job.parameters:,} trained parameters",
        "options": ", ".join(f"{name} {value}" for name, value in job.row.options.items()),
        "first weights": str(job.weights or ""),
        "frozen layers": frozen(job.frozen),
        "scaling": scaling(job),
        **settings_of(job.row),
        "epochs": f"{run.epochs} in {run.seconds:,.0f} s{kept}",
        "seed": str(run.seed),
        "backend": run.backend,
        "machine": run.machine,
        "versions": ", ".join(f"{name} {version}" for name, version in run.versions.items()),
        "commit": run.commit,
        "model": ", ".join(run.files),
        "figures": "epochs.csv and batches.csv beside this page",
    }  # fmt: skip


def settings_of(row):
    """{what: how} of a recipe's settings of the training; "" for what it leaves out."""
    momentum = f", momentum {row.momentum:g}" if row.momentum else ""
    schedule = SCHEDULES[row.schedule[0]](*row.schedule[1:]) if row.schedule else ""
    return {
        "augmentation": AUGMENTATIONS[row.augmentation],
        "batch size": str(row.batch_size or "all at once"),
        "optimizer": f"{row.optimizer}{momentum}",
        "learning rate": f"{row.learning_rate:g}{schedule}",
        "precision": f"{row.precision} inside, judged in float32" if row.precision != "float32" else "",
        "compiled": "each step as one program" if row.compiled else "",
        "loss": LOSSES[row.loss],
        "weight decay": f"{row.weight_decay:g}" if row.weight_decay else "",
        "label smoothing": f"{row.label_smoothing:g}" if row.label_smoothing else "",
    }


def scaling(job):
    """How pixels were scaled; "" of rows of numbers, which are not."""
    if job.scaling:
        return f"mean {job.row.mean}, deviation {job.row.deviation} of pixels / 255"
    return "as the first weights have it" if job.weights else ""


def frozen(names):
    """The first names of layers, and how many there are."""
    return ", ".join(names[:MOST_NAMED]) + (f", ... ({len(names)} layers)" if len(names) > MOST_NAMED else "")


def write_csv(path, first, columns):
    """Write {name: list} as CSV, with a column called `first` that counts from 1."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([first, *columns])
    writer.writerows([i, *values] for i, values in enumerate(zip(*columns.values(), strict=True), start=1))
    with whole_file(path) as part:
        part.write_text(buffer.getvalue(), encoding="utf-8")
