"""What a training needs to know of its workers: which part of a batch is mine, what the others have, who writes.

    with workers.begin() as group:      all workers meet, and start the backend's own exchange (`fast.*_workers`)
        group.share(chosen)             the part of a global batch that this worker computes
        group.check_same({...})         data, settings, versions
        group.check_stop()              a signal that any worker received ends all after the same step
        group.exchange(...)             figures of validation and test

One process alone has a Group too, in which nothing is exchanged. What depends on the workers' number ends here: the
order of the data, the steps of an epoch, the learning rate and the checkpoints know the global batch only.
"""

from kerasnets.runtime.chosen import BACKEND as BACKEND

import contextlib
import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasnets.errors import note
from kerasnets.runtime import signals
from kerasnets.runtime.meeting import WAIT, Meeting, descriptor_of_stderr
from kerasnets.runtime.workers import Place, place

if TYPE_CHECKING:
    from kerasnets.training.jobs import TrainingJob

AGREE = 0.5  # seconds between two moments at which the workers ask each other for a signal
MOST_STEPS = 1000  # between them
PATIENCE = 10.0  # seconds in which a second signal is the first one, passed on by the launcher
PLAIN = (ValueError, OSError, ImportError, MemoryError, ArithmeticError, KeyboardInterrupt)  # with words for a person
WAIT_VARIABLE = "KERASNETS_WAIT"  # environment variable: seconds for all workers to come, instead of WAIT


class Group:
    """The workers of a training, seen from one of them.

    Args:
        place: Of this worker.
        meeting: Of all workers; None if there is one.

    Attributes:
        engine: How the backend computes with several workers, or JAX with several devices of one: an Engine of
            `fast.torch_workers` or another backend's. None for one worker with one device.
    """

    def __init__(self, place: Place, meeting: Meeting | None = None) -> None:
        self.place, self.meeting = place, meeting
        self.rank, self.count, self.leads = place.rank, place.count, place.leads
        self.engine: Any = None
        self.since, self.every, self.asked_at = 0, 1, time.monotonic()
        self.has_agreed = False  # to stop
        self.sizes: Callable[[int], int] = int
        self.step = 0

    def engine_of(self, job: "TrainingJob") -> Any:
        """Return the engine, set up for a job; ValueError if it cannot do what the job wants."""
        if job.worker_statistics:
            if self.scoped:
                raise ValueError("JAX normalizes by the whole batch; leave out --worker-statistics")
            self.engine.own_statistics = True
        return self.engine

    # ---- shares ----

    def bounds(self, total: int) -> tuple[int, int]:
        """Return (start, end) of this worker's part of `total` images: of all if the engine needs equal parts."""
        if self.engine.equal_shares and total % self.engine.parts:
            return 0, total
        part = self.part(np.arange(total))
        return (int(part[0]), int(part[-1]) + 1) if len(part) else (total, total)

    def part(self, chosen: np.ndarray) -> np.ndarray:
        """Return this worker's part of some indices; the parts together are all."""
        return np.array_split(chosen, self.count)[self.rank]

    def share(self, chosen: np.ndarray) -> np.ndarray:
        """Return this worker's part of a global batch."""
        start, end = self.bounds(len(chosen))
        return chosen[start:end]

    def check_batch(self, size: int) -> None:
        """Raise ValueError if a batch of `size` images is too small; print a note if it cannot be parted."""
        if size < self.count:
            raise ValueError(f"a batch of {size} images has no work for {self.count} workers; enlarge it")
        if self.scoped and size % self.engine.parts:
            parts = self.engine.parts
            note(
                f"{parts} devices cannot part a batch of {size} images equally, so each computes all of it; a "
                f"--batch-size that {parts} divides takes less time"
            )

    def follow(self, sizes: Callable[[int], int], step: int) -> None:
        """Begin at `step` of a training; `sizes` gives the images in the global batch of a step."""
        self.sizes, self.step = sizes, step
        if self.meeting:
            signals.take_back()

    def next_batch(self) -> tuple[int, int]:
        """Return (images in the next global batch, the place of this worker's first one in it)."""
        total = self.sizes(self.step)
        self.step += 1
        return total, self.bounds(total)[0]

    # ---- where the variables lie ----

    @property
    def scoped(self) -> bool:
        """Whether the variables of the trainee belong to all workers together, as on JAX."""
        return bool(self.engine and self.engine.equal_shares)

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which such variables are made and used."""
        return self.engine.scope() if self.scoped else contextlib.nullcontext()

    def outside(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which this worker computes by itself."""
        return self.engine.outside() if self.scoped else contextlib.nullcontext()

    # ---- exchange ----

    def on_loss(self, note: Callable[[], str]) -> None:
        """When another worker is lost, call `note` for the words on what is kept."""
        if self.meeting:
            self.meeting.watch.note = note

    def announce_work(self) -> None:
        """Let the others wait while this worker writes files and they do nothing."""
        if self.meeting:
            self.meeting.watch.say({"work": True})

    def exchange(self, item: Any) -> list[Any]:
        """Return [the item of each worker], of JSON."""
        return self.meeting.exchange(item) if self.meeting else [item]

    def concatenate(self, part: np.ndarray) -> np.ndarray:
        """Return the parts of all workers, float32 (n, ...), as one array."""
        if not self.meeting:
            return part
        parts = self.meeting.exchange_bytes(np.ascontiguousarray(part, "float32").tobytes())
        arrays = [np.frombuffer(content, "float32").reshape(-1, *part.shape[1:]) for content in parts]
        return np.concatenate(arrays)

    def arrays_of_leader(self, arrays: Mapping[str, np.ndarray] | None) -> dict[str, np.ndarray]:
        """Return the arrays of worker 0 by name."""
        file = io.BytesIO()
        if self.leads:
            np.savez(file, **(arrays or {}))  # type: ignore[arg-type]  # NumPy's allow_pickle
        if not self.meeting:
            return dict(arrays or {})
        with np.load(io.BytesIO(self.meeting.share(file.getvalue())), allow_pickle=False) as shared:
            return dict(shared)

    def check_same(self, facts: Mapping[str, Any], words: Mapping[str, str]) -> None:
        """Raise ValueError if workers differ in a fact; `words` say in which, where a name and values would not."""
        for rank, others in enumerate(self.exchange(facts)):
            for name, value in facts.items() if rank else ():
                if self.leads and others.get(name) != value:
                    how = words.get(name, f"{name} {others.get(name)!r:.40}, not {value!r:.40}")
                    raise ValueError(f"worker {rank} has {how}: all workers must have the same as worker 0")
        self.exchange(None)  # so that the others learn of a difference from worker 0

    # ---- signals ----

    def check_stop(self) -> None:
        """Raise Stopped if this process has received a signal; of several workers on all, after the same step.

        It is called after each step. The workers ask each other about twice a second.
        """
        if not self.meeting:
            signals.check()
            return
        self.since += 1  # steps since the workers asked each other
        if self.since < self.every:
            return
        now = time.monotonic()
        every = int(AGREE * self.since / max(now - self.asked_at, 1e-6))
        answers = self.exchange([signals.Signals.received or 0, min(max(every, 1), MOST_STEPS)])
        self.every, self.since, self.asked_at = answers[0][1], 0, now
        self.stop(max(number for number, _ in answers))

    def stop_together(self) -> None:
        """Raise Stopped on all workers if one has received a signal; all must call it at the same place."""
        self.stop(max(self.exchange(signals.Signals.received or 0)))

    def stop(self, number: int) -> None:
        if number:
            self.has_agreed = True
            signals.Signals.received = signals.Signals.received or number
            signals.check()


