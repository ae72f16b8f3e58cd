"""Model files of other programs, run once in a process that may die of them.

What a damaged file leads an engine's C++ to is at times no exception: of 800 mutated ONNX files, cv2.dnn ended the
process by 38. A file with our checksum needs no trial.
"""

import contextlib
import os
import signal
import subprocess
import sys

from kerasnets.errors import BadInputError, shorten
from kerasnets.runtime.backends import environment, import_quietly
from kerasnets.saving import formats

SECONDS = 5  # of computing on each core, beside those for the size of the file
MEMORY = 2**29  # bytes, beside those for the size of the file and for threads
PER_BYTE = 6  # bytes of memory that a good file's weights take at most while an engine arranges them
BYTES_A_SECOND = 2**25  # that are loaded at least
THREAD = 2**23  # bytes of a thread's stack
PATIENCE = 120  # seconds by the clock, on a machine that is busy with other things
OPEN_SIZE = 224  # pixels where a file leaves height and width open

BAD_INPUT = 3  # exit code of a trial that ended in a BadInputError


def try_out(path, engine):
    """Raise BadInputError where the model file `path`, run by `engine`, ends its process or takes too much of it."""
    command = [sys.executable, "-m", "kerasnets.prediction.sandbox", str(path), engine]
    patience = PATIENCE + size_of(path) / BYTES_A_SECOND
    try:
        done = subprocess.run(
            command, env=environment(), capture_output=True, text=True, errors="replace", timeout=patience
        )
    except subprocess.TimeoutExpired as error:
        raise BadInputError(f"{shorten(path)} takes {engine} too long; export it again") from error
    if done.returncode == BAD_INPUT:
        raise BadInputError(done.stdout.strip())
    if done.returncode:
        died = f" by {signal.Signals(-done.returncode).name}" if done.returncode < 0 else ""
        raise BadInputError(
            f"{shorten(path)} ends {engine}{died}: damaged, or too much for it; export it again, or use another engine"
        )


def main(path, engine):
    """Run a model file here, on two black pictures, within limits."""
    import numpy as np

    from kerasnets.prediction import engines

    import_quietly(engines.ENGINES[engine].package)  # which for TensorFlow takes seconds
    limit(size_of(path))
    try:
        network = engines.load(path, engine)
        shape = [size or OPEN_SIZE for size in network.shape]
        network(np.zeros((2, *shape), np.uint8 if len(shape) == 3 else np.float32))
    except BadInputError as error:
        print(error)
        return BAD_INPUT


def size_of(path):
    return sum(file.stat().st_size for file in formats.files_of(path))


def limit(size):
    """Let this process compute and take no more than a model file of `size` bytes should; where the system can."""
    with contextlib.suppress(ImportError):  # Windows
        import resource

        cores = os.cpu_count()
        used = resource.getrusage(resource.RUSAGE_SELF)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        memory = used.ru_maxrss * 1024 + MEMORY + PER_BYTE * size + THREAD * 4 * cores
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        seconds = int(used.ru_utime + used.ru_stime + SECONDS * cores + size / BYTES_A_SECOND) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
