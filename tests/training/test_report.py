"""The report is one file for any browser, which no class name can break."""

import csv
import html.parser
import types

import numpy as np
import pytest

from kerasnets.data.dataset import Data
from kerasnets.recipes import RECIPES
from kerasnets.training import report
from kerasnets.training.evaluation import of_logits

# HTML; a wrong formula for matplotlib; a field for str.format
NAMES = ('<b>cat</b> & "dog"', "$\\nosuch$ 5", "emu's {0}")
VOID = {"meta", "img", "br", "link", "input", "hr"}  # elements that have no end


class Page(html.parser.HTMLParser):
    """A page like a browser sees it: its texts and addresses; every element must be closed in order."""

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
    """An Evaluation of `count` examples, of which the first `wrong` are predicted as the next class."""
    labels = np.arange(count) % 3
    answers = np.where(np.arange(count) < wrong, (labels + 1) % 3, labels)
    return of_logits(labels, 3.0 * np.eye(3)[answers], NAMES)


def made(folder, evaluation, images, epochs=4, validation=True, **changes):
    """Stand-ins for the TrainingJob, Run and Figures of a report."""
    history = {"accuracy": [0.25 * (i + 1) for i in range(epochs)], "loss": [1 / (i + 1) for i in range(epochs)]}
    if validation:
        history |= {"val_accuracy": history["accuracy"], "val_loss": history["loss"]}
    batches = {"loss": list(np.linspace(2, 0.3, 10 * epochs)), "accuracy": list(np.linspace(0, 1, 10 * epochs))}
    run = types.SimpleNamespace(
        recipe="cnn-<i>mine</i>", dataset="cats & dogs {x}", backend="torch", seed=3, epochs=epochs, best_epoch=2,
        test_accuracy=evaluation.accuracy, test_loss=evaluation.loss, majority=evaluation.majority,
        val_accuracy=[], val_loss=[], seconds=12.5, machine="2 cores of <something>", versions={"keras": "3.15.1"},
        files=["a<b>.keras", "a.h5"], commit="0123456789ab",
    )  # fmt: skip
    vars(run).update(history)
    job = types.SimpleNamespace(
        folder=folder, report=folder / "report.html", recipe=RECIPES["resnet18-cifar10"],
        data=data_of(evaluation, images),
        network=types.SimpleNamespace(input_shape=(None, 8, 8, 3)), parameters=1234567, frozen=[], scaling=(1.0, 0.0),
        weights=None,
    )  # fmt: skip
    vars(job).update(changes)
    plan = types.SimpleNamespace(images=np.zeros((1100, 1)))
    return job, run, types.SimpleNamespace(history=history | {"seconds": [1.0] * epochs}, batches=batches, plan=plan)


def data_of(evaluation, images, **changes):
    """A Data with 1,200 training images, and with the test images of an evaluation."""
    labels = np.arange(1200) % 3
    return Data(np.zeros((1200, *images.shape[1:]), images.dtype), labels, images, evaluation.labels, **changes)


def write(folder, wrong=7, images=None, **options):
    evaluation = judged(wrong)
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), np.uint8) if images is None else images
    job, run, figures = made(folder, evaluation, images, **options)
    report.write(job, run, evaluation, figures)
    return Page((folder / "report.html").read_text("utf-8")), figures


def test_a_report_is_one_self_contained_page(tmp_path):
    page, _ = write(tmp_path)
    assert page.tags.count("img") == 3
    assert all(address.startswith("data:image/png;base64,iVBORw0KGgo") for address in page.addresses)
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert {path.name for path in tmp_path.iterdir()} == {
        "report.html", "curves.png", "confusion.png", "mistakes.png", "epochs.csv", "batches.csv",
    }  # fmt: skip


def test_names_appear_in_the_report_unchanged(tmp_path):
    page, _ = write(tmp_path)
    assert "cnn-<i>mine</i> on cats & dogs {x}" in page.texts
    for name in (*NAMES, "2 cores of <something>", "a<b>.keras, a.h5"):
        assert name in page.texts
    assert not {"i", "something"} & set(page.tags)


