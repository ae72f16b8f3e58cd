"""From a recipe to a trained model file. The only module that calls Keras' fit for a training run."""

from kerasnets.runtime.chosen import BACKEND as BACKEND

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasnets import data, saving
from kerasnets.data import fitting
from kerasnets.data.streams import original_faults, select
from kerasnets.errors import BadInputError, note
from kerasnets.graph import copy_weights, in_full_precision, rebuild
from kerasnets.recipes import Recipe, permuted_pairs
from kerasnets.runtime import signals
from kerasnets.runtime.claims import claim
from kerasnets.saving import keras_model
from kerasnets.training import (
    batches,
    loggers,
    places,
    preparation,
    report,
    resumption,
    settings,
    sizes,
    state,
    testing,
    workers,
)  # fmt: skip
from kerasnets.training.callbacks import Figures, Minutes, StopWhenAsked, TestAverages
from kerasnets.training.findings import Material
from kerasnets.training.jobs import TrainingJob
from kerasnets.training.photos import PHOTOS
from kerasnets.training.progress import Progress
from kerasnets.training.regularization import regularization_of
from kerasnets.training.remarks import notes_on
from kerasnets.training.request import Network, Request
from kerasnets.training.run import Run, make_card, make_run
from kerasnets.training.trainee import trainee_of


def train(
    recipe: str | Recipe | Network | Request, *, network: Network | None = None, fallback: str | None = None,
    arrays: Any = None, epochs: int | None = None, batch_size: int | None = None, seed: int = 0,
    out: str | Path | Sequence[str | Path] | None = None, data_dir: str | Path | None = None,
    image_size: tuple[int, ...] | None = None, weights: str | Path | None = None,
    freeze: Sequence[str] = (), keep_head: bool = False, resume: bool = False, overwrite: bool = False,
    tensorboard: bool = False, log: Sequence[str] = (), callbacks: Sequence[keras.callbacks.Callback] = (),
    stream: bool | None = None, skip_broken: int = 0, synsets: str | Path | None = None,
    guest: saving.Guest = saving.UNKNOWN,
    checkpoint_minutes: float | None = None, worker_statistics: bool = False, full_report: bool = False,
) -> Run:  # fmt: skip
    """Train a recipe with model.fit, evaluate it on the test data, and save it as model files with a report.

    Weights, tests and model files are float32 under any dtype policy of Keras; `precision` of the recipe says what the
    training computes in.

    A folder beside the first model file, with the same name, gets report.html, its images, epochs.csv, batches.csv and
    the checkpoints. A run repeats exactly on the same backend and machine.

    Processes that torchrun or SLURM started train together, each on its part of every batch, with the result of one
    process up to rounding. Worker 0 prints and writes.

    Args:
        recipe: A name in RECIPES, or a Recipe. Change any setting by dataclasses.replace(RECIPES[name], ...). Or a
            network, like `network`, which is then trained with the settings of recipes.own. Or a Request, which has all
            arguments.
        network: A functional or Sequential keras.Model of your own, of Keras' layers, instead of the recipe's network;
            it may have weights, a Rescaling and a softmax, and is left as it is. Or a function of input_shape and
            num_classes that returns one.
        fallback: Name of the recipe to train if the data of `recipe` cannot be had and `data_dir` is None. A note on
            stderr says so, and the model files are named after its data set.
        arrays: What to train on, instead of the recipe's data set: a Data, or any form that load_data takes, such as
            ((x_train, y_train), (x_test, y_test)), a tf.data.Dataset or a PyTorch Dataset.
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
        log: Programs that get the figures of each epoch: "tensorboard", "wandb" or "mlflow".
        callbacks: Keras' callbacks, or your own. Their `model` is a copy of the network that computes faster.
        stream: Whether own pictures are read from the disk batch by batch, with the same result. None does so if they
            exceed the memory.
        skip_broken: The most pictures that are left out because they cannot be read.
        synsets: A file with the names of class folders that are called after WordNet's synsets, as ImageNet's are. None
            takes LOC_synset_mapping.txt, if it lies in or above the folder of the data.
        guest: What is known about the file `weights` if kerasnets did not write it.
        checkpoint_minutes: A checkpoint is written each so many minutes, and when the run is stopped, besides the one
            after each epoch.
        worker_statistics: Whether each of several workers normalizes its part of a batch by that part's mean and
            variance, which takes less time; the result then depends on the number of workers.
        full_report: Whether the report also has a map of the test pictures and judges the labels of up to 5,000
            training pictures, which may take a minute.

    Returns:
        The Run: accuracies, losses, files, versions.

    Raises:
        ValueError: A name is unknown or a setting impossible.
        BadInputError: Data, model file or checkpoints are damaged or do not fit.
        ConnectionError: The data are not on this disk and cannot be downloaded.
        OSError: A file cannot be written, or a program of `log` begins no run.
        FloatingPointError: The loss became NaN or infinite.

    Example:
        >>> import contextlib, io, tempfile
        >>> with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        ...     run = train("dnn_tabular-sum3-learned", epochs=2, out=f"{folder}/sums.keras")
        >>> run.recipe, run.epochs, len(run.loss)
        ('dnn_tabular-sum3-learned', 2, 2)
    """
    request = Request(
        recipe=recipe, network=network, fallback=fallback, arrays=arrays, epochs=epochs, batch_size=batch_size,
        seed=seed, out=out, data_dir=data_dir, image_size=image_size, weights=weights, freeze=freeze,
        keep_head=keep_head, resume=resume, overwrite=overwrite, tensorboard=tensorboard, log=log,
        callbacks=callbacks, stream=stream, skip_broken=skip_broken, synsets=synsets, guest=guest,
        checkpoint_minutes=checkpoint_minutes, worker_statistics=worker_statistics, full_report=full_report,
    )  # fmt: skip
    if not isinstance(recipe, Request):
        return carry_out(request)
    plain = Request(recipe=recipe)
    if more := [each.name for each in fields(Request) if getattr(request, each.name) is not getattr(plain, each.name)]:
        raise ValueError(f"a Request has all arguments; change its {', '.join(more)} by dataclasses.replace")
    return carry_out(recipe)


