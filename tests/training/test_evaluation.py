"""The figures of an evaluation, against numbers computed by hand and by NumPy."""

import json
import math

import cv2
import numpy as np
import pytest

import kerasnets
from kerasnets import data, saving
from kerasnets.errors import BadInputError
from kerasnets.training import evaluation
from kerasnets.training.evaluation import Evaluation, of_logits, of_separate
from tests.conftest import ROOT

# Eight examples of three classes. The most probable class is right for five of them.
NAMES = ("cat", "dog", "emu")
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 2])
PROBABILITIES = np.array([
    [0.7, 0.2, 0.1],  # right
    [0.5, 0.3, 0.2],  # right
    [0.1, 0.8, 0.1],  # wrong, at 0.8
    [0.6, 0.2, 0.2],  # right
    [0.2, 0.7, 0.1],  # right
    [0.9, 0.1, 0.0],  # wrong, at 0.9
    [0.3, 0.4, 0.3],  # right
    [0.1, 0.6, 0.3],  # wrong, at 0.6
])  # fmt: skip
CONFUSION = [[3, 1, 0], [1, 2, 0], [0, 1, 0]]
# class, precision, recall, F1, examples: of 4 answers "cat" 3 are right and of 4 cats 3 are found; of 4 answers "dog"
# 2, of 3 dogs 2; nothing is predicted as an emu
BY_CLASS = [("cat", 3 / 4, 3 / 4, 3 / 4, 4), ("dog", 2 / 4, 2 / 3, 4 / 7, 3), ("emu", 0.0, 0.0, 0.0, 1)]


@pytest.fixture
def eight_answers():
    with np.errstate(divide="ignore"):
        return Evaluation(LABELS, np.log(PROBABILITIES), NAMES)


# ---- run in the workers ----


