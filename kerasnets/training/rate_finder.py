"""A search for the learning rate: some steps at growing rates, and the loss of each.

Source: Smith 2015, arXiv:1506.01186, section 3.3, with a rate that grows by a factor in each step. The rate to use is a
tenth of the one with the lowest loss: at the lowest loss training is about to diverge.
"""

from kerasnets.runtime.chosen import BACKEND as BACKEND

import contextlib
import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kerasnets.data.streams import original_faults
from kerasnets.errors import BadInputError
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
MEMORY = 0.9  # of the smooth loss: it averages about ten steps
BELOW = 10  # the rate with the lowest loss is divided by this


@dataclass(frozen=True)
class Search:
    """The result of a search.

    Args:
        recipe: Name of the recipe.
        rates: The learning rate of each step.
        losses: The loss of each step, as far as it is finite.
        picture: File with the curve; the numbers are beside it.
    """

    recipe: str
    rates: list[float]
    losses: list[float]
    picture: str

    @property
    def smooth(self) -> np.ndarray:
        """float64 (n,): the losses averaged over the last steps, the older the less."""
        mean, result = 0.0, []
        for step, loss in enumerate(self.losses, start=1):
            mean = MEMORY * mean + (1 - MEMORY) * loss
            result.append(mean / (1 - MEMORY**step))
        return np.array(result)

    @property
    def lowest(self) -> float:
        """The rate with the lowest smooth loss."""
        return self.rates[int(np.argmin(self.smooth))]

    @property
    def learning_rate(self) -> float:
        """The rate to use, with two digits."""
        return float(f"{self.lowest / BELOW:.1e}")

    @property
    def falls(self) -> bool:
        """Whether any rate lowers the loss, by more than a hundredth."""
        return bool(self.smooth.min() < 0.99 * self.smooth[: len(self.smooth) // 4 + 1].mean())

    def line(self) -> str:
        """Return the result as one greppable line."""
        return (
            f"result recipe={self.recipe} learning_rate={self.learning_rate:g} lowest_loss_at={self.lowest:.2g} "
            f"steps={len(self.losses)} picture={self.picture}"
        )

    def json(self) -> str:
        facts = {"learning_rate": self.learning_rate, "lowest_loss_at": self.lowest}
        return json.dumps({**facts, **dataclasses.asdict(self)})


@in_full_precision()
def find_learning_rate(request: Request, steps: int = STEPS) -> Search:
    """Train a few steps at rates from FIRST to LAST, and draw the loss of each; no model file is written.

    Args:
        request: As for `train`. The schedule of its recipe, accumulation and average are left out.
        steps: Batches to train on, at least 20.

    Returns:
        The Search: a rate to use, and the curve as learning-rate.png and learning-rate.csv in the folder that `train`
        writes its report into. A second search gets learning-rate-2.png, unless the request has `overwrite`.

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
    search = Search(job.recipe.name, rates, losses, str(picture))
    if len(losses) < 10 or not search.falls:
        raise BadInputError(f"no learning rate from {FIRST:g} to {LAST:g} lowers the loss of {job.recipe.name}",
                            remedy="check the data and their labels")  # fmt: skip
    report.write_csv(picture.with_suffix(".csv"), "step", {"learning_rate": rates, "loss": losses})
    title = f"{search.recipe}, {job.recipe.optimizer}, batches of {job.recipe.batch_size or 'all'}"
    marks = {
        f"use {search.learning_rate:g}": search.learning_rate,
        f"lowest loss at {search.lowest:.2g}": search.lowest,
    }
    plots.save_figure(curve_of_rates(title, rates, losses, search.smooth.tolist(), marks), search.picture)
    return search


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
