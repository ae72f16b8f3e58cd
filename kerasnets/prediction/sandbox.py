"""A model file run in a process of its own, which may crash, take too long or ask for too much memory.

A damaged file can end the process of an engine written in C++ without an exception: cv2.dnn ended it for 38 of 800
mutated ONNX files. A program in a file, as ONNX's Loop, can run for ever on some pictures alone. So any file that
`formats.read` could not judge to be harmless stays in this process, whoever made it.

Messages in both directions are a length of four bytes and then JSON or the bytes of an array. What this process sends
is not trusted either.
"""

import contextlib
import dataclasses
import json
import math
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from kerasnets.errors import BadInputError, is_full_memory
from kerasnets.prediction.engine import DTYPES, Engine, are_probabilities
from kerasnets.runtime import child
from kerasnets.runtime.backends import import_quietly
from kerasnets.runtime.cores import cores
from kerasnets.saving import formats
from kerasnets.saving.guest import UNKNOWN, Guest
from kerasnets.saving.onnx_file import Input

MEMORY = 2**29  # bytes, in addition to those for the size of the file and for threads
PER_BYTE = 6  # bytes of memory for each byte of a good file, the most while an engine arranges its weights
LOADING, ANSWER, EACH = (
    1.5,
    1.0,
    0.5,
)  # CPU seconds on each core to load a file, for an answer, for each of its pictures
MORE = {"tensorflow": 10}  # engine -> further CPU seconds to load a file
BYTES_A_SECOND = 2**25  # the slowest loading; and of computing with weights, for each picture
START, PATIENCE, BUSY = 120, 10, 5  # wall-clock seconds to import an engine; of a task: PATIENCE + BUSY * CPU seconds
AT_ONCE = 2**20  # bytes of pictures in one message: an engine keeps some hundred times as much for its maps
MOST_CLASSES = 100_000
STEP = 1 / 256  # the largest distance between two probabilities of a quantized network
LONGEST = 4096  # bytes of JSON


