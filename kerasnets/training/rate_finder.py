"""A search for the learning rate: some steps at growing rates, and the loss of each.

Source: Smith 2015, arXiv:1506.01186, section 3.3, with a rate that grows by a factor in each step. The rate to use is a
tenth of the one with the lowest loss: at the lowest loss training is about to diverge.

Departure: the rate is called unreliable unless the loss falls clearly below that of answering every image alike, by the
frequencies of the classes. A network that a large rate has spoilt answers so, and its loss is then flat over several
powers of ten, in which the lowest place is an accident.
"""

from kerasnets.runtime.chosen import BACKEND as BACKEND

import contextlib
import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kerasnets.data.streams import original_faults
from kerasnets.errors import BadInputError, note
from kerasnets.graph import in_full_precision
from kerasnets.reports import plots
from kerasnets.reports.curves import curve_of_rates
from kerasnets.runtime import signals
from kerasnets.runtime.workers import place
from kerasnets.training import batches, jobs, places, report, settings, train
from kerasnets.training.callbacks import StopWhenAsked
from kerasnets.training.progress import without_decay
from kerasnets.training.request import Request
from kerasnets.training.trainee import trainee_of

FIRST, LAST = 1e-6, 10.0  # learning rates
STEPS = 100  # 14 for each power of ten
MEMORY = 0.9  # of the smooth loss of STEPS steps: it averages about ten, 0.7 of a power of ten of rates
ERRORS = 3  # standard errors of the smooth loss by which it falls below that of answering every image alike
MEDIAN = 0.9539  # of the distance of two draws from a normal distribution, in its standard deviations
BELOW = 10  # the rate with the lowest loss is divided by this


