"""The card in each format of model file: added after an export, read before a prediction.

A file of another program has no card. Its card is empty, except for the input's shape if the file tells it.
"""

import json
import mmap
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kerasnets.errors import BadInputError, in_one_line, name_path
from kerasnets.runtime.archive import Archive
from kerasnets.runtime.digests import sha256, sha256_of_file
from kerasnets.saving import keras_file, onnx_file
from kerasnets.saving.card import Card, as_json, check_present, from_json
from kerasnets.saving.onnx_file import LONGEST_CARD, Input

NAME = "kerasnets.json"  # the card's file, or its entry of a zip
CARD, SUM = "kerasnets", "kerasnets_sha256"  # elements of OpenVINO's .xml: the card, and a checksum of both files
UNKNOWN = "#" * 64  # instead of that checksum while it is computed
EXTRA = "assets.extra"  # a SavedModel's folder for files of other programs (its documentation, "SavedModel format")
MOST_ENTRIES = 20_000  # of an archive whose form is asked for
LARGEST_WEIGHTS = 2**31  # bytes of OpenVINO's .bin
OTHER_SUFFIXES = {".hdf5": ".h5", ".hdf": ".h5", ".he5": ".h5", ".lite": ".tflite"}
AGAIN = "export or copy it again"


def load(path: str | Path) -> Card:
    """Return the Card of a model file in any format. Raises as `read`."""
    return read(path)[0]


def read(path: str | Path) -> tuple[Card, Input | None]:
    """Return the Card of a model file in any format, without a framework, and the Input of an ONNX file.

    The card of another program's file is empty.

    Raises:
        BadInputError: The file is missing or damaged, or its format is unknown.
    """
    path = Path(path)
    suffix = suffix_of(path)
    if suffix not in FORMATS:
        names = ", ".join(filter(None, FORMATS))
        problem = f"is not a model file; those end in {names}, or are the folder of a SavedModel"
        raise BadInputError(problem, path=path, remedy=remedy_of(suffix))
    if suffix and not is_xml(path):
        check_present(path)
    try:
        return FORMATS[suffix].read(path)
    except (BadInputError, OSError, MemoryError):
        raise
    except Exception as error:  # XML, zip and JSON raise many classes on damaged files
        raise BadInputError(f"is damaged ({in_one_line(error)})", path=path, remedy=AGAIN) from error


def form_of(path: str | Path) -> str:
    """Return the suffix in FORMATS of a file's content: HDF5, an archive of Keras' or LiteRT, whatever its own suffix.

    "" for other content under another suffix.
    """
    suffix = form_of_name(path)
    if suffix or not Path(path).is_file():
        return suffix
    with open(path, "rb") as file:
        beginning = file.read(32)
    if beginning.startswith(b"PK"):
        return ".keras" if is_keras_archive(path) else ""
    return ".h5" if beginning.startswith(b"\x89HDF") else ".tflite" if beginning[4:8] == b"TFL3" else ""


def is_keras_archive(path: str | Path) -> bool:
    import zipfile

    try:
        with Archive(path, sys.maxsize, MOST_ENTRIES) as archive:
            return "config.json" in archive.names
    except (OSError, zipfile.BadZipFile):
        return False


def form_of_name(path: str | Path) -> str:
    """Return a path's suffix if it is in FORMATS, else ""."""
    return Path(path).suffix if Path(path).suffix in FORMATS else ""


def remedy_of(suffix: str) -> str:
    """Return how to rename a file whose suffix other programs use for a format that kerasnets reads; else ""."""
    known = OTHER_SUFFIXES.get(suffix.lower(), suffix.lower())
    return f"rename it to end in {known}" if known in FORMATS and known else ""


def add(path: str | Path, card: Card) -> None:
    """Add `card` to a file that was just exported and that no other process reads yet."""
    add_card = FORMATS[suffix_of(path)].add
    if add_card is None:
        raise ValueError("kerasnets.save writes the card of a .keras or .h5 file")
    add_card(Path(path), card)


def empty() -> Card:
    """Return the card of a file without one."""
    return Card(model="", class_names=(), input_shape=())


def suffix_of(path: str | Path) -> str:
    """Return the suffix of a model file, which tells its format; "" for a folder, whose name may contain a dot."""
    return "" if Path(path).is_dir() else Path(path).suffix


def files_of(path: str | Path) -> list[Path]:
    """Return the files of a model: the file itself, OpenVINO's .bin with it, all files in a SavedModel."""
    path = Path(path)
    if path.is_dir():
        return [file for file in sorted(path.rglob("*")) if file.is_file()]
    weights = path.with_suffix(".bin")
    return [path, weights] if path.suffix == ".xml" and weights.is_file() else [path]


def is_xml(path: Path) -> bool:
    """Whether a file begins like OpenVINO's. In any other format, such a file is a web page."""
    if path.suffix != ".xml" or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(5) == b"<?xml"


# ---- OpenVINO: an element of the .xml's rt_info, where programs keep their own data ----------------------------------


