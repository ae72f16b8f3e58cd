"""Progress: how far a training run is and how long it will take, as a bar on a terminal and as lines elsewhere.

A notebook gets lines too, at most one a second.
"""

import sys
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import keras
import rich.console
import rich.progress

from kerasnets.training.durations import duration

LINE_EVERY = 30.0  # seconds between two lines within an epoch
DRAW_EVERY = 0.2  # seconds between two drawings of the bar
NOTEBOOK = "ipykernel.iostream"  # has the class of a notebook's stdout, which is no terminal
MARKS = 200  # times in an epoch at which the clock is noted


class Progress(keras.callbacks.Callback):
    """Prints a line on stdout for each epoch, and in between a bar if stdout is a terminal, else a line now and then.

    A backend compiles in the first step, in the first step of another batch size, which is the last of an epoch, and in
    validation; its first steps are slower than later ones. The time left is therefore computed from the later half of
    the steps in between, and from the second epoch on from the last two epochs. `close` must be called, also if the
    training fails: it removes the bar.

    Args:
        steps_per_epoch: Steps in an epoch.
        epochs: The number of the last epoch.
        first: Epochs that an earlier run has completed.
        console: The terminal to draw on; None is stdout, if it is a terminal.
        skip: Steps of the next epoch that it has completed too.
    """

    def __init__(
        self, steps_per_epoch: int, epochs: int, first: int, console: rich.console.Console | None = None, skip: int = 0
    ) -> None:
        super().__init__()
        self.steps_per_epoch, self.epochs, self.first = steps_per_epoch, epochs, first
        if console is None and sys.stdout.isatty():
            console = rich.console.Console()
        self.bar = None if console is None else bar_on(console)
        self.is_seen = self.bar is not None or type(sys.stdout).__module__ == NOTEBOOK  # by a person, now
        self.shown_at = time.monotonic()
        self.steps = skip  # in all epochs
        self.marks: deque[tuple[float, int]] = deque()  # (time, steps) of earlier steps, from which one is measured
        self.seconds_per_step: float | None = None

    def close(self) -> None:
        if self.bar:
            self.bar.stop()

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        if self.bar:
            self.bar.start()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.epoch, self.epoch_started = epoch, time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.steps += 1
        now = time.monotonic()
        if self.steps != self.steps_per_epoch:
            self.measure(now)
        if now - self.shown_at >= (DRAW_EVERY if self.bar else LINE_EVERY):
            self.shown_at = now
            self.show_step(self.steps - (self.epoch - self.first) * self.steps_per_epoch)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        now, is_last = time.monotonic(), epoch + 1 == self.epochs or self.model.stop_training
        if epoch == self.first:
            self.marks.clear()  # the steps of the first epoch are forgotten when there are others
        self.measure(now)
        if self.is_seen and now - self.epoch_started < 1 and now - self.shown_at < 1 and not is_last:
            return  # on a screen, a thousand epochs of a fraction of a second do not need a thousand lines
        self.shown_at = now
        figures = "  ".join(f"{name} {value:.4f}" for name, value in without_decay(logs).items())
        seconds = duration(now - self.epoch_started)
        line = f"epoch {epoch + 1}/{self.epochs}  {figures}  {seconds}{'' if is_last else self.time_left()}"
        if self.bar:
            self.bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, flush=True)

    def show_step(self, step: int) -> None:
        epoch, left = f"epoch {self.epoch + 1}/{self.epochs}", self.time_left()
        if self.bar:
            [task] = self.bar.task_ids
            self.bar.update(task, description=epoch, total=self.steps_per_epoch, completed=step, left=left.strip())
            self.bar.refresh()
        else:
            print(f"{epoch}  step {step}/{self.steps_per_epoch}{left}", flush=True)

    def measure(self, now: float) -> None:
        """Measure the seconds of a step since an earlier one."""
        marks, in_first_epoch = self.marks, self.steps < self.steps_per_epoch
        if not marks or self.steps - marks[-1][1] >= self.steps_per_epoch / MARKS:
            marks.append((now, self.steps))
        start = self.steps // 2 if in_first_epoch else self.steps - 2 * self.steps_per_epoch
        while len(marks) > 1 and marks[1][1] <= start:
            marks.popleft()
        started, before = marks[0]
        if self.steps > before:
            self.seconds_per_step = (now - started) / (self.steps - before)

    def time_left(self) -> str:
        remaining = (self.epochs - self.first) * self.steps_per_epoch - self.steps
        return "" if self.seconds_per_step is None else f"  {duration(self.seconds_per_step * remaining)} left"


def bar_on(console: rich.console.Console) -> rich.progress.Progress:
    """Return a bar for the steps of one epoch; it is drawn on `refresh` alone, without a thread beside the training."""
    bar = rich.progress.Progress(
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TextColumn("{task.fields[left]}"),
        console=console,
        auto_refresh=False,
        transient=True,
    )
    bar.add_task("compiling", total=None, left="")
    return bar


def without_decay(logs: Mapping[str, Any] | None) -> dict[str, float]:
    """Return the figures of an epoch as floats by name, its losses without the share of weight decay."""
    figures = {name: float(value) for name, value in (logs or {}).items()}
    for name in [name for name in figures if name.endswith("data_loss")]:
        figures[name.replace("data_", "")] = figures.pop(name)
    return figures
