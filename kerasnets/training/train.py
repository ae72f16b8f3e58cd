"""From a recipe to a trained model file. The only module that calls Keras' fit for a training run."""

from kerasnets.runtime.chosen import BACKEND as BACKEND

import contextlib
import functools
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from kerasnets import data, saving
from kerasnets.data import fitting, index_files
from kerasnets.data.streams import Pictures, original_faults, select
from kerasnets.errors import BadInputError, visible
from kerasnets.graph import copy_weights, in_full_precision, rebuild
from kerasnets.recipes import Recipe, permuted_pairs
from kerasnets.runtime import signals
from kerasnets.runtime.claims import claim
from kerasnets.training import batches, evaluation, jobs, places, report, resumption, settings, state
from kerasnets.training.callbacks import Figures, StopWhenAsked, TensorBoard, TestAverages
from kerasnets.training.jobs import TrainingJob
from kerasnets.training.photos import PHOTOS
from kerasnets.training.progress import Progress
from kerasnets.training.regularization import regularization_of
from kerasnets.training.remarks import remarks
from kerasnets.training.run import Run, make_card, make_run
from kerasnets.training.trainee import trainee_of

TEST_BATCH = 500  # images in a step at most


@in_full_precision()
def train(
    recipe: str | Recipe, *, fallback: str | None = None, arrays: data.Data | None = None, epochs: int | None = None,
    batch_size: int | None = None, seed: int = 0, out: str | Path | Sequence[str | Path] | None = None,
    data_dir: str | Path | None = None, image_size: tuple[int, ...] | None = None, weights: str | Path | None = None,
    freeze: Sequence[str] = (), keep_head: bool = False, resume: bool = False, overwrite: bool = False,
    tensorboard: bool = False, stream: bool | None = None, skip_broken: int = 0, synsets: str | Path | None = None,
    guest: saving.Guest = saving.UNKNOWN,
) -> Run:  # fmt: skip
    """Train a recipe with model.fit, evaluate it on the test data, and save it as model files with a report.

    Weights, tests and model files are float32 under any dtype policy of Keras; `precision` of the recipe says what the
    training computes in.

    A folder beside the first model file, with the same name, gets report.html, its images, epochs.csv, batches.csv and
    the checkpoints. A run repeats exactly on the same backend and machine.

    Args:
        recipe: A name in RECIPES, or a Recipe. Change any setting by dataclasses.replace(RECIPES[name], ...).
        fallback: Name of the recipe to train if the data of `recipe` cannot be had and `data_dir` is None. A note on
            stderr says so, and the model files are named after its data set.
        arrays: A Data to train on, instead of the recipe's data set.
        epochs: Epochs instead of the recipe's, at least 1.
        batch_size: Images in a step instead of the recipe's, at least 1.
        seed: Seed of split, order, augmentation and initial weights, from 0 to 2**32 - 1.
        out: The model file to write, or several, each .keras or .h5. None is models_saved/<recipe>.keras. If an earlier
            run has written them, this one gets numbered names (a-2.keras); the Run has them.
        data_dir: Folder of the data, as in load_data.
        image_size: (height, width) to which own images are resized, in pixels, as in load_data. With `weights`, own
            images get the size of that model.
        weights: A model file whose weights training starts from, also of another program. Its last layer is always
            replaced with a fresh one.
        freeze: Names of layers or stages of that model that are not trained, as in `freeze`.
        keep_head: Whether the last layer of that model is kept; it must have the classes of the data.
        resume: Continue an interrupted run with the same settings. The result is that of an uninterrupted run.
        overwrite: Whether to replace the model files and report of an earlier run instead.
        tensorboard: Whether to write logs for TensorBoard too.
        stream: Whether own pictures are read from the disk batch by batch, with the same result. None does so if they
            exceed the memory.
        skip_broken: The most pictures that are left out because they cannot be read.
        synsets: A file with the names of class folders that are called after WordNet's synsets, as ImageNet's are. None
            takes LOC_synset_mapping.txt, if it lies in or above the folder of the data.
        guest: What is known about the file `weights` if kerasnets did not write it.

    Returns:
        The Run: accuracies, losses, files, versions.

    Raises:
        ValueError: A name is unknown or a setting impossible.
        BadInputError: Data, model file or checkpoints are damaged or do not fit.
        ConnectionError: The data are not on this disk and cannot be downloaded.
        OSError: A file cannot be written.
        FloatingPointError: The loss became NaN or infinite.

    Example:
        >>> import contextlib, io, tempfile
        >>> with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        ...     run = train("dnn_tabular-sum3-learned", epochs=2, out=f"{folder}/sums.keras")
        >>> run.recipe, run.epochs, len(run.loss)
        ('dnn_tabular-sum3-learned', 2, 2)
    """
    files = [out] if isinstance(out, (str, Path)) else out or ()
    job = jobs.prepare(jobs.Request(
        recipe=recipe, fallback=fallback, arrays=arrays, epochs=epochs, batch_size=batch_size, seed=seed, out=files,
        data_dir=data_dir, image_size=image_size, weights=weights, freeze=freeze, keep_head=keep_head,
        resume=resume, overwrite=overwrite, tensorboard=tensorboard, stream=stream, skip_broken=skip_broken,
        synsets=synsets, guest=guest,
    ))  # fmt: skip
    with claim([*map(places.folder_of, job.files), *job.files], "training"):
        figures, test = fit(job)
        run = make_run(job, figures, test)
        with resumption.note_kept_epochs(job, figures):
            save(job, run)
            report.write(job, run, test, figures, accuracies_beside(run, job.files[0]))
    for note in notes_on(run, test, len(job.data.train_labels) - len(figures.plan.images)):
        print(visible(f"note: {note}"), file=sys.stderr)
    return run


