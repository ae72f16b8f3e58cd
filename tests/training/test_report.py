"""The report is one HTML file that needs nothing else, and no class name can break it."""

import csv
import html.parser
import types

import numpy as np
import pytest

from kerasnets.data.dataset import Data
from kerasnets.recipes import RECIPES
from kerasnets.training import report
from kerasnets.training.evaluation import of_logits
from kerasnets.training.facts import settings_of

# HTML; a formula to matplotlib, and a wrong one; a field to str.format
NAMES = ('<b>cat</b> & "dog"', "$\\nosuch$ 5", "emu's {0}")
VOID = {"meta", "img", "br", "link", "input", "hr"}  # elements that have no end


class Page(html.parser.HTMLParser):
    """The text, tags and addresses of a page; every element must be closed in its turn."""

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


def evaluate(wrong, count=30):
    """An Evaluation of `count` examples; the answer to the first `wrong` is the next class."""
    labels = np.arange(count) % 3
    answers = np.where(np.arange(count) < wrong, (labels + 1) % 3, labels)
    return of_logits(labels, 3.0 * np.eye(3)[answers], NAMES)


def job_run_and_figures(folder, evaluation, images, epochs=4, validation=True, **changes):
    """The parts of jobs.TrainingJob, training.Run and callbacks.Figures that a report needs."""
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
    plan = types.SimpleNamespace(labels=np.zeros(1100))
    return job, run, types.SimpleNamespace(history=history | {"seconds": [1.0] * epochs}, batches=batches, plan=plan)


def data_of(evaluation, images, **changes):
    """A data.Data of 1,200 training pictures, and the evaluated test pictures."""
    labels = np.arange(1200) % 3
    return Data(np.zeros((1200, *images.shape[1:]), images.dtype), labels, images, evaluation.labels, **changes)


def write(folder, wrong=7, images=None, **options):
    evaluation = evaluate(wrong)
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), np.uint8) if images is None else images
    job, run, figures = job_run_and_figures(folder, evaluation, images, **options)
    report.write(job, run, evaluation, figures)
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


def test_names_are_shown_unchanged(tmp_path):
    page, _ = write(tmp_path)
    assert "cnn-<i>mine</i> on cats & dogs {x}" in page.texts
    for name in (*NAMES, "2 cores of <something>", "a<b>.keras, a.h5"):
        assert name in page.texts
    assert not {"i", "something"} & set(page.tags)


def test_a_script_as_the_name_of_a_class_file_or_layer_is_shown_as_text(tmp_path, monkeypatch):
    script = "<script>alert(1)</script>"
    monkeypatch.setattr("tests.training.test_report.NAMES", (script, *NAMES[1:]))
    page, _ = write(tmp_path, weights=f"{script}.keras", frozen=[script], scaling=None)
    evaluation, images = evaluate(7), np.zeros((30, 8, 8, 1), np.uint8)
    files = tuple(f"{script}/{i}.jpg" for i in range(30))
    report.write_evaluation(tmp_path, f"{script}.keras", evaluation, data_of(evaluation, images, test_files=files))
    other = Page((tmp_path / "report.html").read_text("utf-8"))
    for each, count in ((page, 3), (other, 3)):
        assert "script" not in each.tags
        assert sum(script in text for text in each.texts) == count


def test_it_shows_accuracy_loss_and_the_figures_of_each_class(tmp_path):
    """7 of 30 wrong: 76.67 % right. Each class has 10 examples, of which 3, 2 and 2 are mistaken for the next class."""
    page, _ = write(tmp_path)
    text = " ".join(page.texts)
    assert "76.67% of 30 test examples are classified correctly, 7 are not" in text
    assert "would be right in 33.33% of cases" in text
    cells = page.texts[page.texts.index(NAMES[0]) :]
    assert cells[:5] == [NAMES[0], "0.7778", "0.7000", "0.7368", "10"]


def facts(page):
    """{name: value} of the section on how the model was made."""
    cells = page.texts[page.texts.index("How it was made") + 1 :]
    return dict(zip(cells[::2], cells[1::2], strict=True))


