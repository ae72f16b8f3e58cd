"""From a recipe to a trained model file. The only place that calls fit."""

import contextlib
import dataclasses
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasnets import backends

backends.choose()  # before the first import of Keras

import keras  # noqa: E402

from kerasnets import batches, checkpoints, data, evaluation, models, report, saving, stopping  # noqa: E402
from kerasnets.callbacks import Figures, Progress, StopWhenAsked, TensorBoard  # noqa: E402
from kerasnets.errors import BadInputError, shorten  # noqa: E402
from kerasnets.files import check_writable  # noqa: E402
from kerasnets.graph import copy_weights, rebuild  # noqa: E402
from kerasnets.optimization import compile_for  # noqa: E402
from kerasnets.recipes import RECIPES, Recipe, changed  # noqa: E402

MODELS_SAVED = Path("models_saved")

LEFT_OPEN = ("published", "goal", "goal_on", "dataset")  # of a recipe, in which a run that goes on may differ

# Where the channels lie inside while training; last, where nothing stands here. In channels_last, Keras' torch backend
# copies to NCHW and back around every convolution and pooling.
FASTEST_LAYOUT = {"torch": "channels_first"}


@dataclass(frozen=True)
class Run:
    """What one training came to. Accuracies are fractions, losses as the recipe has them, the test's cross-entropy."""

    recipe: str
    dataset: str
    backend: str
    seed: int
    epochs: int  # that were trained; fewer than asked for where no better one came
    best_epoch: int  # from 1: the one whose weights the file has
    test_accuracy: float
    test_loss: float  # nats
    majority: float  # the accuracy of always naming the test data's most frequent class
    accuracy: list[float]  # by epoch
    loss: list[float]
    val_accuracy: list[float]  # empty where nothing was set apart
    val_loss: list[float]
    seconds: float  # of all epochs
    files: list[str]
    report: str  # the HTML file with all that a person looks at; figures by batch and epoch lie beside it
    versions: dict[str, str]
    machine: str

    def line(self):
        """The result as one greppable line."""
        best = self.best_epoch - 1
        validation = f"val_accuracy={self.val_accuracy[best]:.4f} " if self.val_accuracy else ""
        return (
            f"result recipe={self.recipe} test_accuracy={self.test_accuracy:.4f} test_loss={self.test_loss:.4f} "
            f"{validation}train_accuracy={self.accuracy[best]:.4f} majority={self.majority:.4f} epochs={self.epochs} "
            f"seed={self.seed} backend={self.backend} seconds={self.seconds:.0f} files={','.join(self.files)} "
            f"report={self.report}"
        )

    def json(self):
        return json.dumps(dataclasses.asdict(self))


