"""Each form of model file carries a card, and damage is noticed; a file without a card is read too."""

import hashlib
import json
import re
import time
import xml.etree.ElementTree
import zipfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from kerasnets.errors import BadInputError
from kerasnets.saving import Card, formats
from kerasnets.saving.card import as_json
from tests.tiny_models import write_litert, write_openvino

openvino = pytest.importorskip("openvino")

CARD = Card("tiny", ("größer", '<"&">', "emu"), (4, 5, 3), "picture", "none", "a recipe", 0.5, versions={"keras": "3"})
SECONDS = 5  # that one bad file may take
SUFFIXES = (".xml", ".tflite", "")


def write(folder, suffix):
    """Write another program's file; where the content does not matter for the card, random bytes."""
    path, numbers = folder / f"tiny{suffix}", np.random.default_rng(0).bytes(900)
    if suffix == ".xml":
        write_openvino(path)
    elif suffix == ".tflite":
        write_litert(path)
    else:  # tensorflow.org/guide/saved_model: "The SavedModel format on disk"
        (path / "variables").mkdir(parents=True)
        for name in ("saved_model.pb", "fingerprint.pb", "variables/variables.index"):
            (path / name).write_bytes(numbers[:99])
        (path / "variables/variables.data-00000-of-00001").write_bytes(numbers)
    return path


@pytest.fixture(params=SUFFIXES)
def path(request, tmp_path):
    """A file with our card, in each form."""
    path = write(tmp_path, request.param)
    formats.add(path, CARD)
    return path


def parts_of(path):
    """The files that a model is made of."""
    if path.is_dir():
        return [file for file in path.rglob("*") if file.is_file()]
    return [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]


def refusal(path):
    """Return the refusal of a file, after checking its form and time; None if the card is unchanged."""
    begun = time.monotonic()
    try:
        found = formats.load(path)
    except BadInputError as error:
        message = str(error)
        assert path.name in message
        assert re.search("[;:] [a-z]", message)  # and what to do
        assert len(message) <= 190
        assert "\n" not in message
        return message
    finally:
        assert time.monotonic() - begun < SECONDS
    return None if found == CARD else "another card"


def test_the_card_comes_back(path):
    assert formats.load(path) == CARD


def test_other_programs_can_read_the_card(path):
    if path.suffix == ".xml":
        root = xml.etree.ElementTree.parse(path).getroot()
        text = root.find("rt_info/kerasnets").get("value")
        assert openvino.Core().read_model(path).get_rt_info("kerasnets").value == text
    elif path.suffix == ".tflite":
        with zipfile.ZipFile(path) as archive:
            text = json.loads(archive.read("kerasnets.json"))["card"]
    else:
        text = json.loads((path / "assets.extra/kerasnets.json").read_text())["card"]
    assert json.loads(text)["class_names"] == list(CARD.class_names)


def test_a_flipped_bit_is_noticed(path):
    """In every third byte. The dates in a zip and the like are not read, so the card is unchanged."""
    missed = []
    for part in parts_of(path):
        content = part.read_bytes()
        for place in range(0, len(content), 3):
            flipped = bytearray(content)
            flipped[place] ^= 1 << place % 8
            part.write_bytes(flipped)
            answer = refusal(path)
            assert answer != "another card", (part.name, place)
            missed += [place] if answer is None else []
        part.write_bytes(content)
    assert len(missed) < (40 if path.suffix == ".tflite" else 1)
    assert formats.load(path) == CARD


def test_a_file_that_is_cut_short_is_noticed(path, tmp_path):
    (tmp_path / "plain").mkdir()
    plain = write(tmp_path / "plain", path.suffix).stat().st_size
    for part in parts_of(path):
        content = part.read_bytes()
        for size in {0, 1, len(content) - 1, *range(3, len(content), 97)}:
            part.write_bytes(content[:size])
            answer = refusal(path)
            assert answer is not None, (part.name, size)
            if path.suffix == ".tflite" and 8 <= size <= plain and answer == "another card":
                assert formats.load(path) == formats.empty()  # nothing of our zip is left: the engine decides
            else:
                assert answer != "another card", (part.name, size)
        part.write_bytes(content)


