"""The sections of a report say what is to see: honesty, thresholds, groups, wrong labels, copies."""

import re

import numpy as np
import pytest

from kerasnets.data.dataset import Data
from kerasnets.reports import fonts
from kerasnets.training import report, sections
from kerasnets.training.evaluation import Evaluation
from kerasnets.training.findings import Material
from tests.training.test_report import Page

NAMES = ("cat", "dog", "emu", "fox", "gnu", "hen")


def evaluation_of(labels, right_share=0.9, sure=0.95, names=NAMES, seed=0, **options):
    """Answers that claim a probability of `sure`, of which a share are right."""
    rng = np.random.default_rng(seed)
    answers = np.where(rng.uniform(size=len(labels)) < right_share, labels, (labels + 1) % len(names))
    shares = np.full((len(labels), len(names)), (1 - sure) / (len(names) - 1))
    shares[np.arange(len(labels)), answers] = sure
    return Evaluation(labels, np.log(shares), names, **options)


def data_of(count=600, train=300, side=16, names=NAMES, **changes):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (count + train, side, side, 1), np.uint8)
    images = (images * np.linspace(0.3, 1, count + train)[:, None, None, None]).astype(np.uint8)
    labels = np.arange(count + train) % len(names)
    fields = {"class_names": names, **changes}
    return Data(images[:train], labels[:train], images[train:], labels[train:], **fields)


def words_of(parts):
    return {part.title: " ".join(part.words) for part in parts}


def test_the_calibration_error_is_told_before_and_after():
    """All claim 95 %, and 90 % are right: an error of 0.05. At a temperature, the claim is another."""
    data = data_of()
    evaluation = evaluation_of(data.test_labels)
    words = words_of(sections.of_answers(evaluation, data, Material()))["How far the probabilities can be trusted"]
    error = abs(0.95 - evaluation.accuracy)
    assert f"is {error:.4f}." in words
    assert "The model's card has no temperature" in words
    softer = evaluation_of(data.test_labels, temperature=1.5)
    words = words_of(sections.of_answers(softer, data, Material()))["How far the probabilities can be trusted"]
    scores = np.log([0.95, *[0.01] * 5]) / 1.5
    claim = np.exp(scores[0]) / np.exp(scores).sum()
    assert f"is {abs(claim - evaluation.accuracy):.4f}." in words
    assert f"too sure on the pictures that were held out for validation (its error on the test is {error:.4f})" in words
    assert "temperature of 1.5" in words


def test_classes_that_do_not_exclude_each_other_have_no_calibration():
    data = data_of()
    evaluation = evaluation_of(data.test_labels, exclusive=False)
    assert "How far the probabilities can be trusted" not in words_of(sections.of_answers(evaluation, data, Material()))


def test_two_classes_have_curves_with_the_areas_of_all_pairs():
    data = data_of(names=("yes", "no"))
    rng = np.random.default_rng(0)
    shares = np.clip(0.5 + 0.2 * (data.test_labels - 0.5) + rng.normal(0, 0.2, 600), 0.01, 0.99)
    evaluation = Evaluation(data.test_labels, np.log(np.stack([1 - shares, shares], axis=1)), ("yes", "no"))
    words = words_of(sections.of_answers(evaluation, data, Material()))["yes or no: other thresholds"]
    pairs = shares[data.test_labels == 1][:, None] - shares[data.test_labels == 0]
    assert f"in {((pairs > 0).mean() + 0.5 * (pairs == 0).mean()):.2%};" in words
    assert not any("thresholds" in part.title for part in sections.of_answers(
        evaluation_of(data_of().test_labels), data_of(), Material()))  # fmt: skip


def test_dark_and_small_pictures_that_are_answered_worse_are_named():
    sizes = np.repeat(np.array([[20, 20], [200, 200], [400, 400]]), 200, axis=0)
    data = data_of(test_sizes=sizes)  # the first pictures are small and dark
    labels = data.test_labels
    hard = evaluation_of(labels[:200], right_share=0.5)
    easy = evaluation_of(labels[200:], right_share=1.0)
    evaluation = Evaluation(labels, np.concatenate([hard.log_probabilities, easy.log_probabilities]), NAMES)
    words = words_of(sections.of_answers(evaluation, data, Material()))
    accuracy = hard.accuracy
    assert f"Accuracy is lowest, {accuracy:.2%}, from 20 to 20, which is more than chance explains" in words[
        "Accuracy by size"]  # fmt: skip
    assert "which is more than chance explains" in words["Accuracy by brightness"]
    few = Data(data.train_images, data.train_labels, data.test_images[:30], labels[:30], class_names=NAMES)
    assert not list(sections.by_brightness(Evaluation(labels[:30], evaluation.log_probabilities[:30], NAMES), few,
                                           Material()))  # fmt: skip