def test_the_report_has_the_figures(tmp_path):
    """7 of 30 wrong: 76.67 % right. Each class has 10 examples, of which 3, 2 and 2 are predicted as the next class."""
    page, _ = write(tmp_path)
    text = " ".join(page.texts)
    assert "76.67% of 30 test examples are classified correctly, 7 are not" in text
    assert "would be right in 33.33% of cases" in text
    cells = page.texts[page.texts.index(NAMES[0]) :]
    assert cells[:5] == [NAMES[0], "0.7778", "0.7000", "0.7368", "10"]


def facts(page):
    """{name: value} in the section "How it was made"."""
    cells = page.texts[page.texts.index("How it was made") + 1 :]
    return dict(zip(cells[::2], cells[1::2], strict=True))


def test_the_report_has_all_settings(tmp_path):
    """Those of resnet18-cifar10 in recipes.py."""
    page, _ = write(tmp_path)
    expected = {
        "examples": "1,100 to train on, 100 to validate on, 30 to test on",
        "network": "resnet18 for 8x8x3, 1,234,567 trained parameters",
        "options": "small_stem True",
        "scaling": "mean (0.4914, 0.4822, 0.4465), std (0.2023, 0.1994, 0.201) of pixels / 255",
        "augmentation": "moved by up to 4 pixels, half of them mirrored",
        "batch size": "128",
        "optimizer": "sgd, momentum 0.9",
        "learning rate": "0.1, reached in 5 epochs, falling to 0 in half a cosine",
        "loss": "cross-entropy",
        "weight decay": "0.0005",
        "label smoothing": "0.1",
        "commit": "0123456789ab",
    }
    found = facts(page)
    assert {name: found.get(name) for name in expected} == expected
    assert not {"first weights", "frozen layers"} & found.keys()


def test_the_report_names_the_initial_weights_and_the_frozen_layers(tmp_path):
    names = [f"stage1_<{i}>" for i in range(5)]
    page, _ = write(tmp_path, weights="pets/first.keras", frozen=names, scaling=None, recipe=RECIPES["lenet5-mnist"])
    found = facts(page)
    assert found["first weights"] == "pets/first.keras"
    assert found["frozen layers"] == "stage1_<0>, stage1_<1>, stage1_<2>, ... (5 layers)"
    assert found["scaling"] == "the same as in the first weights"
    assert found["optimizer"] == "sgd"
    assert found["learning rate"] == "0.9"
    assert not {"augmentation", "weight decay", "label smoothing"} & found.keys()


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipes_settings_have_words(name):
    assert report.settings_of(RECIPES[name])["learning rate"].startswith(f"{RECIPES[name].learning_rate:g}")


@pytest.mark.parametrize(("wrong", "told"), [(19, False), (20, True), (21, True)])
def test_the_report_says_if_nothing_was_learned(tmp_path, wrong, told):
    """Each class has 10 of the 30 examples: always predicting one class is right in 10 cases."""
    page, _ = write(tmp_path, wrong=wrong)
    assert ("try a smaller learning rate or more epochs" in " ".join(page.texts)) == told


def drawn_texts(figure):
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_a_mistake_is_shown_with_class_answer_probability_and_file():
    """Logits of 3, 0 and 0: the answer has e^3 / (e^3 + 2), which is 0.909."""
    evaluation, images = judged(2), np.zeros((30, 8, 8, 3), np.uint8)
    first, second = ('<b>cat</b> & "dog"\n→ $\\nosuch$ 5  90.9%', "$\\nosuch$ 5\n→ emu's {0}  90.9%")
    files = tuple(f"test/cat/{i:03}.jpg" for i in range(30))
    for changes, names in (({}, ("test 0", "test 1")), ({"test_files": files}, ("000.jpg", "001.jpg"))):
        figure = report.images_of(evaluation, data_of(evaluation, images, **changes))["mistakes"]
        assert drawn_texts(figure) == [names[0], first, names[1], second]


def test_the_csv_files_have_a_row_for_each_epoch_and_step(tmp_path):
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
def test_a_report_is_written_for_any_run(tmp_path, options, pictures):
    page, _ = write(tmp_path, **options)
    assert page.tags.count("img") == pictures


def test_an_evaluation_has_a_report_of_its_own(tmp_path):
    evaluation, images = judged(7), np.zeros((30, 8, 8, 1), np.uint8)
    report.write_evaluation(tmp_path, "<title> & more", evaluation, data_of(evaluation, images))
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
