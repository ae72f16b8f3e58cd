"""The shipped model reads new pictures of digits, from any source and in any form."""

import doctest
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

import kerasnets
from kerasnets import data, saving
from kerasnets.data import folders
from kerasnets.errors import BadInputError
from kerasnets.prediction import classifier, engines, figures, stream
from kerasnets.saving import formats
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


def colour_model(path):
    """Save a model without weights that gives the strongest of red, green and blue."""
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


def test_the_shipped_onnx_agrees_with_the_model_file(workers):
    """In this process, which has no framework."""
    images = [SAMPLES / name for name in SHOWN]
    expected = workers["torch"](answers, SHIPPED / "mnist_cnn-mnist.keras", images)
    found = answers(SHIPPED / "mnist_cnn-mnist.onnx", images)
    for (label, _, one), (_, _, other) in zip(expected, found, strict=True):
        assert other[0][0] == label
        assert dict(other) == pytest.approx(dict(one), abs=1e-5)
    assert formats.load(SHIPPED / "mnist_cnn-mnist.onnx") == formats.load(SHIPPED / "mnist_cnn-mnist.keras")


def test_the_shipped_model_is_as_good_as_its_card_says(workers, mnist):
    card = saving.load_card(SHIPPED / "mnist_cnn-mnist.keras")
    found = workers["torch"](accuracy, SHIPPED / "mnist_cnn-mnist.keras", list(mnist.test_images), mnist.test_labels)
    assert found == pytest.approx(card.accuracy, abs=1e-6)
    assert found >= 0.9881  # the published figure


def test_shipped_files_are_small():
    sizes = {path.name: path.stat().st_size for path in SHIPPED.iterdir()}
    assert {"mnist_cnn-mnist.keras", "mnist_cnn-mnist.h5", "mnist_cnn-mnist.onnx"} <= set(sizes)
    assert max(sizes.values()) < 5_000_000


def test_most_of_other_peoples_handwriting_is_read(workers):
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


def test_photos_are_read_almost_as_well_as_the_digits_in_them(workers, mnist):
    """1,000 of MNIST's test pictures, made into photos."""
    photos = [photo_of(picture[..., 0], seed) for seed, picture in enumerate(mnist.test_images[:1000])]
    found = workers["torch"](accuracy, SHIPPED / "mnist_cnn-mnist.keras", photos, mnist.test_labels[:1000])
    assert found >= 0.97


def test_the_others_are_classified_if_a_picture_is_bad(worker, tmp_path):
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


def test_the_example_in_the_docstring_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    done = doctest.testmod(classifier, extraglobs={"kerasnets": kerasnets})
    assert done.failed == 0
    assert done.attempted > 1


def test_the_drawing_holds_every_answer(workers, tmp_path):
    path = Path(tmp_path / "drawn.png")
    workers["torch"](draw_samples, path)
    drawn = cv2.imread(str(path))
    assert drawn.shape[0] > 2 * 200
    blue = (drawn == (168, 95, 31)).all(2).mean()  # style.BLUE, the bars of the predicted class
    black, white = (drawn == 0).all(2).mean(), (drawn == 255).all(2).mean()
    assert min(blue, black, white) > 0.02


def draw_samples(path):
    images = [SAMPLES / "screen-4.png", SAMPLES / "three-on-paper.jpg"]
    shipped, gallery = kerasnets.Classifier.load(SHIPPED / "mnist_cnn-mnist.keras"), figures.Gallery()
    list(stream.predict_pictures(shipped, list(zip(["four", "three"], images, strict=True)), gallery=gallery))
    gallery.draw(save=path)


# ---- the forms of images ----

RNG = np.random.default_rng(0)
GREY, COLOUR = RNG.integers(0, 256, (9, 7), np.uint8), RNG.integers(0, 256, (5, 8, 3), np.uint8)

# argument -> the images in it
PASSED = {
    "grey": (GREY, [GREY]),
    "grey with its channel": (GREY[..., None], [GREY[..., None]]),
    "colour": (COLOUR, [COLOUR]),
    "batch of grey": (np.stack([GREY, GREY + 1]), [GREY, GREY + 1]),
    "batch of grey with its channel": (np.stack([GREY, GREY + 1])[..., None], [GREY[..., None], GREY[..., None] + 1]),
    "batch of colour": (np.stack([COLOUR, COLOUR + 1]), [COLOUR, COLOUR + 1]),
    "batch of one": (COLOUR[None], [COLOUR]),
    "empty batch": (np.zeros((0, 9, 7, 3), np.uint8), []),
    "list of sizes": ([GREY, COLOUR], [GREY, COLOUR]),
    "tuple": ((COLOUR, GREY), [COLOUR, GREY]),
    "empty list": ([], []),
    "name": ("a.png", ["a.png"]),
    "path": (Path("a.png"), [Path("a.png")]),
    "bytes": (b"\x89PNG", [b"\x89PNG"]),
    "mixture": ([GREY, "a.png", b"\x89PNG"], [GREY, "a.png", b"\x89PNG"]),
}


