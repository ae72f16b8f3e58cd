"""Callbacks that hand the figures of a training to other programs: TensorBoard, Weights & Biases, MLflow."""

from kerasnets.runtime.chosen import BACKEND as BACKEND

from typing import TYPE_CHECKING, Any

import keras

from kerasnets.recipes import LOGGERS
from kerasnets.training import settings
from kerasnets.training.callbacks import Figures, Logs

if TYPE_CHECKING:
    from kerasnets.training.jobs import TrainingJob

PROJECT = "kerasnets"  # the name under which the programs keep the runs


class TensorBoard(keras.callbacks.Callback):
    """Writes the figures for TensorBoard without TensorFlow, which Keras' own callback needs on every backend.

    Raises:
        ImportError: tensorboardX is not installed.
    """

    def __init__(self, job: "TrainingJob", figures: Figures) -> None:
        super().__init__()
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ImportError("TensorBoard's logs need tensorboardX: pip install tensorboardX") from error
        self.writer, self.figures = SummaryWriter(str(job.folder / "tensorboard")), figures
        self.written = len(figures.batches["loss"])  # by the run that is resumed

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        for name, values in self.figures.history.items():
            part = "validation" if name.startswith("val_") else "training"
            if len(values) == epoch + 1:
                self.writer.add_scalar(f"epoch_{name.removeprefix('val_')}/{part}", values[-1], epoch + 1)
        for name, values in self.figures.batches.items():
            for step in range(self.written, len(values)):
                self.writer.add_scalar(f"batch_{name}", values[step], step + 1)
        self.written = len(self.figures.batches["loss"])
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()


class WeightsAndBiases(keras.callbacks.Callback):
    """Logs each epoch with Weights & Biases, which sends it where it is set up to; WANDB_MODE=offline keeps it here.

    Raises:
        ImportError: wandb is not installed.
    """

    def __init__(self, job: "TrainingJob", figures: Figures) -> None:
        super().__init__()
        try:
            import wandb
        except ImportError as error:
            raise ImportError("Weights & Biases needs its package: pip install wandb") from error
        folder = job.folder / "wandb"
        folder.mkdir(parents=True, exist_ok=True)
        self.run: Any = wandb.init(project=PROJECT, name=job.files[0].stem, dir=str(folder), config=settings_of(job))
        self.figures = figures

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.run.log(figures_of(self.figures, epoch), step=epoch + 1)

    def close(self) -> None:
        self.run.finish()


class MLflow(keras.callbacks.Callback):
    """Logs each epoch with MLflow, at MLFLOW_TRACKING_URI, or in the working directory.

    Raises:
        ImportError: mlflow is not installed.
    """

    def __init__(self, job: "TrainingJob", figures: Figures) -> None:
        super().__init__()
        try:
            import mlflow
        except ImportError as error:
            raise ImportError("MLflow needs its package: pip install mlflow-skinny") from error
        self.mlflow: Any = mlflow
        mlflow.set_experiment(PROJECT)
        mlflow.start_run(run_name=job.files[0].stem)
        mlflow.log_params({name: str(value)[:500] for name, value in settings_of(job).items()})
        self.figures = figures

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.mlflow.log_metrics(figures_of(self.figures, epoch), step=epoch + 1)

    def close(self) -> None:
        self.mlflow.end_run()


# name in recipes.LOGGERS -> callback, made of the job and its Figures
BY_NAME: dict[str, Any] = dict(zip(LOGGERS, (TensorBoard, WeightsAndBiases, MLflow), strict=True))


def settings_of(job: "TrainingJob") -> dict[str, Any]:
    """Return all settings of a run by name."""
    return {**settings.used(job.recipe), "seed": job.seed, "first_weights": str(job.weights or "")}


def figures_of(figures: Figures, epoch: int) -> dict[str, float]:
    """Return the figures of an epoch by name; {} if it has diverged."""
    return {name: float(values[epoch]) for name, values in figures.history.items() if len(values) == epoch + 1}