@dataclass(frozen=True)
class Search:
    """The result of a search.

    Args:
        recipe: Name of the recipe.
        rates: The learning rate of each step.
        losses: The loss of each step, as far as it is finite.
        picture: File with the curve; the numbers are beside it.
        steps: The steps of the whole search; the losses are fewer if one was not finite.
        alike: The least loss of a network that answers every image alike.
    """

    recipe: str
    rates: list[float]
    losses: list[float]
    picture: str
    steps: int
    alike: float

    @property
    def memory(self) -> float:
        """The share of the mean so far in the smooth loss, which covers the same range of rates for any steps."""
        return float(MEMORY ** (STEPS / self.steps))

    @property
    def smooth(self) -> np.ndarray:
        """float64 (n,): the losses averaged over the last steps, the older the less."""
        return averaged(self.losses, self.memory)

    @property
    def lowest(self) -> float:
        """The rate with the lowest smooth loss."""
        return self.rates[int(np.argmin(self.smooth))]

    @property
    def learning_rate(self) -> float:
        """The rate to use, with two digits."""
        return float(f"{self.lowest / BELOW:.1e}")

    @property
    def beginning(self) -> slice:
        """The first quarter of the steps, in which the rates are too small to change anything."""
        return slice(len(self.losses) // 4 + 1)

    @property
    def falls(self) -> bool:
        """Whether any rate lowers the loss, averaged over ten steps, by more than a hundredth."""
        smooth = averaged(self.losses, MEMORY)
        return bool(smooth.min() < 0.99 * smooth[self.beginning].mean())

    @property
    def noise(self) -> float:
        """The standard error of the smooth loss: by the median difference of two batches, up to the lowest loss."""
        end = max(int(np.argmin(self.smooth)), self.beginning.stop)
        deviation = np.median(np.abs(np.diff(self.losses[:end]))) / MEDIAN
        return float(deviation * np.sqrt((1 - self.memory) / (1 + self.memory)))

    @property
    def is_reliable(self) -> bool:
        """Whether the loss falls, by more than noise, below its beginning and below that of answering alike."""
        bound = min(self.alike, float(np.mean(self.losses[self.beginning])))
        return bool(self.smooth.min() < bound - ERRORS * self.noise)

    @property
    def doubt(self) -> str:
        """A sentence on a rate that is not reliable, without its full stop; "" on another."""
        if self.is_reliable:
            return ""
        return (
            f"the learning rate {self.learning_rate:g} is unreliable: in {len(self.losses)} steps the loss fell to "
            f"{self.smooth.min():.3f}, not clearly below {self.alike:.3f}, that of answering every image alike; try "
            f"--find-learning-rate {max(STEPS, 2 * self.steps)}, or larger batches"
        )

    def line(self) -> str:
        """Return the result as one greppable line."""
        return (
            f"result recipe={self.recipe} learning_rate={self.learning_rate:g} lowest_loss_at={self.lowest:.2g} "
            f"reliable={'yes' if self.is_reliable else 'no'} steps={len(self.losses)} picture={self.picture}"
        )

    def json(self) -> str:
        facts = {"learning_rate": self.learning_rate, "lowest_loss_at": self.lowest, "reliable": self.is_reliable}
        return json.dumps({**facts, **dataclasses.asdict(self)})


def averaged(losses: Sequence[float], memory: float) -> np.ndarray:
    """Return the exponentially weighted mean of the losses up to each step, without the bias of its beginning."""
    mean, result = 0.0, []
    for step, loss in enumerate(losses, start=1):
        mean = memory * mean + (1 - memory) * loss
        result.append(mean / (1 - memory**step))
    return np.array(result)


@in_full_precision()
def find_learning_rate(request: Request, steps: int = STEPS) -> Search:
    """Train a few steps at rates from FIRST to LAST, and draw the loss of each; no model file is written.

    Args:
        request: As for `train`. The schedule of its recipe, accumulation and average are left out.
        steps: Batches to train on, at least 20.

    Returns:
        The Search: a rate to use, and the curve as learning-rate.png and learning-rate.csv in the folder that `train`
        writes its report into. A second search gets learning-rate-2.png, unless the request has `overwrite`. A note
        says if the rate is unreliable.

    Raises:
        ValueError: As in `train`, or `steps` is too small.
        BadInputError: As in `train`, or no rate lowers the loss.
    """
    if steps < 20:
        raise ValueError(f"the search takes at least 20 steps, not {steps}")
    if request.resume:
        raise ValueError("a search for the learning rate resumes no run; leave resume out")
    if place().count > 1:
        raise ValueError("several workers do not search a learning rate together; start one process")
    job = jobs.prepare(dataclasses.replace(request, epochs=None, resume=False, overwrite=True))
    losses = losses_of(job, steps)
    rates = [float(rate) for rate in np.geomspace(FIRST, LAST, steps)][: len(losses)]
    picture = job.folder / "learning-rate.png"
    if not request.overwrite:
        picture = places.free_name(picture, [".csv"])
    search = Search(job.recipe.name, rates, losses, str(picture), steps, loss_alike(job))
    if len(losses) < 10 or not (search.falls or search.is_reliable):
        raise BadInputError(f"no learning rate from {FIRST:g} to {LAST:g} lowers the loss of {job.recipe.name}",
                            remedy="take more steps, or check the data and their labels")  # fmt: skip
    report.write_csv(picture.with_suffix(".csv"), "step", {"learning_rate": rates, "loss": losses})
    title = f"{search.recipe}, {job.recipe.optimizer}, batches of {job.recipe.batch_size or 'all'}"
    if search.doubt:
        note(search.doubt)
        title += ": unreliable"
    marks = {
        f"use {search.learning_rate:g}": search.learning_rate,
        f"lowest loss at {search.lowest:.2g}": search.lowest,
    }
    plots.save_figure(curve_of_rates(title, rates, losses, search.smooth.tolist(), marks), search.picture)
    return search


def loss_alike(job: jobs.TrainingJob) -> float:
    """Return the least loss of a network that answers every training image alike.

    That answer is the mean of the targets. Its cross-entropy is their entropy; its squared error is their variance.
    """
    recipe, labels, count = job.recipe, job.data.train_labels, len(job.data.class_names)
    weights = settings.class_weights_of(recipe, labels, count) or [1.0] * count
    shares = np.bincount(labels, minlength=count) / len(labels) * weights
    if recipe.loss == "squared_error":
        return float((shares * (1 - shares / shares.sum())).sum() / count)
    shares = (1 - recipe.label_smoothing) * shares + recipe.label_smoothing * shares.sum() / count
    return float(-(shares * np.log(np.maximum(shares, 1e-12) / shares.sum())).sum())


def losses_of(job: jobs.TrainingJob, steps: int) -> list[float]:
    """Return the loss of each step at growing rates, up to the first that is not finite."""
    recipe = dataclasses.replace(job.recipe, schedule=("search", FIRST, LAST, steps), accumulate=1, ema=0.0)
    plan, _ = train.batches_of(job)
    plan.epochs = -(-steps // plan.steps_per_epoch)
    weights = settings.class_weights_of(recipe, plan.labels, len(job.data.class_names))
    trainee, losses = trainee_of(job.network, recipe, job.scaling, steps, weights), Losses(plan)
    with contextlib.closing(plan), original_faults(plan), signals.after_the_step():
        # One long epoch for Keras, so that its means run through all steps
        trainee.fit(batches.as_fit_takes(plan), steps_per_epoch=steps, epochs=1, shuffle=False,
                    callbacks=[losses, StopWhenAsked()], verbose=0)  # fmt: skip
    return losses.finite()


class Losses(keras.callbacks.Callback):
    """The loss of each batch, computed from the running means that Keras gives."""

    def __init__(self, plan: batches.Batches) -> None:
        super().__init__()
        self.plan, self.means = plan, list[float]()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.means.append(without_decay(logs)["loss"])

    def finite(self) -> list[float]:
        count, size = len(self.plan.labels), self.plan.batch_size
        sizes = [min(size, count - step % self.plan.steps_per_epoch * size) for step in range(len(self.means))]
        seen = np.cumsum(sizes)
        losses = np.diff(np.array(self.means) * seen, prepend=0) / sizes
        bad = np.flatnonzero(~np.isfinite(losses))
        return [float(loss) for loss in losses[: bad[0] if len(bad) else None]]
