"""A network tested while it is trained, on the validation data, and at the end, on the test data, by all workers."""

from kerasnets.runtime.chosen import BACKEND as BACKEND

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np

from kerasnets.data import fitting
from kerasnets.data.streams import select
from kerasnets.graph import copy_weights, rebuild
from kerasnets.recipes import Recipe
from kerasnets.reports import measures
from kerasnets.training import evaluation, settings, state
from kerasnets.training.callbacks import Figures, StopWhenAsked, TestAverages
from kerasnets.training.jobs import TrainingJob
from kerasnets.training.optimizers import compile_for
from kerasnets.training.workers import Group

if TYPE_CHECKING:
    from kerasnets.data.fitting import InOrder

TEST_BATCH = 500  # images in a step at most


class Validation(keras.callbacks.Callback):
    """Tests on the validation data, each worker on its part, and adds the figures of all to those of the epoch.

    Args:
        group: The workers.
        images: The part of this worker.
        evaluator_of: Function from the network to one that this worker can evaluate by itself.
    """

    def __init__(self, group: Group, images: "InOrder", evaluator_of: Callable[[keras.Model], keras.Model]) -> None:
        super().__init__()
        self.group, self.images, self.evaluator_of = group, images, evaluator_of

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        count, figures = len(self.images.images), {}
        if count:
            with self.group.outside():
                model = self.evaluator_of(self.model)
                watchers = [TestAverages()] if model.optimizer.use_ema else []
                figures = model.evaluate(self.images, callbacks=watchers, verbose=0, return_dict=True)
        parts = [part for part in self.group.exchange([count, {k: float(v) for k, v in figures.items()}]) if part[0]]
        total = sum(count for count, _ in parts)
        for name in parts[0][1]:
            logs[f"val_{name}"] = sum(count * figures[name] for count, figures in parts) / total


def evaluator_of(job: TrainingJob, group: Group, labels: np.ndarray, trainee: keras.Model) -> keras.Model:
    """Return a network with the weights of `trainee`, learned from `labels`, that this worker can evaluate alone."""
    if not group.scoped:
        return trainee
    with group.outside():
        if job.recipe.ema:
            state.swap_averages(trainee)
        copy_weights(trainee, job.network)
        if job.recipe.ema:
            state.swap_averages(trainee)
        evaluator = rebuild(job.network, scaling=job.scaling)
        weights = settings.class_weights_of(job.recipe, labels, len(job.data.class_names))
        compile_for(evaluator, dataclasses.replace(job.recipe, ema=0), 1, 1, weights)
        return evaluator


class Results(NamedTuple):
    """The evaluations of a trained network, both at the temperature that suits its held-out pictures best."""

    test: evaluation.Evaluation
    validation: evaluation.Evaluation | None  # None without validation data


def evaluate(
    job: TrainingJob, trainee: keras.Model, figures: Figures, group: Group, held_out: np.ndarray, images: "InOrder"
) -> Results:
    """Give `trainee` the best epoch's weights, if they are kept, and evaluate it in float32.

    Args:
        job: The training.
        trainee: The network.
        figures: Of its epochs.
        group: The workers.
        held_out: The indices of all validation pictures.
        images: The validation pictures of this worker.

    Raises:
        FloatingPointError: The loss became NaN or infinite.
    """
    if figures.diverged:
        raise divergence(job.recipe)
    if figures.best:
        state.assign(state.variables(trainee), figures.best)
    model = trainee
    if job.recipe.precision != "float32" or group.scoped:  # the model file computes in float32
        copy_weights(trainee, job.network)
        model = rebuild(job.network, scaling=job.scaling)
    test = evaluate_test_data(job, model, group)
    if not len(held_out):
        return Results(test, None)
    labels, names, watchers = job.data.train_labels[held_out], job.data.class_names, [StopWhenAsked(group)]
    in_order = fitting.InOrder(images.images, batch_size=images.batch_size, prepare=images.prepare)
    validation = evaluation.evaluate(model, in_order, labels, names, watchers, group.concatenate)
    temperature = measures.best_temperature(validation.log_probabilities, labels)
    return Results(*(dataclasses.replace(each, temperature=temperature) for each in (test, validation)))


def evaluate_test_data(job: TrainingJob, model: keras.Model, group: Group) -> evaluation.Evaluation:
    examples, shape = job.data, job.network.input_shape[1:]
    images, prepare = fitting.fit_to_network(examples.test_images, examples.input_kind, job.input_kind, shape)
    chosen = np.arange(len(images))
    in_order = fitting.InOrder(
        select(images, group.part(chosen)) if group.meeting else images,
        batch_size=batch_size(job.recipe), prepare=prepare,
    )  # fmt: skip
    watchers = [StopWhenAsked(group)]
    test = evaluation.evaluate(model, in_order, examples.test_labels, examples.class_names, watchers, group.concatenate)
    if not np.isfinite(test.loss):
        raise divergence(job.recipe)
    return test


def batch_size(recipe: Recipe) -> int:
    """Return the number of images in a step of a test: at most as many as in training, for which there is memory."""
    return min(recipe.batch_size or TEST_BATCH, TEST_BATCH)


def divergence(recipe: Recipe) -> FloatingPointError:
    return FloatingPointError(
        f"the loss of {recipe.name} became NaN or infinite; try a smaller --learning-rate or another --seed"
    )
