"""Callbacks of a training run: its figures and checkpoints, its stop after a signal, its logs for TensorBoard."""

import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.runtime import signals
from kerasnets.training import state
from kerasnets.training.checkpoints import Checkpoint
from kerasnets.training.progress import without_decay
from kerasnets.training.workers import ALONE, Group

if TYPE_CHECKING:
    from kerasnets.training.batches import Batches

Logs = Mapping[str, Any] | None
COUNTED = 0.1  # images: the largest difference of a number of images, computed from means, from a whole number


class StopWhenAsked(keras.callbacks.Callback):
    """Ends training or prediction between two steps if the process, or another worker, has received a signal.

    Args:
        group: The workers, who end after the same step, but not while each of them tests by itself.
        figures: Saves a checkpoint of the step after which the training ends; None saves none.
    """

    def __init__(self, group: Group = ALONE, figures: "Figures | None" = None) -> None:
        super().__init__()
        self.group, self.figures = group, figures

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self.figures and self.figures.is_whole:
            return  # the checkpoint of the whole epoch comes first
        try:
            self.group.check_stop()
        except signals.Stopped:
            if self.figures:
                self.figures.keep_steps()
            raise

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        if not self.group.meeting:
            signals.check()

    on_predict_batch_end = on_test_batch_end


class Minutes(keras.callbacks.Callback):
    """Saves a checkpoint within an epoch when `minutes` have passed since the last one."""

    def __init__(self, figures: "Figures", minutes: float) -> None:
        super().__init__()
        self.figures, self.minutes, self.saved_at = figures, minutes, time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if time.monotonic() - self.saved_at >= 60 * self.minutes and not self.figures.is_whole:
            self.figures.keep_steps()
            self.saved_at = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.saved_at = time.monotonic()


class TestAverages(keras.callbacks.Callback):
    """Validates with the average of the weights."""

    def on_test_begin(self, logs: Logs = None) -> None:
        state.swap_averages(self.model)

    def on_test_end(self, logs: Logs = None) -> None:
        state.swap_averages(self.model)


