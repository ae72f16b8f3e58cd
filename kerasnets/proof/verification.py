"""The proof that each network is the right one, and the same one, on every backend and in either layout.

The judge is the network's twin in plain PyTorch, computed in float64. The logits are those of float32, gradients and
steps those of float64. The yardstick is how far PyTorch's own rounding takes the twin from itself, which is far in a
deep network: nobody can be asked to be much nearer. Weights and pictures come from NumPy. Each backend works in a
process of its own.
"""

import collections
import contextlib
import dataclasses
import fnmatch
import logging
import math
import shutil
import tempfile
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import numpy as np

from kerasnets.errors import nearest_first
from kerasnets.proof.parameter_counts import PUBLISHED
from kerasnets.runtime import provenance
from kerasnets.runtime.backends import BACKENDS, LAYOUTS, is_installed
from kerasnets.runtime.processes import Worker

QUANTITIES = ("logits", "training_logits", "gradients", "steps")  # steps: what three of SGD changed

STEPS_IN_WORDS = "three steps"
TOLERANCE = 1e-5  # of the logits in inference, of a file's too, in float32, which rounds at 6e-8
TOLERANCE_OF_FLOAT64 = 1e-9  # of gradients and steps, in float64, which rounds at 1e-16
DEPTH_TO_COMPILE_TWICE = 100  # layers with weights; deeper networks are measured in one layout where that must compile
TIMES_THE_YARDSTICK = 4  # how much further from the float64 twin than the float32 twin logits in training may be
WELL_CONDITIONED = 1e-2  # the yardstick itself stays below, or the comparison would say nothing


@dataclass(frozen=True)
class Proof:
    """What was found of one network. Distances are as in measuring.distances, by quantity."""

    network: str
    input_shape: tuple[int, ...] = ()
    parameters: int = 0
    published: int | None = None
    full_size: float = math.nan  # how far the logits of one picture lie from the twin's, at full size, on torch
    pytorch: dict[str, float] = field(default_factory=dict)  # the yardstick: the twin in float32, from that in float64
    keras: dict[str, dict[str, float]] = field(default_factory=dict)  # "backend layout" -> from the twin in float64
    unmoved: dict[str, list[str]] = field(default_factory=dict)  # "backend layout" -> weights that a step left as is
    files: dict[str, float] = field(default_factory=dict)  # "saver to loader, format" -> distance of the logits
    automatic_names: list[str] = field(default_factory=list)  # of layers
    left_out: str = ""  # what was not measured, and why
    broken: str = ""  # what went wrong before anything could be measured

    def worst(self, quantity):
        """The largest distance over backends and layouts; NaN where nothing was measured."""
        return largest([distances[quantity] for distances in self.keras.values()])

    @property
    def worst_file(self):
        return largest(list(self.files.values()))

    def allowed(self, quantity):
        tolerance = TOLERANCE if "logits" in quantity else TOLERANCE_OF_FLOAT64
        return tolerance if quantity == "logits" else max(tolerance, TIMES_THE_YARDSTICK * self.pytorch[quantity])

    @property
    def faults(self):
        """What is wrong, in words; nothing in a network that is proven. A distance that is no number is a fault."""
        if self.broken:
            return [self.broken]
        far = [
            f"{quantity} of {where} lie {distances[quantity]:.1e} apart; allowed are {self.allowed(quantity):.1e}"
            for where, distances in self.keras.items()
            for quantity in QUANTITIES
            if not distances[quantity] <= self.allowed(quantity)
        ]
        far += [
            f"PyTorch's own {quantity} lie {distance:.1e} apart: the case is ill-conditioned"
            for quantity, distance in self.pytorch.items()
            if not distance <= WELL_CONDITIONED
        ]
        if not self.full_size <= TOLERANCE:
            far.append(f"logits at full size lie {self.full_size:.1e} apart; allowed are {TOLERANCE:.1e}")
        far += [f"file {way} is {d:.1e} apart" for way, d in self.files.items() if not d <= TOLERANCE]
        wrong = [f"one step on {where} left {', '.join(names)}" for where, names in self.unmoved.items() if names]
        if self.published not in (None, self.parameters):
            wrong.append(f"{self.parameters:,} parameters; published are {self.published:,}")
        if self.automatic_names:
            wrong.append(f"automatic layer names: {', '.join(self.automatic_names)}")
        return far + wrong

    def as_dict(self):
        return dataclasses.asdict(self) | {"faults": self.faults}


def largest(distances):
    """NaN where one of them is, or where there is none: Python's max would pass over it."""
    return float(np.max(distances)) if distances else math.nan


def rows_of(patterns):
    """The rows of PUBLISHED whose networks fit one of the shell-style patterns; all of them without a pattern.

    Raises ValueError for a pattern that fits none.
    """
    for pattern in patterns:
        if not fnmatch.filter([row.name for row in PUBLISHED], pattern):
            names = list(dict.fromkeys(row.name for row in PUBLISHED))
            raise ValueError(f"unknown model {pattern!r}; choose one of: {nearest_first(pattern, names)}")
    return [row for row in PUBLISHED if not patterns or any(fnmatch.fnmatchcase(row.name, p) for p in patterns)]


