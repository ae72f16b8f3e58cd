"""Export of a model file to another program's format: ONNX, OpenVINO, LiteRT, SavedModel.

An export takes raw pixels and gives probabilities, like the model file, and has the card inside. Each installed engine
that reads it runs it on the same pictures as Keras. If any probability differs by more than 1e-4, the export is
discarded.
"""

import contextlib
import dataclasses
import errno
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerasnets import saving
from kerasnets.errors import BadInputError, DisagreementError, shorten
from kerasnets.prediction import engines
from kerasnets.runtime import atomic, backends
from kerasnets.runtime.processes import Worker
from kerasnets.saving import formats

if TYPE_CHECKING:
    import keras

ALLOWED = 1e-4  # the largest difference of a probability from Keras'
INPUT_NAME, OUTPUT_NAME = "pixels", "probabilities"  # of every ONNX export
BESIDE_WEIGHTS = 2**22  # bytes of a file without its weights, at most


@dataclass(frozen=True)
class ExportFormat:
    """A format of model files that Keras can write."""

    title: str
    routes: dict[str, tuple[str, ...]]  # backend that can write it -> packages that it needs; the preferred one first
    extra: str  # the extra of kerasnets that installs them: pip install kerasnets[...]
    write: "Callable[[keras.Model, Path], None]"


@dataclass(frozen=True)
class Export:
    """The result of an export. differences: {engine: largest difference of a probability from Keras'}."""

    file: str
    form: str
    bytes: int
    backend: str
    differences: dict[str, float]

    def line(self) -> str:
        """Return the result as one greppable line."""
        differences = " ".join(f"{engine}={difference:.1e}" for engine, difference in self.differences.items())
        facts = f"file={self.file} form={self.form} bytes={self.bytes} backend={self.backend}"
        return f"result {facts} difference: {differences}"

    def json(self) -> str:
        return json.dumps(dataclasses.asdict(self))


def export(path: str | Path, out: str | Path, tell: Callable[[str], object] = lambda line: None) -> Export:
    """Export a model file, whole or not at all.

    Keras runs in a process of its own, on KERAS_BACKEND if that can write the format, else on the first installed
    backend that can: a model file belongs to no backend.

    Args:
        path: A .keras or .h5 file.
        out: The export: .onnx; .xml of OpenVINO, with its weights in a .bin next to it; .tflite of LiteRT; or, without
            a suffix, the folder of a SavedModel.
        tell: Called with a line before the work starts.

    Raises:
        BadInputError: The model file is bad.
        ValueError: The suffix of `out` is unknown, or `out` is a folder of another sort.
        ImportError: No installed backend can write the format, or no installed engine reads it.
        DisagreementError: An engine disagrees with Keras.
        OSError: `out` cannot be written.
    """
    path, out = Path(path), Path(out)
    form = format_of(out)
    card = saving.load_card(path)
    if not card.class_names:
        remedy = "give it a card by kerasnets.save, then export it"
        raise BadInputError("has no class names", path=path, remedy=remedy)
    backend, judges = route_of(out.suffix), judges_of(out.suffix)
    check_target(out)
    pixels = examples(card.input_shape)
    whole = atomic.whole_file if out.suffix else atomic.whole_folder
    second = atomic.backup(out.with_suffix(".bin")) if out.suffix == ".xml" else contextlib.nullcontext()
    with second, whole(out) as part, second_file(part, out):
        tell(f"{form.title} by Keras on {backend}")
        with Worker(backend) as worker:
            expected = worker(write, path, part, pixels)
        formats.add(part, card)
        differences = {judge: difference(part, judge, pixels, expected, out) for judge in judges}
        size = sum(file.stat().st_size for file in formats.files_of(part))
    return Export(str(out), form.title, size, backend, differences)


