"""What is no digit gets no sure answer: letters and signs in fonts that the network was not trained on."""

import dataclasses
import string

import cv2
import numpy as np
import pytest

from kerasnets.pictures import Sight, to_mnist_form
from kerasnets.prediction import Classifier
from kerasnets.prediction.rejection import are_digits
from kerasnets.prediction.verdicts import TRUSTED, UNSURE, Verdict, reject
from kerasnets.project.letters import HELD_OUT, LETTERS, SIGNS, draw_forms
from tests.conftest import ROOT

MODEL = ROOT / "models_saved/pretrained/mnist_cnn-mnist.onnx"
COUNT = 150


def written(text):
    picture = np.full((300, 300, 3), 235, np.uint8)
    return cv2.putText(picture, text, (80, 220), cv2.FONT_HERSHEY_TRIPLEX, 6, (30, 30, 30), 12, cv2.LINE_AA)


def in_mnist_form(letter):
    return to_mnist_form(written(letter))[..., 0]


@pytest.mark.parametrize(("letters", "least", "most"), [
    (LETTERS, 0.85, 1), (SIGNS, 0.7, 1), (string.digits, 0, 0.02),
])  # fmt: skip
def test_letters_and_signs_are_rejected_and_digits_are_not(letters, least, most):
    forms = draw_forms(letters, HELD_OUT, COUNT, np.random.default_rng(5))
    assert least <= np.mean(~are_digits(forms)) <= most


def test_one_in_400_of_mnists_test_pictures_is_rejected_at_most(mnist):
    rejected = np.concatenate([~are_digits(part) for part in np.split(mnist.test_images, 20)])
    assert rejected.mean() <= 1 / 400


@pytest.mark.parametrize("engine", ["opencv", "onnxruntime", "openvino"])
def test_a_letter_is_not_one_digit_and_a_digit_is_sure(engine):
    pytest.importorskip({"opencv": "cv2"}.get(engine, engine))
    answers = Classifier.load(MODEL, engine).predict([written(letter) for letter in "AMK347"])
    assert [answer.verdict.name for answer in answers[3:]] == ["sure"] * 3
    assert [answer.label for answer in answers[3:]] == ["3", "4", "7"]
    letters = Classifier.load(MODEL, engine)
    letters.card = dataclasses.replace(letters.card, sure_from=0.0)  # MNIST's own doubts left out
    reasons = [answer.verdict.reason for answer in letters.predict([in_mnist_form(letter) for letter in "AMK"])]
    assert reasons == ["it does not look like a digit"] * 3


def test_a_network_that_reads_letters_is_not_told_that_they_are_no_digits():
    classifier = Classifier.load(MODEL)
    classifier.card = dataclasses.replace(classifier.card, class_names=tuple("ABCDEFGHIJ"), sure_from=0.0)
    reasons = [answer.verdict.reason for answer in classifier.predict([written(letter) for letter in "AMK"])]
    assert "it does not look like a digit" not in reasons


def test_another_verdict_stays():
    [form] = draw_forms("A", HELD_OUT, 1, np.random.default_rng(0))
    doubt = Verdict(UNSURE, "a probability below 0.9")
    sights = [Sight(form, form=form), Sight(form, form=form), Sight(form)]
    names = [verdict.name for verdict in reject([doubt, TRUSTED, TRUSTED], sights)]
    assert names == ["unsure", "not one digit", "sure"]