@in_full_precision()
def carry_out(request: Request) -> Run:
    """Train as `train` does."""
    with workers.begin() as group:
        job = preparation.prepare(request, group)
        claimed = [*map(places.folder_of, job.files), *job.files] if group.leads else []
        with claim(claimed, "training"), loggers.begin(job, job.log, leads=group.leads) as programs:
            figures, results = fit(job, group)
            test = results.test
            run = make_run(job, figures, test)
            if group.leads:
                group.announce_work()
                with resumption.note_kept_epochs(job, figures):
                    model = save(job, run)
                    material = material_of(job, model, results, request.full_report)
                    report.write(job, run, test, figures, accuracies_beside(run, job.files[0]), material)
                loggers.log_test(programs, run)
        for remark in notes_on(run, test, len(job.data.train_labels) - len(figures.plan.labels), job):
            note(remark)
    return run


def fit(job: TrainingJob, group: workers.Group = workers.ALONE) -> tuple[Figures, testing.Results]:
    """Train the job's network in place; return the figures of its epochs and its evaluations."""
    plan, validation = batches_of(job, group)
    settings.check_accumulation(job.recipe, plan.steps_per_epoch)
    if group.leads:
        preparation.keep_index(job)
    save_checkpoint = functools.partial(resumption.save, job) if group.leads else save_nothing
    recipe, num_classes = job.recipe, len(job.data.class_names)
    weights = settings.class_weights_of(recipe, plan.labels, num_classes)
    with group.scope():
        trainee = trainee_of(job.network, recipe, job.scaling, plan.steps_per_epoch, weights, group.engine_of(job))
    if not group.scoped:
        state.build_metrics(trainee)
    figures = Figures(plan, recipe.keep_best, recipe.patience, save_checkpoint, averages=bool(recipe.ema))
    group.on_loss(functools.partial(resumption.on_loss, job))
    with state.keep_threads(), resumption.note_kept_epochs(job, figures), signals.after_the_step():
        resumption.start(job, trainee, figures, group)
        plan.first, plan.skip = figures.epochs, figures.done
        if plan.first < plan.epochs and not figures.is_over:
            run_epochs(job, trainee, plan, validation, figures, group)
        if figures.is_over and figures.epochs < plan.epochs:
            print(f"stopped after epoch {figures.epochs}: none was better on validation data than epoch "
                  f"{figures.best_epoch + 1}, which gives the weights")  # fmt: skip
        results = testing.evaluate(job, trainee, figures, group, split_indices(job)[1], validation)
        group.stop_together()
    copy_weights(trainee, job.network)
    figures.release()
    return figures, results


