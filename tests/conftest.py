"""What all tests share: one worker process per backend, and the real MNIST where it lies.

This process imports no framework. A test gives a module-level function to a worker, which runs it under its backend.
"""

import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path

import pytest

from kerasnets import data
from kerasnets.runtime.backends import BACKENDS, KeepOut
from kerasnets.runtime.processes import Worker

ROOT = Path(__file__).parent.parent

FRAMEWORKS = ("keras", "torch", "torchvision", "tensorflow", "jax")


def pytest_configure():
    """Keep frameworks out of this process: a test could lean on one; JAX's import changes what TensorFlow prints."""
    sys.meta_path.insert(0, KeepOut(FRAMEWORKS))


# Warnings that are errors elsewhere: what Keras and the frameworks do among themselves.
FOREIGN_WARNINGS = (
    "__array__ implementation doesn't accept a copy keyword",  # NumPy 2 of Keras' variables under torch
)


def strictly():
    """Make warnings errors in a worker; those of Keras' own import are past."""
    warnings.simplefilter("error")
    for message in FOREIGN_WARNINGS:
        warnings.filterwarnings("ignore", message)


def often(few, times):
    """How often a fault is tried: `few` times in every run, as shared/SPEC.md's section 5 has it by `-m all_faults`."""
    return [few, pytest.param(times, marks=pytest.mark.all_faults)]


def turns(count):
    """The turns of a test that is repeated: the first in every run, all `count` by `-m all_faults`."""
    return [0, *(pytest.param(turn, marks=pytest.mark.all_faults) for turn in range(1, count))]


def kill_in(write, seconds):
    """Fork a child that calls `write` again and again, and kill it at a random moment within `seconds`."""
    child = os.fork()
    if child == 0:
        while True:
            write()
    time.sleep(random.uniform(0.001, seconds))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.fixture(scope="session")
def workers():
    """backend -> Worker, for all of them."""
    running = {backend: Worker(backend, strictly) for backend in BACKENDS}
    yield running
    for worker in running.values():
        worker.close()


@pytest.fixture(params=BACKENDS)
def worker(request, workers):
    """The Worker of each backend in turn."""
    return workers[request.param]


@pytest.fixture(scope="session")
def mnist():
    """The real MNIST. Tests on it are skipped, and say so, where KERASNETS_DATA does not name it."""
    if "KERASNETS_DATA" not in os.environ:
        pytest.skip("the real MNIST is not here: set KERASNETS_DATA to the folder that holds MNIST/raw")
    return data.load_data("mnist")
