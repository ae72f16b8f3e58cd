"""From a recipe to a trained model file. The only place that calls fit."""

from kerasnets.runtime.chosen import BACKEND as BACKEND

import contextlib
import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from kerasnets import data, saving
from kerasnets.data import fitting
from kerasnets.errors import BadInputError, shorten
from kerasnets.graph import copy_weights, rebuild
from kerasnets.recipes import FINETUNED, changed, permuted_pairs
from kerasnets.runtime import provenance, signals
from kerasnets.training import batches, checkpoints, evaluation, jobs, report
from kerasnets.training.callbacks import Figures, Progress, StopWhenAsked, TensorBoard
from kerasnets.training.optimizers import compile_for

JUDGED_AT_ONCE = 500  # pictures a step at most; no more than are trained on, for which there is memory


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
    commit: str  # of kerasnets; "" where it is not a checkout

    def line(self):
        """The result as one greppable line."""
        best = self.best_epoch - 1
        validation = f"val_accuracy={self.val_accuracy[best]:.4f} " if self.val_accuracy else ""
        return (
            f"result recipe={self.recipe} test_accuracy={self.test_accuracy:.4f} test_loss={self.test_loss:.4f} "
            f"{validation}train_accuracy={self.accuracy[best]:.4f} majority={self.majority:.4f} epochs={self.epochs} "
            f"best_epoch={self.best_epoch} "
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

    recipe: a name in RECIPES, or a Recipe, as `recipes.own` makes one of a model and a data set; its other settings,
        as learning_rate, precision and compiled, are changed by dataclasses.replace(RECIPES[name], ...).
    fallback: the recipe to train where the data of `recipe` cannot be had and no `data_dir` was named; said on stderr,
        and in the file's name.
    arrays: a Data to train on, in place of the recipe's data set.
    epochs, batch_size: in place of the recipe's. seed: of split, order, augmentation and initial weights; a run
        repeats on the same backend.
    out: the model file to write, or several (.keras, .h5); models_saved/<recipe>.keras where None. A folder beside the
        first, of the same name, gets report.html, its pictures, epochs.csv, batches.csv and the checkpoints.
    data_dir, image_size: as in load_data; own pictures take the size of `weights` where those are given.
    weights: a model file to begin with, with a fresh head where its classes are others; `freeze` names the layers of
        it that are not trained, as in transfer.freeze.
    resume: go on after the last epoch of an earlier run of the same settings, to the same result as without a stop.
    tensorboard: whether to write logs for TensorBoard too.
    Raises ValueError for impossible settings, BadInputError for damaged data, ConnectionError where there are none,
    OSError for a file that cannot be written, FloatingPointError where the loss stops being a finite number.
    """
    out = [out] if isinstance(out, (str, Path)) else out or []
    wanted = row = jobs.row_of(recipe)
    jobs.check_request(row, epochs, batch_size, seed, weights, freeze, out)
    if arrays is None:
        row, arrays = jobs.load_data(row, fallback, data_dir, image_size, weights)
    data.check(arrays)
    row = changed(row, epochs=epochs, batch_size=batch_size, variant=FINETUNED if weights else None)
    jobs.check_row(row, arrays)

    keras.utils.set_random_seed(seed)
    network, scaling, input_kind, begun_with = jobs.network_of(row, arrays, weights, freeze)
    files = jobs.output_files(out, row, replaced=row.dataset != wanted.dataset)
    if row.dataset != wanted.dataset:
        print(jobs.fallback_line(wanted, row, files[0]), file=sys.stderr)
    network.summary()
    job = jobs.Job(row, arrays, network, scaling, input_kind, begun_with, weights, seed, files, resume, tensorboard)
    figures, judged = fit(job)
    run = run_of(job, figures, judged)
    model = rebuild(network, scaling=scaling, probabilities=True)
    with telling_what_is_kept(job, figures):
        for path in files:
            saving.save(model, path, card_of(run, job))
        report.write(job, run, judged, figures, beside(run, files[0]))
    if not judged.beats_majority:
        print(
            f"note: the model is no better than always naming the most frequent class ({run.majority:.4f} of the test "
            "data); try a smaller learning rate (train.py --learning-rate) or more --epochs",
            file=sys.stderr,
        )
    return run


def fit(job):
    """Train the job's network in place, in the backend's fastest layout; return (Figures, test Evaluation)."""
    row, labels, shape = job.row, job.data.train_labels, job.network.input_shape[1:]
    train, validation = split_of(row, job.data, job.seed)
    images, prepare = fitting.fitted(job.data.train_images, job.data.input_kind, job.input_kind, shape)
    # `plan` alone holds the pictures, as `as_fit_takes` wants it
    plan = batches.Batches(images[train] if prepare else batches.on_accelerator(images[train]), labels[train],
                           row.batch_size, row.epochs, job.seed, augmentation=row.augmentation,
                           prepare=prepare)  # fmt: skip
    judge = fitting.InOrder(images[validation], labels[validation], judged_at_once(row), prepare)
    trainee = trainee_of(job.network, row, job.scaling, plan.steps_per_epoch)
    settings = job.settings()

    def save(epoch, arrays):
        checkpoints.save(job.checkpoints, checkpoints.Checkpoint(epoch, settings, arrays), alone=epoch == 1)

    figures = Figures(plan, row.keep_best, row.patience, save)
    begin(job, trainee, figures, settings)
    plan.first = figures.epochs
    with telling_what_is_kept(job, figures), signals.after_the_step():
        if plan.first < row.epochs and not figures.is_over:
            trainee.fit(
                batches.as_fit_takes(plan),
                steps_per_epoch=plan.steps_per_epoch,
                validation_data=judge if len(validation) else None,
                initial_epoch=plan.first,
                epochs=row.epochs,
                shuffle=False,  # Batches does, alike on every backend
                callbacks=watchers(job, plan, figures),
                verbose=0,  # Progress tells
            )
        if figures.is_over and figures.epochs < row.epochs:
            print(f"stopped after epoch {figures.epochs}: none was better on validation data than epoch "
                  f"{figures.best_epoch + 1}, which gives the weights")  # fmt: skip
        judged = judge_test_part(job, trainee, figures)
    copy_weights(trainee, job.network)
    return figures, judged


def trainee_of(network, row, scaling, steps_per_epoch):
    """A copy of `network` from raw pixels to logits as the backend computes it fastest, compiled for `row`."""
    trainee, backend = None, keras.backend.backend()
    if backend == "torch":
        from kerasnets.training.fast.torch_model import computed_by_torch

        trainee = computed_by_torch(network, row, scaling)
    elif backend == "tensorflow":
        from kerasnets.training.fast.tensorflow_model import computed_by_tensorflow

        trainee = computed_by_tensorflow(network, row, scaling)
    if trainee is None:
        trainee = rebuild(network, scaling=scaling, precision=row.precision)
    compile_for(trainee, row, steps_per_epoch, row.epochs)
    return trainee


@contextlib.contextmanager
def telling_what_is_kept(job, figures):
    """Let what ends the job's training within the block say how many epochs are kept, and leave their figures."""
    try:
        yield
    except (signals.Stopped, FloatingPointError, OSError) as ended:
        if figures.kept:
            with contextlib.suppress(OSError):  # of a full disk; the checkpoint has them too
                report.write_history(job.folder, figures)
            place = "" if isinstance(ended, OSError) else f" in {shorten(job.checkpoints)}"  # it names a file itself
            ended.note = f"{figures.kept} of {job.row.epochs} epochs are kept{place}; --resume goes on with them"
        raise


def judged_at_once(row):
    """How many pictures are judged in one step, as far as the network's memory needs are known."""
    return min(row.batch_size or JUDGED_AT_ONCE, JUDGED_AT_ONCE)


def watchers(job, plan, figures):
    """The callbacks of a training."""
    chosen = [keras.callbacks.TerminateOnNaN(), StopWhenAsked(), figures]
    chosen.append(Progress(plan.steps_per_epoch, job.row.epochs, plan.first))
    if job.tensorboard:
        chosen.append(TensorBoard(job.folder / "tensorboard", figures))
    return chosen


def judge_test_part(job, trainee, figures):
    """The Evaluation of the test data, by the best epoch's weights where such are kept."""
    if figures.diverged:
        raise diverged(job.row)
    if figures.best:
        checkpoints.assign(checkpoints.variables(trainee), figures.best)
    if job.row.precision != "float32":  # in which the file's network answers
        copy_weights(trainee, job.network)
        trainee = rebuild(job.network, scaling=job.scaling)
    found = job.data
    images, prepare = fitting.fitted(found.test_images, found.input_kind, job.input_kind, job.network.input_shape[1:])
    judge = fitting.InOrder(images, batch_size=judged_at_once(job.row), prepare=prepare)
    judged = evaluation.evaluate(trainee, judge, found.test_labels, found.class_names, [StopWhenAsked()])
    if not np.isfinite(judged.loss):
        raise diverged(job.row)
    return judged


def diverged(row):
    return FloatingPointError(
        f"the loss of {row.name} became NaN or infinite; try a smaller learning rate (train.py --learning-rate) or "
        "another --seed"
    )


def begin(job, trainee, figures, settings):
    """Take up an earlier run's state where the job resumes one; else tell of one that is being left."""
    place = job.checkpoints
    if not job.resume:
        leave(place, job.report)
        return
    if checkpoints.take_back(place):
        print(f"note: the checkpoints that were set aside are in {shorten(place)} again", file=sys.stderr)
    checkpoint = checkpoints.load(place, settings)
    if checkpoint is None:
        print(f"note: no checkpoint in {shorten(place)}: beginning at the first epoch", file=sys.stderr)
        return
    if checkpoint.epoch > job.row.epochs:
        raise ValueError(f"{checkpoint.epoch} epochs are in {shorten(place)} already, more than {job.row.epochs}")
    checkpoints.restore(trainee, checkpoint)  # and again when the first step begins, for the random numbers' sake
    figures.resume(checkpoint)
    print(f"resuming after epoch {checkpoint.epoch} of {job.row.epochs}")


def leave(place, report):
    """Tell of the checkpoints in `place`, if any, and set them aside where their run was not finished by a `report`."""
    if checkpoints.are_unfinished(place, report):
        print(
            f"note: the checkpoints of an unfinished run are in {shorten(checkpoints.set_aside(place))} now; to go on "
            f"with them, remove the folder {place.name} beside it and add --resume",
            file=sys.stderr,
        )
    elif checkpoints.files(place):
        note = f"the first epoch replaces the checkpoints in {shorten(place)}; --resume goes on with them"
        print(f"note: {note}", file=sys.stderr)


def split_of(row, found, seed):
    """(train, validation) indices; BadInputError where the classes are too small to be split."""
    try:
        return data.split(found.train_labels, row.validation, seed)
    except ValueError as error:
        share = f"{row.validation:.0%}" if row.validation < 1 else f"{row.validation} pictures"
        raise BadInputError(
            f"{found.title} is too small to set {share} of it apart for validation ({error}); add pictures to the "
            "small classes"
        ) from error


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
        report=str(job.report),
        versions=provenance.versions(),
        machine=provenance.machine(),
        commit=provenance.commit(),
    )


def beside(run, path):
    """{recipe: test accuracy} of this run and of those beside it that tell what permuted pixels do; none elsewhere."""
    pairs = permuted_pairs()
    if run.recipe not in pairs or run.recipe not in path.name:  # of another name, the others' cannot be known
        return {}
    accuracies = {}
    for name in pairs:
        with contextlib.suppress(BadInputError):  # one that is missing or damaged tells nothing; this run is done
            accuracies[name] = saving.load_card(path.with_name(path.name.replace(run.recipe, name))).accuracy
    return {name: accuracy for name, accuracy in accuracies.items() if accuracy is not None}  # of one not made by train


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
        commit=run.commit,
    )
