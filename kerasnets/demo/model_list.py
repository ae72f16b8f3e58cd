"""The model files that the page offers, and the engines that can run each of them here."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from kerasnets.demo.newest import Newest
from kerasnets.errors import BadInputError, nearest_first
from kerasnets.prediction.engines import ENGINES, choose
from kerasnets.runtime import backends
from kerasnets.saving import formats, shipped

FOLDERS = ("models_saved", "models_saved/pretrained")  # searched for models besides the named ones
# Shown first if it is there: it reads digits without a framework
FIRSTS = tuple(f"{folder}/mnist_cnn-mnist.onnx" for folder in (FOLDERS[1], shipped.INSTALLED.as_posix()))
ON = " on "  # between engine and backend in the name of a runner
NEEDS_KERAS = {
    "keras": None,
    "tensorflow": "tensorflow",
}  # engine in its own process -> its backend, if it has one only
COLUMNS: Newest[Path, int] = Newest()


def collect(named: Sequence[str | Path] = ()) -> dict[str, Path]:
    """Return {path as text: path} of the models: first those in `named`, then models of pictures in FOLDERS.

    A folder, which may be a SavedModel, is offered only if it is named, because a SavedModel is a program.
    """
    paths = [Path(path) for path in named]
    for folder in (*FOLDERS, shipped.INSTALLED):
        files = sorted(path for path in Path(folder).glob("*.*") if path.is_file() and path.suffix in formats.FORMATS)
        paths += [path for path in files if not columns_of(path)]
    firsts = {path.resolve(): path for path in reversed(paths)}.values()
    return {path.as_posix(): path for path in paths if path in firsts}


def columns_of(path: Path) -> int:
    """Return the number of columns of a model of rows; 0 for a model of pictures, or if the file does not say."""
    try:
        return COLUMNS.get(path, version_of(path), lambda: columns_in_card(path))
    except OSError:  # the file is gone
        return 0


def columns_in_card(path: Path) -> int:
    try:
        shape = formats.load(path).input_shape
    except BadInputError:  # the page shows the error when the file is chosen
        return 0
    return int(shape[0]) if len(shape) == 1 else 0


def first_of(models: Mapping[str, Path], named: Sequence[str | Path] = ()) -> str:
    """Return the name of the model that the page shows first."""
    return next((name for name in FIRSTS if name in models and not named), next(iter(models)))


def check(named: Sequence[str | Path]) -> dict[str, Path]:
    """Return the models as `collect` does.

    Raises:
        BadInputError: A named file cannot be used, or there is no model at all.
        ValueError: KERAS_BACKEND has an unknown name.
        ImportError: The engine of a named file, or KERAS_BACKEND, is not installed.
    """
    if os.environ.get("KERAS_BACKEND"):
        backends.choice()
    for path in named:
        formats.load(path)
        choose(path)
        if columns := columns_of(Path(path)):
            raise BadInputError(
                f"takes rows of {columns} numbers", path=path, remedy="name a model that takes pictures"
            )
    models = collect(named)
    if not models:
        raise BadInputError(
            f"no model file in {' or '.join(FOLDERS)}",
            remedy="name one, or make one by kerasnets train mnist_cnn-digits",
        )
    return models


def runners(path: Path) -> list[str]:
    """Return the installed engines that run a model file, the default first; Keras once for each backend.

    Raises:
        BadInputError: No engine reads such files.
        ImportError: No engine that reads them is installed.
    """
    first = choose(path)
    readers = [name for name, engine in ENGINES.items() if formats.suffix_of(path) in engine.suffixes]
    readers.sort(key=lambda name: name != first)
    installed = [name for name in readers if backends.is_installed(ENGINES[name].package)]
    return [runner for name in installed for runner in runners_of_engine(name)]


def runners_of_engine(engine: str) -> list[str]:
    """Return the engine's name, or for Keras a name for each installed backend, KERAS_BACKEND's first."""
    if engine != "keras":
        return [engine]
    first = backends.choice()
    known = sorted(backends.BACKENDS, key=lambda backend: backend != first)
    return [f"{engine}{ON}{backend}" for backend in known if backends.is_installed(backend)]


def parts_of(path: Path, runner: str = "") -> tuple[str, str | None]:
    """Return (engine, backend or None) of a runner of a model file, by default the first one.

    Raises:
        ValueError: The runner cannot run the file.
    """
    known = runners(path)
    if runner and runner not in known:
        raise ValueError(f"{runner!r} does not run {path.name}; choose one of: {nearest_first(runner, known)}")
    engine, _, backend = (runner or known[0]).partition(ON)
    return engine, backend or NEEDS_KERAS.get(engine)


def file_with_layers(path: Path) -> Path:
    """Return the .keras or .h5 file of a model: `path` itself, or a file of the same name and weights in its folder.

    Raises:
        BadInputError: There is no such file.
    """
    suffixes = ENGINES["keras"].suffixes
    if path.suffix in suffixes:
        return path
    candidates = [path.with_suffix(suffix) for suffix in suffixes]
    other = next((candidate for candidate in candidates if candidate.is_file()), None)
    if other is None:
        raise BadInputError(
            f"{path.name} has no layers that Keras can show; put {candidates[0].name} beside it to see feature maps"
        )
    sha256 = formats.load(path).weights_sha256
    if not sha256 or sha256 != formats.load(other).weights_sha256:
        raise BadInputError(f"{other.name} and {path.name} have different weights; export again to see feature maps")
    return other


def version_of(path: Path) -> int:
    """Return a number that changes when a model file is rewritten."""
    return max(file.stat().st_mtime_ns for file in formats.files_of(path))