class Figures(keras.callbacks.Callback):
    """Collects the figures of each batch and epoch and the weights of the best epoch; ends a run that stops improving.

    Args:
        plan: The batches that are trained on.
        keep_best: Whether the best epoch is the one with the best validation accuracy, and not the last.
        patience: As in Recipe.
        save: Called after each epoch with (epochs done, arrays for a checkpoint), and within an epoch with the number
            of its steps too.
        averages: Whether the optimizer averages the weights, so that `best` is always an average.

    Attributes:
        history: {name: list by epoch}, with "seconds".
        batches: {"loss", "accuracy": list by step}.
        best: {name: array}, the weights of the best epoch; empty without keep_best and averages.
        kept: Epochs that a checkpoint holds: one less than the completed ones if the disk was full.
        kept_steps: Steps of the next epoch that it holds too.
        done: Steps of the epoch that an earlier run began.
        diverged: Whether a figure or weight of the last epoch is not finite.
    """

    def __init__(
        self, plan: "Batches", keep_best: bool, patience: int, save: Callable[..., None], averages: bool = False
    ) -> None:
        super().__init__()
        self.plan, self.keep_best, self.patience, self.save = plan, keep_best, patience, save
        self.has_best = keep_best or averages
        self.history: dict[str, list[float]] = {}
        self.batches: dict[str, list[float]] = {"loss": [], "accuracy": []}
        self.best: dict[str, np.ndarray] = {}
        self.diverged, self.kept, self.kept_steps, self.done = False, 0, 0, 0
        self.running: list[Logs] = []  # means from the epoch's start to each step
        self.checkpoint: Checkpoint | None = None

    def resume(self, checkpoint: Checkpoint) -> None:
        """Take over the figures and the best weights from a checkpoint."""
        self.checkpoint, self.kept = checkpoint, checkpoint.epoch
        self.kept_steps = self.done = checkpoint.step
        self.history = {name: list(array) for name, array in checkpoint.part("history").items()}
        self.batches = {name: list(array) for name, array in checkpoint.part("batches").items()}
        self.best = checkpoint.part("best")

    def release(self) -> None:
        """Let go of the network and of the images, which the report does not need."""
        self.set_model(None)
        self.plan.release()

    def check(self, checkpoint: Checkpoint, validates: bool) -> None:
        """Raise BadInputError if the figures in a checkpoint are not those of such a run, which may validate."""
        history, batches = checkpoint.part("history"), checkpoint.part("batches")
        steps = checkpoint.epoch * self.plan.steps_per_epoch
        names = {"loss", "accuracy", "seconds"} | ({"val_loss", "val_accuracy"} if validates else set())
        shapes = {name: array.shape for name, array in history.items()}
        if shapes != dict.fromkeys(names | shapes.keys() if checkpoint.epoch else (), (checkpoint.epoch,)):
            raise BadInputError(f"the checkpoint has not the figures of {checkpoint.epoch} epochs")
        if batches.keys() != self.batches.keys() or any(array.shape != (steps,) for array in batches.values()):
            raise BadInputError(f"the checkpoint has not the figures of {steps} steps")
        running = checkpoint.part("running")
        if checkpoint.step and (not running or any(array.shape != (checkpoint.step,) for array in running.values())):
            raise BadInputError(f"the checkpoint has not the figures of {checkpoint.step} steps of an epoch")
        if checkpoint.step >= self.plan.steps_per_epoch or (checkpoint.step and not checkpoint.part("metrics")):
            raise BadInputError("the checkpoint is of no step within an epoch")
        if self.has_best and checkpoint.epoch and not checkpoint.part("best"):
            raise BadInputError("the checkpoint lacks the best epoch's weights")

    @property
    def epochs(self) -> int:
        """Completed epochs, including an earlier run's."""
        return len(self.history.get("loss", ()))

    @property
    def best_epoch(self) -> int:
        """The epoch, from 0, with the best validation accuracy, at equal accuracy the least loss; else the last."""
        if not self.keep_best or not self.history.get("val_accuracy"):
            return self.epochs - 1
        accuracies, losses = self.history["val_accuracy"], self.history["val_loss"]
        return max(range(self.epochs), key=lambda epoch: (accuracies[epoch], -losses[epoch]))

    @property
    def is_over(self) -> bool:
        """Whether the run ends early: `patience` epochs were not better than the best."""
        return bool(self.patience and self.epochs) and self.epochs - 1 - self.best_epoch >= self.patience

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        # Not earlier: Keras runs a batch through the network first, and PyTorch's loader draws a seed
        if self.checkpoint:
            state.restore(self.model, self.checkpoint)
            state.restore_metrics(self.model, self.checkpoint)
            self.checkpoint = None

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self.epoch, self.started, self.running = epoch, time.monotonic(), []
        if self.checkpoint and self.checkpoint.step:
            earlier = self.checkpoint.part("running")
            self.started -= float(earlier.pop("seconds")[-1])
            self.running = [{name: means[i] for name, means in earlier.items()} for i in range(self.checkpoint.step)]

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self.running.append(logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        arrays = state.arrays_of(self.model)
        weights = Checkpoint(epoch, {}, arrays).part("layers")
        # The last step may have spoilt weights that no loss was computed from
        self.diverged = not (
            all(math.isfinite(value) for value in (logs or {}).values())
            and all(np.isfinite(array).all() for array in weights.values())
        )
        if self.diverged:
            self.model.stop_training = True
            return  # the last finite checkpoint stays
        for name, value in {**without_decay(logs), "seconds": time.monotonic() - self.started}.items():
            self.history.setdefault(name, []).append(value)
        for name, values in self.batches.items():
            figures = self.by_batch("data_loss" if name == "loss" else name, name)
            values.extend(self.as_counted(figures) if name == "accuracy" else figures)
        if self.has_best and self.best_epoch == epoch:
            self.best = weights | state.averaged(self.model)
        self.save(epoch + 1, arrays | self.arrays())
        self.kept, self.kept_steps = epoch + 1, 0
        if self.is_over:
            self.model.stop_training = True

    def go_on(self) -> None:
        """Be ready for another call of `fit`, at whose start PyTorch's loader would draw a seed once more."""
        self.checkpoint, self.done = Checkpoint(self.epochs, {}, state.arrays_of(self.model)), 0

    @property
    def is_whole(self) -> bool:
        """Whether the step that ended is the last one of its epoch."""
        return len(self.running) == self.plan.steps_per_epoch

    def keep_steps(self) -> None:
        """Save a checkpoint of the steps of this epoch so far."""
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()  # JAX keeps the state elsewhere during an epoch
        arrays = state.arrays_of(self.model) | state.metrics_of(self.model)
        for name in self.running[0] or {}:
            arrays[f"running/{name}"] = np.array([float((logs or {})[name]) for logs in self.running])
        arrays["running/seconds"] = np.full(len(self.running), time.monotonic() - self.started)
        if all(np.isfinite(array).all() for array in arrays.values()):  # else the epoch ends the training
            self.save(self.epoch, arrays | self.arrays(), len(self.running))
            self.kept, self.kept_steps = self.epoch, len(self.running)

    def by_batch(self, name: str, otherwise: str) -> np.ndarray:
        """Return a figure of each batch of the epoch, computed from the running means that Keras gives."""
        name = name if name in (self.running[0] or {}) else otherwise
        means, seen = np.array([float((logs or {})[name]) for logs in self.running]), self.seen()
        return np.diff(means * seen, prepend=0) / np.diff(seen, prepend=0)

    def seen(self) -> np.ndarray:
        """Return how many images of the epoch have been seen after each step."""
        return np.minimum(self.plan.batch_size * np.arange(1, len(self.running) + 1), len(self.plan.labels))

    def as_counted(self, accuracies: np.ndarray) -> np.ndarray:
        """Return the accuracies of batches as what they are, whole numbers of images by the size of each batch.

        Differences of float32 means have 0.9843750596 for 63 of 64. Accuracies that count no images stay.
        """
        sizes = np.diff(self.seen(), prepend=0)
        right = np.rint(accuracies * sizes)
        is_count = np.abs(accuracies * sizes - right).max(initial=0) < COUNTED
        return np.clip(right / sizes if is_count else accuracies, 0, 1)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of a checkpoint that are not the state of the network."""
        parts: dict[str, Mapping[str, Any]] = {"history": self.history, "batches": self.batches, "best": self.best}
        return {f"{part}/{name}": np.asarray(values) for part, of in parts.items() for name, values in of.items()}
