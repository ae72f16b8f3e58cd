"""The shipped model reads pictures of digits that it has never seen, from any source."""

import doctest
from pathlib import Path

import cv2
import numpy as np
import pytest

import kerasnets
from kerasnets import data, prediction, saving
from kerasnets.errors import BadInputError
from tests.conftest import ROOT

SHIPPED = ROOT / "models_saved/pretrained"
SAMPLES = ROOT / "docs/samples"

# What each sample shows, from the names of the files, which were drawn so (docs/samples/draw_samples.py)
SHOWN = {
    "three-on-paper.jpg": "3",
    "eight-pencil.jpg": "8",
    "five-blue-pen.jpg": "5",
    "seven-white-on-black.png": "7",
    "two-transparent.png": "2",
} | {f"screen-{digit}.png": str(digit) for digit in range(10)}


# ---- run in the workers ----


def answers(path, images):
    results = kerasnets.Classifier.load(path).try_predict(images)
    return [str(r) if isinstance(r, BadInputError) else (r.label, r.probability, r.ranking) for r in results]


def accuracy(path, images, labels):
    return float(
        np.mean([int(result[0]) == label for result, label in zip(answers(path, images), labels, strict=True)])
    )


def raised(path, image):
    try:
        kerasnets.Classifier.load(path).predict([image])
    except BadInputError as error:
        return str(error)


def run_doctest():
    import os

    os.chdir(ROOT)
    return doctest.testmod(prediction).failed, doctest.testmod(prediction).attempted


def colour_model(path):
    """A model that answers with the strongest of red, green and blue: it has no weights to train."""
    import keras

    inputs = keras.Input((4, 4, 3), dtype="uint8", name="pixels")
    x = keras.layers.Rescaling(1 / 25.5, name="rescaling")(inputs)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    model = keras.Model(inputs, keras.layers.Softmax(name="probabilities")(x))
    card = saving.Card("none", ("red", "green", "blue"), (4, 4, 3))
    saving.save(model, path, card)


# ---- tests ----


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_the_shipped_model_reads_every_sample(worker, suffix):
    found = worker(answers, SHIPPED / f"mnist_cnn-mnist{suffix}", [SAMPLES / name for name in SHOWN])
    assert [answer[0] for answer in found] == list(SHOWN.values())
    assert min(answer[1] for answer in found) > 0.5


def test_both_shipped_files_are_the_same_model_on_every_backend(workers):
    images = [SAMPLES / name for name in SHOWN]
    rows = [
        [
            dict(answer[2])[str(digit)]
            for answer in worker(answers, SHIPPED / f"mnist_cnn-mnist{suffix}", images)
            for digit in range(10)
        ]
        for worker in workers.values()
        for suffix in (".keras", ".h5")
    ]
    np.testing.assert_allclose(rows, [rows[0]] * 6, rtol=0, atol=1e-5)


def test_the_shipped_model_is_as_good_as_its_card_says(workers, mnist):
    card = saving.load_card(SHIPPED / "mnist_cnn-mnist.keras")
    found = workers["torch"](accuracy, SHIPPED / "mnist_cnn-mnist.keras", list(mnist.test_images), mnist.test_labels)
    assert found == pytest.approx(card.accuracy, abs=1e-6)
    assert found >= 0.9881  # the published figure


def test_shipped_files_are_small():
    sizes = {path.name: path.stat().st_size for path in SHIPPED.iterdir()}
    assert {"mnist_cnn-mnist.keras", "mnist_cnn-mnist.h5"} <= set(sizes)
    assert max(sizes.values()) < 1_000_000


def test_other_peoples_handwriting_is_mostly_read(workers):
    """scikit-learn's digits: writers from another country, 8x8 pixels, squeezed; a tenth is chance."""
    digits = data.load_data("digits")
    found = workers["torch"](accuracy, SHIPPED / "mnist_cnn-mnist.keras", list(digits.test_images), digits.test_labels)
    assert found >= 0.8


