"""A Python process for one task that may crash, never end or take all memory; it ends when this process does."""

import contextlib
import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
import time

from kerasnets.runtime import room
from kerasnets.runtime.backends import environment

PARENT = "KERASNETS_PARENT"  # environment variable: the id of the process that started this one
PR_SET_PDEATHSIG = 1  # linux/prctl.h
THREAD = 2**23  # bytes of a thread's stack
LIBRARIES = 2**30  # bytes of addresses that Python, NumPy, OpenCV and an engine take, 0.4 to 1.0 GiB as measured


def run(module: str, *arguments: str, seconds: float | None, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run `python -m module`, whose main function calls `end_with_parent` and `limit`; return its exit code and output.

    Args:
        module: A module of this package.
        arguments: Of its command line.
        seconds: Of wall-clock time, after which it is killed; None to wait for ever.
        stdin: What it reads on standard input.

    Raises:
        subprocess.TimeoutExpired: It was killed.
    """
    command = [sys.executable, "-m", module, *arguments]
    alone = variables(OPENBLAS_NUM_THREADS="1")  # NumPy's import starts threads, which take a tenth of the time
    return subprocess.run(command, env=alone, capture_output=True, input=stdin, timeout=seconds)


def variables(**more: str) -> dict[str, str]:
    """Return the environment for a Python subprocess that calls `end_with_parent`, and the variables `more`."""
    return environment(**more, **{PARENT: str(os.getpid())})


def start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start `python -m module`, whose main function calls `end_with_parent`, with pipes to its input and output.

    A thread that waits for it starts it: Linux would end it together with any other thread.
    """
    command = [sys.executable, "-m", module, *arguments]
    answers: queue.SimpleQueue[subprocess.Popen[bytes] | Exception] = queue.SimpleQueue()

    def keep() -> None:
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        try:
            process = subprocess.Popen(command, env=variables(), stdin=pipe, stdout=pipe, stderr=nowhere)
        except Exception as error:
            answers.put(error)
            return
        answers.put(process)
        process.wait()

    threading.Thread(target=keep, daemon=True).start()
    answer = answers.get()
    if isinstance(answer, Exception):
        raise answer
    return answer


def end_with_parent() -> None:
    """End this process when the process that started it with `variables` ends, even by kill -9.

    On Linux the kernel does it, also if C code never returns; it does so too when the thread ends that started this
    process. Elsewhere a thread looks every second.
    """
    parent = int(os.environ.pop(PARENT))  # a child of this process has another parent
    tie()
    if sys.platform != "linux":
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    elif os.getppid() != parent:  # it ended before
        os._exit(1)


def tie() -> None:
    """Let Linux kill this process when the thread ends that started it, also in the program that it becomes."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def limit(memory: int, seconds: float) -> None:
    """Limit this process to `memory` bytes and `seconds` of CPU time more than it has used, if the system can."""
    with contextlib.suppress(ImportError):  # Windows
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        limit_data(memory)
        time_limit = int(used.ru_utime + used.ru_stime + seconds) + 1
        lower("RLIMIT_CPU", time_limit, time_limit + 1)  # SIGXCPU, then SIGKILL


def limit_data(memory: int) -> None:
    """Limit this process to `memory` bytes more than it has now, and those of its threads."""
    most = data_size() + memory + THREAD * 4 * (os.cpu_count() or 1)
    lower("RLIMIT_DATA", most, most)


def lower(name: str, soft: int, hard: int) -> None:
    """Set a limit of this process; a lower one, which its user has set, stays, and only root could raise it."""
    import resource

    number = getattr(resource, name)
    old = [sys.maxsize if limit == resource.RLIM_INFINITY else limit for limit in resource.getrlimit(number)]
    resource.setrlimit(number, (min(soft, *old), min(hard, old[1])))


def is_tight(memory: int) -> bool:
    """Whether this process's own limits let a child have less than `memory` bytes, so that no file is to blame."""
    return any(limit < memory + LIBRARIES for limit in room.limits().values())


def data_size() -> int:
    """Return the bytes of this process that RLIMIT_DATA counts; on other systems than Linux, its most memory so far.

    On Linux, ru_maxrss of a new process starts at the size of the process that started it.
    """
    import resource

    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[5]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