def random_case(scale, offset, columns=12, classes=4):
    """Random weights and pixels, and the logits that NumPy computes from them."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, 0.01, (columns, classes)).astype("float32"), rng.normal(0, 1, classes).astype("float32")]
    images = rng.integers(0, 256, (1203, 2, 2, 3), np.uint8)  # three batches of InOrder
    pixels = images.reshape(len(images), -1).astype(float) * scale + offset
    return weights, images, pixels @ weights[0].astype(float) + weights[1]


def evaluate_dense(weights, images, labels, prepare):
    """Evaluate one dense layer over the pixels."""
    import keras

    from kerasnets.data.fitting import InOrder

    inputs = keras.Input((2, 2, 3), dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1.0)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(4)(x))
    model.set_weights(weights)
    return evaluation.evaluate(model, InOrder(images, prepare=prepare), labels, "abcd")


def invert(images):
    return 255 - images


def write_model(path, class_names, shape=(28, 28, 1)):
    """An untrained model file."""
    columns = len(shape) == 1
    network = kerasnets.build(
        "dnn_tabular" if columns else "small_cnn", input_shape=shape, num_classes=len(class_names)
    )
    card = saving.Card(network.name, class_names, shape, "row" if columns else "mnist")
    saving.save(network, path, card, scaling=None if columns else (1 / 255, 0.0))


def evaluate_file(path, name):
    """(evaluation, card, probabilities, labels) of a file, or class and message of the error."""
    examples = data.load_data(name)
    try:
        result, card = evaluation.evaluate_file(path, examples)
    except ValueError as error:
        return type(error).__name__, str(error)
    model, _ = kerasnets.load(path)
    return result, card, model.predict(examples.test_images, verbose=0), examples.test_labels


# ---- figures ----


def test_figures_of_a_few_examples_equal_those_computed_by_hand(eight_answers):
    assert eight_answers.predictions.tolist() == [0, 0, 1, 0, 1, 0, 1, 1]
    assert eight_answers.accuracy == 5 / 8
    assert eight_answers.majority == 4 / 8
    assert not eight_answers.beats_majority  # by one of eight, whose standard error is 1.4
    assert eight_answers.sureness == pytest.approx([0.7, 0.5, 0.8, 0.6, 0.7, 0.9, 0.4, 0.6])
    assert eight_answers.loss == pytest.approx(-math.log(0.7 * 0.5 * 0.1 * 0.6 * 0.7 * 0.1 * 0.4 * 0.3) / 8)
    assert eight_answers.confusion().tolist() == CONFUSION
    for result, expected in zip(eight_answers.by_class(), BY_CLASS, strict=True):
        assert result == pytest.approx(expected)


def test_the_loss_of_separate_classes_is_the_mean_of_their_binary_cross_entropies():
    result = of_separate(np.array([0, 1]), np.array([[0.9, 0.2, 0.5], [0.6, 0.7, 0.1]]), NAMES)
    assert result.loss == pytest.approx(-math.log(0.9 * 0.8 * 0.5 * 0.4 * 0.7 * 0.9) / 6)
    assert result.sureness == pytest.approx([0.9, 0.7])
    certain = of_separate(np.array([0]), np.array([[1.0, 0.0, 1.0]], "float32"), NAMES)  # right, right, wrong
    assert certain.loss == pytest.approx(-math.log(1e-7) / 3, rel=1e-5)


def test_always_predicting_the_most_frequent_class_does_not_beat_the_majority():
    assert not of_logits(LABELS, np.tile([1.0, 0.0, 0.0], (8, 1)), NAMES).beats_majority


@pytest.mark.parametrize(("right", "count", "beats"), [(53, 250, False), (65, 250, True), (212, 1000, False)])
def test_only_an_accuracy_beyond_chance_beats_the_majority(right, count, beats):
    """Of 250 pictures in five classes, the majority is 0.2 with a standard error of 0.0253: 50 right."""
    labels = np.arange(count) % 5
    answers = np.where(np.arange(count) < right, labels, (labels + 1) % 5)
    result = of_logits(labels, 9.0 * np.eye(5)[answers], tuple("abcde"))
    assert (result.accuracy > result.majority, result.beats_majority) == (True, beats)


def test_the_worst_mistakes_are_sorted_by_the_probability_of_the_wrong_answer(eight_answers):
    assert eight_answers.worst(9).tolist() == [5, 2, 7]
    assert eight_answers.worst(2).tolist() == [5, 2]
    assert eight_answers.worst(0).tolist() == []
    right = Evaluation(eight_answers.predictions, eight_answers.log_probabilities, NAMES)
    assert right.worst(9).tolist() == []


def test_a_class_without_examples_or_answers_has_a_row_too():
    evaluation = of_logits(np.array([0, 1]), np.eye(2, 4), ("a", "b", "c", "d"))
    assert evaluation.confusion().tolist() == np.diag([1, 1, 0, 0]).tolist()
    assert evaluation.by_class()[2:] == [("c", 0.0, 0.0, 0.0, 0), ("d", 0.0, 0.0, 0.0, 0)]


def test_log_probabilities_stay_finite_when_probabilities_vanish():
    evaluation = of_logits(np.array([1]), np.array([[1000.0, 0.0]], "float32"), ("a", "b"))
    assert evaluation.loss == 1000.0
    assert evaluation.accuracy == 0.0


def test_labels_may_have_any_integer_dtype(eight_answers):
    for dtype in ("uint8", "int32", "int64"):
        other = Evaluation(LABELS.astype(dtype), eight_answers.log_probabilities, NAMES)
        assert (other.accuracy, other.loss, other.majority) == (
            eight_answers.accuracy,
            eight_answers.loss,
            eight_answers.majority,
        )
        assert other.confusion().tolist() == CONFUSION


def test_the_result_is_a_line_and_json(eight_answers):
    assert eight_answers.line() == "result test_accuracy=0.6250 test_loss=1.0803 majority=0.5000 examples=8"
    fields = json.loads(json.dumps(eight_answers.as_dict()))
    assert fields["confusion"] == CONFUSION
    assert fields["classes"][2] == {"class": "emu", "precision": 0.0, "recall": 0.0, "f1": 0.0, "examples": 1}


# ---- of a network, of a file ----


@pytest.mark.parametrize("prepare", [None, invert])
def test_an_evaluation_equals_numpys(worker, prepare):
    weights, images, logits = random_case(*((1, 0) if prepare is None else (-1, 255)))
    labels = np.random.default_rng(1).integers(0, 4, len(images))
    evaluation = worker(evaluate_dense, weights, images, labels, prepare)
    expected = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    np.testing.assert_allclose(evaluation.log_probabilities, expected, atol=1e-4)
    assert evaluation.accuracy == (logits.argmax(1) == labels).mean()
    assert evaluation.class_names == ("a", "b", "c", "d")


def test_a_file_is_evaluated_by_its_own_card(worker, tmp_path):
    path = tmp_path / "model.keras"
    worker(write_model, path, tuple("0123456789"))
    evaluation, card, probabilities, labels = worker(evaluate_file, path, "digits")
    assert card.class_names == evaluation.class_names
    np.testing.assert_allclose(np.exp(evaluation.log_probabilities), probabilities, atol=1e-5)
    np.testing.assert_array_equal(evaluation.labels, labels)


def evaluate_folder(path, folder):
    """The predictions of a model file for the test part of own pictures, and for the same files one by one."""
    result, _ = evaluation.evaluate_file(path, data.load_like(saving.load_card(path), folder))
    files = sorted((folder / "test").rglob("*.png"))
    answers = kerasnets.Classifier.load(path).predict(files)
    return result.accuracy, [result.class_names[i] for i in result.predictions], [answer.label for answer in answers]


def test_own_pictures_are_prepared_like_in_predict_image(workers, tmp_path):
    """Dark digits on light paper, drawn larger: they must be prepared to resemble the training images."""
    digits = data.load_data("digits")
    for part, images, labels in (
        ("train", digits.train_images, digits.train_labels),
        ("test", digits.test_images, digits.test_labels),
    ):
        for digit in range(10):
            (tmp_path / f"digits/{part}/{digit}").mkdir(parents=True)
            for i, image in enumerate(images[labels == digit][:3]):
                paper = cv2.resize(255 - image[..., 0] // 2, (112, 112))
                cv2.imwrite(str(tmp_path / f"digits/{part}/{digit}/{i}.png"), paper)
    path = ROOT / "models_saved/pretrained/mnist_cnn-digits.keras"
    accuracy, evaluation, predicted = workers["torch"](evaluate_folder, path, tmp_path / "digits")
    assert evaluation == predicted
    assert accuracy > 0.8


def test_a_model_for_rows_refuses_pictures(tmp_path):
    path = ROOT / "models_saved/pretrained/dnn_tabular-sum3.keras"
    with pytest.raises(BadInputError, match=r"pets holds pictures, and a dnn_tabular takes rows of numbers; name an"):
        data.load_like(saving.load_card(path), tmp_path / "pets")


@pytest.mark.parametrize(("class_names", "shape", "name", "words"), [
    (("a", "b"), (28, 28, 1), "digits", "2 classes (a, b), scikit-learn's digits has 10 classes (0, 1, ...); name"),
    (tuple("1234567890"), (28, 28, 1), "digits", "10 classes (1, 2, ...), scikit-learn's digits has 10 classes (0, 1"),
    (data.DATASETS["sum3"].class_names, (28, 28, 1), "sum3", "takes pictures, sums of three numbers has rows of numb"),
    (tuple("0123456789"), (3,), "digits", "takes rows of numbers, scikit-learn's digits has pictures"),
])  # fmt: skip
def test_a_file_of_other_classes_or_kind_is_refused(workers, tmp_path, class_names, shape, name, words):
    path = tmp_path / "model.keras"
    workers["torch"](write_model, path, class_names, shape)
    kind, message = workers["torch"](evaluate_file, path, name)
    assert kind == "BadInputError"
    assert words in message
