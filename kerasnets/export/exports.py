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
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerasnets import saving
from kerasnets.errors import BadInputError, shorten
from kerasnets.export import agreement
from kerasnets.export.quantization import MOST_CALIBRATION, MOST_TEST, Calibration
from kerasnets.export.writers import FORMATS, format_of
from kerasnets.prediction import engines
from kerasnets.runtime import atomic, backends
from kerasnets.runtime.processes import Worker
from kerasnets.saving import formats

if TYPE_CHECKING:
    import keras

BESIDE_WEIGHTS = 2**22  # bytes of a file without its weights, at most


@dataclass(frozen=True)
class Export:
    """The result of an export.

    differences: {engine: largest difference of a probability from Keras'}.
    accuracies: Of an export in 8 bits: {"keras" or engine: accuracy on the test pictures of its calibration}.
    """

    file: str
    form: str
    bytes: int
    backend: str
    differences: dict[str, float]
    accuracies: dict[str, float] = field(default_factory=dict)

    def line(self) -> str:
        """Return the result as one greppable line."""
        facts = f"file={self.file} form={self.form} bytes={self.bytes} backend={self.backend}"
        differences = " ".join(f"{engine}={difference:.1e}" for engine, difference in self.differences.items())
        if not self.accuracies:
            return f"result {facts} difference: {differences}"
        accuracies = " ".join(f"{engine}={accuracy:.4f}" for engine, accuracy in self.accuracies.items())
        return f"result {facts} int8_accuracy: {accuracies} difference: {differences}"

    def json(self) -> str:
        return json.dumps(dataclasses.asdict(self))


def export(
    path: str | Path,
    out: str | Path,
    tell: Callable[[str], object] = lambda line: None,
    guest: saving.Guest = saving.UNKNOWN,
    calibration: Calibration | None = None,
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
        calibration: Pictures with which weights and activations are quantized to 8 bits. Such an export may differ from
            Keras: its accuracy is measured on the test pictures, for you to judge.

    Raises:
        BadInputError: The model file is bad.
        ValueError: The suffix of `out` is unknown, or `out` is a folder of another sort, or no 8 bits go into it.
        ImportError: No installed backend can write the format, or no installed engine reads it.
        DisagreementError: An engine disagrees with Keras.
        OSError: `out` cannot be written.
    """
    path, out = Path(path), Path(out)
    card = saving.load_card(path)
    check(out, in_8_bits=calibration is not None)
    form, backend, judges = format_of(out), route_of(out.suffix), judges_of(out.suffix)
    whole = atomic.whole_file if out.suffix else atomic.whole_folder
    second = atomic.backup(out.with_suffix(".bin")) if out.suffix == ".xml" else contextlib.nullcontext()
    with second, whole(out) as part, second_file(part, out):
        tell(f"{form.title} by Keras on {backend}")
        with Worker(backend) as worker:
            pixels = calibration.test_pictures[:MOST_TEST] if calibration else None
            ranges = calibration.pictures[:MOST_CALIBRATION] if calibration else None
            if card.class_names and guest == saving.UNKNOWN:
                pixels = agreement.examples(card.input_shape) if pixels is None else pixels
                expected = worker(write, path, part, pixels, ranges)
            else:
                note, card, pixels, expected = worker(write_guest, path, part, guest, pixels, ranges)
                if note:
                    tell(f"note: {note}")
        if calibration and calibration.num_classes != expected.shape[-1]:
            classes = f"gives {expected.shape[-1]:,} classes, and the data of --int8 have {calibration.num_classes:,}"
            raise BadInputError(classes, path=path)
        formats.add(part, card)
        differences, accuracies = agreement.judge(judges, part, out, (pixels, expected), card, calibration, tell)
        size = sum(file.stat().st_size for file in formats.files_of(part))
    return Export(str(out), form.title, size, backend, differences, accuracies)


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


def check(out: str | Path, in_8_bits: bool = False) -> None:
    """Raise the errors that `export` documents, before a model or data are loaded."""
    out = Path(out)
    format_of(out)
    route_of(out.suffix), judges_of(out.suffix)
    if in_8_bits and not out.suffix:
        raise ValueError("a SavedModel has no form of 8 bits; name a file that ends in .onnx, .xml or .tflite")
    if in_8_bits and out.suffix != ".tflite" and not backends.is_installed("onnxruntime"):
        raise ImportError(f"8 bits need onnxruntime: {backends.install_line('onnx')}")
    check_target(out)


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


# ---- run in the process of a backend ----


def write(path: Path, part: Path, pixels: np.ndarray, calibration: np.ndarray | None = None) -> np.ndarray:
    """Write the model file `path` in the format of `part`; return Keras' probabilities for `pixels`.

    With pictures as a `calibration`, the file is in 8 bits.
    """
    return write_model(saving.load(path)[0], part, pixels, calibration)


def write_guest(
    path: Path, part: Path, guest: saving.Guest, pixels: np.ndarray | None = None, calibration: np.ndarray | None = None
) -> tuple[str, saving.Card, np.ndarray, np.ndarray]:
    """Like `write` for another program's file; return a note on it, its card, pixels, and Keras' probabilities."""
    model, card, scale_words = saving.load_with_scale(path, guest)
    saving.check_size(card, path)
    classes = "" if card.class_names else saving.NUMBERED
    note = saving.note_on(path, card.input_shape, guest, scale_words, classes) if scale_words else ""
    if not card.class_names:
        numbers = range(model.output_shape[-1])
        card = dataclasses.replace(card, class_names=tuple(f"class {i}" for i in numbers), source=path.name)
    if pixels is None:
        pixels = agreement.examples(card.input_shape)
    return note, card, pixels, write_model(model, part, pixels, calibration)


def write_model(
    model: "keras.Model", part: Path, pixels: np.ndarray, calibration: np.ndarray | None = None
) -> np.ndarray:
    batches = (pixels[start : start + agreement.BATCH] for start in range(0, len(pixels), agreement.BATCH))
    expected = np.concatenate([model.predict_on_batch(batch) for batch in batches])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters' own
        try:
            FORMATS[formats.suffix_of(part)].write(model, part, calibration)
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