def save_nothing(*arguments: object) -> None:
    """Stand for resumption.save on the workers that write no files."""


def batches_of(job: TrainingJob, group: workers.Group = workers.ALONE) -> tuple[batches.Batches, fitting.InOrder]:
    """Return the batches to train on and those to validate on, which may be none; of several workers, the shares."""
    recipe, labels, shape = job.recipe, job.data.train_labels, job.network.input_shape[1:]
    training, validation = split_indices(job)
    images, prepare = fitting.fit_to_network(job.data.train_images, job.data.input_kind, job.input_kind, shape)
    chosen = select(job.data.train_images if recipe.augmentation in PHOTOS else images, training)
    regularization = regularization_of(recipe, len(job.data.class_names))
    stays = prepare or recipe.augmentation in PHOTOS or regularization or group.scoped
    plan = batches.Batches(
        chosen if stays else batches.on_accelerator(chosen), labels[training], recipe.batch_size, recipe.epochs,
        seed=job.seed, augmentation=recipe.augmentation, prepare=prepare, shape=shape, regularization=regularization,
        share=group.share if group.meeting else None, side_in=sizes.side_in(recipe),
    )  # fmt: skip
    group.check_batch(plan.batch_size)
    validation = group.part(validation)
    return plan, fitting.InOrder(select(images, validation), labels[validation], testing.batch_size(recipe), prepare)


def run_epochs(
    job: TrainingJob, trainee: keras.Model, plan: batches.Batches, validation: fitting.InOrder, figures: Figures,
    group: workers.Group,
) -> None:  # fmt: skip
    """Train from the first epoch of `plan` to its last."""
    progress = Progress(plan.steps_per_epoch, plan.epochs, plan.first, skip=plan.skip)
    minutes = job.checkpoint_minutes
    loggers.follow(job.callbacks, figures)
    watchers = [keras.callbacks.TerminateOnNaN()]
    if group.engine and len(plan.images) < len(job.data.train_labels):  # the others are for validation
        watchers.append(
            testing.Validation(group, validation, functools.partial(testing.evaluator_of, job, group, plan.labels))
        )
    watchers += [figures, StopWhenAsked(group, figures if minutes else None), progress, *job.callbacks]
    with contextlib.ExitStack() as stack, original_faults(plan, validation), group.scope():
        stack.callback(plan.close)
        stack.callback(progress.close)
        watchers += [TestAverages()] * bool(job.recipe.ema)
        watchers += [Minutes(figures, minutes)] if minutes and group.leads else []
        while plan.first < plan.epochs and not (figures.is_over or figures.diverged):
            group.follow(plan.size_of, plan.skip)
            last = plan.first + 1 if plan.skip else plan.epochs  # the rest of an epoch goes first, by itself
            trainee.fit(
                batches.as_fit_takes(plan),  # `plan` must be the only owner of the images
                steps_per_epoch=plan.steps_per_epoch - plan.skip,
                validation_data=validation if len(validation) and not group.engine else None,
                initial_epoch=plan.first,
                epochs=last,
                shuffle=False,  # Batches shuffles, in the same order on every backend
                callbacks=watchers,
                verbose=0,  # Progress prints
            )
            if plan.skip:
                figures.go_on()
            plan.close()
            if trainee.stop_training:  # a callback of a person's own may have asked for it
                break
            plan.first, plan.skip = last, 0


def save(job: TrainingJob, run: Run) -> keras.Model:
    """Write the trained network, from pixels to probabilities, into each of the job's files; return it."""
    model = rebuild(job.network, scaling=job.scaling, probabilities=True)
    for path in job.files:
        saving.save(model, path, make_card(job, run))
    return model


def material_of(job: TrainingJob, model: keras.Model, results: testing.Results, is_full: bool) -> Material:
    """Return what the report has besides the test."""
    held_out = None if results.validation is None else split_indices(job)[1]
    return Material(keras_model.logits_of(model), job.input_kind, results.validation, held_out, is_full)


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
