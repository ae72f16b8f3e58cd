"""Which pictures `kerasnets evaluate` judges, and what it says about them."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from kerasnets import data, saving
from kerasnets.cli import evaluate, main
from kerasnets.errors import BadInputError
from kerasnets.runtime import backends
from kerasnets.training import evaluation
from tests.conftest import ROOT
from tests.stand_ins import encoded, write_folder

CARD = saving.Card("small_cnn", ("cat", "dog"), (6, 5, 3), "picture")


@pytest.fixture
def judged(monkeypatch, capsys):
    """A function that runs the command for a model with a card, and returns (pictures judged, notes)."""

    def evaluate_file(path, dataset, *args):
        probabilities = np.full((len(dataset.test_labels), len(dataset.class_names)), 0.5)
        return evaluation.of_separate(dataset.test_labels, probabilities, dataset.class_names), CARD

    def run(card, *words):
        monkeypatch.setattr(saving, "load_card", lambda path, guest: card)
        monkeypatch.setattr(evaluation, "evaluate_file", evaluate_file)
        main.run(["evaluate", "a.keras", "--dataset", *words])
        output, notes = capsys.readouterr()
        [count] = [word.removeprefix("examples=") for word in output.split() if word.startswith("examples=")]
        return int(count), notes

    return run


@pytest.fixture
def pets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    names = [f"{name}/{i}.png" for name in ("cat", "dog") for i in range(10)]
    write_folder(tmp_path / "pets", dict.fromkeys(names, encoded(pixels)))
    write_folder(
        tmp_path / "both", {f"{part}/{name}": encoded(pixels) for part in ("train", "val") for name in names[:15]}
    )
    write_folder(tmp_path / "alone", {f"test/{name}": encoded(pixels) for name in names})


def test_all_of_a_folder_without_parts_is_judged(judged, pets):
    for name in ("pets", "alone"):
        assert judged(CARD, name) == (20, f"note: {name} has no test part: all its pictures are judged\n")


def card_of(path):
    """Return the card that a training on a folder leaves."""
    examples = data.load_data(path, image_size=(6, 5))
    return dataclasses.replace(CARD, dataset=examples.title, data_digest=data.digest(examples))


def test_the_pictures_that_training_held_out_are_judged_and_all_on_demand(judged, pets):
    card = card_of("pets")
    words = "the 4 pictures that were held out are judged (--all judges every one)"
    assert judged(card, "pets") == (4, f"note: the model was trained on pets; {words}\n")
    count, notes = judged(card, "pets", "--all")
    assert (count, "16 of 20 pictures were trained on: the figures are no test" in notes) == (20, True)


def test_another_folder_of_the_same_name_is_judged_whole(judged, pets):
    """Its content decides: none of its pictures was held out."""
    card = card_of("pets")
    pixels = np.random.default_rng(1).integers(0, 256, (6, 5, 3), np.uint8)
    write_folder(Path("new/pets"), {f"{name}/{i}.png": encoded(pixels) for name in ("cat", "dog") for i in range(10)})
    count, notes = judged(card, "new/pets")
    assert (count, "held out" in notes) == (20, False)
    assert "trained on data called pets that had other pictures, or not all of these; it may know some" in notes


def test_a_renamed_folder_and_a_zip_of_it_are_known_by_their_content(judged, pets):
    card = card_of("pets")
    shutil.make_archive("outer", "zip", ".", "pets")  # with pets/cat/0.png
    shutil.make_archive("inner", "zip", "pets")  # with cat/0.png
    Path("pets").rename("animals")
    for name in ("animals", "outer.zip", "inner.zip"):
        count, notes = judged(card, name)
        assert (name, count) == (name, 4)
        assert f"the model was trained on {name.removesuffix('.zip')}; the 4 pictures" in notes
    Path("outer.zip").rename("pets.zip")
    assert judged(card_of("pets.zip"), "animals")[0] == 4


def test_a_folder_with_one_more_picture_may_be_known_in_part(judged, pets):
    card = card_of("pets")
    shutil.copy("pets/cat/0.png", "pets/cat/more.png")
    count, notes = judged(card, "pets")
    assert (count, "it may know some of them" in notes) == (21, True)


def test_without_a_digest_the_name_decides_and_a_note_says_so(judged, pets):
    card = dataclasses.replace(CARD, dataset="pets")
    count, notes = judged(card, "pets")
    assert (count, "by the name alone: its card tells nothing of their content" in notes) == (4, True)
    assert judged(card, "alone")[0] == 20
    count, notes = judged(card, "pets", "--all")
    assert (count, "its card tells nothing of their content; it may know most of the pictures" in notes) == (20, True)


def test_a_folder_with_some_of_the_classes_is_judged_as_the_model_numbers_them(judged, pets, capsys):
    """A class that the model knows and the folder has not keeps its place in the confusion matrix."""
    card = dataclasses.replace(CARD, class_names=("bee", "cat", "dog"))
    count, notes = judged(card, "pets")
    assert (count, "note: pets has no pictures of class bee, which the model knows too" in notes) == (20, True)
    examples = data.load_data("pets", image_size=(6, 5), reading=data.Reading(whole=True))
    renumbered = evaluation.with_classes(card.class_names, examples)
    assert (renumbered.test_labels == examples.test_labels + 1).all()
    result = evaluation.of_logits(renumbered.test_labels, 9 * np.eye(3)[renumbered.test_labels], card.class_names)
    assert result.confusion().tolist() == [[0, 0, 0], [0, 10, 0], [0, 0, 10]]
    assert [figures[4] for figures in result.by_class()] == [0, 10, 10]


def test_a_folder_of_one_class_is_judged(judged, pets, tmp_path):
    shutil.rmtree("pets/cat")
    count, notes = judged(CARD, "pets")
    assert (count, "note: pets has no pictures of class cat, which the model knows too" in notes) == (10, True)


@pytest.mark.parametrize(("known", "words"), [
    (("circle", "square", "triangle"), "knows 3 classes (circle, square, ...), these data has 3 classes (ring, square"),
    (("square", "triangle", "ring", "ball"), None),
    ((), None),
])  # fmt: skip
def test_classes_that_differ_are_the_ones_that_are_named(known, words):
    images, labels = np.zeros((3, 4, 4, 1), np.uint8), np.arange(3)
    examples = data.Data(images, labels, images, labels, class_names=("square", "triangle", "ring"))
    examples = evaluation.with_classes(known, examples)
    if words is None:
        evaluation.check_classes("a.keras", known, len(known) or 3, examples)
        return
    with pytest.raises(BadInputError) as caught:
        evaluation.check_classes("a.keras", known, 3, examples)
    assert words in str(caught.value)


def test_a_missing_file_of_any_form_is_missing(pets):
    for name in ("gone.onnx", "gone.tflite", "folder/gone"):
        with pytest.raises(BadInputError, match=f"no model file {re.escape(name)}; check name and folder"):
            main.run(["evaluate", name, "--dataset", "pets"])
    with pytest.raises(BadInputError, match=r"no model file gone\.onnx; check name"):
        saving.load_card("gone.onnx")
    shutil.copy(ONNX, "here.onnx")
    with pytest.raises(BadInputError, match=r"is a model, but no file of Keras, .* ends in \.keras or \.h5"):
        saving.load_card("here.onnx")


def test_a_given_test_part_is_judged_without_a_word(judged, pets):
    for words in (("both",), ("both", "--all")):
        assert judged(CARD, *words) == (15, "")


FUNCTION = """
import numpy as np

