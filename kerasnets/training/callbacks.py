"""What happens beside a training: figures kept, checkpoints written, progress told, a signal obeyed."""

import math
import sys
import time

import keras
import numpy as np

from kerasnets.runtime import signals
from kerasnets.training import checkpoints

TOLD_EVERY = 30.0  # seconds between two lines on progress within an epoch; on a terminal the line is drawn anew
DRAWN_EVERY = 0.2


class StopWhenAsked(keras.callbacks.Callback):
    """Ends training or judging between two steps, after a signal."""

    def on_train_batch_end(self, batch, logs=None):
        signals.check()

    def on_test_batch_end(self, batch, logs=None):
        signals.check()

    def on_predict_batch_end(self, batch, logs=None):
        signals.check()


class Figures(keras.callbacks.Callback):
    """Keeps the figures of each batch and epoch, and the best epoch's weights; ends a run that gets no better.

    history: {name: list by epoch}, among them "seconds"; batches: {"loss", "accuracy": list by step}; kept: how many
    epochs a checkpoint holds, one less than are done where its disk was full.
    After each epoch, `save(arrays)` is called with all that a checkpoint needs.
    """

    def __init__(self, batches, keep_best, patience, save):
        super().__init__()
        self.plan, self.keep_best, self.patience, self.save = batches, keep_best, patience, save
        self.history, self.batches, self.best = {}, {"loss": [], "accuracy": []}, {}
        self.diverged, self.checkpoint, self.kept = False, None, 0

    def resume(self, checkpoint):
        """Take up the figures, and the best weights, of a checkpoint."""
        self.checkpoint, self.kept = checkpoint, checkpoint.epoch
        self.history = {name: list(array) for name, array in checkpoint.part("history").items()}
        self.batches = {name: list(array) for name, array in checkpoint.part("batches").items()}
        self.best = checkpoint.part("best")

    @property
    def epochs(self):
        """How many are done."""
        return len(self.history.get("loss", ()))

    @property
    def best_epoch(self):
        """The epoch, from 0, of the best validation accuracy, of several that of the least loss; else the last."""
        if not self.keep_best or not self.history.get("val_accuracy"):
            return self.epochs - 1
        accuracies, losses = self.history["val_accuracy"], self.history["val_loss"]
        return max(range(self.epochs), key=lambda epoch: (accuracies[epoch], -losses[epoch]))

    @property
    def is_over(self):
        """Whether so many epochs have brought nothing better that the run ends."""
        return bool(self.patience and self.epochs) and self.epochs - 1 - self.best_epoch >= self.patience

    def on_train_batch_begin(self, batch, logs=None):
        if self.checkpoint:  # not before: Keras runs a batch through the network, and PyTorch's loader draws a seed
            checkpoints.restore(self.model, self.checkpoint)
            self.checkpoint = None

    def on_epoch_begin(self, epoch, logs=None):
        self.started, self.running = time.monotonic(), []

    def on_train_batch_end(self, batch, logs=None):
        self.running.append(logs)

    def on_epoch_end(self, epoch, logs=None):
        state = checkpoints.arrays_of(self.model)
        weights = checkpoints.Checkpoint(epoch, {}, state).part("layers")
        # The last step may have spoilt weights that no loss has seen.
        self.diverged = not (
            all(math.isfinite(value) for value in (logs or {}).values())
            and all(np.isfinite(array).all() for array in weights.values())
        )
        if self.diverged:
            self.model.stop_training = True
            return  # the last finite checkpoint stands
        for name, value in {**without_decay(logs), "seconds": time.monotonic() - self.started}.items():
            self.history.setdefault(name, []).append(value)
        for name, values in self.batches.items():
            found = self.of_batches("data_loss" if name == "loss" else name, name)
            values.extend(np.clip(found, 0, 1) if name == "accuracy" else found)  # rounding leads a little beyond
        if self.keep_best and self.best_epoch == epoch:
            self.best = weights
        self.save(epoch + 1, state | self.arrays())
        self.kept = epoch + 1
        if self.is_over:
            self.model.stop_training = True

    def of_batches(self, name, otherwise):
        """The figure of each batch of the epoch: Keras gives the mean of all so far."""
        name = name if name in self.running[0] else otherwise
        means = np.array([float(logs[name]) for logs in self.running])
        size, count = self.plan.batch_size, len(self.plan.images)
        seen = np.minimum(size * np.arange(1, len(means) + 1), count)
        return np.diff(means * seen, prepend=0) / np.diff(seen, prepend=0)

    def arrays(self):
        """What a checkpoint needs beside the state of the network."""
        parts = {"history": self.history, "batches": self.batches, "best": self.best}
        return {f"{part}/{name}": np.asarray(values) for part, of in parts.items() for name, values in of.items()}


