"""Each form of model file carries a card, and damage is noticed; a file without a card is read too."""

import json
import re
import time
import xml.etree.ElementTree
import zipfile

import numpy as np
import pytest

from kerasnets.errors import BadInputError
from kerasnets.saving import Card, formats

openvino = pytest.importorskip("openvino")

CARD = Card("tiny", ("größer", '<"&">', "emu"), (4, 5, 3), "picture", "none", "a recipe", 0.5, versions={"keras": "3"})
SECONDS = 5  # that one bad file may take
SUFFIXES = (".xml", ".tflite", "")


def write(folder, suffix):
    """Write another program's file; where the content does not matter for the card, random bytes."""
    path, numbers = folder / f"tiny{suffix}", np.random.default_rng(0).bytes(900)
    if suffix == ".xml":
        from openvino import opset13 as ops

        image = ops.parameter([-1, 3], np.float32, name="image")
        weights = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
        openvino.save_model(openvino.Model([ops.softmax(ops.matmul(image, weights, False, False), 1)], [image]), path)
    elif suffix == ".tflite":
        path.write_bytes(b"\x1c\0\0\0TFL3" + numbers)  # its schema.fbs: file_identifier "TFL3"
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


def test_a_file_that_is_cut_short_is_noticed(path):
    for part in parts_of(path):
        content = part.read_bytes()
        for size in {0, 1, len(content) - 1, *range(3, len(content), 97)}:
            part.write_bytes(content[:size])
            answer = refusal(path)
            if path.suffix == ".tflite" and 8 <= size <= 908:  # nothing of our zip is left: the engine decides
                assert formats.load(path) == formats.empty()
            else:
                assert answer not in (None, "another card"), (part.name, size)
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