def read_openvino(path: Path) -> Card:
    from kerasnets.saving.xml_check import read_info

    info, weights = read_info(path, (CARD, SUM)), path.with_suffix(".bin")
    if weights.is_file() and weights.stat().st_size > LARGEST_WEIGHTS:
        raise BadInputError("is larger than 2 GB", path=weights, remedy="export a smaller one")
    if not info:
        return empty()
    if not weights.is_file():
        problem = f"no {{path}}, which holds the weights of {path.name}"
        raise BadInputError(problem, path=weights, remedy="copy both")
    is_sum = re.fullmatch("[0-9a-f]{64}", info.get(SUM, ""))
    if not is_sum or CARD not in info or info[SUM] != sum_of_both(path, info[SUM]):
        problem = f"is damaged, or {weights.name} is, or of another export"
        raise BadInputError(problem, path=path, remedy="export or copy them again")
    return from_json(info[CARD], path)


def add_openvino(path: Path, card: Card) -> None:
    from xml.etree import ElementTree

    tree = ElementTree.parse(path)
    info = tree.getroot().find("rt_info")
    if info is None:
        info = ElementTree.SubElement(tree.getroot(), "rt_info")
    for name, value in ((CARD, as_json(card)), (SUM, UNKNOWN)):
        ElementTree.SubElement(info, name, value=value)
    tree.write(path, encoding="utf-8", xml_declaration=True)
    path.write_bytes(path.read_bytes().replace(UNKNOWN.encode(), sum_of_both(path, UNKNOWN).encode()))


def sum_of_both(path: Path, checksum: str) -> str:
    """Return the SHA-256 of an .xml, with UNKNOWN instead of `checksum`, and of its .bin."""
    content = path.read_bytes().replace(checksum.encode(), UNKNOWN.encode())
    return sha256(content, sha256_of_file(path.with_suffix(".bin")))


# ---- LiteRT: a zip after the model, where LiteRT's own tools keep labels ---------------------------------------------


def read_litert(path: Path) -> Card:
    from kerasnets.saving import litert_check

    with path.open("rb") as file, name_path(path):
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        card, content = empty(), memoryview(mapped)
        if mapped[4:8] != b"TFL3":  # the identifier of its flatbuffer schema
            raise BadInputError("is not a LiteRT model, or damaged", remedy=AGAIN)
        if mapped.rfind(NAME.encode()) >= 0:  # a zip holds the name twice: damage to one leaves the other
            text, place = litert_check.entry_of(path, NAME)
            entry = json.loads(text)
            if entry["bytes"] != place or sha256_of_file(path, place) != entry["sha256"]:
                raise BadInputError("is damaged: its checksum differs", remedy=AGAIN)
            card = from_json(entry["card"], path)
        litert_check.check(content)
    return card


def add_litert(path: Path, card: Card) -> None:
    import zipfile

    entry = {"card": as_json(card), "bytes": path.stat().st_size, "sha256": sha256_of_file(path)}
    with path.open("r+b") as file, zipfile.ZipFile(file, "a") as archive:  # zipfile empties what it cannot open
        archive.writestr(NAME, json.dumps(entry))


# ---- SavedModel: a file in its folder --------------------------------------------------------------------------------


def read_saved_model(path: Path) -> Card:
    if not (path / "saved_model.pb").is_file():
        raise BadInputError("is no model file, and no SavedModel's folder", path=path, remedy="check the name")
    file = path / EXTRA / NAME
    if not file.is_file():
        return empty()
    if file.stat().st_size > LONGEST_CARD:
        raise BadInputError("is damaged in its card", path=path, remedy=AGAIN)
    content = json.loads(file.read_text(encoding="utf-8"))
    there = {each.relative_to(path).as_posix() for each in files_of(path)} - {file.relative_to(path).as_posix()}
    network = {name for name in there if name.startswith("variables/") or ("/" not in name and name.endswith(".pb"))}
    for name in network | content["sha256"].keys():
        if name not in there or sha256_of_file(path / name) != content["sha256"].get(name):
            raise BadInputError(f"is damaged in {name}", path=path, remedy=AGAIN)
    if sha256(content["card"]) != content["card_sha256"]:
        raise BadInputError("is damaged in its card", path=path, remedy=AGAIN)
    return from_json(content["card"], path)


def add_saved_model(path: Path, card: Card) -> None:
    checksums = {file.relative_to(path).as_posix(): sha256_of_file(file) for file in files_of(path)}
    (path / EXTRA).mkdir(exist_ok=True)
    content = {"card": as_json(card), "card_sha256": sha256(as_json(card)), "sha256": checksums}
    (path / EXTRA / NAME).write_text(json.dumps(content), encoding="utf-8")


# ---- the table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CardFormat:
    """A format of model files: how its card is read, and how it is added (None if `kerasnets.save` does)."""

    read: Callable[[Path], tuple[Card, Input | None]]
    add: Callable[[Path, Card], None] | None


def without_input(read_card: Callable[[Path], Card]) -> Callable[[Path], tuple[Card, None]]:
    return lambda path: (read_card(path), None)


FORMATS = {  # by suffix
    ".keras": CardFormat(without_input(keras_file.load_card), None),
    ".h5": CardFormat(without_input(keras_file.load_card), None),
    ".onnx": CardFormat(onnx_file.read, onnx_file.add_card),
    ".xml": CardFormat(without_input(read_openvino), add_openvino),
    ".tflite": CardFormat(without_input(read_litert), add_litert),
    "": CardFormat(without_input(read_saved_model), add_saved_model),
}