def installed_backends():
    """The backends to prove networks on. Raises ImportError where torch and torchvision, the judges', are missing."""
    for package in ("torch", "torchvision"):
        if not is_installed(package):
            raise ImportError(f"{package}, which judges, is not installed: pip install torch torchvision")
    return tuple(backend for backend in BACKENDS if is_installed(backend))


@contextlib.contextmanager
def running_workers():
    """backend -> Worker for each installed one; ended on leaving."""
    workers = {backend: Worker(backend, quietly) for backend in installed_backends()}
    try:
        yield workers
    except BaseException:  # Ctrl-C among them: what is being measured would take minutes
        for worker in workers.values():
            worker.kill()
        raise
    for worker in workers.values():
        worker.close()


def quietly():
    """Keep TensorFlow from telling that it compiles anew for each network."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def verify(rows, workers, layouts=LAYOUTS):
    """Yield the Proof of each row of PUBLISHED, one by one. Two are under way at a time, so that no process waits long.

    workers: backend -> Worker, torch among them: the twins are its.
    """
    with tempfile.TemporaryDirectory(prefix="kerasnets-proof-") as folder:
        folders = [Path(folder) / str(number) for number in range(len(rows))]
        under_way, judged = collections.deque(), submit_judge(workers, rows[0], folders[0])
        for number, row in enumerate(rows):
            under_way.append((row, folders[number], started(judged, layouts, workers)))
            if number + 1 < len(rows):
                judged = submit_judge(workers, rows[number + 1], folders[number + 1])
            if number:
                yield finished(*under_way.popleft(), workers)
        yield finished(*under_way.popleft(), workers)


def submit_judge(workers, row, folder):
    """The Future of what `judge` returns; the Exception where its process has ended."""
    try:
        return workers["torch"].submit(judge, row, folder)
    except Exception as error:
        return error


def started(judged, layouts, workers):
    """What `begin` returns; an Exception is returned too: it is told as a fault, and the other networks are proven."""
    try:
        return begin(judged, layouts, workers)
    except Exception as error:
        return error


def finished(row, folder, begun, workers):
    """The Proof of `row`, broken where anything went wrong."""
    try:
        return proof_of(row, begun, workers)
    except Exception as error:
        return Proof(row.title, broken=" ".join((str(error) or repr(error)).split()))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def begin(judged, layouts, workers):
    """Wait for the judge, and hand what is to be measured to the processes.

    Returns (Case, verdict, Futures of measurements by where, Futures of files by backend, what is left out).
    """
    case, *verdict, depth = result_of("judge", judged)
    compiled = depth > DEPTH_TO_COMPILE_TWICE and len(layouts) > 1
    measured = {
        f"{backend} {layout}": worker.submit(measure, case, layout)
        for backend, worker in workers.items()
        for layout in (layouts[:1] if compiled and backend != "torch" else layouts)
    }
    saved = {backend: worker.submit(save_files, case) for backend, worker in workers.items()}
    reason = f"{layouts[-1]} on torch alone: {depth} layers take TensorFlow and JAX minutes to compile"
    return case, verdict, measured, saved, reason if compiled and len(workers) > 1 else ""


def proof_of(row, begun, workers):
    """Wait for the measurements, have each backend's files read by the next backend, and return the Proof."""
    if isinstance(begun, Exception):
        raise begun
    case, (yardstick, automatic_names, (full_size, parameters)), measured, saved, left_out = begun
    measured = {where: result_of(where, future) for where, future in measured.items()}
    savers = list(saved)
    read = {
        f"{saver} to {loader}": workers[loader].submit(load_files, saved[saver].result(), case)
        for saver, loader in zip(savers, savers[1:] + savers[:1], strict=True)
    }
    return Proof(
        network=row.title,
        input_shape=case.options["input_shape"],
        parameters=parameters,
        full_size=full_size,
        published=row.parameters,
        pytorch=yardstick,
        keras={where: distances for where, (distances, _) in measured.items()},
        unmoved={where: names for where, (_, names) in measured.items()},
        files={f"{way}, {suffix}": d for way, future in read.items() for suffix, d in future.result().items()},
        automatic_names=automatic_names,
        left_out=left_out,
    )


def result_of(where, future):
    """What `future` gives; its Exception, which may stand in its place, tells where it was."""
    try:
        if isinstance(future, Exception):
            raise future
        return future.result()
    except Exception as error:
        raise RuntimeError(f"{where}: {error!r}") from error


# ---- what the processes run: these modules import frameworks, which this process must not ----


def judge(row, folder):
    from kerasnets.proof import reference

    return reference.judge(row, folder)


def measure(case, layout):
    from kerasnets.proof import distances

    return distances.measure(case, layout)


def save_files(case):
    from kerasnets.proof import distances

    return distances.save_files(case)


def load_files(*saved):
    from kerasnets.proof import distances

    return distances.load_files(*saved)


def versions(workers):
    """backend -> package -> version; torchvision, which judges, among those of torch."""
    found = {backend: worker(provenance.versions) for backend, worker in workers.items()}
    found["torch"] |= {"torchvision": metadata.version("torchvision")}
    return found