def fit(job: TrainingJob) -> tuple[Figures, evaluation.Evaluation]:
    """Train the job's network in place; return the figures of its epochs and the evaluation of its test data."""
    plan, validation = batches_of(job)
    keep_index(job)
    recipe, num_classes = job.recipe, len(job.data.class_names)
    weights = settings.class_weights_of(recipe, plan.labels, num_classes)
    trainee = trainee_of(job.network, recipe, job.scaling, plan.steps_per_epoch, weights)
    save = functools.partial(resumption.save, job)
    figures = Figures(plan, recipe.keep_best, recipe.patience, save, averages=bool(recipe.ema))
    with state.keep_threads(), resumption.note_kept_epochs(job, figures), signals.after_the_step():
        resumption.start(job, trainee, figures)
        plan.first = figures.epochs
        if plan.first < plan.epochs and not figures.is_over:
            run_epochs(job, trainee, plan, validation, figures)
        if figures.is_over and figures.epochs < plan.epochs:
            print(f"stopped after epoch {figures.epochs}: none was better on validation data than epoch "
                  f"{figures.best_epoch + 1}, which gives the weights")  # fmt: skip
        test = evaluate_test_data(job, trainee, figures)
    copy_weights(trainee, job.network)
    return figures, test


def batches_of(job: TrainingJob) -> tuple[batches.Batches, fitting.InOrder]:
    """Return the batches to train on and those to validate on, which may be none."""
    recipe, labels, shape = job.recipe, job.data.train_labels, job.network.input_shape[1:]
    training, validation = split_indices(job)
    source = job.data.train_images
    images, prepare = fitting.fit_to_network(source, job.data.input_kind, job.input_kind, shape)
    chosen = select(source if recipe.augmentation in PHOTOS else images, training)
    regularization = regularization_of(recipe, len(job.data.class_names))
    stays = prepare or recipe.augmentation in PHOTOS or regularization
    plan = batches.Batches(
        chosen if stays else batches.on_accelerator(chosen), labels[training], recipe.batch_size, recipe.epochs,
        seed=job.seed, augmentation=recipe.augmentation, prepare=prepare, shape=shape, regularization=regularization,
    )  # fmt: skip
    return plan, fitting.InOrder(select(images, validation), labels[validation], test_batch_size(recipe), prepare)


def keep_index(job: TrainingJob) -> None:
    """Write the index of streamed pictures into the job's folder, where a later run finds it."""
    images = job.data.train_images
    if isinstance(images, Pictures):
        index_files.save(images.index, job.folder / index_files.NAME)


