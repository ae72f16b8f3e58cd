"""One process per backend, side by side: what compares backends hands its functions to these."""

import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor

from kerasnets.runtime import backends


class Worker:
    """A process of its own with one backend; `worker(function, *args)` runs there and returns what it returned.

    `prepare`, a module-level function, is called there first, when Keras is imported.
    """

    def __init__(self, backend, prepare=None):
        self.backend = backend
        self.pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), start, (backend, prepare))

    def submit(self, function, *args):
        """Return a Future; calls run one after another."""
        return self.pool.submit(function, *args)

    def __call__(self, function, *args):
        return self.submit(function, *args).result()

    def close(self):
        """End the process when its calls have returned."""
        self.pool.shutdown(cancel_futures=True)

    def kill(self):
        """End the process now."""
        for process in list((self.pool._processes or {}).values()):
            process.kill()
            process.join()
        self.pool.shutdown(wait=False, cancel_futures=True)


def alone(backend, function, *args):
    """What `function(*args)` returns in a process of its own with one backend, which ends with it."""
    worker = Worker(backend)
    try:
        return worker(function, *args)
    finally:
        worker.close()


def start(backend, prepare):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C goes to all; who started this one ends it
    os.environ["KERAS_BACKEND"] = backend
    backends.own_process()
    backends.choose()
    import keras

    keras.config.disable_interactive_logging()
    if prepare:
        prepare()
