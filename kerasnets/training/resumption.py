"""A training's checkpoints, seen from the training: resumed, set aside, written, and mentioned when it stops."""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import keras
import numpy as np

from kerasnets.errors import shorten
from kerasnets.runtime import signals
from kerasnets.training import checkpoints, report, state

if TYPE_CHECKING:
    from kerasnets.training.callbacks import Figures
    from kerasnets.training.jobs import TrainingJob


def start(job: "TrainingJob", trainee: keras.Model, figures: "Figures") -> None:
    """Give `trainee` and `figures` the state of the earlier run if the job resumes one, and print what happens.

    Raises:
        BadInputError: The checkpoints are damaged, or belong to a run with other settings.
        ValueError: The earlier run has more epochs than the job.
    """
    folder = job.checkpoints
    if not job.resume:
        leave_earlier_run(job)
        return
    if checkpoints.take_back(folder):
        print(f"note: the checkpoints that were set aside are in {shorten(folder)} again", file=sys.stderr)

    def judge(checkpoint: checkpoints.Checkpoint) -> None:
        state.check(trainee, checkpoint)
        figures.check(checkpoint, bool(job.recipe.validation))

    checkpoint = checkpoints.load(folder, job.settings, judge)
    if checkpoint is None:
        print(f"note: no checkpoint in {shorten(folder)}: starting at the first epoch", file=sys.stderr)
        return
    if checkpoint.epoch > job.recipe.epochs:
        raise ValueError(f"{checkpoint.epoch} epochs are in {shorten(folder)} already, more than {job.recipe.epochs}")
    state.restore(trainee, checkpoint)  # Figures restores again at the first step, for the random number generators
    figures.resume(checkpoint)
    take_up_threads(checkpoint.threads)
    print(start_line(job, checkpoint.epoch))


def start_line(job: "TrainingJob", epoch: int) -> str:
    """Return what a run does that resumes after an epoch."""
    if epoch < job.recipe.epochs:
        return f"resuming after epoch {epoch} of {job.recipe.epochs}"
    if checkpoints.are_unfinished(job.checkpoints, job.report):
        return f"resuming after epoch {epoch} of {epoch}: the test and the files follow"
    return f"the run is finished, with all {epoch} epochs; its test and files are made again (--epochs goes on to more)"


def take_up_threads(count: int) -> None:
    """Compute with as many threads as the earlier run did, if the backend can change their number; say what happens.

    The last digits of a sum depend on how many threads share it.
    """
    now = state.threads()
    if not count or count == now:
        return
    if state.set_threads(count):
        note = f"computing with {count} threads as before, instead of {now}: the result depends on their number"
    else:
        note = f"the run began with {count} threads and goes on with {now}: the last digits of its result may differ"
    print(f"note: {note}", file=sys.stderr)


def leave_earlier_run(job: "TrainingJob") -> None:
    """Set the checkpoints of an unfinished run aside; those of a finished run stay until the first epoch ends."""
    folder = job.checkpoints
    if checkpoints.are_unfinished(folder, job.report):
        print(
            f"note: the checkpoints of an unfinished run are in {shorten(checkpoints.set_aside(folder))} now; to go on "
            f"with them, remove the folder {shorten(folder.name)} beside it and add --resume",
            file=sys.stderr,
        )
    elif checkpoints.files(folder):
        note = f"the first epoch replaces the checkpoints in {shorten(folder)}; --resume goes on with them"
        print(f"note: {note}", file=sys.stderr)


def save(job: "TrainingJob", epoch: int, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the job's checkpoint after `epoch` epochs."""
    checkpoint = checkpoints.Checkpoint(epoch, job.settings, arrays, state.threads())
    checkpoints.save(job.checkpoints, checkpoint, alone=epoch == 1)


@contextlib.contextmanager
def note_kept_epochs(job: "TrainingJob", figures: "Figures") -> Iterator[None]:
    """If the block is stopped, write the figures of the epochs that are kept, and add a note on them to the error."""
    try:
        yield
    except (signals.Stopped, FloatingPointError, OSError) as error:
        if figures.kept:
            with contextlib.suppress(OSError):  # a full disk; the checkpoint has the figures too
                report.write_history(job.folder, figures)
            place = "" if isinstance(error, OSError) else f" in {shorten(job.checkpoints)}"  # it names a file itself
            note = f"{figures.kept} of {job.recipe.epochs} epochs are kept{place}; --resume goes on with them"
            error.note = note  # type: ignore[union-attr]  # printed by the command line
        raise
