"""From a model file to the form of another program: ONNX, OpenVINO, LiteRT, SavedModel.

What is exported takes raw pixels and gives probabilities, as the model file does, and has the card inside. It is judged
before it is left behind: each engine that reads it runs it beside Keras on the same pictures.
"""

import contextlib
import dataclasses
import json
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasnets import saving
from kerasnets.errors import BadInputError, DisagreementError, shorten
from kerasnets.prediction import engines
from kerasnets.runtime import backends
from kerasnets.runtime.atomic import check_writable, flush, reserve, sweep, whole_file, whole_folder
from kerasnets.runtime.processes import Worker
from kerasnets.saving import formats

ALLOWED = 1e-4  # difference of a probability from Keras'
BESIDE_WEIGHTS = 2**22  # bytes of a file at most


@dataclass(frozen=True)
class Form:
    """A form of model files that Keras can write."""

    title: str
    routes: dict[str, tuple[str, ...]]  # backend that can -> packages needed beside it; the preferred first
    extra: str  # what brings them: pip install kerasnets[...]
    write: Callable  # (model, path) -> None


@dataclass(frozen=True)
class Export:
    """What came of an export. differences: {engine: largest difference of a probability from Keras'}."""

    file: str
    form: str
    bytes: int
    backend: str
    differences: dict[str, float]

    def line(self):
        """The result as one greppable line."""
        found = " ".join(f"{engine}={difference:.1e}" for engine, difference in self.differences.items())
        return f"result file={self.file} form={self.form} bytes={self.bytes} backend={self.backend} difference: {found}"

    def json(self):
        return json.dumps(dataclasses.asdict(self))


def export(path, out, tell=lambda line: None):
    """Export the model file `path` (.keras, .h5) to `out`, in the form of its suffix; return the Export.

    out: .onnx; .xml of OpenVINO, with its weights in a .bin beside it; .tflite of LiteRT; without a suffix, the folder
        of a SavedModel. Written whole or not at all, and only where each engine that reads it and is installed gives
        Keras' probabilities to 1e-4.
    tell: is told what begins.
    Keras runs on KERAS_BACKEND where that has a route to the form, else on the first installed one that has, in a
    process of its own: a model file belongs to no backend.
    Raises BadInputError for a bad model file, ValueError for an unknown suffix or another folder, ImportError where no
    installed backend has a route or no engine is there to judge, DisagreementError where one disagrees, OSError where
    `out` cannot be written.
    """
    path, out = Path(path), Path(out)
    form = form_of(out)
    card = saving.load_card(path)
    if not card.class_names:
        raise BadInputError(f"{shorten(path)} has no class names; give it a card by kerasnets.save, then export it")
    backend, judges = route_of(out.suffix), judges_of(out.suffix)
    check_target(out)
    pixels = examples(card.input_shape)
    with (whole_file if out.suffix else whole_folder)(out) as part, second_file(part, out):
        tell(f"{form.title} by Keras on {backend}")
        worker = Worker(backend)
        try:
            wanted = worker(write, path, part, pixels)
        except BaseException:  # Ctrl-C too, for which the process does not wait
            worker.kill()
            raise
        worker.close()
        formats.add(part, card)
        differences = {judge: difference(part, judge, pixels, wanted, out) for judge in judges}
        size = sum(file.stat().st_size for file in formats.files_of(part))
    return Export(str(out), form.title, size, backend, differences)


def difference(part, judge, pixels, wanted, out):
    """The largest difference of a probability by an engine from what Keras `wanted`; DisagreementError above 1e-4."""
    try:
        found = float(abs(engines.load(part, judge)(pixels) - wanted).max())
    except BadInputError as error:
        raise DisagreementError(f"{judge} cannot run {shorten(out)}; nothing is left behind ({error})") from error
    if not found <= ALLOWED:
        raise DisagreementError(
            f"{judge} differs by {found:.1e} from Keras on {shorten(out)}, where {ALLOWED:g} is allowed: nothing is "
            "left behind; please report it"
        )
    return found


def form_of(out):
    if out.suffix not in FORMS:
        known = ", ".join(f"{suffix} ({form.title})" for suffix, form in FORMS.items() if suffix)
        raise ValueError(f"cannot export to {shorten(out)}: name a file that ends in {known}, or a SavedModel's folder")
    return FORMS[out.suffix]


def route_of(suffix):
    """The backend that writes the form; ImportError where none that is installed can."""
    form = FORMS[suffix]
    wanted = os.environ.get("KERAS_BACKEND")
    if wanted and wanted not in backends.BACKENDS:
        raise ValueError(f"unknown KERAS_BACKEND {wanted!r}; choose one of: {', '.join(backends.BACKENDS)}")
    able = [backend for backend, needed in form.routes.items() if all(map(backends.is_installed, (backend, *needed)))]
    if not able:
        there = [backend for backend in form.routes if backends.is_installed(backend)]
        extras = [form.extra] if there else dict.fromkeys([next(iter(form.routes)), form.extra])
        lacking = f"no installed backend can write {form.title}; {' or '.join(form.routes)} can"
        if there:
            needed = [package for package in form.routes[there[0]] if not backends.is_installed(package)]
            lacking = f"{there[0]} needs {' and '.join(needed)} to write {form.title}"
        raise ImportError(f'{lacking}: pip install "kerasnets[{",".join(extras)}]"')
    return wanted if wanted in able else able[0]


