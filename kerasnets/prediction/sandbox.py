"""Another program's model file, run once in a process of its own before it is run in this one.

A damaged file can end the process of an engine written in C++ without an exception: cv2.dnn ended it for 38 of 800
mutated ONNX files. A file with our checksum is not tried.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from kerasnets.errors import BadInputError
from kerasnets.runtime.backends import environment, import_quietly
from kerasnets.saving import formats

SECONDS = 5  # of computing on each core, in addition to the time for the size of the file
MEMORY = 2**29  # bytes, in addition to those for the size of the file and for threads
PER_BYTE = 6  # bytes of memory for each byte of a good file, the most while an engine arranges its weights
BYTES_A_SECOND = 2**25  # the slowest loading
THREAD = 2**23  # bytes of a thread's stack
PATIENCE = 120  # seconds of wall-clock time, for a busy machine
OPEN_SIZE = 224  # pixels, if a file leaves height and width open

BAD_INPUT = 3  # exit code of a trial that ended in a BadInputError


def try_out(path: str | Path, engine: str) -> None:
    """Raise BadInputError if a model file cannot be run by `engine`, ends its process, or exceeds the limits."""
    command = [sys.executable, "-m", "kerasnets.prediction.sandbox", str(path), engine]
    patience = PATIENCE + size_of(path) / BYTES_A_SECOND
    try:
        done = subprocess.run(
            command, env=environment(), capture_output=True, text=True, errors="replace", timeout=patience
        )
    except subprocess.TimeoutExpired as error:
        raise BadInputError(f"takes {engine} too long", path=path, remedy="export it again") from error
    if done.returncode == BAD_INPUT:
        raise BadInputError(done.stdout.strip())
    if done.returncode:
        died = f" by {signal.Signals(-done.returncode).name}" if done.returncode < 0 else ""
        problem = f"ends {engine}{died}: damaged, or too much for it"
        raise BadInputError(problem, path=path, remedy="export it again, or use another engine")


def main(path: str, engine: str) -> int:
    """Run a model file on two black pictures, or rows of zeros, within limits; return the exit code."""
    import numpy as np

    from kerasnets.prediction import engines

    import_quietly(engines.ENGINES[engine].package)  # before the limits: TensorFlow's import takes seconds
    limit(size_of(path))
    try:
        network = engines.load(path, engine)
        shape = [size or OPEN_SIZE for size in network.shape]
        network(np.zeros((2, *shape), np.uint8 if len(shape) == 3 else np.float32))
    except BadInputError as error:
        print(error)
        return BAD_INPUT
    return 0


def size_of(path: str | Path) -> int:
    return sum(file.stat().st_size for file in formats.files_of(path))


def limit(size: int) -> None:
    """Limit this process to the time and memory that a model file of `size` bytes may need, if the system can."""
    with contextlib.suppress(ImportError):  # Windows
        import resource

        cores = os.cpu_count() or 1
        used = resource.getrusage(resource.RUSAGE_SELF)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        memory = used.ru_maxrss * 1024 + MEMORY + PER_BYTE * size + THREAD * 4 * cores
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        seconds = int(used.ru_utime + used.ru_stime + SECONDS * cores + size / BYTES_A_SECOND) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