def test_it_shows_all_settings(tmp_path):
    """The settings of resnet18-cifar10 in recipes.py."""
    page, _ = write(tmp_path)
    expected = {
        "examples": "1,100 for training, 100 for validation, 30 for the test",
        "network": "resnet18 for 8x8x3, 1,234,567 trained parameters",
        "options": "small_stem True",
        "scaling": "mean (0.4914, 0.4822, 0.4465), std (0.2023, 0.1994, 0.201) of pixels / 255",
        "augmentation": "shifted by up to 4 pixels, half of the pictures mirrored",
        "batch size": "128",
        "optimizer": "sgd, momentum 0.9",
        "learning rate": "0.1, reached in 5 epochs, falling to 0 in half a cosine",
        "loss": "cross-entropy",
        "weight decay": "0.0005",
        "label smoothing": "0.1",
        "commit": "0123456789ab",
    }
    result = facts(page)
    assert {name: result.get(name) for name in expected} == expected
    assert not {"first weights", "frozen layers"} & result.keys()


def test_it_shows_the_file_of_the_first_weights_and_the_frozen_layers(tmp_path):
    names = [f"stage1_<{i}>" for i in range(5)]
    page, _ = write(tmp_path, weights="pets/first.keras", frozen=names, scaling=None, recipe=RECIPES["lenet5-mnist"])
    result = facts(page)
    assert result["first weights"] == "pets/first.keras"
    assert result["frozen layers"] == "stage1_<0>, stage1_<1>, stage1_<2>, ... (5 layers)"
    assert result["scaling"] == "as in the model file of the first weights"
    assert result["optimizer"] == "sgd"
    assert result["learning rate"] == "0.9"
    assert not {"augmentation", "weight decay", "label smoothing"} & result.keys()


@pytest.mark.parametrize("name", RECIPES)
def test_the_settings_of_each_recipe_can_be_shown(name):
    assert settings_of(RECIPES[name])["learning rate"].startswith(f"{RECIPES[name].learning_rate:g}")


@pytest.mark.parametrize(("wrong", "warns"), [(19, False), (20, True), (21, True)])
def test_a_model_that_learned_nothing_gets_a_warning(tmp_path, wrong, warns):
    """Each class has 10 of the 30 examples: always answering one class is right for 10."""
    page, _ = write(tmp_path, wrong=wrong)
    assert ("try a smaller learning rate or more epochs" in " ".join(page.texts)) == warns


def drawn_texts(figure):
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_a_mistake_is_shown_with_its_class_answer_probability_and_name():
    """Logits of 3, 0 and 0: the probability of the answer is e^3 / (e^3 + 2) = 0.909."""
    evaluation, images = evaluate(2), np.zeros((30, 8, 8, 3), np.uint8)
    first, second = ('<b>cat</b> & "dog"\n→ $\\nosuch$ 5  90.9%', "$\\nosuch$ 5\n→ emu's {0}  90.9%")
    files = tuple(f"test/cat/{i:03}.jpg" for i in range(30))
    for changes, names in (({}, ("test 0", "test 1")), ({"test_files": files}, ("000.jpg", "001.jpg"))):
        figure = dict(report.plots_of(evaluation, data_of(evaluation, images, **changes)))["mistakes"]
        assert drawn_texts(figure) == [first, names[0], second, names[1]]


def test_csv_has_a_row_for_each_epoch_or_step(tmp_path):
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
    ({"images": np.zeros((30, 3), "float32")}, 2),  # rows of numbers
    ({"images": np.zeros((30, 8, 8, 1), np.uint8)}, 3),
    ({"wrong": 30}, 3),  # more mistakes than are shown
    ({"epochs": 300}, 3),
    ({"validation": False}, 3),
    ({"epochs": 2}, 3),  # the best epoch is the last
])  # fmt: skip
def test_any_run_gets_a_report(tmp_path, options, pictures):
    page, _ = write(tmp_path, **options)
    assert page.tags.count("img") == pictures


def test_an_evaluation_has_its_own_report(tmp_path):
    evaluation, images = evaluate(7), np.zeros((30, 8, 8, 1), np.uint8)
    report.write_evaluation(tmp_path, "<title> & more", evaluation, data_of(evaluation, images))
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    assert page.texts.count("<title> & more") == 2
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "confusion.png", "mistakes.png"}


def test_if_a_report_cannot_be_written_the_old_one_stays(tmp_path, monkeypatch):
    write(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"curves\.png"):
        write(tmp_path, wrong=9)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
