"""Worker processes, one per backend, for whatever compares backends."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

from kerasnets.runtime import backends

Result = TypeVar("Result")


class Worker:
    """A process with one backend; `worker(function, *args)` runs `function` there and returns its result.

    Args:
        backend: One of backends.BACKENDS.
        prepare: A module-level function that the process calls first, after it has imported Keras.
    """

    def __init__(self, backend: str, prepare: Callable[[], object] | None = None) -> None:
        self.backend = backend
        self.pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), start, (backend, prepare))

    def submit(self, function: Callable[..., Result], *args: object) -> Future[Result]:
        """Return a Future of the result; calls run one after another."""
        return self.pool.submit(function, *args)

    def __call__(self, function: Callable[..., Result], *args: object) -> Result:
        return self.submit(function, *args).result()

    def close(self) -> None:
        """End the process after its calls have returned."""
        self.pool.shutdown(cancel_futures=True)

    def kill(self) -> None:
        """End the process now."""
        for process in list((self.pool._processes or {}).values()):
            process.kill()
            process.join()
        self.pool.shutdown(wait=False, cancel_futures=True)


def alone(backend: str, function: Callable[..., Result], *args: object) -> Result:
    """Return the result of `function(*args)` in a process with one backend, which is started for this call alone."""
    worker = Worker(backend)
    try:
        return worker(function, *args)
    finally:
        worker.close()


def start(backend: str, prepare: Callable[[], object] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all; the parent ends this process
    os.environ["KERAS_BACKEND"] = backend
    backends.own_process()
    backends.choose()
    import keras

    keras.config.disable_interactive_logging()
    if prepare:
        prepare()