def test_a_missing_part_is_noticed(path):
    for part in parts_of(path):
        content = part.read_bytes()
        part.unlink()
        if part.name != "kerasnets.json":  # without it, the file is another program's
            assert refusal(path) not in (None, "another card"), part.name
        part.write_bytes(content)


def test_a_part_of_another_export_is_noticed(tmp_path):
    """After a process was killed between its two files, or a person has copied one of them."""
    path = write(tmp_path, ".xml")
    formats.add(path, CARD)
    weights = bytearray(path.with_suffix(".bin").read_bytes())
    weights[5] += 1
    path.with_suffix(".bin").write_bytes(weights)
    assert "tiny.xml is damaged, or tiny.bin is, or of another export; export or copy them again" in refusal(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_another_programs_file_has_an_empty_card(tmp_path, suffix):
    assert formats.load(write(tmp_path, suffix)) == formats.empty()


@pytest.mark.parametrize("suffix", [".xml", ".tflite", ".onnx"])
@pytest.mark.parametrize(("content", "words"), [
    (None, "no model file "),
    (b"", " is empty"),
    (b"hello\n" * 100, "tiny"),
    (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "tiny"),
    (b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body/></html>', "tiny"),
    (b"PK\x03\x04" + bytes(60), "tiny"),
])  # fmt: skip
def test_a_file_that_is_not_a_model_is_refused(tmp_path, suffix, content, words):
    path = tmp_path / f"tiny{suffix}"
    if content is not None:
        path.write_bytes(content)
    assert words in refusal(path)


def test_a_folder_that_is_not_a_model_is_refused(tmp_path):
    (tmp_path / "tiny.xml").mkdir()
    assert "tiny.xml is no model file, and no SavedModel's folder" in refusal(tmp_path / "tiny.xml")
    (tmp_path / "tiny").mkdir()
    assert "tiny is no model file, and no SavedModel's folder" in refusal(tmp_path / "tiny")
    assert "nowhere is no model file, and no SavedModel's folder" in refusal(tmp_path / "nowhere")
    assert "tiny.png is not a model file; those end in .keras, .h5" in refusal(tmp_path / "tiny.png")


# ---- files that take more than they look ----

MEBIBYTES = 512  # that one bad file may take


def with_zip(path, text, method=zipfile.ZIP_DEFLATED, covered=None, **more):
    """Put a card by hand after another program's .tflite, with the right CRC, and any checksum."""
    model = path.read_bytes()
    covered = len(model) if covered is None else covered
    entry = {"card": text, "bytes": covered, "sha256": hashlib.sha256(model[:covered]).hexdigest(), **more}
    with zipfile.ZipFile(path, "a", method) as archive:
        archive.writestr("kerasnets.json", json.dumps(entry))


def beside(path):
    with_zip(path, as_json(CARD))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "cat")


def many(path, text, ending):
    path.write_text('<?xml version="1.0"?>\n<net name="a" version="11">' + text + ending)


def with_sum(path, value):
    """Put our card under a checksum of any text."""
    root = xml.etree.ElementTree.parse(path)
    info = xml.etree.ElementTree.SubElement(root.getroot(), "rt_info")
    xml.etree.ElementTree.SubElement(info, "kerasnets", value=as_json(CARD))
    if value is not None:
        xml.etree.ElementTree.SubElement(info, "kerasnets_sha256", value=value)
    xml.etree.ElementTree.SubElement(info, "other", value="a" * 8_000_000)
    root.write(path, encoding="utf-8", xml_declaration=True)


def with_lies(path):
    """Declare an entry that unpacks to 100 MB as 100 bytes long."""
    with_zip(path, " " * 10**8)
    content = bytearray(path.read_bytes())
    central, local = content.rindex(b"PK\1\2"), content.rindex(b"PK\3\4")
    content[central + 24 : central + 28] = content[local + 22 : local + 26] = (100).to_bytes(4, "little")
    path.write_bytes(content)


ENTITIES = (
    '<?xml version="1.0"?>\n<!DOCTYPE net [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "' + "&a;" * 1000 + '">]><net>&b;</net>'
)


def custom(model):
    model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = 32
    model.operatorCodes[0].customCode = "FlexReadFile"


def elsewhere(model):
    from ai_edge_litert import schema_py_generated as schema

    group = schema.ExternalBufferGroupT()
    group.name = "/etc/passwd"
    model.externalBufferGroups = [group]


ATTRIBUTES = "<a " + " ".join(f'a{i}=""' for i in range(2_000_000)) + "/>"
HEAVY = {
    "card of a gigabyte": (".tflite", lambda path: with_zip(path, " " * 10**8), "is damaged"),
    "card that lies": (".tflite", with_lies, "is damaged"),
    "card by bzip2": (".tflite", lambda path: with_zip(path, as_json(CARD), zipfile.ZIP_BZIP2), "is damaged"),
    "card by LZMA": (".tflite", lambda path: with_zip(path, as_json(CARD), zipfile.ZIP_LZMA), "is damaged"),
    "checksum of nothing": (".tflite", lambda path: with_zip(path, as_json(CARD), covered=0), "its checksum differs"),
    "checksum of half": (".tflite", lambda path: with_zip(path, as_json(CARD), covered=100), "its checksum differs"),
    "bytes of a fraction": (".tflite", lambda path: with_zip(path, as_json(CARD), bytes=1e300), "is damaged"),
    "two entries": (".tflite", beside, "is damaged"),
    "custom operator": (".tflite", lambda path: write_litert(path, custom), "asks for 'FlexReadFile', an operator"),
    "weights elsewhere": (".tflite", lambda path: write_litert(path, elsewhere), "has its weights in another file"),
    "small elements": (".xml", lambda path: many(path, "<a/>" * 4_000_000, "</net>"), "of more parts than any network"),
    "many attributes": (".xml", lambda path: many(path, ATTRIBUTES, "</net>"), "of more parts"),
    "deep elements": (".xml", lambda path: many(path, "<a>" * 200_000, ""), "is larger, deeper"),
    "large text": (".xml", lambda path: many(path, " " * 40_000_000, "</net>"), "is larger"),
    "entities": (".xml", lambda path: path.write_text(ENTITIES), "declares types or entities"),
    "no checksum": (".xml", lambda path: with_sum(path, None), "is damaged, or tiny.bin is"),
    "checksum of a letter": (".xml", lambda path: with_sum(path, "a"), "is damaged, or tiny.bin is"),
}  # fmt: skip


@pytest.mark.parametrize("case", HEAVY)
def test_a_file_that_is_heavier_than_it_looks_is_refused_within_limits(tmp_path, case):
    suffix, spoil, words = HEAVY[case]
    path = write(tmp_path, suffix)
    spoil(path)
    Path("/proc/self/clear_refs").write_text("5")
    before = most_memory()
    assert words in refusal(path)
    assert most_memory() - before < MEBIBYTES


def most_memory():
    """Return the most memory of this process since clear_refs, in MiB."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))


def test_little_memory_is_not_called_damage(tmp_path, monkeypatch):
    path = write(tmp_path, ".xml")
    monkeypatch.setattr(Path, "read_bytes", mock.Mock(side_effect=MemoryError))
    with pytest.raises(MemoryError):
        formats.load(path)
    monkeypatch.setattr(formats.mmap, "mmap", mock.Mock(side_effect=OSError(12, "Cannot allocate memory")))
    with pytest.raises(OSError, match="Cannot allocate"):
        formats.load(write(tmp_path, ".tflite"))