class Sandbox(Engine):
    """Runs a model file by another Engine in a process of its own, which is started again after its end.

    Args:
        path: The model file.
        engine: A name in `engines.ENGINES`.
        onnx_input: The Input of an ONNX file if it was read before.
        guest: What a person tells about the file.
    """

    def __init__(self, path: str | Path, engine: str, onnx_input: Input | None = None, guest: Guest = UNKNOWN) -> None:
        self.engine = engine
        super().__init__(path, onnx_input, guest)

    def read(self) -> None:
        """Start the process and let it load the file."""
        self.size = size_of(self.path)
        facts = self.onnx_input and dataclasses.asdict(self.onnx_input)
        told = json.dumps([facts, dataclasses.asdict(self.guest)])
        self.process = child.start("kerasnets.prediction.sandbox", str(self.path), self.engine, told)
        self.owner = os.getpid()  # a fork of it must not use the pipes
        self.end = weakref.finalize(self, end, self.process, self.owner)
        began = time.monotonic()
        try:
            with self.deadline(START):
                is_ready = receive(self.process.stdout, LONGEST) == b"ready"
            if not is_ready:
                if time.monotonic() - began >= START:
                    raise OSError(f"{self.engine} did not start within {START} seconds; the machine is too busy")
                raise OSError(f"no process for {self.engine} could start; free some memory")
            with self.deadline(PATIENCE + BUSY * loading_seconds(self.size, self.engine)):
                facts = json.loads(self.receive(LONGEST))
            shape = tuple(facts["shape"])
            are_sizes = all(side is None or (type(side) is int and 0 < side < 2**31) for side in shape)
            if not are_sizes or len(shape) not in (1, 3) or facts["dtype"] not in DTYPES:
                raise self.fault("takes neither pictures nor rows")
        except BaseException:
            self.end()
            raise
        self.shape, self.dtype = shape, facts["dtype"]

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        pixels = np.ascontiguousarray(pixels, np.uint8 if pixels.ndim == 4 else np.float32)
        count = max(1, AT_ONCE // max(1, pixels[:1].nbytes))
        with self.lock:
            if self.owner != os.getpid() or not self.end.alive or self.process.poll() is not None:
                self.read()
            try:
                return np.concatenate([self.ask(pixels[i : i + count]) for i in range(0, len(pixels), count)])
            except BaseException:  # also Ctrl-C: the answer would be taken for the next one
                self.end()
                raise

    def ask(self, pixels: np.ndarray) -> np.ndarray:
        """Return the process's probabilities of some pictures or rows."""
        count = len(pixels)
        with self.deadline(PATIENCE + BUSY * answer_seconds(self.size, count)):
            with contextlib.suppress(BrokenPipeError):  # it has ended; `receive` says how
                send(self.process.stdin, json.dumps([pixels.shape, pixels.dtype.name]).encode())
                send(self.process.stdin, pixels.data.cast("B"))
            content = self.receive(4 * count * MOST_CLASSES)
        if not content or len(content) % (4 * count):
            raise self.fault("gives no score for each class")
        shares = np.frombuffer(content, np.float32).reshape(count, -1)
        add_up = self.multi_label or are_probabilities(shares, STEP)
        if not add_up or not (shares.min() >= 0 and shares.max() <= 1):  # also NaN
            raise self.fault("gives numbers that are no probabilities")
        return shares

    def receive(self, most: int) -> bytes:
        """Return the process's next answer of at most `most` bytes; raise the BadInputError that it reports."""
        try:
            content = receive(self.process.stdout, most + 1)
            if content is None:
                raise self.death()
            if content[:1] == b"=":
                return content[1:]
            if content[:1] == b"?":
                self.check_room()
                raise self.fault(f"takes {self.engine} too much memory")
            problem, remedy = json.loads(content[1:])
        except ValueError as error:
            if isinstance(error, BadInputError):
                raise
            raise self.fault("gives no proper answer") from error
        raise BadInputError(str(problem), path=self.path, remedy=str(remedy))

    @contextlib.contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """Kill the process if the block takes longer than `seconds`."""
        timer = threading.Timer(seconds, self.process.kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def death(self) -> BadInputError:
        """Return the reason why the process has ended."""
        self.end()
        code = self.process.wait()
        self.check_room()
        if code in (-signal.SIGKILL, -signal.SIGXCPU):
            return self.fault(f"takes {self.engine} too long")
        died = f" by {signal.Signals(-code).name}" if code < 0 else ""
        return self.fault(f"ends {self.engine}{died}: damaged, or too much for it")

    def check_room(self) -> None:
        """Raise MemoryError if this process's own limit has left too little to the other."""
        if child.is_tight(memory_for(self.size)):
            raise MemoryError(f"too little memory for {self.engine}")

    def fault(self, problem: str) -> BadInputError:
        return BadInputError(problem, path=self.path, remedy="export it again, or use another engine")


def end(process: "subprocess.Popen[bytes]", owner: int) -> None:
    """End a process, which may have ended already, and close its pipes; do nothing in a fork of its `owner`."""
    if os.getpid() != owner:
        return
    process.kill()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if pipe:
                pipe.close()


def send(pipe: IO[bytes] | None, *parts: bytes | memoryview) -> None:
    """Write the length of a message and its parts."""
    assert pipe is not None
    pipe.write(struct.pack("<I", sum(map(len, parts))))
    for part in parts:
        pipe.write(part)
    pipe.flush()


def receive(pipe: IO[bytes] | None, most: int) -> bytes | None:
    """Read a message; return None at the end. Raise ValueError if it has more than `most` bytes."""
    assert pipe is not None
    length = pipe.read(4)
    if len(length) < 4:
        return None
    (size,) = struct.unpack("<I", length)
    if size > most:
        raise ValueError(f"a message of {size} bytes")
    content = pipe.read(size)
    return content if len(content) == size else None


# ---- limits ----------------------------------------------------------------------------------------------------------


def size_of(path: str | Path) -> int:
    return sum(file.stat().st_size for file in formats.files_of(path))


def loading_seconds(size: int, engine: str) -> float:
    """Return the CPU seconds on each core in which an engine must load a model file of `size` bytes."""
    return LOADING + size / BYTES_A_SECOND + MORE.get(engine, 0)


def answer_seconds(size: int, count: int) -> float:
    """Return the CPU seconds on each core in which an engine must answer for `count` pictures."""
    return ANSWER + count * (EACH + size / BYTES_A_SECOND)


def memory_for(size: int) -> int:
    """Return the bytes that an engine may take for a model file of `size` bytes, without those of its threads."""
    return MEMORY + PER_BYTE * size


def limit_memory(size: int) -> None:
    """Limit this process to the memory that a model file of `size` bytes may need; it may write no file."""
    with contextlib.suppress(ImportError):  # Windows
        import resource

        child.limit_data(memory_for(size))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def limit_time(seconds: float) -> None:
    """Let this process end by SIGXCPU when it has used `seconds` more of CPU time on each core."""
    with contextlib.suppress(ImportError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        most = math.ceil(used.ru_utime + used.ru_stime + seconds * cores())
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


# ---- run in the process ----------------------------------------------------------------------------------------------


def main(path: str, engine: str, told: str) -> int:
    """Load a model file, tell its input, and answer until the pipe is closed; return the exit code."""
    child.end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all; the parent ends this process
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    try:
        from kerasnets.prediction import engines

        if engine == "tensorflow":  # it imports Keras, and beside PyTorch's Triton it would end the process
            os.environ["KERAS_BACKEND"] = engine
        import_quietly(engines.ENGINES[engine].package)  # before the limits: TensorFlow's import takes seconds
        send(pipe, b"ready")
        size = size_of(path)
        limit_memory(size)
        limit_time(loading_seconds(size, engine))
        facts, about = json.loads(told)
        onnx_input = Input(**{**facts, "shape": tuple(facts["shape"])}) if facts else None
        network = engines.load(path, engine, onnx_input, Guest(**about))
        send(pipe, b"=", json.dumps({"shape": network.shape, "dtype": network.dtype}).encode())
        while answer(network, size, pipe):
            pass
    except BadInputError as error:
        send(pipe, b"!", json.dumps([error.problem[:400], error.remedy[:400]]).encode())
    except Exception as error:
        if not is_full_memory(error):
            raise
        send(pipe, b"?")
    return 0


def answer(network: Engine, size: int, pipe: IO[bytes]) -> bool:
    """Read pictures from standard input and send their probabilities; return False at its end."""
    header = receive(sys.stdin.buffer, LONGEST)
    pixels = receive(sys.stdin.buffer, 2**32)
    if header is None or pixels is None:
        return False
    shape, dtype = json.loads(header)
    limit_time(answer_seconds(size, shape[0]))
    shares = network(np.frombuffer(pixels, dtype).reshape(shape).copy())
    send(pipe, b"=", np.ascontiguousarray(shares, np.float32).data.cast("B"))
    return True


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
