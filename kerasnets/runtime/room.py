"""Whether a library has room under a limit on this process's memory (ulimit -v, -d), tried before it is loaded.

A library that runs out of memory while it starts its threads seldom says so: under one limit or another, the process
ended in OpenBLAS (also with OpenCV) by SIGSEGV, in torch and XLA by SIGABRT, in glibc with exit code 127; JAX waited
for ever. How much each needs depends on its build and on the number of cores. So where there is a limit, a process of
its own, with a little less memory, loads the library and computes something small first.
"""

import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from kerasnets.runtime import backends

MEBIBYTE = 2**20
OPTIONS = {"RLIMIT_AS": "ulimit -v", "RLIMIT_DATA": "ulimit -d"}
# package -> MiB that stay for the work itself when the trial has succeeded
SPARE = {"numpy": 16, "cv2": 64, "onnxruntime": 128, "openvino": 128, "ai_edge_litert": 64,
         "torch": 256, "tensorflow": 256, "jax": 256}  # fmt: skip
# MiB of addresses from which on nothing is tried: twice the most that was seen, of torch with CUDA, and for each core
# the stacks and heaps of its threads
PLENTY, EACH_CORE = 8192, 256
SECONDS = 120  # of wall-clock time for a trial, which takes 0.1 to 6 on a quiet machine


class NoRoomError(MemoryError):
    """A library needs more memory than this process may have. The message says so, and what to do."""


class Room:
    """A finder of modules that puts a Trial before the packages in SPARE."""

    def __init__(self, limits: dict[str, int]) -> None:
        self.limits = limits  # as `limits` returns them
        self.waiting = set(SPARE)  # packages that were not tried

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self.waiting:
            return None
        self.waiting.discard(fullname)  # so that the finders after this one are asked
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self.waiting.add(fullname)
        if spec is not None:
            spec.loader = Trial(spec.loader, self)  # type: ignore[assignment]
        return spec


class Trial:
    """A loader that tries a package in a process of its own before the true loader loads it here."""

    def __init__(self, loader: Any, room: Room) -> None:
        self.loader, self.room = loader, room

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        self.room.waiting -= {spec.name, "numpy"}  # each of the others loads NumPy
        check(spec.name, self.room.limits)
        spec.loader = self.loader  # which importlib asks for all that follows
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Never reached."""


def check(package: str, limits: dict[str, int]) -> None:
    """Raise NoRoomError if `package` has too little memory under the limits."""
    import subprocess  # late, like `child`: they cost a prediction 10 ms

    from kerasnets.runtime import child

    command = [sys.executable, "-m", __name__, package]
    command += [f"{name}={limit - SPARE[package] * MEBIBYTE}" for name, limit in limits.items()]
    try:
        done = subprocess.run(command, env=child.variables(), capture_output=True, timeout=SECONDS)
    except (subprocess.TimeoutExpired, OSError):
        done = None
    if done is None or done.returncode:
        raise NoRoomError(
            f"too little memory: {package} needs more than the {min(limits.values()) // MEBIBYTE:,} MiB that this "
            f"process may have; raise its limit ({' and '.join(OPTIONS[name] for name in limits)})"
        )


def watch() -> None:
    """Try each library before this process loads it, if the process's memory is limited to little."""
    plenty = (PLENTY + EACH_CORE * (os.cpu_count() or 1)) * MEBIBYTE
    low = {name: limit for name, limit in limits().items() if limit < plenty}
    if low:
        sys.meta_path.insert(0, Room(low))


def limits() -> dict[str, int]:
    """Return the limits on this process's addresses and data, in bytes, if there are any."""
    try:
        import resource
    except ImportError:  # Windows
        return {}
    found = {name: resource.getrlimit(getattr(resource, name))[0] for name in OPTIONS}
    return {name: limit for name, limit in found.items() if limit != resource.RLIM_INFINITY}


# ---- run in the process ----------------------------------------------------------------------------------------------


def main(package: str, *limits: str) -> None:
    """Load a package and compute something small within limits, as "RLIMIT_AS=1000000000"."""
    import resource

    from kerasnets.runtime import child

    child.end_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, _, most in (limit.partition("=") for limit in limits):
        resource.setrlimit(getattr(resource, name), (max(0, int(most)),) * 2)
    if package in backends.BACKENDS:
        train(package)
    elif package == "cv2":
        shrink()
    elif package == "numpy":
        multiply()
    else:
        __import__(package)
    sys.stdout.flush()
    os._exit(0)  # the end of its threads is not tried


def multiply() -> None:
    import numpy

    numpy.ones((400, 400)) @ numpy.ones((400, 400))  # large enough for several threads


def shrink() -> None:
    multiply()
    import cv2
    import numpy

    picture = cv2.GaussianBlur(numpy.zeros((1000, 1000, 3), numpy.uint8), (0, 0), 2)
    cv2.imdecode(cv2.imencode(".jpg", picture)[1], cv2.IMREAD_COLOR)


def train(backend: str) -> None:
    """Train a small network for a step, and predict by it."""
    os.environ["KERAS_BACKEND"] = backend
    backends.own_process()
    backends.choose()
    import keras
    import numpy

    pictures = numpy.zeros((64, 28, 28, 1), "float32")
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((28, 28, 1)), layers.Conv2D(8, 3), layers.Flatten(), layers.Dense(10, "softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(pictures, numpy.zeros(64), batch_size=32, verbose=0)
    model.predict_on_batch(pictures)


if __name__ == "__main__":
    main(*sys.argv[1:])