def photo_of(picture, seed):
    """An MNIST picture as a photo: dark on unevenly lit paper, large, off the centre, with grain."""
    rng = np.random.default_rng(seed)
    paper = np.zeros((300, 400), np.float32)
    side = int(rng.integers(100, 220))
    top, left = rng.integers(10, 290 - side), rng.integers(10, 390 - side)
    paper[top : top + side, left : left + side] = cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC).clip(
        0, 255
    )
    light = np.linspace(1, rng.uniform(0.5, 1), 400)[None] * np.linspace(1, rng.uniform(0.6, 1), 300)[:, None]
    return np.clip((215 - paper / 255 * 170) * light + rng.normal(0, 4, paper.shape), 0, 255).astype(np.uint8)


def test_photos_are_read_almost_as_well_as_what_they_show(workers, mnist):
    """1,000 of MNIST's test pictures, as a camera would see them."""
    photos = [photo_of(picture[..., 0], seed) for seed, picture in enumerate(mnist.test_images[:1000])]
    found = workers["torch"](accuracy, SHIPPED / "mnist_cnn-mnist.keras", photos, mnist.test_labels[:1000])
    assert found >= 0.97


def test_a_bad_picture_does_not_keep_the_others_from_being_answered(worker, tmp_path):
    (tmp_path / "bad.png").write_text("no picture")
    images = [SAMPLES / "screen-4.png", tmp_path / "bad.png", np.full((9, 9), 5, np.uint8), SAMPLES / "screen-6.png"]
    four, bad, blank, six = worker(answers, SHIPPED / "mnist_cnn-mnist.keras", images)
    assert (four[0], six[0]) == ("4", "6")
    assert "bad.png is not a picture" in bad
    assert "no digit to see" in blank
    assert "bad.png is not a picture" in worker(raised, SHIPPED / "mnist_cnn-mnist.keras", tmp_path / "bad.png")


def test_probabilities_are_ranked_and_sum_to_one(worker):
    [(label, probability, ranking)] = worker(answers, SHIPPED / "mnist_cnn-mnist.h5", [SAMPLES / "screen-1.png"])
    assert ranking[0] == (label, probability)
    assert sum(share for _, share in ranking) == pytest.approx(1, abs=1e-6)
    assert [share for _, share in ranking] == sorted((share for _, share in ranking), reverse=True)
    assert sorted(label for label, _ in ranking) == list("0123456789")


def test_red_is_red_and_blue_is_blue_from_a_file_and_from_an_array(worker, tmp_path):
    """OpenCV reads BGR; a network is given RGB."""
    worker(colour_model, tmp_path / "colour.keras")
    images = []
    for name, bgr in (("red", (0, 0, 255)), ("green", (0, 255, 0)), ("blue", (255, 0, 0))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((40, 30, 3), bgr, np.uint8))
        images += [tmp_path / f"{name}.png", np.full((40, 30, 3), bgr[::-1], np.uint8)]
    labels = [answer[0] for answer in worker(answers, tmp_path / "colour.keras", images)]
    assert labels == ["red", "red", "green", "green", "blue", "blue"]


def test_the_example_in_the_docstring_runs(workers):
    assert workers["torch"](run_doctest) == (0, 2)


def test_the_drawing_holds_every_answer(workers, tmp_path):
    path = Path(tmp_path / "drawn.png")
    workers["torch"](draw_samples, path)
    drawn = cv2.imread(str(path))
    assert drawn.shape[0] > 2 * 200
    blue = (drawn == (168, 95, 31)).all(2).mean()  # drawing.BLUE, the bars of what was read
    black, white = (drawn == 0).all(2).mean(), (drawn == 255).all(2).mean()
    assert min(blue, black, white) > 0.02


def draw_samples(path):
    images = [SAMPLES / "screen-4.png", SAMPLES / "three-on-paper.jpg"]
    results = kerasnets.Classifier.load(SHIPPED / "mnist_cnn-mnist.keras").try_predict(images)
    prediction.draw(images, ["four", "three"], results, save=path)