def load():
    return np.zeros((20, 6, 5, 3), np.uint8), np.array(["cat", "dog"] * 10)
"""


def test_data_of_a_function_are_judged_like_a_folder(judged, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(FUNCTION)
    assert judged(CARD, "mine.py:load") == (20, "note: mine has no test part: all its pictures are judged\n")
    card = dataclasses.replace(CARD, dataset="mine")
    assert judged(card, "mine.py:load")[0] == 4
    assert judged(card, "mine.py:load", "--all")[0] == 20
    digest = data.digest(data.load_data("mine.py:load"))
    assert judged(dataclasses.replace(CARD, dataset="theirs", data_digest=digest), "mine.py:load")[0] == 4
    assert judged(dataclasses.replace(CARD, dataset="mine", data_digest="0" * 16), "mine.py:load")[0] == 20


def test_a_full_report_needs_a_place():
    with pytest.raises(ValueError, match="--full-report goes with --out"):
        main.run(["evaluate", "a.keras", "--dataset", "mnist", "--full-report"])


ONNX = ROOT / "models_saved/pretrained/mnist_cnn-mnist.onnx"


def test_an_export_is_judged_as_opencv_answers_it(capsys, tmp_path):
    main.run(["evaluate", str(ONNX), "--dataset", "digits", "--json", "--out", str(tmp_path / "report")])
    result = json.loads(capsys.readouterr().out)
    network, digits = cv2.dnn.readNetFromONNX(str(ONNX)), data.load_data("digits")
    network.setInput(digits.test_images)
    probabilities = network.forward()
    right = probabilities.argmax(axis=1) == digits.test_labels
    assert result["test_accuracy"] == right.mean()
    expected = -np.log(probabilities[np.arange(len(right)), digits.test_labels]).mean()
    assert result["test_loss"] == pytest.approx(expected, rel=1e-4)
    assert (tmp_path / "report/report.html").is_file()


@pytest.mark.parametrize(("words", "problem"), [
    (("--dataset", "sum3"), "takes pictures, sums of three numbers has rows of numbers"),
    (("--dataset", "pets"), r"knows 10 classes \(0, 1, \.\.\.\), pets has 2 classes \(cat, dog\)"),
])  # fmt: skip
def test_an_export_on_other_data_is_refused(pets, words, problem):
    with pytest.raises(BadInputError, match=problem):
        main.run(["evaluate", str(ONNX), *words])


def test_the_arithmetic_of_probabilities_is_that_of_logits():
    logits = np.random.default_rng(0).normal(0, 3, (50, 4)).astype("float32")
    labels = np.arange(50) % 4
    names = tuple("abcd")
    card = dataclasses.replace(CARD, class_names=names, input_shape=(3,), input_kind="row")
    rows = data.Data(logits[:, :3], labels, logits[:, :3], labels, class_names=names, input_kind="row")
    exact = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    starts = iter(range(0, 50, evaluation.BATCH_SIZE))

    def compute(part):
        start = next(starts)
        return exact[start : start + len(part)]

    result = evaluation.evaluate_by(compute, "a.tflite", card, rows)
    expected = evaluation.of_logits(labels, logits, names)
    assert result.accuracy == expected.accuracy
    assert result.loss == pytest.approx(expected.loss, rel=1e-5)


def test_the_report_of_a_training_is_not_replaced(pets):
    write_folder(Path("a"), {"report.html": b"<html><!-- checkpoints: 12ab --></html>"})
    with pytest.raises(ValueError, match="--out a has the report of a training; name another folder"):
        main.run(["evaluate", str(ONNX), "--dataset", "digits", "--out", "a"])
    assert b"12ab" in Path("a/report.html").read_bytes()


def test_a_shipped_model_is_judged_without_a_backend(monkeypatch, capsys):
    monkeypatch.setattr(backends, "first_installed", lambda: None)
    monkeypatch.setattr(evaluate, "by_keras", None)
    main.run(["evaluate", "mnist_cnn-mnist", "--dataset", "digits", "--json"])
    figures = json.loads(capsys.readouterr().out)
    assert (figures["examples"], figures["test_accuracy"] > 0.8) == (360, True)
