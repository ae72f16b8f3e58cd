"""Where each form of model file keeps its card: put in when it is exported, read before it is run.

A file of another program has none: its card is empty, and says no more than what goes in where the file tells that.
"""

import hashlib
import json
import mmap
from pathlib import Path

from kerasnets.errors import BadInputError, in_one_line, shorten
from kerasnets.saving import keras_file, onnx_check
from kerasnets.saving.card import Card, as_json, check_present, from_json

NAME = "kerasnets.json"  # of the card, where it is a file or an entry of a zip
CARD, SUM = "kerasnets", "kerasnets_sha256"  # elements of OpenVINO's .xml: the card, and a sum of all
UNKNOWN = "#" * 64  # in the place of that sum, while it is made
EXTRA = "assets.extra"  # a SavedModel's folder for what is not TensorFlow's (its documentation, "SavedModel format")


def load(path):
    """Return the Card of a model file in any form, without a framework; an empty one for another program's file.

    Raises BadInputError for a file that is missing or damaged, or of no form that is known.
    """
    path = Path(path)
    suffix = suffix_of(path)
    if suffix not in FORMS:
        raise BadInputError(
            f"{shorten(path)} is not a model file; those end in {', '.join(filter(None, FORMS))}, or are the folder of "
            "a SavedModel"
        )
    if suffix and not is_xml(path):
        check_present(path)
    try:
        return FORMS[suffix][0](path)
    except BadInputError:
        raise
    except Exception as error:  # what XML, zip and JSON of a damaged file lead to
        raise BadInputError(f"{shorten(path)} is damaged ({in_one_line(error)}); export or copy it again") from error


def suffix_of(path):
    """The suffix that tells a model file's form; "" of a folder, whose name may have a dot."""
    return "" if Path(path).is_dir() else Path(path).suffix


def files_of(path):
    """The files that a model file consists of: itself, OpenVINO's .bin beside it, all that is in a SavedModel."""
    path = Path(path)
    if path.is_dir():
        return [file for file in sorted(path.rglob("*")) if file.is_file()]
    weights = path.with_suffix(".bin")
    return [path, weights] if path.suffix == ".xml" and weights.is_file() else [path]


def is_xml(path):
    """Whether a file begins as OpenVINO's do; in the place of any other model that is a web page."""
    if path.suffix != ".xml" or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(5) == b"<?xml"


def add(path, card):
    """Put `card` into a file that was just exported, which no one else reads yet."""
    FORMS[suffix_of(path)][1](Path(path), card)


def empty():
    """The card of a file that says nothing of itself."""
    return Card(model="", class_names=(), input_shape=())


# ---- OpenVINO: an element of the .xml's rt_info, where programs keep what is theirs ----


def load_openvino(path):
    from xml.etree import ElementTree

    root = ElementTree.parse(path).getroot()
    if root.tag != "net":
        raise BadInputError(f"{shorten(path)} is not an OpenVINO model; export or copy it again")
    kept = {element.tag: element.get("value", "") for element in root.findall("./rt_info/*")}
    if kept.keys().isdisjoint({CARD, SUM}):
        return empty()
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise BadInputError(f"no {shorten(weights)}, which holds the weights of {path.name}; copy both")
    if kept.get(SUM) != sum_of_both(path, kept.get(SUM, "")):
        raise BadInputError(
            f"{shorten(path)} is damaged, or {weights.name} is, or of another export; export or copy them again"
        )
    return from_json(kept[CARD], path)


def add_openvino(path, card):
    from xml.etree import ElementTree

    tree = ElementTree.parse(path)
    info = tree.getroot().find("rt_info")
    if info is None:
        info = ElementTree.SubElement(tree.getroot(), "rt_info")
    for name, value in ((CARD, as_json(card)), (SUM, UNKNOWN)):
        ElementTree.SubElement(info, name, value=value)
    tree.write(path, encoding="utf-8", xml_declaration=True)
    path.write_bytes(path.read_bytes().replace(UNKNOWN.encode(), sum_of_both(path, UNKNOWN).encode()))


def sum_of_both(path, known):
    """SHA-256 of an .xml, in which the sum `known` is not known yet, and of its .bin."""
    described = path.read_bytes().replace(known.encode(), UNKNOWN.encode())
    return hashlib.sha256(described + sum_of(path.with_suffix(".bin")).encode()).hexdigest()


def sum_of(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---- LiteRT: a zip behind the model, where its own tools keep labels ----


def load_litert(path):
    import zipfile

    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[4:8] != b"TFL3":  # the identifier of its flatbuffer schema
            raise BadInputError(f"{shorten(path)} is not a LiteRT model, or damaged; export or copy it again")
        if content.rfind(NAME.encode()) < 0:  # which a zip has twice: one is left where the other is damaged
            return empty()
    with zipfile.ZipFile(path) as archive:
        kept = json.loads(archive.read(NAME))
    with path.open("rb") as file:
        model = file.read(kept["bytes"])
    if hashlib.sha256(model).hexdigest() != kept["sha256"]:
        raise BadInputError(f"{shorten(path)} is damaged: its checksum differs; export or copy it again")
    return from_json(kept["card"], path)


def add_litert(path, card):
    import zipfile

    model = path.read_bytes()
    kept = {"card": as_json(card), "bytes": len(model), "sha256": hashlib.sha256(model).hexdigest()}
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(NAME, json.dumps(kept))


# ---- SavedModel: a file in its folder ----


def load_saved_model(path):
    if not (path / "saved_model.pb").is_file():
        raise BadInputError(f"{shorten(path)} is no model file, and no SavedModel's folder; check the name")
    file = path / EXTRA / NAME
    if not file.is_file():
        return empty()
    kept = json.loads(file.read_text(encoding="utf-8"))
    for name, wanted in kept["sha256"].items():
        if not (path / name).is_file() or sum_of(path / name) != wanted:
            raise BadInputError(f"{shorten(path)} is damaged in {name}; export or copy it again")
    if sha256(kept["card"]) != kept["card_sha256"]:
        raise BadInputError(f"{shorten(path)} is damaged in its card; export or copy it again")
    return from_json(kept["card"], path)


def add_saved_model(path, card):
    sums = {file.relative_to(path).as_posix(): sum_of(file) for file in files_of(path)}
    (path / EXTRA).mkdir(exist_ok=True)
    kept = {"card": as_json(card), "card_sha256": sha256(as_json(card)), "sha256": sums}
    (path / EXTRA / NAME).write_text(json.dumps(kept), encoding="utf-8")


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


# form, by the suffix of its name -> (how its card is read, how it is put in, which Keras' own files do themselves)
FORMS = {
    ".keras": (keras_file.load_card, None),
    ".h5": (keras_file.load_card, None),
    ".onnx": (onnx_check.load_card, onnx_check.add_card),
    ".xml": (load_openvino, add_openvino),
    ".tflite": (load_litert, add_litert),
    "": (load_saved_model, add_saved_model),
}
