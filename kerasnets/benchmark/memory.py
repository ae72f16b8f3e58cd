"""How much memory a training takes at its peak, beyond what the imports take."""

import tempfile
import time
from pathlib import Path

import numpy as np

from kerasnets.benchmark.figures import Figure
from kerasnets.recipes import RECIPES
from kerasnets.runtime import backends
from kerasnets.runtime.processes import alone

MIB = 1024**2
STATUS = Path("/proc/self/status")  # Linux alone tells a peak that can be set back
NETWORKS = {"mnist_cnn": "mnist_cnn-mnist", "lenet5": "lenet5-mnist"}  # -> the recipe
COUNTS = (60_000, 10_000)  # pictures to train and to test: as many as MNIST has
GOAL = 250.0  # MiB, of mnist_cnn


def measure(runs, networks=tuple(NETWORKS), tell=print):
    """Figures in MiB of an epoch by `train`, validation, report and saving counted in, and of a loop in PyTorch.

    Each run is a process of its own. Raises OSError where the system tells no peak.
    """
    if not STATUS.is_file():
        raise OSError("only Linux tells the peak of a process's memory")
    figures = []
    for name in networks:
        sides = {f"kerasnets on {backend}": (backend, by_train) for backend in backends.BACKENDS}
        sides["PyTorch, on tensors in memory"] = ("torch", by_loop)
        for side, (backend, learn) in sides.items():
            if backends.is_installed(backend):
                peaks = tuple(alone(backend, learn, name) for _ in range(runs))
                goal = GOAL if name == "mnist_cnn" and learn is by_train else None
                figures.append(Figure(f"{name}, peak beyond the imports", side, "MiB", peaks, goal))
                tell(figures[-1].line())
    return figures


# ---- run in a process of its own ----


def by_train(name):
    """MiB at most, beyond the imports, of one epoch by `train`."""
    from kerasnets import data
    from kerasnets.training import train

    with tempfile.TemporaryDirectory() as folder:
        begin = resident_after_reset()
        digits = data.Data(*drawn(COUNTS[0]), *drawn(COUNTS[1]), "random pixels", input_kind="mnist")
        train.train(RECIPES[NETWORKS[name]], arrays=digits, epochs=1, out=Path(folder) / "model.keras")
    return peak() - begin


def by_loop(name):
    """The same of the loop that a person would write, with the pictures as float32 tensors."""
    import torch

    from kerasnets import models
    from kerasnets.benchmark import torch_loops

    row = RECIPES[NETWORKS[name]]
    begin = resident_after_reset()
    pixels, labels = drawn(COUNTS[0])
    twin = torch_loops.twin_of(models.build(row.model), row)
    train = torch_loops.in_memory(twin, row, torch_loops.scaled(row, pixels), torch.from_numpy(labels))
    train(np.random.default_rng(0).permutation(len(pixels)))
    return peak() - begin


def drawn(count):
    """(pictures, labels) of MNIST's shape."""
    rng = np.random.default_rng(count)
    return rng.integers(0, 256, (count, 28, 28, 1), np.uint8), rng.integers(0, 10, count)


def resident_after_reset():
    """MiB that are resident now, from which the peak is counted anew."""
    Path("/proc/self/clear_refs").write_text("5")
    time.sleep(0.1)
    return told("VmRSS")


def peak():
    return told("VmHWM")


def told(name):
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024 / MIB