def run_epochs(
    job: TrainingJob, trainee: keras.Model, plan: batches.Batches, validation: fitting.InOrder, figures: Figures
) -> None:
    """Train from the first epoch of `plan` to its last."""
    progress = Progress(plan.steps_per_epoch, plan.epochs, plan.first)
    with contextlib.closing(plan), contextlib.closing(progress), original_faults(plan, validation):
        watchers = [keras.callbacks.TerminateOnNaN(), StopWhenAsked(), figures, progress]
        if job.recipe.ema:
            watchers.append(TestAverages())
        if job.tensorboard:
            watchers.append(TensorBoard(job.folder / "tensorboard", figures))
        trainee.fit(
            batches.as_fit_takes(plan),  # `plan` must be the only owner of the images
            steps_per_epoch=plan.steps_per_epoch,
            validation_data=validation if len(validation) else None,
            initial_epoch=plan.first,
            epochs=plan.epochs,
            shuffle=False,  # Batches shuffles, in the same order on every backend
            callbacks=watchers,
            verbose=0,  # Progress prints
        )


def evaluate_test_data(job: TrainingJob, trainee: keras.Model, figures: Figures) -> evaluation.Evaluation:
    """Give `trainee` the best epoch's weights, if they are kept, and evaluate it on the test data in float32."""
    if figures.diverged:
        raise divergence(job.recipe)
    if figures.best:
        state.assign(state.variables(trainee), figures.best)
    model = trainee
    if job.recipe.precision != "float32":  # the model file computes in float32
        copy_weights(trainee, job.network)
        model = rebuild(job.network, scaling=job.scaling)
    examples, shape = job.data, job.network.input_shape[1:]
    images, prepare = fitting.fit_to_network(examples.test_images, examples.input_kind, job.input_kind, shape)
    in_order = fitting.InOrder(images, batch_size=test_batch_size(job.recipe), prepare=prepare)
    test = evaluation.evaluate(model, in_order, examples.test_labels, examples.class_names, [StopWhenAsked()])
    if not np.isfinite(test.loss):
        raise divergence(job.recipe)
    return test


def save(job: TrainingJob, run: Run) -> None:
    """Write the trained network, from pixels to probabilities, into each of the job's files."""
    model = rebuild(job.network, scaling=job.scaling, probabilities=True)
    for path in job.files:
        saving.save(model, path, make_card(job, run))


def split_indices(job: TrainingJob) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the training and the validation part; BadInputError if a class is too small to split."""
    count, given = job.recipe.validation, job.data.validation
    if given is not None and len(given):
        return np.setdiff1d(np.arange(len(job.data.train_labels)), given), given
    try:
        return data.split(job.data.train_labels, count, job.seed)
    except ValueError as error:
        share = f"{count:.0%}" if count < 1 else f"{count} images"
        raise BadInputError(
            f"{job.data.title} is too small to hold out {share} for validation ({error})",
            remedy="add images to the small classes",
        ) from error


def test_batch_size(recipe: Recipe) -> int:
    """Return the number of images in a step of a test: at most as many as in training, for which there is memory."""
    return min(recipe.batch_size or TEST_BATCH, TEST_BATCH)


def notes_on(run: Run, test: evaluation.Evaluation, validated: int) -> list[str]:
    """Return the remarks on a run, `validated` by so many pictures; that it learned nothing says it all."""
    if test.beats_majority:
        return remarks(run, test, validated)
    return [
        f"the model is no better than always naming the most frequent class ({run.majority:.4f} of the test "
        "data); try a smaller --learning-rate or more --epochs"
    ]


def divergence(recipe: Recipe) -> FloatingPointError:
    return FloatingPointError(
        f"the loss of {recipe.name} became NaN or infinite; try a smaller --learning-rate or another --seed"
    )


def accuracies_beside(run: Run, path: Path) -> dict[str, float]:
    """Return {recipe: test accuracy} of the recipes with and without permuted pixels, from the files beside `path`.

    Empty if this recipe is none of them, or if `path` is not named after its recipe.
    """
    names = permuted_pairs()
    if run.recipe not in names or run.recipe not in path.name:
        return {}
    accuracies = {}
    for name in names:
        with contextlib.suppress(BadInputError):  # a file that is missing or damaged is left out
            file = path.with_name(path.name.replace(run.recipe, name))
            accuracies[name] = saving.load_card(file if file.exists() else places.last_model(file)).accuracy
    return {name: accuracy for name, accuracy in accuracies.items() if accuracy is not None}  # not made by train
