"""The peak memory of a training run, less the memory of the imports."""

import importlib
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kerasnets.benchmark.figures import Figure, Tell
from kerasnets.recipes import RECIPES
from kerasnets.runtime import backends
from kerasnets.runtime.processes import alone

MIB = 1024**2
STATUS = Path("/proc/self/status")  # only Linux has a peak that can be reset
NETWORKS = {"mnist_cnn": "mnist_cnn-mnist", "lenet5": "lenet5-mnist"}  # -> the recipe
TRAIN, TEST = 60_000, 10_000  # pictures, as in MNIST
GOAL = 250.0  # MiB, for mnist_cnn


def measure(runs: int, networks: Sequence[str] = tuple(NETWORKS), tell: Tell = print) -> list[Figure]:
    """Return MiB of one epoch by `train`, with validation, report and saving, and of one by a hand-written loop.

    On each installed backend; each run has its own process.

    Raises:
        OSError: The system does not measure the peak of a process.
    """
    if not STATUS.is_file():
        raise OSError("only Linux measures the peak memory of a process")
    figures = []
    for name in networks:
        sides: dict[str, tuple[str, Callable[[str], float]]] = {
            f"kerasnets on {backend}": (backend, by_train) for backend in backends.BACKENDS
        }
        sides |= {
            "PyTorch, on tensors in memory": ("torch", by_torch_loop),
            "tf.function, on tensors in memory": ("tensorflow", by_compiled_loop),
            "jax.jit, on arrays in memory": ("jax", by_compiled_loop),
        }
        for side, (backend, learn) in sides.items():
            if backends.is_installed(backend):
                peaks = tuple(alone(backend, learn, name) for _ in range(runs))
                goal = GOAL if name == "mnist_cnn" and learn is by_train else None
                figures.append(Figure(f"{name}, peak above the memory used after imports", side, "MiB", peaks, goal))
                tell(figures[-1].line())
    return figures


# ---- in its own process ----


def by_train(name: str) -> float:
    """Return the peak MiB of one epoch by `train`, without the imports."""
    from kerasnets import data
    from kerasnets.training import train

    with tempfile.TemporaryDirectory() as folder:
        begin = resident_after_reset()
        digits = data.Data(*draw(TRAIN), *draw(TEST), title="random pixels", input_kind="mnist")
        train.train(RECIPES[NETWORKS[name]], arrays=digits, epochs=1, out=Path(folder) / "model.keras")
    return peak() - begin


def by_torch_loop(name: str) -> float:
    """Return the peak MiB of one epoch by a hand-written loop with the pictures as float32 tensors."""
    import torch

    from kerasnets import models
    from kerasnets.benchmark import torch_loops

    recipe = RECIPES[NETWORKS[name]]
    begin = resident_after_reset()
    pixels, labels = draw(TRAIN)
    twin = torch_loops.twin_of(models.build(recipe.model), recipe)
    train = torch_loops.in_memory(twin, recipe, torch_loops.scale_pixels(recipe, pixels), torch.from_numpy(labels))
    train(np.random.default_rng(0).permutation(len(pixels)))
    return peak() - begin


def by_compiled_loop(name: str) -> float:
    """Return the same for the loop on TensorFlow or JAX."""
    import keras

    from kerasnets import models

    recipe = RECIPES[NETWORKS[name]]
    loops = importlib.import_module(f"kerasnets.benchmark.{keras.backend.backend()}_loops")
    begin = resident_after_reset()
    (train,) = loops.competitors(models.build(recipe.model), recipe, *draw(TRAIN)).values()
    train(np.random.default_rng(0).permutation(TRAIN))
    return peak() - begin


def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random (pictures, labels) of MNIST's shape."""
    rng = np.random.default_rng(count)
    return rng.integers(0, 256, (count, 28, 28, 1), np.uint8), rng.integers(0, 10, count)


def resident_after_reset() -> float:
    """Reset the peak; return the MiB in use now."""
    Path("/proc/self/clear_refs").write_text("5")
    time.sleep(0.1)
    return mebibytes("VmRSS")


def peak() -> float:
    return mebibytes("VmHWM")


def mebibytes(name: str) -> float:
    """Return an entry of the process's status."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024 / MIB