def difference(part: Path, judge: str, pixels: np.ndarray, expected: np.ndarray, out: Path) -> float:
    """Return the largest difference of an engine's probabilities from Keras'; raise DisagreementError above 1e-4."""
    try:
        largest = float(abs(engines.load(part, judge)(pixels) - expected).max())
    except BadInputError as error:
        raise DisagreementError(f"{judge} cannot run {shorten(out)}; the export is discarded ({error})") from error
    if not largest <= ALLOWED:  # also NaN
        raise DisagreementError(
            f"{judge} differs by {largest:.1e} from Keras on {shorten(out)}, where {ALLOWED:g} is allowed: the export "
            "is discarded; please report it"
        )
    return largest


def format_of(out: Path) -> ExportFormat:
    """Return the ExportFormat of a suffix, or raise ValueError."""
    if out.suffix not in FORMATS:
        known = ", ".join(f"{suffix} ({form.title})" for suffix, form in FORMATS.items() if suffix)
        raise ValueError(f"cannot export to {shorten(out)}: name a file that ends in {known}, or a SavedModel's folder")
    return FORMATS[out.suffix]


def route_of(suffix: str) -> str:
    """Return the backend that writes the format; raise ImportError if no installed backend can."""
    form = FORMATS[suffix]
    requested = os.environ.get("KERAS_BACKEND")
    if requested and requested not in backends.BACKENDS:
        raise ValueError(f"unknown KERAS_BACKEND {requested!r}; choose one of: {', '.join(backends.BACKENDS)}")
    able = [backend for backend, needed in form.routes.items() if all(map(backends.is_installed, (backend, *needed)))]
    if not able:
        there = [backend for backend in form.routes if backends.is_installed(backend)]
        extras = [form.extra] if there else dict.fromkeys([next(iter(form.routes)), form.extra])
        lacking = f"no installed backend can write {form.title}; {' or '.join(form.routes)} can"
        if there:
            needed = [package for package in form.routes[there[0]] if not backends.is_installed(package)]
            lacking = f"{there[0]} needs {' and '.join(needed)} to write {form.title}"
        raise ImportError(f"{lacking}: {backends.install_line(*extras)}")
    return requested if requested in able else able[0]


def judges_of(suffix: str) -> list[str]:
    """Return the installed engines that read the format; raise ImportError if there is none."""
    readers = {name: library.package for name, library in engines.ENGINES.items() if suffix in library.suffixes}
    judges = [name for name, package in readers.items() if backends.is_installed(package)]
    if not judges:
        raise ImportError(
            f"nothing here runs {FORMATS[suffix].title}, to compare it with Keras: "
            f"{backends.install_line(FORMATS[suffix].extra)}"
        )
    return judges


def check_target(out: Path) -> None:
    """Raise, before the work, OSError if `out` cannot be written and ValueError if it would replace another file."""
    if out.suffix == ".xml" and not out.exists() and out.with_suffix(".bin").exists():
        weights = out.with_suffix(".bin").name
        raise ValueError(f"{weights} is there without {shorten(out)}, and would be overwritten; name another place")
    if out.suffix:
        atomic.check_writable(out)
    elif out.exists() and not (out / "saved_model.pb").is_file():
        raise ValueError(
            f"{shorten(out)} is there and no SavedModel, which an export would replace; name another place"
        )


@contextlib.contextmanager
def second_file(part: Path, out: Path) -> Iterator[None]:
    """Move the .bin that OpenVINO writes next to an .xml to its place, or remove it if the block fails.

    If the process is killed between the two files, the .xml of an earlier export is refused: its checksum covers the
    earlier .bin.
    """
    others = [suffix for suffix in (".bin", ".onnx") if suffix != out.suffix]  # OpenVINO is written via ONNX
    for suffix in others:
        atomic.sweep(atomic.follow_links(out), suffix)
    second = part.with_suffix(".bin")
    try:
        yield
        if second.is_file():
            with atomic.whole_file(out.with_suffix(".bin")) as weights:
                shutil.copyfile(second, weights)
                atomic.flush(part)  # now, since a full disk has lost nothing yet
    finally:
        for suffix in others:
            part.with_suffix(suffix).unlink(missing_ok=True)