def train(
    recipe, *, fallback=None, arrays=None, epochs=None, batch_size=None, seed=0, out=None, data_dir=None,
    image_size=None, weights=None, freeze=(), resume=False, tensorboard=False,
):  # fmt: skip
    """Train `recipe` by model.fit, judge it on the test data, save it; return the Run.

    recipe: a name in RECIPES, or a Recipe, as `recipes.own` makes one of a model and a data set.
    fallback: the recipe to train where the data of `recipe` cannot be had and no `data_dir` was named; said on stderr,
        and in the file's name.
    arrays: a Data to train on, in place of the recipe's data set.
    epochs, batch_size: in place of the recipe's. seed: of split, order, augmentation and initial weights; a run
        repeats on the same backend.
    out: the model file to write, or several (.keras, .h5); models_saved/<recipe>.keras where None. A folder beside the
        first, of the same name, gets report.html, its pictures, epochs.csv, batches.csv and the checkpoints.
    data_dir, image_size: as in load_data.
    weights: a model file to begin with, with a fresh head where its classes are others; `freeze` names the layers of
        it that are not trained, as in transfer.freeze.
    resume: go on after the last epoch of an earlier run of the same settings, to the same result as without a stop.
    tensorboard: whether to write logs for TensorBoard too.
    Raises ValueError for what cannot be meant, BadInputError for damaged data, ConnectionError where there are none,
    OSError for a file that cannot be written, FloatingPointError where the loss stops being a finite number.
    """
    row = row_of(recipe)
    if fallback and fallback not in RECIPES:
        fallback = None
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be from 0 to 2**32 - 1, not {seed}")
    for name, value in (("epochs", epochs), ("batch size", batch_size)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    if freeze and weights is None:
        raise ValueError("freeze goes with weights: nothing is learned from layers that are frozen as drawn")
    out = [out] if isinstance(out, (str, Path)) else out or []
    for path in out:
        saving.check_suffix(path)
    wanted = row
    row, found = (row, arrays) if arrays is not None else load_with_fallback(row, fallback, data_dir, image_size)
    data.check(found)
    row = changed(row, epochs=epochs, batch_size=batch_size)
    check_row(row, found)
    files = output_files(out, row, replaced=row.name != wanted.name)
    if row.name != wanted.name:
        print(fallback_line(wanted, row, files[0]), file=sys.stderr)

    keras.utils.set_random_seed(seed)
    network, scaling, input_kind = network_of(row, found, weights, freeze)
    network.summary()
    job = Job(row, found, network, scaling, input_kind, seed, files, resume, tensorboard)
    figures, judged = fit(job)
    run = run_of(job, figures, judged)
    model = rebuild(network, scaling=scaling, probabilities=True)
    for path in files:
        saving.save(model, path, card_of(run, job))
    report.write(job.folder, run, judged, found.test_images, figures, permuted_pairs(run, files[0]))
    return run


@dataclass(frozen=True)
class Job:
    """All that one training takes."""

    row: Recipe
    data: data.Data
    network: keras.Model  # in channels_last, to logits
    scaling: tuple | None  # None where `network` scales its pixels itself
    input_kind: str  # how a picture of another shape is brought to the network's
    seed: int
    files: list[Path]
    resume: bool
    tensorboard: bool

    @property
    def folder(self):
        """Where the report and the checkpoints of this training lie."""
        return folder_of(self.files[0])


def fit(job):
    """Train the job's network in place, in the backend's fastest layout; return (Figures, test Evaluation)."""
    row, found = job.row, job.data
    layout = FASTEST_LAYOUT.get(keras.backend.backend(), "channels_last")
    trainee = rebuild(job.network, layout=layout, scaling=job.scaling)
    shape = job.network.input_shape[1:]
    train, validation = split_of(row, found, job.seed)
    images, prepare = batches.fitted(found.train_images, job.input_kind, shape)
    plan = batches.Batches(
        images[train], found.train_labels[train], row.batch_size, row.epochs, job.seed, 0, row.augmentation, prepare
    )
    compile_for(trainee, row, plan.steps_per_epoch, row.epochs)
    settings = settings_of(job)
    place = job.folder / "checkpoints"

    def save(epoch, arrays):
        checkpoints.save(place, checkpoints.Checkpoint(epoch, settings, arrays), alone=epoch == 1)

    figures = Figures(plan, row.keep_best, row.patience, save)
    begin(job, trainee, figures, place, settings)
    plan.first = len(figures.history.get("loss", ()))
    watchers = [keras.callbacks.TerminateOnNaN(), StopWhenAsked(), figures]
    watchers.append(Progress(plan.steps_per_epoch, row.epochs, plan.first))
    if job.tensorboard:
        watchers.append(TensorBoard(job.folder / "tensorboard", figures))
    try:
        with stopping.after_the_step():
            if plan.first < row.epochs and not figures.is_over:
                judge = batches.InOrder(images[validation], found.train_labels[validation], prepare=prepare)
                trainee.fit(
                    plan,
                    steps_per_epoch=plan.steps_per_epoch,
                    validation_data=judge if len(validation) else None,
                    initial_epoch=plan.first,
                    epochs=row.epochs,
                    shuffle=False,  # Batches does, alike on every backend
                    callbacks=watchers,
                    verbose=0,  # Progress tells
                )
            if figures.diverged:
                raise diverged(row)
            if figures.best:
                checkpoints.assign(checkpoints.variables(trainee), figures.best)
            images, prepare = batches.fitted(found.test_images, job.input_kind, shape)
            judged = evaluation.evaluate(
                trainee, images, found.test_labels, found.class_names, prepare, [StopWhenAsked()]
            )
            if not np.isfinite(judged.loss):
                raise diverged(row)
    except stopping.Stopped as stopped:
        kept = len(figures.history.get("loss", ()))
        if kept:
            stopped.note = f"{kept} of {row.epochs} epochs are kept in {shorten(place)}; --resume goes on with them"
        raise
    copy_weights(trainee, job.network)
    return figures, judged


def diverged(row):
    return FloatingPointError(
        f"the loss of {row.name} became NaN or infinite; try a smaller learning rate or another --seed"
    )


def begin(job, trainee, figures, place, settings):
    """Take up an earlier run's state where the job resumes one; else tell of one that is being left."""
    if job.resume:
        checkpoint = checkpoints.load(place, settings)
        if checkpoint is None:
            print(f"note: no checkpoint in {shorten(place)}: beginning at the first epoch", file=sys.stderr)
            return
        if checkpoint.epoch > job.row.epochs:
            raise ValueError(f"{checkpoint.epoch} epochs are in {shorten(place)} already, more than {job.row.epochs}")
        checkpoints.restore(trainee, checkpoint)
        figures.resume(checkpoint)
        print(f"resuming after epoch {checkpoint.epoch} of {job.row.epochs}")
        return
    if checkpoints.files(place):
        print(f"note: the first epoch replaces the checkpoints in {shorten(place)}; --resume goes on with them",
              file=sys.stderr)  # fmt: skip


def split_of(row, found, seed):
    """(train, validation) indices; BadInputError where the classes are too small to be split."""
    try:
        return data.split(found.train_labels, row.validation, seed)
    except ValueError as error:
        raise BadInputError(
            f"{found.title} is too small to set {row.validation} apart for validation ({error}); add pictures to the "
            "small classes"
        ) from error


def check_row(row, found):
    """Raise ValueError for settings that cannot be meant, or not on these data."""
    if not row.learning_rate > 0:
        raise ValueError(f"the learning rate must be above 0, not {row.learning_rate}")
    if row.patience < 0:
        raise ValueError(f"patience must be at least 0, not {row.patience}")
    if row.patience and not (row.keep_best and row.validation):
        raise ValueError(f"{row.name} sets nothing apart for validation: patience has nothing to go by")
    if row.augmentation and len(found.image_shape) != 3:
        raise ValueError(f"{row.augmentation} changes pictures; {found.title} has rows of numbers")


def row_of(recipe):
    """The Recipe that is meant by a name, or a Recipe itself."""
    if isinstance(recipe, Recipe):
        return recipe
    if recipe not in RECIPES:
        raise ValueError(f"unknown recipe {recipe!r} (model-dataset); choose one of: {', '.join(RECIPES)}")
    return RECIPES[recipe]


def network_of(row, found, weights, freeze):
    """Return (network to logits, scaling for its pixels, input kind): fresh, or beginning with a file's weights."""
    num_classes = len(found.class_names)
    if weights is None:
        shape = row.image_shape or found.image_shape
        network = models.build(row.model, input_shape=shape, num_classes=num_classes, **row.options)
        return network, row.scaling if len(shape) == 3 else None, row.input_kind or found.input_kind
    from kerasnets.transfer import with_classes

    model, card = saving.load(weights, logits=True)
    if card.model != row.model:
        raise ValueError(f"{shorten(weights)} is a {card.model}, not a {row.model}; name that by --model")
    return with_classes(model, num_classes, freeze), None, card.input_kind


def settings_of(job):
    """What must be the same in two runs for one to go on where the other stopped, for a checkpoint to hold."""
    row = {name: value for name, value in dataclasses.asdict(job.row).items() if name not in LEFT_OPEN}
    if not (job.row.schedule and job.row.schedule[0] == "cosine"):
        del row["epochs"]  # more of them only go on
    sha = hashlib.sha256()
    for array in (job.data.train_images, job.data.train_labels):
        sha.update(np.ascontiguousarray(array))
    frozen = [layer.name for layer in job.network.layers if not layer.trainable]
    return {**row, "seed": job.seed, "data": sha.hexdigest()[:16], "frozen": frozen}


def load_with_fallback(row, fallback, data_dir, image_size):
    """Return (row, Data) of `row`, or of the recipe `fallback` where the first's data are nowhere to be had."""
    try:
        return row, data.load_data(row.dataset, data_dir, image_size)
    except ConnectionError:
        if not fallback or data_dir:  # who names a folder wants what should be in it
            raise
    return RECIPES[fallback], data.load_data(RECIPES[fallback].dataset)


def fallback_line(wanted, row, path):
    wanted, found = data.DATASETS[wanted.dataset].title, data.DATASETS[row.dataset].title
    return (
        f"{wanted} is not here and cannot be downloaded: training on {found} instead, into {path}. "
        f"For {wanted}, go online, or name the folder that holds its files by --data-dir"
    )


def output_files(out, row, replaced):
    """The model files to write. One that was meant for another data set's model gets this one's into its name."""
    files = [Path(path) for path in out] or [MODELS_SAVED / f"{row.name}.keras"]
    if replaced:
        files = [f if f.stem.endswith(f"-{row.dataset}") else f.with_stem(f"{f.stem}-{row.dataset}") for f in files]
    for path in [*files, folder_of(files[0]) / "report.html"]:
        check_writable(path)
    return files


def folder_of(path):
    """The folder beside the model file `path` for all that a training leaves but the model."""
    return path.with_suffix("")


def run_of(job, figures, judged):
    history = figures.history
    return Run(
        recipe=job.row.name,
        dataset=job.data.title,
        backend=keras.backend.backend(),
        seed=job.seed,
        epochs=len(history["loss"]),
        best_epoch=figures.best_epoch + 1,
        test_accuracy=judged.accuracy,
        test_loss=judged.loss,
        majority=judged.majority,
        accuracy=history["accuracy"],
        loss=history["loss"],
        val_accuracy=history.get("val_accuracy", []),
        val_loss=history.get("val_loss", []),
        seconds=round(sum(history["seconds"]), 1),
        files=[str(path) for path in job.files],
        report=str(job.folder / "report.html"),
        versions=backends.versions(),
        machine=backends.machine(),
    )


def permuted_pairs(run, path):
    """{recipe: test accuracy} of this run and of those beside it that tell what permuted pixels do; none elsewhere."""
    permuted = {name: row.permuted for name, row in data.DATASETS.items() if row.permuted}
    models_of_pairs = {row.model for row in RECIPES.values() if row.dataset in permuted}
    pairs = [name for name, row in RECIPES.items()
             if row.model in models_of_pairs and row.dataset in {*permuted, *permuted.values()}]  # fmt: skip
    if run.recipe not in pairs or run.recipe not in path.name:  # of another name, the others' cannot be known
        return {}
    accuracies = {}
    for name in pairs:
        with contextlib.suppress(BadInputError):  # one that is missing or damaged tells nothing; this run is done
            accuracies[name] = saving.load_card(path.with_name(path.name.replace(run.recipe, name))).accuracy
    return accuracies


def card_of(run, job):
    return saving.Card(
        model=job.row.model,
        dataset=run.dataset,
        recipe=run.recipe,
        class_names=job.data.class_names,
        input_kind=job.input_kind,
        input_shape=job.network.input_shape[1:],
        accuracy=run.test_accuracy,
        val_accuracy=run.val_accuracy[run.best_epoch - 1] if run.val_accuracy else None,
        epochs=run.epochs,
        seed=run.seed,
        versions=run.versions,
        commit=saving.commit(),
    )
