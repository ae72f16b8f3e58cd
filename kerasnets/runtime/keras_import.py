"""Import Keras into a process of ours without packages that it imports at once and that no command of ours uses.

Measured with Keras 3.15, torch 2.14 and one core, to a built network: 3.3 s instead of 8.2 s on torch, 3.4 instead of
4.9 on JAX, 4.4 instead of 6.2 on TensorFlow.
"""

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import ModuleType
from typing import Any

from kerasnets.runtime.backends import KeepOut

UNUSED = {
    "sklearn",  # of keras.wrappers
    "matplotlib",  # of keras.visualization
}
COMPILER = "torch._dynamo"  # of torch.compile; Keras excludes two functions from compilation with it


def import_keras(backend: str) -> None:
    """Import Keras; what is left out can be imported afterwards, by Keras too."""
    finder = KeepOut(UNUSED - set(sys.modules))
    sys.meta_path.insert(0, finder)
    try:
        with postponed_compiler() if backend == "torch" else nullcontext():
            importlib.import_module("keras")
    finally:
        sys.meta_path.remove(finder)


@contextmanager
def postponed_compiler() -> Iterator[None]:
    """Let a module stand in for PyTorch's compiler, until something compiles."""
    import torch  # noqa: F401

    if COMPILER in sys.modules:
        yield
        return
    stand_in = ModuleType(COMPILER)
    stand_in.disable = disable  # type: ignore[attr-defined]
    sys.modules[COMPILER] = stand_in
    try:
        yield
    finally:
        del sys.modules[COMPILER]


def disable() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator like torch._dynamo.disable(), without an effect until the compiler is imported."""
    import torch

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        excluded = torch._disable_dynamo(function)  # its first call imports the compiler

        @functools.wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            return (excluded if COMPILER in sys.modules else function)(*args, **options)

        return call

    return decorate