def test_copies_and_doubtful_labels_are_shown_by_name():
    files = tuple(f"dogs/{i:03}.png" for i in range(300))
    data = data_of(train_files=files)
    images = data.test_images.copy()
    images[5] = data.train_images[77]
    data = Data(data.train_images, data.train_labels, images, data.test_labels, class_names=NAMES, train_files=files)
    held_out = np.arange(200, 300)
    validation = evaluation_of(data.train_labels[held_out], right_share=1.0)
    logs = validation.log_probabilities.copy()
    wrong = (data.train_labels[203] + 2) % len(NAMES)
    logs[3] = np.log(np.full(len(NAMES), 0.002))
    logs[3, wrong] = np.log(0.99)
    validation = Evaluation(validation.labels, logs, NAMES)
    material = Material(validation=validation, held_out=held_out)
    labels, copies = sections.of_pictures(evaluation_of(data.test_labels), data, material)
    assert "1 picture of the 100 validation pictures may have a wrong label" in " ".join(labels.words)
    assert labels.table.rows == [("dogs/203.png", NAMES[data.train_labels[203]], NAMES[wrong], "0.9900")]
    assert "1 test picture of 600 (compared with 300 training pictures) nearly equals a training" in copies.words[0]
    assert copies.table.rows == [("test 5", "dogs/077.png", "1.0000")]


@pytest.mark.parametrize(("right", "wrong_labels", "count", "words"), [
    (1.0, 1, 16, "1 picture of the 16 validation pictures may have a wrong label"),
    (0.5, 0, 16, "No labels are named. The network is right on 50.0% of the 16 validation pictures; below 70%,"),
    (0.75, 0, 100, "right on 75.0% of the 100 validation pictures, but 25 answers of the 100 that are sure differ"),
    (1.0, 8, 100, "8 pictures of the 100 validation pictures may have a wrong label"),
])  # fmt: skip
def test_a_weak_network_accuses_no_labels(right, wrong_labels, count, words):
    """All answers are equally sure, so each that differs is as sure as those of its class usually are."""
    data = data_of()
    held_out = np.arange(count)
    labels = data.train_labels[held_out]
    is_wrong = np.arange(count) < round((1 - right) * count) + wrong_labels
    answers = np.where(is_wrong, (labels + 1) % len(NAMES), labels)
    logs = np.log(np.where(np.eye(len(NAMES))[answers] > 0, 0.9, 0.02))
    material = Material(validation=Evaluation(labels, logs, NAMES), held_out=held_out)
    [section] = sections.labels(evaluation_of(data.test_labels), data, material)
    assert words in section.words[0]
    assert (section.table is None) == section.words[0].startswith("No labels are named")


def test_the_page_has_all_sections_with_words_for_who_does_not_see_them(tmp_path):
    data = data_of()
    report.write_evaluation(tmp_path, "it", evaluation_of(data.test_labels, temperature=1.5), data)
    text = (tmp_path / "report.html").read_text("utf-8")
    page = Page(text)
    assert page.tags.count("svg") == 2  # calibration and brightness
    assert text.count('role="img" aria-label="') == 2
    assert re.findall(r"<img(?![^>]* alt=\"[^\"]{10})", text) == []
    ids = re.findall(r'<g id="([^"]*)"', text)
    assert len(set(ids)) == len(ids)
    assert "The class is among the five likeliest in" in text


def test_letters_that_no_font_has_are_said_once_on_the_page_and_on_the_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fonts, "fonts_for", lambda letters: ())
    names = ("圆", "方", *NAMES[2:])
    data = data_of(names=names)
    report.write_evaluation(tmp_path, "it", evaluation_of(data.test_labels, names=names), data)
    words = "o installed font has all letters of 2 of the names in the figures: 圆 is shown as \\u5706; install a font"
    assert (tmp_path / "report.html").read_text("utf-8").count(f"N{words}") == 1
    assert capsys.readouterr().err.count(f"note: n{words}") == 1
    report.write_evaluation(tmp_path, "it", evaluation_of(data.test_labels), data_of())
    assert "font" not in capsys.readouterr().err


def test_a_class_without_examples_has_no_recall(tmp_path):
    data = data_of()
    labels = data.test_labels.copy()
    labels[labels == 2] = 3
    data = Data(data.train_images[:0], labels[:0], data.test_images, labels, class_names=NAMES)
    report.write_evaluation(tmp_path, "it", evaluation_of(labels), data)
    table = report.table_of(evaluation_of(labels).by_class())
    assert [row[2:] for row in table.rows if row[0] == "emu"] == [("", "", "0")]


@pytest.mark.parametrize("count", [2, 10, 1000])
def test_any_number_of_classes_with_long_names_gets_a_page_of_bounded_length(tmp_path, count):
    names = tuple(f"a class with quite a long name and the number {i}" for i in range(count))
    data = data_of(count=2 * count, train=count, names=names)
    report.write_evaluation(tmp_path, "it", evaluation_of(data.test_labels, names=names), data)
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    before = page.texts[: page.texts.index("Which class is mistaken for which")]
    assert before.count(names[0]) >= 1
    assert page.tags.count("details") == (1 if count > 30 else 0)
    assert (tmp_path / "report.html").stat().st_size < 3e6
