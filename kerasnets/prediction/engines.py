"""ENGINES: the libraries that run model files, and which of them runs which file.

An ONNX file needs no deep-learning framework: OpenCV, which reads the pictures anyway, also runs the network.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from kerasnets.errors import BadInputError, shorten
from kerasnets.prediction import runtimes
from kerasnets.prediction.engine import Engine
from kerasnets.runtime.backends import is_installed, remedy
from kerasnets.saving.formats import suffix_of
from kerasnets.saving.guest import UNKNOWN, Guest
from kerasnets.saving.onnx_file import Input, version_of

AUTO = "auto"


@dataclass(frozen=True)
class Library:
    """A library that runs model files: its Engine, the package to import, the suffixes that it reads ("" a folder)."""

    load: type[Engine]
    package: str
    suffixes: tuple[str, ...]


ENGINES = {  # for each suffix, in the order of choice
    "opencv": Library(runtimes.OpenCV, "cv2", (".onnx",)),
    "onnxruntime": Library(runtimes.OnnxRuntime, "onnxruntime", (".onnx",)),
    "openvino": Library(runtimes.OpenVINO, "openvino", (".xml", ".onnx")),
    "litert": Library(runtimes.LiteRT, "ai_edge_litert", (".tflite",)),
    "tensorflow": Library(runtimes.SavedModel, "tensorflow", ("",)),
    "keras": Library(runtimes.Keras, "keras", (".keras", ".h5")),
}
LARGE = 5_000_000  # bytes of a file: above it, computing takes longer than starting
FOR_LARGE = ("onnxruntime", "openvino")  # 2.1 to 2.7 times as fast as OpenCV (docs/benchmarks/prediction.md)
INSTALL = {"cv2": "opencv-python", "ai_edge_litert": "ai-edge-litert"}  # import name -> pip's name, if another


def choose(path: str | Path, name: str = AUTO) -> str:
    """Return the name of the engine for a model file: `name`, or the fastest that is installed.

    Args:
        path: The model file.
        name: A name in ENGINES, or "auto".

    Raises:
        ValueError: The engine is unknown, or does not read such files.
        ImportError: The engine is not installed.
        BadInputError: No engine reads such files.
    """
    if name not in (AUTO, *ENGINES):
        raise ValueError(f"unknown engine {name!r}; choose one of: {', '.join((AUTO, *ENGINES))}")
    readers = readers_of(path)
    if not readers:
        known = ", ".join(sorted({suffix for library in ENGINES.values() for suffix in library.suffixes if suffix}))
        raise BadInputError(f"is not a model file; those end in {known}, or are a SavedModel's folder", path=path)
    if name != AUTO and name not in readers:
        raise ValueError(f"{name} does not read {shorten(path)}; choose one of: {', '.join((AUTO, *readers))}")
    for reader in readers if name == AUTO else [name]:
        if is_installed(ENGINES[reader].package):
            return reader
    package = ENGINES[reader].package
    how = remedy("torch") if package == "keras" else f"pip install {INSTALL.get(package, package)}"
    raise ImportError(f"{shorten(path)} needs {reader}, which is not installed: {how}")


def readers_of(path: str | Path) -> list[str]:
    """Return the engines that read a model file, installed or not, in the order of choice."""
    suffix = suffix_of(path)
    readers = [reader for reader, library in ENGINES.items() if suffix in library.suffixes]
    if Path(path).is_file() and Path(path).stat().st_size > LARGE:
        readers.sort(key=lambda reader: reader not in FOR_LARGE)
    return readers


def after(path: str | Path, name: str) -> list[str]:
    """Return the installed engines to try if the engine `name` cannot run the operators of a model file."""
    return [reader for reader in readers_of(path) if reader != name and is_installed(ENGINES[reader].package)]


def load(path: str | Path, name: str = AUTO, onnx_input: Input | None = None, guest: Guest = UNKNOWN) -> Engine:
    """Return the Engine that has loaded a model file. Arguments and exceptions as `choose`, and BadInputError.

    Args:
        path: The model file.
        name: A name in ENGINES, or "auto".
        onnx_input: The Input of an ONNX file if it was read before.
        guest: What a person tells about the file.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # its errors come as exceptions
    return ENGINES[choose(path, name)].load(path, onnx_input, guest)


def load_safely(path: str | Path, name: str, onnx_input: Input | None = None, guest: Guest = UNKNOWN) -> Engine:
    """Return the Engine of a model file, in a process of its own unless the file was judged to be harmless.

    Args:
        path: The model file.
        name: A name in ENGINES.
        onnx_input: The Input of an ONNX file, read before; None for other forms, whose graph is not judged.
        guest: What a person tells about the file.

    Raises:
        BadInputError: The file cannot be run.
    """
    if onnx_input and onnx_input.version != version_of(path):
        onnx_input = None
    if name == "keras" or (onnx_input and not onnx_input.doubt):
        return load(path, name, onnx_input, guest)
    from kerasnets.prediction.sandbox import Sandbox

    return Sandbox(path, name, onnx_input, guest)