def examples(shape: tuple[int, ...]) -> np.ndarray:
    """Return the inputs of the comparison: float32 rows (8, columns), or uint8 pictures (8, height, width, channels).

    The pictures are four of scikit-learn's digits, noise, and three of one grey each: black, middle, white.
    """
    rng = np.random.default_rng(0)
    if len(shape) == 1:
        return rng.uniform(size=(8, *shape)).astype(np.float32)
    from sklearn.datasets import load_digits

    from kerasnets import pictures

    digits = [
        pictures.prepare(np.asarray(digit * 15.9375, np.uint8), "picture", shape) for digit in load_digits().images[:4]
    ]
    even = [np.full(shape, grey, np.uint8) for grey in (0, 128, 255)]
    return np.stack([*digits, rng.integers(0, 256, shape, np.uint8), *even])


# ---- run in the process of a backend ----


def write(path: Path, part: Path, pixels: np.ndarray) -> np.ndarray:
    """Write the model file `path` in the format of `part`; return Keras' probabilities for `pixels`."""
    model, _ = saving.load(path)
    expected = model.predict_on_batch(pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters' own
        try:
            FORMATS[formats.suffix_of(part)].write(model, part)
        except Exception as error:  # each library has its own for a full disk, some without a message
            atomic.reserve(part / "room" if part.is_dir() else part, 2 * model.count_params() * 4 + BESIDE_WEIGHTS)
            if number := number_of(error):
                raise OSError(number, os.strerror(number), str(part)) from error
            raise RuntimeError(f"{type(error).__name__}: {error}") from error  # a class that any process can unpickle
    return expected


def number_of(error: BaseException | None) -> int:
    """Return the system's number for a write that failed, from the error or its causes; 0 if none did."""
    while error is not None:
        if isinstance(error, OSError) and error.errno:
            return error.errno
        if "iostream error" in str(error):  # of C++, as in OpenVINO, which does not tell the reason
            return errno.EIO
        error = error.__cause__ or error.__context__
    return 0


def write_onnx(model: "keras.Model", path: Path) -> None:
    import keras

    from kerasnets.graph import rebuild

    if keras.backend.backend() == "torch":  # its exporter would write two transpositions around each convolution
        model = rebuild(model, layout="channels_first")
        model.predict_on_batch(np.zeros((1, *model.input_shape[1:]), model.input.dtype))  # Keras needs a call before
    model.export(path, format="onnx", verbose=False)
    name_ends(path)


def name_ends(path: Path) -> None:
    """Give the input and output of an ONNX file the names that every export has, whatever the exporter numbered."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    names = {graph.input[0].name: INPUT_NAME, graph.output[0].name: OUTPUT_NAME}
    for node in graph.node:
        for ends in (node.input, node.output):
            ends[:] = [names.get(name, f"{name}_inner" if name in names.values() else name) for name in ends]
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.name = names.get(value.name, f"{value.name}_inner" if value.name in names.values() else value.name)
    onnx.save(model, path)


def write_openvino(model: "keras.Model", path: Path) -> None:
    """Write via ONNX: Keras' direct route loses the size of the pictures on torch, and does not exist on JAX."""
    import openvino

    between = path.with_suffix(".onnx")
    try:
        write_onnx(model, between)
        openvino.serialize(openvino.Core().read_model(between), path)
    finally:
        between.unlink(missing_ok=True)


def write_litert(model: "keras.Model", path: Path) -> None:
    model.export(path, format="litert", verbose=False)


def write_saved_model(model: "keras.Model", path: Path) -> None:
    model.export(path, format="tf_saved_model", verbose=False)


ONNX: dict[str, tuple[str, ...]] = {"torch": ("onnx",), "tensorflow": ("tf2onnx",)}
FORMATS = {  # by suffix
    ".onnx": ExportFormat("ONNX", ONNX, "onnx", write_onnx),
    ".xml": ExportFormat(
        "OpenVINO", {backend: (*needed, "openvino") for backend, needed in ONNX.items()}, "openvino", write_openvino
    ),
    ".tflite": ExportFormat("LiteRT", {"tensorflow": ()}, "litert", write_litert),
    "": ExportFormat("SavedModel", {"tensorflow": ()}, "tensorflow", write_saved_model),
}
