"""Worker processes, one per backend, for whatever compares backends."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Self, TypeVar

from kerasnets.runtime import backends, room

Result = TypeVar("Result")

F_SETSIG = 10  # linux/fcntl.h; Python's fcntl has no name for it


class Worker:
    """A process with one backend; `worker(function, *args)` runs `function` there and returns its result.

    The process ends with this one, even if this one is killed. At the end of a `with` block it ends after its calls
    have returned; at once if the block is left by an error, as by Ctrl-C, which the process itself ignores.

    Args:
        backend: One of backends.BACKENDS.
        prepare: A module-level function that the process calls first, after it has imported Keras.
    """

    def __init__(self, backend: str, prepare: Callable[[], object] | None = None) -> None:
        self.backend = backend
        spawn = multiprocessing.get_context("spawn")
        ours, self.alive = spawn.Pipe(duplex=False)  # nothing is sent: the system closes it when this process ends
        self.pool = ProcessPoolExecutor(1, spawn, start, (backend, prepare, ours))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind:
            self.kill()
        else:
            self.close()

    def submit(self, function: Callable[..., Result], *args: object) -> Future[Result]:
        """Return a Future of the result; calls run one after another."""
        with without_script(function):
            return self.pool.submit(function, *args)

    def __call__(self, function: Callable[..., Result], *args: object) -> Result:
        try:
            return self.submit(function, *args).result()
        except BrokenProcessPool as error:
            problem = f"too little memory, probably: the process of {self.backend} has ended"
            raise room.NoRoomError(f"{problem}; free some, or raise the limit on it") from error

    def close(self) -> None:
        """End the process after its calls have returned."""
        self.pool.shutdown(cancel_futures=True)

    def kill(self) -> None:
        """End the process now, and the thread here that waits for it: Python's own end must not meet it half closed."""
        for process in list((self.pool._processes or {}).values()):
            process.kill()
            process.join()
        self.pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def without_script(function: Callable[..., object]) -> Iterator[None]:
    """Let a process that starts in the block not run the user's script again, which may have no `__main__` guard."""
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    if path is None or getattr(main, "__spec__", None) is not None or function.__module__ == "__main__":
        yield
        return
    del main.__file__
    try:
        yield
    finally:
        main.__file__ = path


def alone(backend: str, function: Callable[..., Result], *args: object) -> Result:
    """Return the result of `function(*args)` in a process with one backend, which is started for this call alone."""
    with Worker(backend) as worker:
        return worker(function, *args)


def start(backend: str, prepare: Callable[[], object] | None, parent: Connection) -> None:
    end_with(parent)
    for name in ("SIGINT", "SIGHUP"):  # a terminal sends them to all; the parent ends this process
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    os.environ["KERAS_BACKEND"] = backend
    backends.own_process()
    room.watch()
    try:
        backends.choose()
    except MemoryError:
        os._exit(1)  # without the traceback that the pool would print
    import keras

    keras.config.disable_interactive_logging()
    if prepare:
        prepare()


def end_with(parent: Connection) -> None:
    """End this process when the other end of a pipe is closed.

    A thread waits for it. On Linux the kernel does it too, even while C code keeps Python's lock: it can signal that a
    file is ready (fcntl(2), F_SETSIG). A death signal (prctl) would come when the thread ends that started the process.
    """

    def wait() -> None:
        with contextlib.suppress(EOFError, OSError):
            parent.recv_bytes()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            number = parent.fileno()
            fcntl.fcntl(number, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(number, F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(number, fcntl.F_SETFL, fcntl.fcntl(number, fcntl.F_GETFL) | os.O_ASYNC)