def judges_of(suffix):
    """The installed engines that read the form."""
    readers = {name: row.package for name, row in engines.ENGINES.items() if suffix in row.suffixes}
    judges = [name for name, package in readers.items() if backends.is_installed(package)]
    if not judges:
        raise ImportError(
            f"nothing here runs {FORMS[suffix].title}, to compare it with Keras: "
            f'pip install "kerasnets[{FORMS[suffix].extra}]"'
        )
    return judges


def check_target(out):
    """Raise now rather than after the work: OSError where `out` cannot be written, ValueError for another folder."""
    if out.suffix == ".xml" and not out.exists() and out.with_suffix(".bin").exists():
        weights = out.with_suffix(".bin").name
        raise ValueError(f"{weights} is there without {shorten(out)}, and would be overwritten; name another place")
    if out.suffix:
        return check_writable(out)
    if out.exists() and not (out / "saved_model.pb").is_file():
        raise ValueError(
            f"{shorten(out)} is there and no SavedModel, which an export would replace; name another place"
        )


@contextlib.contextmanager
def second_file(part, out):
    """Move the .bin that OpenVINO writes beside an .xml to its place, or remove it.

    Stopped between the two, the .xml of an earlier export is refused, since its checksum is of the earlier .bin.
    """
    others = [suffix for suffix in (".bin", ".onnx") if suffix != out.suffix]  # by way of ONNX it is written
    for suffix in others:
        sweep(out.with_suffix(suffix))
    second = part.with_suffix(".bin")
    try:
        yield
        if second.is_file():
            flush(part)  # while a full disk loses nothing yet
            flush(second)
            os.replace(second, out.with_suffix(".bin"))
    finally:
        for suffix in others:
            part.with_suffix(suffix).unlink(missing_ok=True)


def examples(shape):
    """What is judged: float32 rows (8, columns), or uint8 pictures (8, height, width, channels).

    Four of scikit-learn's digits, noise, and pictures that are black, white and in between.
    """
    rng = np.random.default_rng(0)
    if len(shape) == 1:
        return rng.uniform(size=(8, *shape)).astype(np.float32)
    from sklearn.datasets import load_digits

    from kerasnets import pictures

    digits = [pictures.prepare(np.uint8(digit * 15.9375), "picture", shape) for digit in load_digits().images[:4]]
    even = [np.full(shape, grey, np.uint8) for grey in (0, 128, 255)]
    return np.stack([*digits, rng.integers(0, 256, shape, np.uint8), *even])


# ---- run in the process of a backend ----


def write(path, part, pixels):
    """Write the model file `path` in the form of `part`; return its probabilities for `pixels`."""
    model, _ = saving.load(path)
    wanted = model.predict_on_batch(pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporters' own ways
        try:
            FORMS[formats.suffix_of(part)].write(model, part)
        except Exception as error:  # each library has its own for a full disk, some without words
            reserve(part / "room" if part.is_dir() else part, 2 * model.count_params() * 4 + BESIDE_WEIGHTS)
            raise RuntimeError(f"{type(error).__name__}: {error}") from error  # which any process can read
    return wanted


def write_onnx(model, path):
    import keras

    from kerasnets.graph import rebuild

    if keras.backend.backend() == "torch":  # whose exporter would write two transpositions around each convolution
        model = rebuild(model, layout="channels_first")
        model.predict_on_batch(np.zeros((1, *model.input_shape[1:]), model.input.dtype))  # Keras wants it called once
    model.export(path, format="onnx", verbose=False)


def write_openvino(model, path):
    """By way of ONNX: of Keras' own route, torch's forgets the size of the pictures, and JAX has none."""
    import openvino

    between = path.with_suffix(".onnx")
    try:
        write_onnx(model, between)
        openvino.serialize(openvino.Core().read_model(between), path)
    finally:
        between.unlink(missing_ok=True)


def write_litert(model, path):
    model.export(path, format="litert", verbose=False)


def write_saved_model(model, path):
    model.export(path, format="tf_saved_model", verbose=False)


ONNX = {"torch": ("onnx",), "tensorflow": ("tf2onnx",)}
FORMS = {  # by the suffix
    ".onnx": Form("ONNX", ONNX, "onnx", write_onnx),
    ".xml": Form(
        "OpenVINO", {backend: (*needed, "openvino") for backend, needed in ONNX.items()}, "openvino", write_openvino
    ),
    ".tflite": Form("LiteRT", {"tensorflow": ()}, "litert", write_litert),
    "": Form("SavedModel", {"tensorflow": ()}, "tensorflow", write_saved_model),
}
