"""A training's checkpoints, seen from the training: resumed, set aside, written, and mentioned when it stops."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import keras
import numpy as np

from kerasnets.errors import note, shorten
from kerasnets.runtime import signals
from kerasnets.runtime.cores import cores
from kerasnets.runtime.workers import place
from kerasnets.training import checkpoints, loggers, report, state
from kerasnets.training.workers import ALONE, Group

if TYPE_CHECKING:
    from kerasnets.training.callbacks import Figures
    from kerasnets.training.jobs import TrainingJob


def start(job: "TrainingJob", trainee: keras.Model, figures: "Figures", group: Group = ALONE) -> None:
    """Give `trainee` and `figures` the state of the earlier run if the job resumes one, and print what happens.

    Worker 0 of a group reads it for all.

    Raises:
        BadInputError: The checkpoints are damaged, or belong to a run with other settings.
        ValueError: The earlier run has more epochs than the job.
    """
    if group.meeting:
        with group.scope():  # by all workers, who on JAX make each variable together; `find` is worker 0's alone
            trainee.optimizer.build(trainee.trainable_variables)
    checkpoint = shared(find(job, trainee, figures) if group.leads else None, job, group)
    if checkpoint is None:
        return
    state.restore(trainee, checkpoint)  # Figures restores again at the first step, for the random number generators
    figures.resume(checkpoint)
    take_up_threads(checkpoint.threads)
    print(start_line(job, checkpoint, figures.plan.steps_per_epoch))


def shared(found: checkpoints.Checkpoint | None, job: "TrainingJob", group: Group) -> checkpoints.Checkpoint | None:
    """Return what worker 0 has found."""
    if not group.meeting:
        return found
    moment = group.exchange(found and [found.epoch, found.threads, found.step])[0]
    if moment is None:
        return None
    epoch, threads, step = moment
    return checkpoints.Checkpoint(
        epoch, job.settings, group.arrays_of_leader(found.arrays if found else None), threads, step
    )


def find(job: "TrainingJob", trainee: keras.Model, figures: "Figures") -> checkpoints.Checkpoint | None:
    """Return the checkpoint that the job goes on from; None if it starts at the first epoch."""
    folder, restarts = job.checkpoints, place().restarts
    if not job.resume and not restarts:
        leave_earlier_run(job)
        return None
    if not restarts and checkpoints.take_back(folder):
        note(f"the checkpoints that were set aside are in {shorten(folder)} again")

    def judge(checkpoint: checkpoints.Checkpoint) -> checkpoints.Checkpoint:
        renamed = state.with_names_of(trainee, checkpoint) if job.own else checkpoint
        state.check(trainee, renamed)
        figures.check(renamed, bool(job.recipe.validation))
        return renamed

    checkpoint = checkpoints.load(folder, job.settings, judge)
    if checkpoint is None:
        note(f"no checkpoint in {shorten(folder)}: starting at the first epoch")
        return None
    if checkpoint.epoch > job.recipe.epochs:
        raise ValueError(f"{checkpoint.epoch} epochs are in {shorten(folder)} already, more than {job.recipe.epochs}")
    return checkpoint


def start_line(job: "TrainingJob", checkpoint: checkpoints.Checkpoint, steps: int) -> str:
    """Return what a run does that resumes from a checkpoint, with `steps` in an epoch."""
    epoch = checkpoint.epoch
    if checkpoint.step:
        return f"resuming after epoch {epoch} of {job.recipe.epochs} and {checkpoint.step} of {steps} steps"
    if epoch < job.recipe.epochs:
        return f"resuming after epoch {epoch} of {job.recipe.epochs}"
    if checkpoints.are_unfinished(job.checkpoints, job.report):
        return f"resuming after epoch {epoch} of {epoch}: the test and the files follow"
    return f"the run is finished, with all {epoch} epochs; its test and files are made again (--epochs goes on to more)"


def take_up_threads(count: int) -> None:
    """Compute with as many threads as the earlier run did, if the backend can and there are so many cores; say so.

    The last digits of a sum depend on how many threads share it.
    """
    now = state.threads()
    if not count or count == now:
        return
    # two threads on one core wait for each other: a step of resnet20 took 45 times as long
    if count <= cores() and state.set_threads(count):
        note(f"computing with {count} threads as before, instead of {now}: the result depends on their number")
    else:
        note(f"the run began with {count} threads and goes on with {now}: the last digits of its result may differ")


def leave_earlier_run(job: "TrainingJob") -> None:
    """Set the checkpoints of an unfinished run aside; those of a finished run stay until the first epoch ends."""
    folder = job.checkpoints
    if checkpoints.are_unfinished(folder, job.report) or (checkpoints.files(folder) and place().most_restarts):
        note(
            f"the checkpoints of an unfinished run are in {shorten(checkpoints.set_aside(folder))} now; to go on "
            f"with them, remove the folder {shorten(folder.name)} beside it and add --resume"
        )
    elif checkpoints.files(folder):
        note(f"the first epoch replaces the checkpoints in {shorten(folder)}; --resume goes on with them")


def save(job: "TrainingJob", epoch: int, arrays: Mapping[str, np.ndarray], step: int = 0) -> None:
    """Write the job's checkpoint after `epoch` epochs and `step` steps."""
    checkpoint = checkpoints.Checkpoint(epoch, job.settings, arrays, state.threads(), step)
    checkpoints.save(job.checkpoints, checkpoint, alone=epoch + bool(step) == 1)


def on_loss(job: "TrainingJob") -> str:
    """Tell the loggers that the training fails, as a worker is lost, which may take seconds; return the last words."""
    loggers.fail(job.callbacks)
    return last_checkpoint(job)


def last_checkpoint(job: "TrainingJob") -> str:
    """Return the end of a sentence on a lost worker: from where the training goes on."""
    files = checkpoints.files(job.checkpoints)
    if not files:
        return "; there is no checkpoint yet"
    remedy = "--resume goes on with it"
    if place().restarts < place().most_restarts:
        remedy = "the workers go on with it when they are started again"
    return f"; the last checkpoint is {shorten(files[-1])}; {remedy}"


@contextlib.contextmanager
def note_kept_epochs(job: "TrainingJob", figures: "Figures") -> Iterator[None]:
    """If the block is stopped, write the figures of the epochs that are kept, and add a note on them to the error."""
    try:
        yield
    except (signals.Stopped, FloatingPointError, OSError) as error:
        if figures.kept or figures.kept_steps:
            with contextlib.suppress(OSError):  # a full disk; the checkpoint has the figures too
                report.write_history(job.folder, figures)
            where = "" if isinstance(error, OSError) else f" in {shorten(job.checkpoints)}"  # it names a file itself
            steps = f" and {figures.kept_steps} of {figures.plan.steps_per_epoch} steps" if figures.kept_steps else ""
            note = f"{figures.kept} of {job.recipe.epochs} epochs{steps} are kept{where}; --resume goes on with them"
            error.note = note  # type: ignore[union-attr]  # printed by the command line
        raise
