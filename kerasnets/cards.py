"""Where each form of model file keeps its card: put in when it is exported, read before it is run.

A file of another program has none: its card is empty, and says no more than what goes in where the file tells that.
"""

import hashlib
import json
from pathlib import Path

from kerasnets import onnx_files, saving
from kerasnets.errors import BadInputError, shorten
from kerasnets.saving import Card, as_json, check_present, from_json

NAME = "kerasnets.json"  # of the card, where it is a file or an entry of a zip
SUM = "kerasnets_sha256"  # of what OpenVINO keeps in the second file
EXTRA = "assets.extra"  # a SavedModel's folder for what is not TensorFlow's (its documentation, "SavedModel format")


def load(path):
    """Return the Card of a model file in any form, without a framework; an empty one for another program's file.

    Raises BadInputError for a file that is missing or damaged, or of no form that is known.
    """
    path = Path(path)
    if path.suffix not in FORMS:
        raise BadInputError(
            f"{shorten(path)} is not a model file; those end in {', '.join(filter(None, FORMS))}, or are the folder of "
            "a SavedModel"
        )
    if path.suffix:
        check_present(path)
    try:
        return FORMS[path.suffix][0](path)
    except BadInputError:
        raise
    except Exception as error:  # what XML, zip and JSON of a damaged file lead to
        reason = " ".join(str(error).split())[:60]
        raise BadInputError(f"{shorten(path)} is damaged ({reason}); export or copy it again") from error


def add(path, card):
    """Put `card` into a file that was just exported, which no one else reads yet."""
    FORMS[Path(path).suffix][1](Path(path), card)


def empty():
    """The card of a file that says nothing of itself."""
    return Card(model="", class_names=(), input_shape=())


# ---- OpenVINO: an element of the .xml's rt_info, where programs keep what is theirs ----


def load_openvino(path):
    from xml.etree import ElementTree

    kept = {}
    for element in ElementTree.parse(path).getroot().findall("./rt_info/*"):
        kept[element.tag] = element.get("value")
    if "kerasnets" not in kept:
        return empty()
    if sum_of(path.with_suffix(".bin")) != kept[SUM]:
        raise BadInputError(f"{shorten(path.with_suffix('.bin'))} is damaged, or of another export; export it again")
    return from_json(kept["kerasnets"], path)


def add_openvino(path, card):
    from xml.etree import ElementTree

    tree = ElementTree.parse(path)
    info = tree.getroot().find("rt_info")
    if info is None:
        info = ElementTree.SubElement(tree.getroot(), "rt_info")
    for name, value in (("kerasnets", as_json(card)), (SUM, sum_of(path.with_suffix(".bin")))):
        ElementTree.SubElement(info, name, value=value)
    tree.write(path, encoding="utf-8", xml_declaration=True)


def sum_of(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---- LiteRT: a zip behind the model, where its own tools keep labels ----


def load_litert(path):
    import zipfile

    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            if file.read(8)[4:] != b"TFL3":  # the identifier of its flatbuffer schema
                raise BadInputError(f"{shorten(path)} is not a LiteRT model, or damaged; export or copy it again")
        return empty()
    with zipfile.ZipFile(path) as archive:
        if NAME not in archive.namelist():
            return empty()
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
    return from_json(kept["card"], path)


def add_saved_model(path, card):
    sums = {str(file.relative_to(path)): sum_of(file) for file in sorted(path.rglob("*")) if file.is_file()}
    (path / EXTRA).mkdir(exist_ok=True)
    kept = json.dumps({"card": as_json(card), "sha256": sums})
    (path / EXTRA / NAME).write_text(kept, encoding="utf-8")


# form, by the suffix of its name -> (how its card is read, how it is put in, which Keras' own files do themselves)
FORMS = {
    ".keras": (saving.load_card, None),
    ".h5": (saving.load_card, None),
    ".onnx": (onnx_files.load_card, onnx_files.add_card),
    ".xml": (load_openvino, add_openvino),
    ".tflite": (load_litert, add_litert),
    "": (load_saved_model, add_saved_model),
}