def without_decay(logs):
    """{name: float} of an epoch's figures as Keras gives them, its losses without what weight decay adds."""
    logs = {name: float(value) for name, value in (logs or {}).items()}
    for name in [name for name in logs if name.endswith("data_loss")]:
        logs[name.replace("data_", "")] = logs.pop(name)
    return logs


class Progress(keras.callbacks.Callback):
    """Tells on stdout how far the training is and how long it will take: a line an epoch, and one in between.

    A backend compiles in the first step, in the first of another batch size, which ends the epoch, and in judging: the
    time left is told by the steps between, and from the second epoch on by all since the first.
    """

    def __init__(self, steps_per_epoch, epochs, first):
        super().__init__()
        self.steps_per_epoch, self.epochs, self.first = steps_per_epoch, epochs, first
        self.is_terminal = sys.stdout.isatty()
        self.told = time.monotonic()
        self.done = 0
        self.since = self.pace = None  # (time, steps done) from which a step's seconds are counted

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.epoch_begun = epoch, time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        self.done += 1
        now = time.monotonic()
        if self.done != self.steps_per_epoch:
            self.measure(now)
        if now - self.told >= (DRAWN_EVERY if self.is_terminal else TOLD_EVERY):
            self.told = now
            step = self.done - (self.epoch - self.first) * self.steps_per_epoch
            self.tell(f"epoch {self.epoch + 1}/{self.epochs}  step {step}/{self.steps_per_epoch}{self.left()}", "")

    def on_epoch_end(self, epoch, logs=None):
        now, last = time.monotonic(), epoch + 1 == self.epochs or self.model.stop_training
        if epoch == self.first:
            self.since = now, self.done
        self.measure(now)
        if now - self.epoch_begun < 1 and now - self.told < 1 and not last:
            return  # a thousand epochs of a second's part each need no thousand lines
        self.told = now
        told = "  ".join(f"{name} {value:.4f}" for name, value in without_decay(logs).items())
        seconds = duration(now - self.epoch_begun)
        self.tell(f"epoch {epoch + 1}/{self.epochs}  {told}  {seconds}{'' if last else self.left()}", "\n")

    def measure(self, now):
        """Learn how long a step takes, from those that were done since `since`, which begins with the first call."""
        begun, before = self.since = self.since or (now, self.done)
        if self.done > before:
            self.pace = (now - begun) / (self.done - before)

    def left(self):
        remaining = (self.epochs - self.first) * self.steps_per_epoch - self.done
        return "" if self.pace is None else f"  {duration(self.pace * remaining)} left"

    def tell(self, line, end):
        if self.is_terminal:
            print(f"\r\033[K{line}", end=end, flush=True)
        else:
            print(line, flush=True)


def duration(seconds):
    """Seconds in words: "45 s", "3 min 20 s", "2 h 5 min"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


class TensorBoard(keras.callbacks.Callback):
    """Writes the figures for TensorBoard, without TensorFlow: Keras' own callback needs it on every backend.

    Raises ImportError, with what to install, where tensorboardX is missing.
    """

    def __init__(self, folder, figures):
        super().__init__()
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ImportError("TensorBoard's logs need tensorboardX: pip install tensorboardX") from error
        self.writer, self.figures = SummaryWriter(str(folder)), figures
        self.written = len(figures.batches["loss"])  # by the run that goes on here

    def on_epoch_end(self, epoch, logs=None):
        for name, values in self.figures.history.items():
            part = "validation" if name.startswith("val_") else "training"
            if len(values) == epoch + 1:
                self.writer.add_scalar(f"epoch_{name.removeprefix('val_')}/{part}", values[-1], epoch + 1)
        for name, values in self.figures.batches.items():
            for step in range(self.written, len(values)):
                self.writer.add_scalar(f"batch_{name}", values[step], step + 1)
        self.written = len(self.figures.batches["loss"])
        self.writer.flush()

    def on_train_end(self, logs=None):
        self.writer.close()
