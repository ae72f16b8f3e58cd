"""Callbacks that hand the figures of a training to other programs: TensorBoard, Weights & Biases, MLflow."""

from kerasnets.runtime.chosen import BACKEND as BACKEND

import contextlib
import importlib.util
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import keras

from kerasnets.errors import exit_code, in_one_line, note
from kerasnets.recipes import LOGGERS
from kerasnets.runtime.workers import place
from kerasnets.training import logged_runs, settings
from kerasnets.training.callbacks import Figures, Logs

if TYPE_CHECKING:
    from kerasnets.training.jobs import TrainingJob
    from kerasnets.training.run import Run

PROJECT = "kerasnets"  # the name under which the programs keep the runs
STOPPED = 130  # the exit code of a Ctrl-C in a notebook
WAIT = 5  # seconds: a network may be gone with the worker


class Logger(keras.callbacks.Callback):
    """Hands the figures of each epoch to a program, which learns at the end of a `with` block how the run ended.

    If the program fails during the training, a note says so and the training goes on.

    Args:
        job: The training.
        known: The program's run that is resumed; None begins one.

    Raises:
        OSError: The program begins no run.
    """

    title, package, install, remedy = "", "", "", ""
    run_id: str | None = None  # of the program's run, if it can be resumed

    def __init__(self, job: "TrainingJob", known: str | None = None) -> None:
        super().__init__()
        self.has_failed = False
        self.run_id = known
        try:
            self.begin(job)
        except Exception as error:
            raise OSError(f"{self.title} begins no run: {in_one_line(error, 90)}; {self.remedy}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: TracebackType | None) -> None:
        self.attempt(self.end, error)

    def follow(self, figures: Figures) -> None:
        """Take the figures of the epochs that come from here."""
        self.figures = figures

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if figures := figures_of(self.figures, epoch):
            self.attempt(self.log, figures, epoch + 1)

    def attempt(self, call: Callable[..., object], *values: Any) -> None:
        """Call a method of the program; print a note at its first failure."""
        try:
            call(*values)
        except Exception as error:
            if not self.has_failed:
                note(f"what {self.title} has of this run is incomplete: {in_one_line(error, 150)}")
            self.has_failed = True

    def begin(self, job: "TrainingJob") -> None:
        """Open a run of the program, with all settings; or go on with the run `run_id`."""
        raise NotImplementedError

    def log(self, figures: dict[str, float], step: int) -> None:
        """Hand over the figures of an epoch, or of the test, {name: value}."""
        raise NotImplementedError

    def end(self, error: BaseException | None) -> None:
        """Close the run, which was ended by an error, by a KeyboardInterrupt if a person stopped it."""
        raise NotImplementedError


class TensorBoard(Logger):
    """Writes the figures for TensorBoard without TensorFlow, which Keras' own callback needs on every backend."""

    title, package, install = "TensorBoard", "tensorboardX", "tensorboardX"
    remedy = "name another place by --out"

    def begin(self, job: "TrainingJob") -> None:
        from tensorboardX import SummaryWriter

        self.writer = SummaryWriter(str(job.folder / "tensorboard"))

    def follow(self, figures: Figures) -> None:
        super().follow(figures)
        self.written = len(figures.batches["loss"])  # by the run that is resumed

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.attempt(self.write, epoch)

    def write(self, epoch: int) -> None:
        """Write the figures of an epoch and its batches."""
        for name, value in figures_of(self.figures, epoch).items():
            part = "validation" if name.startswith("val_") else "training"
            self.writer.add_scalar(f"epoch_{name.removeprefix('val_')}/{part}", value, epoch + 1)
        for name, values in self.figures.batches.items():
            for step in range(self.written, len(values)):
                self.writer.add_scalar(f"batch_{name}", values[step], step + 1)
        self.written = len(self.figures.batches["loss"])
        self.writer.flush()

    def log(self, figures: dict[str, float], step: int) -> None:
        for name, value in figures.items():
            self.writer.add_scalar(name, value, step)

    def end(self, error: BaseException | None) -> None:
        self.writer.close()


class WeightsAndBiases(Logger):
    """Logs with Weights & Biases, which sends the figures where it is set up to; WANDB_MODE=offline keeps them here.

    If a person's own run is active, it gets the figures, at its own steps, and stays open.
    """

    title, package, install = "Weights & Biases", "wandb", "wandb"
    remedy = "log in by `wandb login`, or set WANDB_MODE=offline"

    def begin(self, job: "TrainingJob") -> None:
        import wandb

        self.is_within = wandb.run is not None  # `init` would return that run, or in a notebook end it
        if self.is_within:
            self.run: Any = wandb.run
            self.run_id = None
            return
        job.folder.mkdir(parents=True, exist_ok=True)
        project = None if os.environ.get("WANDB_PROJECT") else PROJECT
        name, folder = job.files[0].stem, str(job.folder)
        again: dict[str, Any] = {"id": self.run_id, "resume": "allow"} if self.run_id else {}
        options: dict[str, Any] = {"project": project, "name": name, "dir": folder, "config": settings_of(job)}
        try:
            self.run = wandb.init(**options, **again)
        except wandb.Error:
            if not again:
                raise
            self.run = wandb.init(**options)  # the person has deleted the earlier run
        self.run_id = self.run.id

    def log(self, figures: dict[str, float], step: int) -> None:
        if self.is_within:  # its steps may be ahead of the epochs, and do not go back
            self.run.log({**figures, "epoch": step})
        else:
            self.run.log(figures, step=step)
            self.run.summary.update(figures)  # a step that the run has passed before is dropped

    def end(self, error: BaseException | None) -> None:
        if not self.is_within:
            self.run.finish(exit_code=0 if error is None else code_of(error))


class MLflow(Logger):
    """Logs with MLflow, at MLFLOW_TRACKING_URI, or in the working directory."""

    title, package, install = "MLflow", "mlflow", "mlflow-skinny sqlalchemy alembic"
    remedy = "name another place by MLFLOW_TRACKING_URI, as sqlite:///mlflow.db"

    def begin(self, job: "TrainingJob") -> None:
        import mlflow

        self.mlflow: Any = mlflow
        around: Any = mlflow.active_run()  # a run of the person, in a notebook
        is_within = around is not None
        experiment = self.experiment_of(self.run_id) if self.run_id else None
        if is_within and experiment != around.info.experiment_id:
            experiment = None  # a nested run belongs to the experiment around it
        elif experiment is not None:
            mlflow.set_experiment(experiment_id=experiment)
        elif not is_within and not {"MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"} & os.environ.keys():
            mlflow.set_experiment(PROJECT)
        self.thread = threading.get_ident()  # each thread of MLflow has its own active run
        known = None if experiment is None else self.run_id
        self.run = mlflow.start_run(run_id=known, run_name=job.files[0].stem, nested=is_within).info.run_id
        if known is None:
            self.attempt(mlflow.log_params, {name: str(value)[:500] for name, value in settings_of(job).items()})
        self.run_id = self.run

    def experiment_of(self, run: str) -> str | None:
        """Return the experiment of a run; None if a person has deleted it."""
        try:
            info = self.mlflow.MlflowClient().get_run(run).info
        except self.mlflow.MlflowException:
            return None
        return str(info.experiment_id) if info.lifecycle_stage == "active" else None

    def log(self, figures: dict[str, float], step: int) -> None:
        self.mlflow.log_metrics(figures, step=step, run_id=self.run)  # a callback may have made another run active

    def end(self, error: BaseException | None) -> None:
        failed = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        status = "FINISHED" if error is None else failed
        active = self.mlflow.active_run() if threading.get_ident() == self.thread else None
        if active is not None and active.info.run_id == self.run:
            self.mlflow.end_run(status)
        else:
            self.mlflow.MlflowClient().set_terminated(self.run, status)


def code_of(error: BaseException) -> int:
    """Return the exit code of a command that an error ends."""
    if isinstance(error, KeyboardInterrupt):
        return getattr(error, "exit_code", STOPPED)  # that of signals.Stopped
    return exit_code(error) or 1


# name in recipes.LOGGERS -> Logger
BY_NAME: dict[str, type[Logger]] = dict(zip(LOGGERS, (TensorBoard, WeightsAndBiases, MLflow), strict=True))


def check(names: Iterable[str]) -> None:
    """Raise ImportError if the package of a program is not installed."""
    for logger in map(BY_NAME.__getitem__, names):
        if importlib.util.find_spec(logger.package) is None:
            raise ImportError(f"{logger.title} needs a package: pip install {logger.install}")


@contextlib.contextmanager
def begin(job: "TrainingJob", names: Sequence[str], *, leads: bool = True) -> Iterator[list[Logger]]:
    """Yield the loggers of a job, which are among its callbacks; the programs learn how the block ends.

    Args:
        job: The training.
        names: Names in recipes.LOGGERS.
        leads: Whether this is the worker that logs; the others have no loggers.
    """
    if not leads:
        yield []
        return
    known = logged_runs.read(job.folder) if job.resume or place().restarts else {}
    with contextlib.ExitStack() as stack:
        programs = {name: stack.enter_context(BY_NAME[name](job, known.get(name))) for name in names}
        runs = known | {name: program.run_id for name, program in programs.items() if program.run_id}
        logged_runs.write(job.folder, runs)
        job.callbacks.extend(programs.values())
        yield list(programs.values())


def follow(callbacks: Iterable[Any], figures: Figures) -> None:
    """Let the loggers among the callbacks take the figures of the epochs that come from here."""
    for callback in callbacks:
        if isinstance(callback, Logger):
            callback.follow(figures)


def fail(callbacks: Iterable[Any]) -> None:
    """Tell the programs that the run fails, before the process ends at once; wait a few seconds for them."""
    error = RuntimeError("another worker was lost")
    for callback in callbacks:
        if isinstance(callback, Logger):
            ending = threading.Thread(target=callback.attempt, args=(callback.end, error), daemon=True)
            ending.start()
            ending.join(WAIT)


def log_test(programs: Iterable[Logger], run: "Run") -> None:
    """Hand over the figures of the test."""
    for program in programs:
        figures = {"test_accuracy": run.test_accuracy, "test_loss": run.test_loss}
        program.attempt(program.log, figures, run.epochs)


def settings_of(job: "TrainingJob") -> dict[str, Any]:
    """Return all settings of a run by name."""
    more = {"seed": job.seed, "first_weights": str(job.weights or ""), "backend": keras.backend.backend()}
    return {**settings.used(job.recipe), **more}


def figures_of(figures: Figures, epoch: int) -> dict[str, float]:
    """Return the figures of an epoch by name; {} if it has diverged."""
    return {name: float(values[epoch]) for name, values in figures.history.items() if len(values) == epoch + 1}
