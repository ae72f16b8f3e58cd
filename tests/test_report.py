"""The report is one file for any browser, with nothing in it that a class name could break."""

import csv
import html.parser
import types

import numpy as np
import pytest

from kerasnets import report
from kerasnets.evaluation import of_logits

# HTML; what matplotlib would take for a formula, and a wrong one; what str.format would fill in
NAMES = ('<b>cat</b> & "dog"', "$\\nosuch$ 5", "emu's {0}")
VOID = {"meta", "img", "br", "link", "input", "hr"}  # elements that have no end


class Page(html.parser.HTMLParser):
    """What a browser would see of a page: its text, its addresses; every element closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.addresses, self.texts = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "srcset", "action")]
        assert not any(name.startswith("on") for name, _ in attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts += [text.strip()] if text.strip() else []


def judged(wrong, count=30):
    """An Evaluation of `count` examples of which the first `wrong` are taken for the next class."""
    labels = np.arange(count) % 3
    answers = np.where(np.arange(count) < wrong, (labels + 1) % 3, labels)
    return of_logits(labels, 3.0 * np.eye(3)[answers], NAMES)


def run_of(evaluation, epochs=4, validation=True):
    """What training.Run and callbacks.Figures have for a report."""
    history = {"accuracy": [0.25 * (i + 1) for i in range(epochs)], "loss": [1 / (i + 1) for i in range(epochs)]}
    if validation:
        history |= {"val_accuracy": history["accuracy"], "val_loss": history["loss"]}
    batches = {"loss": list(np.linspace(2, 0.3, 10 * epochs)), "accuracy": list(np.linspace(0, 1, 10 * epochs))}
    run = types.SimpleNamespace(
        recipe="cnn-<i>mine</i>", dataset="cats & dogs {x}", backend="torch", seed=3, epochs=epochs, best_epoch=2,
        test_accuracy=evaluation.accuracy, test_loss=evaluation.loss, majority=evaluation.majority,
        val_accuracy=[], val_loss=[], seconds=12.5, machine="2 cores of <something>", versions={"keras": "3.15.1"},
        files=["a<b>.keras", "a.h5"],
    )  # fmt: skip
    vars(run).update(history)
    return run, types.SimpleNamespace(history=history | {"seconds": [1.0] * epochs}, batches=batches)


def write(folder, wrong=7, images=None, **options):
    evaluation = judged(wrong)
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), np.uint8) if images is None else images
    run, figures = run_of(evaluation, **options)
    report.write(folder, run, evaluation, images, figures)
    return Page((folder / "report.html").read_text("utf-8")), figures


def test_a_report_is_one_page_that_needs_nothing_else(tmp_path):
    page, _ = write(tmp_path)
    assert page.tags.count("img") == 3
    assert all(address.startswith("data:image/png;base64,iVBORw0KGgo") for address in page.addresses)
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert {path.name for path in tmp_path.iterdir()} == {
        "report.html", "curves.png", "confusion.png", "mistakes.png", "epochs.csv", "batches.csv",
    }  # fmt: skip


def test_names_stand_in_it_as_they_are(tmp_path):
    page, _ = write(tmp_path)
    assert "cnn-<i>mine</i> on cats & dogs {x}" in page.texts
    for name in (*NAMES, "2 cores of <something>", "a<b>.keras, a.h5"):
        assert name in page.texts
    assert not {"i", "something"} & set(page.tags)


def test_it_tells_the_figures(tmp_path):
    """7 of 30 wrong: 76.67 % right. Each class has 10 examples, of which 3, 2 and 2 are taken for the next class."""
    page, _ = write(tmp_path)
    text = " ".join(page.texts)
    assert "76.67% of 30 test examples are classified correctly, 7 are not" in text
    assert "would be right in 33.33% of cases" in text
    cells = page.texts[page.texts.index(NAMES[0]) :]
    assert cells[:5] == [NAMES[0], "0.7778", "0.7000", "0.7368", "10"]


@pytest.mark.parametrize(("wrong", "told"), [(19, False), (20, True), (21, True)])
def test_where_nothing_was_learned_it_says_so(tmp_path, wrong, told):
    """Each class has 10 of the 30 examples: always naming one of them is right in 10."""
    page, _ = write(tmp_path, wrong=wrong)
    assert ("try a smaller learning rate or more epochs" in " ".join(page.texts)) == told


def test_csv_has_a_row_an_epoch_and_a_step(tmp_path):
    _, figures = write(tmp_path)
    for name, first, columns in (("epochs", "epoch", figures.history), ("batches", "step", figures.batches)):
        with (tmp_path / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        assert header == [first, *columns]
        assert [row[0] for row in rows] == [str(i) for i in range(1, len(columns["loss"]) + 1)]
        for i, column in enumerate(columns.values(), start=1):
            assert [float(row[i]) for row in rows] == list(column)


@pytest.mark.parametrize(("options", "pictures"), [
    ({"wrong": 0}, 2),  # no mistake to show
    ({"images": np.zeros((30, 3), "float32")}, 2),  # a table has no pictures
    ({"images": np.zeros((30, 8, 8, 1), np.uint8)}, 3),
    ({"wrong": 30}, 3),  # more than are shown
    ({"epochs": 300}, 3),
    ({"validation": False}, 3),
    ({"epochs": 2}, 3),  # the last epoch is the kept one
])  # fmt: skip
def test_a_report_is_written_of_any_run(tmp_path, options, pictures):
    page, _ = write(tmp_path, **options)
    assert page.tags.count("img") == pictures


def test_an_evaluation_has_a_report_of_its_own(tmp_path):
    report.write_evaluation(tmp_path, "<title> & more", judged(7), np.zeros((30, 8, 8, 1), np.uint8))
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    assert page.texts.count("<title> & more") == 2
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "confusion.png", "mistakes.png"}


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    write(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"curves\.png"):
        write(tmp_path, wrong=9)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
