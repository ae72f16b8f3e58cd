"""Fixtures of all tests: one worker process per backend, and the real MNIST if it is on this disk.

This process imports no framework. A test gives a module-level function to a worker, which runs it with its backend.
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
    """Keep frameworks out of this process: a test could use one by mistake, and JAX changes TensorFlow's messages."""
    sys.meta_path.insert(0, KeepOut(FRAMEWORKS))
    if "PYTEST_XDIST_WORKER" in os.environ:  # beside others, which have the other cores
        os.environ.setdefault("OMP_NUM_THREADS", "1")


# Warnings that Keras and the frameworks cause among themselves; all others are errors.
FOREIGN_WARNINGS = (
    "__array__ implementation doesn't accept a copy keyword",  # NumPy 2 of Keras' variables under torch
)


def strictly():
    """Make warnings errors in a worker, from after the import of Keras on."""
    warnings.simplefilter("error")
    for message in FOREIGN_WARNINGS:
        warnings.filterwarnings("ignore", message)


def often(few, times):
    """Return how often a fault is tried: `few` times in every run, `times` by `-m all_faults`."""
    return [few, pytest.param(times, marks=pytest.mark.all_faults)]


def turns(count):
    """Return the turns of a repeated test: the first in every run, all `count` by `-m all_faults`."""
    return mostly_first(range(count))


def mostly_first(values):
    """Return values for a parameter: the first in every run, the others by `-m all_faults`."""
    first, *others = values
    return [first, *(pytest.param(value, marks=pytest.mark.all_faults) for value in others)]


def mostly_torch():
    """Return the backends for a parameter: torch in every run, the others by `-m all_backends`."""
    others = [pytest.param(backend, marks=pytest.mark.all_backends) for backend in BACKENDS if backend != "torch"]
    return ["torch", *others]


def mostly_on_torch(test):
    """Run a test that has `worker` on the backends of `mostly_torch`."""
    return pytest.mark.parametrize("worker", mostly_torch(), indirect=True)(test)


def is_running(pid):
    """Return whether a process is running, and is not a zombie (Linux)."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")")[-1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill_in(write, seconds):
    """Fork a child that calls `write` again and again, and kill it at a random moment within `seconds`."""
    child = os.fork()
    if child == 0:
        while True:
            write()
    time.sleep(random.uniform(0.001, seconds))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def seconds_in_a_child(write):
    """The time that this machine takes to fork a child and let it call `write` once."""
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        write()
        os._exit(0)
    os.waitpid(child, 0)
    return time.monotonic() - begun


@pytest.fixture(scope="session")
def workers():
    """{backend: Worker} of all backends."""
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
    """The real MNIST. Its tests are skipped with a note unless KERASNETS_DATA names its folder."""
    if "KERASNETS_DATA" not in os.environ:
        pytest.skip("the real MNIST is not here: set KERASNETS_DATA to the folder that holds MNIST/raw")
    return data.load_data("mnist")
