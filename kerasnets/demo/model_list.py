"""Which model files the page offers, and what can run each of them here."""

import functools
import os
from pathlib import Path

from kerasnets.errors import BadInputError, nearest_first, shorten
from kerasnets.prediction.engines import ENGINES, choose
from kerasnets.runtime import backends
from kerasnets.saving import formats, shipped

FOLDERS = ("models_saved", "models_saved/pretrained")  # where models are found, beside those that are named
# The model that the page begins with, unless one is named: it reads digits without a framework.
FIRSTS = tuple(f"{folder}/mnist_cnn-mnist.onnx" for folder in (FOLDERS[1], shipped.INSTALLED.as_posix()))
ON = " on "  # between engine and backend, in the name of what runs a model
NEEDS_KERAS = {"keras": None, "tensorflow": "tensorflow"}  # engine -> its only backend; they get processes of their own


def offered(named=()):
    """{name: Path} of the model files: those that were named, then those of pictures in FOLDERS.

    A name is the path as text. Of a folder, which may be a SavedModel, no one is found: that is a program, and must be
    named.
    """
    found = [Path(path) for path in named]
    for folder in (*FOLDERS, shipped.INSTALLED):
        there = sorted(path for path in Path(folder).glob("*.*") if path.is_file() and path.suffix in formats.FORMS)
        found += [path for path in there if not columns_of(path)]
    firsts = {path.resolve(): path for path in reversed(found)}.values()
    return {path.as_posix(): path for path in found if path in firsts}


def columns_of(path):
    """How many numbers a row has that the model file takes; 0 of one that takes pictures, or does not say."""
    try:
        return columns_told(path, version_of(path))
    except OSError:  # it is gone
        return 0


@functools.cache
def columns_told(path, version):
    try:
        shape = formats.load(path).input_shape
    except BadInputError:  # which is told when the file is chosen
        return 0
    return shape[0] if len(shape) == 1 else 0


def first_of(models, named=()):
    """The name of the model that the page begins with."""
    return next((name for name in FIRSTS if name in models and not named), next(iter(models)))


def check(named):
    """{name: Path} as `offered`; raises where a named file cannot be used, and where there is none at all."""
    if os.environ.get("KERAS_BACKEND"):
        backends.requested()
    for path in named:
        formats.load(path)
        choose(path)
        if columns := columns_of(path):
            raise BadInputError(f"{shorten(path)} takes rows of {columns} numbers; name a model that takes pictures")
    models = offered(named)
    if not models:
        raise BadInputError(f"no model file in {' or '.join(FOLDERS)}; name one, or make one by scripts/train_mnist.py")
    return models


def runners(path):
    """What can run a model file here, the fastest to begin first: names of engines, Keras with each backend.

    KERAS_BACKEND's comes first. Raises as engines.choose where there is none.
    """
    first = choose(path)
    readers = [name for name, row in ENGINES.items() if formats.suffix_of(path) in row.suffixes]
    readers.sort(key=lambda name: name != first)
    return [each for name in readers if backends.is_installed(ENGINES[name].package) for each in forms_of(name)]


def forms_of(engine):
    """An engine by its name, or once for each backend that it may run on."""
    if engine != "keras":
        return [engine]
    first = backends.requested()
    known = sorted(backends.BACKENDS, key=lambda backend: backend != first)
    return [f"{engine}{ON}{backend}" for backend in known if backends.is_installed(backend)]


def parts_of(path, runner=""):
    """(engine, backend or None) of what runs a model file, as `runners` has it; by default the first.

    Raises ValueError for one that does not.
    """
    known = runners(path)
    if runner and runner not in known:
        raise ValueError(f"{runner!r} does not run {path.name}; choose one of: {nearest_first(runner, known)}")
    engine, _, backend = (runner or known[0]).partition(ON)
    return engine, backend or NEEDS_KERAS.get(engine)


def twin_of(path):
    """The .keras or .h5 file that has a model file's layers: itself, or one of the same name and weights beside it.

    Raises BadInputError, which says why there is none.
    """
    if path.suffix in ENGINES["keras"].suffixes:
        return path
    beside = [path.with_suffix(suffix) for suffix in ENGINES["keras"].suffixes]
    there = [twin for twin in beside if twin.is_file()]
    if not there:
        raise BadInputError(
            f"{path.name} keeps no layers for Keras to show; with {beside[0].name} beside it there are feature maps"
        )
    if (
        not formats.load(path).weights_sha256
        or formats.load(path).weights_sha256 != formats.load(there[0]).weights_sha256
    ):
        raise BadInputError(f"{there[0].name} beside {path.name} has other weights; export it again for feature maps")
    return there[0]


def version_of(path):
    """What changes when a model file is written anew."""
    return max(file.stat().st_mtime_ns for file in formats.files_of(path))