ALONE = Group(Place())


@contextlib.contextmanager
def begin() -> Iterator[Group]:
    """Yield the Group of this process, in touch with all its workers. Within the block, only worker 0 prints.

    Raises:
        TimeoutError: Not all workers have come.
        OSError: The port is in use, or the workers contradict each other.
    """
    here = place()
    if here.count == 1:
        yield alone()
        return
    signals.Signals.patience = PATIENCE
    stderr = descriptor_of_stderr()
    with quiet(not here.leads):
        meeting = Meeting(here, seconds_to_wait(), stderr)
        group = Group(here, meeting)
        try:
            group.engine = engine_of(group)
            signals.take_back()
            yield group
            meeting.leave()
        except BaseException as error:
            part(group, meeting, error)
            raise
        finally:
            if group.engine:
                group.engine.close()


def alone() -> Group:
    """Return the Group of one process. If it has several devices, it says which of them compute."""
    backend = keras.backend.backend()
    count = devices(backend)
    if count < 2:
        return ALONE
    if backend != "jax":
        command = f"torchrun --standalone --nproc-per-node {count} -m kerasnets train ..."
        note(f"{backend} computes on one of {count} GPUs here; all compute by: {command}")
        return ALONE
    group = Group(Place())
    group.engine = engine_of(group)
    note(f"the {count} devices of JAX compute each batch together")
    return group


def devices(backend: str) -> int:
    """Return how many devices the backend finds: GPUs; on JAX, without a GPU, the parts of a CPU."""
    if backend == "torch":
        return int(sys.modules["torch"].cuda.device_count())
    if backend == "tensorflow":
        return len(sys.modules["tensorflow"].config.list_physical_devices("GPU"))
    return int(sys.modules["jax"].local_device_count())


def part(group: Group, meeting: Meeting, error: BaseException) -> None:
    """Tell the other workers of an error; if it comes from the loss of one of them, end this process."""
    if group.has_agreed:
        meeting.watch.say({"bye": True})
        meeting.close()
    else:
        if not isinstance(error, PLAIN):  # a backend's own error: most likely another worker is lost
            meeting.watch.wait()
        meeting.fail("" if group.leads else str(error) or repr(error))
    error.told = not group.leads  # type: ignore[attr-defined]  # for the command line, which prints no told error


@contextlib.contextmanager
def quiet(is_quiet: bool) -> Iterator[None]:
    """Print nothing within the block, if `is_quiet`."""
    if not is_quiet:
        yield
        return
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield


def seconds_to_wait() -> float:
    text = os.environ.get(WAIT_VARIABLE, "")
    try:
        return float(text or WAIT)
    except ValueError:
        raise ValueError(f"{WAIT_VARIABLE} must be a number of seconds, not {text[:20]!r}") from None


def engine_of(group: Group) -> Any:
    """Start what the backend exchanges by, and return it."""
    backend = keras.backend.backend()
    if backend == "torch":
        from kerasnets.training.fast.torch_workers import Engine as TorchEngine

        return TorchEngine(group)
    if backend == "tensorflow":
        from kerasnets.training.fast.tensorflow_workers import Engine as TensorFlowEngine

        return TensorFlowEngine(group)
    from kerasnets.training.fast.jax_workers import Engine as JaxEngine

    return JaxEngine(group)