@pytest.mark.parametrize("case", PASSED)
def test_one_image_is_distinguished_from_several(case):
    passed, expected = PASSED[case]
    found = list(classifier.to_list(passed))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert type(one) is type(other)
        assert np.array_equal(one, other) if isinstance(other, np.ndarray) else one == other


# case: (array, shape of the network, the pictures in it)
DIGITS = np.arange(3 * 36, dtype=np.uint8).reshape(3, 6, 6)
FORMS = {
    "rows": (DIGITS.reshape(3, 36), (6, 6, 1), list(DIGITS)),
    "a row in a batch": (DIGITS[:1].reshape(1, 36), (6, 6, 1), [DIGITS[0]]),
    "one row": (DIGITS[0].ravel(), (6, 6, 1), [DIGITS[0]]),
    "a column": (DIGITS[0].reshape(36, 1), (6, 6, 1), [DIGITS[0]]),
    "columns": (DIGITS.reshape(3, 36, 1), (6, 6, 1), list(DIGITS)),
    "grey": (DIGITS, (6, 6, 1), list(DIGITS)),
    "grey, channels first": (DIGITS[:, None], (6, 6, 1), [digit[..., None] for digit in DIGITS]),
    "one grey, channels first": (DIGITS[:1], (6, 6, 1), [DIGITS[0][..., None]]),
    "one of another size": (GREY, (6, 6, 1), [GREY]),
    "colour": (COLOUR, (6, 6, 3), [COLOUR]),
    "colour, channels first": (COLOUR.transpose(2, 0, 1), (6, 6, 3), [COLOUR]),
    "batch of colour": (COLOUR[None], (6, 6, 3), [COLOUR]),
    "batch, channels first": (np.stack([COLOUR, COLOUR + 1]).transpose(0, 3, 1, 2), (6, 6, 3), [COLOUR, COLOUR + 1]),
    "list, channels first": ([COLOUR.transpose(2, 0, 1), GREY], (6, 6, 3), [COLOUR, GREY]),
    "list of batches of one": ([COLOUR[None], COLOUR[None]], (6, 6, 3), [COLOUR, COLOUR]),
    "list of rows": ([DIGITS[0].ravel(), DIGITS[1].ravel()], (6, 6, 1), [DIGITS[0], DIGITS[1]]),
}


@pytest.mark.parametrize("case", FORMS)
def test_arrays_of_every_layout_are_the_pictures_in_them(case):
    passed, shape, expected = FORMS[case]
    found = classifier.to_list(passed, shape)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


BYTES = np.array([[0, 1, 127, 128, 254, 255]], np.uint8)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "int64", "float16", "float32", "float64"])
def test_pixels_of_0_to_255_are_taken_in_any_type(dtype):
    found = classifier.as_pixels(BYTES.astype(dtype))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, BYTES)


def test_fractions_of_a_level_are_rounded():
    np.testing.assert_array_equal(classifier.as_pixels(np.array([[0.4, 0.6, 254.6, 255.0]])), [[0, 1, 255, 255]])


@pytest.mark.parametrize("array", [BYTES / 255, (BYTES / 255).astype("float32"), BYTES.astype("float32") / 255])
def test_pixels_of_0_to_1_are_right_after_a_warning(array):
    """Tutorials divide by 255."""
    with pytest.warns(UserWarning, match=r"the pixels are 0\.\.1: multiplied by 255; pass them as they are, 0\.\.255"):
        found = classifier.as_pixels(array)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, BYTES)


def test_a_mask_is_black_and_white():
    with pytest.warns(UserWarning, match=r"multiplied by 255"):
        found = classifier.as_pixels(BYTES > 127)
    np.testing.assert_array_equal(found, [[0, 0, 0, 255, 255, 255]])


