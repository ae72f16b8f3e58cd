"""Export of a model file to another program's format: ONNX, OpenVINO, LiteRT, SavedModel.

An export takes raw pixels and gives probabilities, like the model file, and has the card inside. Each installed engine
that reads it runs it on the same pictures as Keras. If any probability differs by more than 1e-4, the export is
discarded.
"""

import contextlib
import dataclasses
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
from kerasnets.runtime import backends
from kerasnets.runtime.atomic import check_writable, flush, followed, reserve, sweep, whole_file, whole_folder
from kerasnets.runtime.processes import Worker
from kerasnets.saving import formats

if TYPE_CHECKING:
    import keras

ALLOWED = 1e-4  # the largest difference of a probability from Keras'
BESIDE_WEIGHTS = 2**22  # bytes of a file without its weights, at most


@dataclass(frozen=True)
class Form:
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


def export(
    path: str | Path,
    out: str | Path,
    tell: Callable[[str], object] = lambda line: None,
    guest: saving.Guest = saving.UNKNOWN,
) -> Export:
    """Export a model file, whole or not at all.

    Keras runs in a process of its own, on KERAS_BACKEND if that can write the format, else on the first installed
    backend that can: a model file belongs to no backend.

    Args:
        path: A .keras or .h5 file.
        out: The export: .onnx; .xml of OpenVINO, with its weights in a .bin next to it; .tflite of LiteRT; or, without
            a suffix, the folder of a SavedModel.
        tell: Called with a line before the work starts.
        guest: What is known about a file that kerasnets did not write.

    Raises:
        BadInputError: The model file is bad.
        ValueError: The suffix of `out` is unknown, or `out` is a folder of another sort.
        ImportError: No installed backend can write the format, or no installed engine reads it.
        DisagreementError: An engine disagrees with Keras.
        OSError: `out` cannot be written.
    """
    path, out = Path(path), Path(out)
    form = form_of(out)
    card = saving.load_card(path)
    backend, judges = route_of(out.suffix), judges_of(out.suffix)
    check_target(out)
    with (whole_file if out.suffix else whole_folder)(out) as part, second_file(part, out):
        tell(f"{form.title} by Keras on {backend}")
        with Worker(backend) as worker:
            if card.class_names and guest == saving.UNKNOWN:
                pixels = examples(card.input_shape)
                expected = worker(write, path, part, pixels)
            else:
                card, pixels, expected = worker(write_guest, path, part, guest)
        formats.add(part, card)
        differences = {judge: difference(part, judge, pixels, expected, out, card.multi_label) for judge in judges}
        size = sum(file.stat().st_size for file in formats.files_of(part))
    return Export(str(out), form.title, size, backend, differences)


def difference(
    part: Path, judge: str, pixels: np.ndarray, expected: np.ndarray, out: Path, multi_label: bool = False
) -> float:
    """Return the largest difference of an engine's probabilities from Keras'; raise DisagreementError above 1e-4."""
    try:
        largest = float(
            abs(engines.load(part, judge, guest=saving.Guest(multi_label=multi_label))(pixels) - expected).max()
        )
    except BadInputError as error:
        raise DisagreementError(f"{judge} cannot run {shorten(out)}; the export is discarded ({error})") from error
    if not largest <= ALLOWED:  # also NaN
        raise DisagreementError(
            f"{judge} differs by {largest:.1e} from Keras on {shorten(out)}, where {ALLOWED:g} is allowed: the export "
            "is discarded; please report it"
        )
    return largest


def form_of(out: Path) -> Form:
    """Return the Form of a suffix, or raise ValueError."""
    if out.suffix not in FORMS:
        known = ", ".join(f"{suffix} ({form.title})" for suffix, form in FORMS.items() if suffix)
        raise ValueError(f"cannot export to {shorten(out)}: name a file that ends in {known}, or a SavedModel's folder")
    return FORMS[out.suffix]


def route_of(suffix: str) -> str:
    """Return the backend that writes the format; raise ImportError if no installed backend can."""
    form = FORMS[suffix]
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
        raise ImportError(f'{lacking}: pip install "kerasnets[{",".join(extras)}]"')
    return requested if requested in able else able[0]


def judges_of(suffix: str) -> list[str]:
    """Return the installed engines that read the format; raise ImportError if there is none."""
    readers = {name: library.package for name, library in engines.ENGINES.items() if suffix in library.suffixes}
    judges = [name for name, package in readers.items() if backends.is_installed(package)]
    if not judges:
        raise ImportError(
            f"nothing here runs {FORMS[suffix].title}, to compare it with Keras: "
            f'pip install "kerasnets[{FORMS[suffix].extra}]"'
        )
    return judges


def check_target(out: Path) -> None:
    """Raise, before the work, OSError if `out` cannot be written and ValueError if it would replace another file."""
    if out.suffix == ".xml" and not out.exists() and out.with_suffix(".bin").exists():
        weights = out.with_suffix(".bin").name
        raise ValueError(f"{weights} is there without {shorten(out)}, and would be overwritten; name another place")
    if out.suffix:
        check_writable(out)
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
        sweep(followed(out), suffix)
    second = part.with_suffix(".bin")
    try:
        yield
        if second.is_file():
            with whole_file(out.with_suffix(".bin")) as weights:
                shutil.copyfile(second, weights)
                flush(part)  # now, since a full disk has lost nothing yet
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
    return write_model(saving.load(path)[0], part, pixels)


def write_guest(path: Path, part: Path, guest: saving.Guest) -> tuple[saving.Card, np.ndarray, np.ndarray]:
    """Like `write` for another program's file; return its card, pixels, and Keras' probabilities for them."""
    model, card = saving.load(path, guest=guest)
    if not card.input_shape:
        raise saving.open_size(path)
    if not card.class_names:
        numbers = range(model.output_shape[-1])
        card = dataclasses.replace(card, class_names=tuple(f"class {i}" for i in numbers), source=path.name)
    pixels = examples(card.input_shape)
    return card, pixels, write_model(model, part, pixels)


def write_model(model: "keras.Model", part: Path, pixels: np.ndarray) -> np.ndarray:
    expected = model.predict_on_batch(pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters' own
        try:
            FORMS[formats.suffix_of(part)].write(model, part)
        except Exception as error:  # each library has its own for a full disk, some without a message
            reserve(part / "room" if part.is_dir() else part, 2 * model.count_params() * 4 + BESIDE_WEIGHTS)
            raise RuntimeError(f"{type(error).__name__}: {error}") from error  # a class that any process can unpickle
    return expected


def write_onnx(model: "keras.Model", path: Path) -> None:
    import keras

    from kerasnets.graph import rebuild

    if keras.backend.backend() == "torch":  # its exporter would write two transpositions around each convolution
        model = rebuild(model, layout="channels_first")
        model.predict_on_batch(
            np.zeros((1, *model.input_shape[1:]), model.input.dtype)
        )  # Keras needs one call before an export
    model.export(path, format="onnx", verbose=False)


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
FORMS = {  # by suffix
    ".onnx": Form("ONNX", ONNX, "onnx", write_onnx),
    ".xml": Form(
        "OpenVINO", {backend: (*needed, "openvino") for backend, needed in ONNX.items()}, "openvino", write_openvino
    ),
    ".tflite": Form("LiteRT", {"tensorflow": ()}, "litert", write_litert),
    "": Form("SavedModel", {"tensorflow": ()}, "tensorflow", write_saved_model),
}
