"""Run: the result of one training, for a person, for a program, and as the card of its model files."""

import dataclasses
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kerasnets import saving
from kerasnets.runtime import provenance
from kerasnets.training import settings

if TYPE_CHECKING:
    from kerasnets.training.callbacks import Figures
    from kerasnets.training.evaluation import Evaluation
    from kerasnets.training.jobs import TrainingJob


@dataclass(frozen=True)
class Run:
    """The result of one training.

    Accuracies are fractions. `loss` and `val_loss` are the recipe's loss; `test_loss` is the cross-entropy in nats.
    """

    recipe: str
    dataset: str
    backend: str
    precision: str  # of the computation in training: "float32" or "mixed_bfloat16"; the test is always float32
    compiled: bool  # whether the recipe asks for a step compiled into one program; JAX compiles in any case
    seed: int
    epochs: int  # completed; fewer than asked for if the run stopped early
    best_epoch: int  # from 1: the epoch whose weights are in the model files
    test_accuracy: float
    test_loss: float
    majority: float  # the accuracy of always predicting the most frequent class of the test data
    accuracy: list[float]  # by epoch
    loss: list[float]
    val_accuracy: list[float]  # empty without validation data
    val_loss: list[float]
    seconds: float  # of all epochs
    files: list[str]
    report: str  # the HTML report; the figures by batch and epoch are beside it
    versions: dict[str, str]
    machine: str
    commit: str  # of kerasnets; "" outside a checkout
    temperature: float = 1.0  # of the model's card; 1 without validation data
    ece: float = 0.0  # expected calibration error of the test, at that temperature
    ece_before: float = 0.0  # that of the network's own probabilities

    def line(self) -> str:
        """Return the result as one greppable line."""
        best = self.best_epoch - 1
        validation = f"val_accuracy={self.val_accuracy[best]:.4f} " if self.val_accuracy else ""
        return (
            f"result recipe={self.recipe} test_accuracy={self.test_accuracy:.4f} test_loss={self.test_loss:.4f} "
            f"{validation}train_accuracy={self.accuracy[best]:.4f} majority={self.majority:.4f} epochs={self.epochs} "
            f"best_epoch={self.best_epoch} "
            f"seed={self.seed} backend={self.backend} seconds={self.seconds:.0f} files={','.join(self.files)} "
            f"report={self.report}"
        )

    def json(self) -> str:
        return json.dumps(dataclasses.asdict(self))


def make_run(job: "TrainingJob", figures: "Figures", evaluation: "Evaluation") -> Run:
    """Collect the Run of a finished job."""
    import keras

    history = figures.history
    return Run(
        recipe=job.recipe.name,
        dataset=job.data.title,
        backend=keras.backend.backend(),
        precision=job.recipe.precision,
        compiled=job.recipe.compiled,
        seed=job.seed,
        epochs=figures.epochs,
        best_epoch=figures.best_epoch + 1,
        test_accuracy=evaluation.accuracy,
        test_loss=evaluation.loss,
        majority=evaluation.majority,
        accuracy=history["accuracy"],
        loss=history["loss"],
        val_accuracy=history.get("val_accuracy", []),
        val_loss=history.get("val_loss", []),
        seconds=round(sum(history["seconds"]), 1),
        files=[str(path) for path in job.files],
        report=str(job.report),
        versions=provenance.versions(),
        machine=provenance.machine(),
        commit=provenance.commit(),
        temperature=evaluation.temperature,
        ece=evaluation.reliability().error,
        ece_before=evaluation.reliability(1.0).error,
    )


def make_card(job: "TrainingJob", run: Run) -> saving.Card:
    """Make the card of the job's model files."""
    parent, parent_sha256 = parent_of(job)
    return saving.Card(
        model=job.recipe.model,
        dataset=run.dataset,
        recipe=run.recipe,
        class_names=job.data.class_names,
        input_kind=job.input_kind,
        input_shape=job.network.input_shape[1:],
        accuracy=run.test_accuracy,
        val_accuracy=run.val_accuracy[run.best_epoch - 1] if run.val_accuracy else None,
        epochs=run.epochs,
        seed=run.seed,
        versions=run.versions,
        commit=run.commit,
        settings={**settings.used(job.recipe), "frozen": job.frozen},
        date=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        parent=parent,
        parent_sha256=parent_sha256,
        data_digest=job.settings["data"],
        temperature=run.temperature,
    )


def parent_of(job: "TrainingJob") -> tuple[str, str]:
    """Return the name of the model file that a run started from, and the SHA-256 of its weights; "" for random weights.

    A head that the run itself has trained first, in its own folder, is a part of the run: its parent counts.
    """
    if not job.weights:
        return "", job.initial_sha256
    path = Path(job.weights)
    if path.parent.resolve() == job.folder.resolve():
        head = saving.load_card(path)
        return head.parent, head.parent_sha256
    return path.name, job.initial_sha256