@pytest.mark.parametrize(("array", "kind", "words"), [
    (np.array([[0.5, np.nan]]), BadInputError, "the picture has pixels that are not finite numbers; pass uint8, 0..2"),
    (np.array([[0.5, np.inf]]), BadInputError, "the picture has pixels that are not finite numbers; pass uint8, 0..2"),
    (np.array([[-1.0, 1.0]]), ValueError, "an array of -1 to 1 is no picture; pass pixels of 0..255, before any scal"),
    (np.array([[0, 65535]], np.uint16), ValueError, "an array of 0 to 65535 is no picture; pass pixels of 0..255, be"),
    (np.array([["a", "b"]]), ValueError, "an array of <U1 is no picture; pass uint8 (height, width[, 1 or 3]), 0..255"),
    (np.array([[None]]), ValueError, "an array of object is no picture; pass uint8 (height, width[, 1 or 3]), 0..255"),
    (np.array([[1j]]), ValueError, "an array of complex128 is no picture; pass uint8 (height, width[, 1 or 3]), 0.."),
])  # fmt: skip
def test_arrays_that_cannot_be_pixels_are_refused(array, kind, words):
    with pytest.raises(kind) as caught:
        classifier.as_pixels(array)
    assert str(caught.value).startswith(words)
    with pytest.raises(kind):
        kerasnets.Classifier.load(SHIPPED / "mnist_cnn-mnist.onnx").predict(array)


@pytest.mark.parametrize("shape", [(), (5,), (2, 6, 4, 5), (1, 2, 9, 7, 3), (9, 7, 4), (0, 7), (9, 0, 3)])
def test_an_array_of_another_shape_is_refused(shape):
    """Also one with transparency: it is not a batch of grey pictures four pixels wide."""
    with pytest.raises(ValueError, match="a picture is uint8") as caught:
        kerasnets.Classifier.load(SHIPPED / "mnist_cnn-mnist.onnx").predict(np.zeros(shape, np.uint8))
    assert "a picture is uint8 (height, width) or (height, width, 1 or 3)" in str(caught.value)


def test_every_form_of_an_image_has_the_same_answer(tmp_path):
    """A photo as a path, its bytes, an array, floats of either scaling, alone and among others."""
    path = SAMPLES / "screen-5.png"
    array = cv2.imread(str(path))[..., ::-1]
    classifier = kerasnets.Classifier.load(SHIPPED / "mnist_cnn-mnist.onnx")
    [expected] = classifier.predict(path)
    assert expected.label == "5"
    images = [str(path), path.read_bytes(), array, array.astype("float32"), array / 255, array[..., 0], array[..., :1]]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert classifier.predict(images) == [expected] * len(images)
    assert [str(each.message)[:20] for each in caught] == ["the pixels are 0..1:"]
    assert classifier.predict(np.stack([array] * 3)) == [expected] * 3
    assert classifier.predict([]) == []


def test_more_pictures_than_a_batch_are_answered_in_order():
    names = list(SHOWN) * 10
    assert len(names) > 2 * classifier.BATCH
    reader = kerasnets.Classifier.load(SHIPPED / "mnist_cnn-mnist.onnx")
    found = reader.predict([SAMPLES / name for name in names])
    assert [each.label for each in found] == [SHOWN[name] for name in names]
    alone = {name: reader.predict(SAMPLES / name)[0].verdict for name in SHOWN}
    assert [each.verdict for each in found] == [alone[name] for name in names]


@pytest.mark.parametrize("engine", ["opencv", "onnxruntime", "openvino"])
def test_a_digit_reaches_the_network_as_it_does_in_training(tmp_path, monkeypatch, engine):
    """A photo has the same pixels in a training folder and in each engine."""
    photo = (SAMPLES / "three-on-paper.jpg").read_bytes()
    for name in ("three/1.jpg", "three/2.jpg", "other/1.jpg", "other/2.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(photo)
    trained_on = folders.read_classes(tmp_path, (28, 28, 1), input_kind="mnist").train_images
    seen = seen_by(monkeypatch, engine)
    [answer] = kerasnets.Classifier.load(SHIPPED / "mnist_cnn-mnist.onnx", engine).predict([tmp_path / "three/1.jpg"])
    for pixels in (seen[0][0], answer.pixels):
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, trained_on[0])
    assert 0.05 < (answer.pixels > 127).mean() < 0.3  # white ink on black


def seen_by(monkeypatch, engine):
    """Record the batches that an engine computes from now on."""
    kind, seen = engines.ENGINES[engine].load, []
    compute = kind.compute
    monkeypatch.setattr(kind, "compute", lambda self, pixels: seen.append(pixels) or compute(self, pixels))
    return seen
