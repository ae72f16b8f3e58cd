"""Answers say how far they can be trusted, in words, JSON and CSV."""

import csv
import dataclasses
import io
import itertools
import json

import cv2
import numpy as np
import pytest

from kerasnets.pictures import Digit, NothingSeenError, Sight, sheets
from kerasnets.pictures.digits import centre_by_mass, digits_in_form, is_mnist_form, scale_to_box
from kerasnets.prediction import Classifier, rows
from kerasnets.prediction.answers import Prediction, Sheet, as_json
from kerasnets.prediction.figures import Gallery, with_boxes
from kerasnets.prediction.verdicts import Verdict, calibrate, judge, part_of_sheet, reject
from kerasnets.reports import galleries
from tests.conftest import ROOT

MODEL = str(ROOT / "models_saved/pretrained/mnist_cnn-mnist.onnx")
FORM = np.zeros((28, 28, 1), np.uint8)
CASES = [  # what is seen, probability, the card's least, the mean of other cut-outs; verdict and reason
    (Sight(FORM), 0.95, 0.9, None, "sure", ""),
    (Sight(FORM), 0.89, 0.9, None, "unsure", "a probability below 0.9"),
    (Sight(FORM, is_cut_out=True), 0.95, 0.9, 0.95, "sure", ""),
    (Sight(FORM, is_cut_out=True), 0.99, 0.9, 0.93, "unsure", "a probability below 0.94 if shifted or smaller"),
    (Sight(FORM, is_cut_out=True), 0.99, 0.995, 0.99, "unsure", "a probability below 0.995"),
    (Sight(FORM, 3, is_cut_out=True), 1.0, 0.9, 1.0, "not one digit", "3 digits seen; --many reads them"),
    (Sight(FORM, doubt="wider than a digit"), 1.0, 0.9, None, "not one digit", "wider than a digit"),
]


@pytest.fixture(scope="module")
def classifier():
    return Classifier.load(MODEL)


def printed(text, thick=8):
    picture = np.full((300, 500, 3), 235, np.uint8)
    cv2.putText(picture, text, (60, 220), cv2.FONT_HERSHEY_SIMPLEX, 6, (30, 30, 30), thick * 2, cv2.LINE_AA)
    return picture


@pytest.mark.parametrize(("sight", "probability", "least", "steady", "name", "reason"), CASES)
def test_a_verdict_has_a_reason(sight, probability, least, steady, name, reason):
    verdict = judge(sight, probability, least, steady)
    assert (verdict.name, verdict.reason) == (name, reason)


def test_probabilities_at_a_temperature_are_the_softmax_of_the_divided_logits():
    logits = np.random.default_rng(0).normal(0, 4, (50, 10))

    def softmax(values):
        return np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)

    np.testing.assert_allclose(calibrate(softmax(logits), 1.7), softmax(logits / 1.7), rtol=1e-5)
    np.testing.assert_array_equal(calibrate(softmax(logits), 1), softmax(logits))


def test_the_card_decides_on_temperature_and_threshold(classifier):
    picture = printed("7")
    [usual] = classifier.predict([picture])
    careful = Classifier.load(MODEL)
    careful.card = dataclasses.replace(careful.card, temperature=5.0, sure_from=0.99)
    [answer] = careful.predict([picture])
    assert answer.label == usual.label
    assert answer.probability < usual.probability
    assert answer.verdict.reason == "a probability below 0.99"


def test_two_digits_and_blank_paper_are_not_answered_as_if_sure(classifier):
    results = classifier.try_predict([printed("47"), np.full((300, 500, 3), 235, np.uint8)])
    two, blank = json.loads(as_json(["two", "blank"], results))
    assert (two["verdict"], two["reason"]) == ("not one digit", "2 digits seen; --many reads them")
    assert results[0].line("two").endswith("  (not one digit: 2 digits seen; --many reads them)")
    assert blank["verdict"] == "nothing found"
    assert "no digit to see" in blank["reason"]
    assert "no digit to see" in blank["error"]


@pytest.mark.parametrize(("inside", "name"), [(3, "not one digit"), (1, "sure"), (0, "sure")])
def test_a_face_is_no_zero(classifier, inside, name):
    """A ring with eyes and a mouth; dirt in a 0 changes nothing."""
    paper = np.full((400, 400, 3), 235, np.uint8)
    cv2.ellipse(paper, (200, 200), (80, 110), 0, 0, 360, (40, 40, 60), 16, cv2.LINE_AA)
    for center in ((170, 160), (230, 160), (200, 240))[:inside]:
        cv2.circle(paper, center, 9, (40, 40, 60), -1, cv2.LINE_AA)
    answers = [classifier.predict([paper])[0], *(answer for _, answer in classifier.read_sheet(paper).digits)]
    assert [(answer.label, answer.verdict.name) for answer in answers] == [("0", name)] * 2
    assert [answer.verdict.reason for answer in answers] == ["other ink lies inside it" if inside > 1 else ""] * 2


def test_digits_that_a_sheet_cannot_tell_apart_are_not_sure_and_promise_nothing():
    verdict = judge(part_of_sheet(Sight(FORM, 2)), 1.0, 0.9)
    assert (verdict.name, verdict.reason) == ("not one digit", "2 digits seen, too near to be read apart")


def wedge(ground):
    """A wedge of light on a ground, uint8 (480, 640): what a shadow leaves of a sheet, or chalk on a board."""
    picture = cv2.fillConvexPoly(ground.copy(), np.array([(330, 120), (370, 120), (380, 330), (320, 330)]), 225)
    return np.uint8(cv2.GaussianBlur(picture, (0, 0), 1) + np.random.default_rng(0).integers(0, 6, picture.shape))


def test_a_light_place_on_a_ground_in_half_shadow_is_not_sure(classifier):
    ground = np.full((480, 640), 35, np.uint8)
    ground[:, 350:] = 100
    [answer] = classifier.predict([wedge(ground)])
    assert answer.verdict == Verdict("not one digit", "a light place in uneven light")
    assert [each.verdict.reason for each in sheet_of(classifier, wedge(ground))] == ["a light place in uneven light"]


def test_chalk_on_a_board_under_a_lamp_may_be_sure(classifier):
    ground = np.tile(np.linspace(45, 80, 640).astype(np.uint8), (480, 1))
    [answer] = classifier.predict([wedge(ground)])
    assert (answer.label, answer.verdict.reason) == ("1", "")


def squeezed(pictures, gap):
    """Pictures of digits (n, 28, 28), the ink of each beside the next one's: uint8 (n - 1, 28, 28), in MNIST's form."""
    inked = [picture[:, picture.any(axis=0)] for picture in pictures]
    between = np.zeros((28, gap), np.uint8)
    pairs = [np.hstack([a, between, b]) / np.float32(255) for a, b in itertools.pairwise(inked)]
    return [centre_by_mass(scale_to_box(pair[pair.any(axis=1)])) for pair in pairs]


def sheet_of(classifier, picture):
    """The answers for the digits that are read on a picture; none if nothing is seen."""
    try:
        return [answer for _, answer in classifier.read_sheet(picture).digits]
    except NothingSeenError:
        return []


@pytest.mark.parametrize("gap", [3, 6])
def test_two_digits_squeezed_into_the_form_of_one_are_not_sure(classifier, mnist, gap):
    pairs = squeezed(mnist.test_images[:100, ..., 0], gap)
    read = [sheet_of(classifier, pair) for pair in pairs]
    assert sum(len(sheet) == 2 for sheet in read) >= 0.9 * len(pairs)
    assert all(is_mnist_form(pair) for pair in pairs)
    sure = [answer for answer in classifier.predict(pairs) if answer.verdict.is_sure]
    assert len(sure) <= 5, len(sure)


def test_hardly_any_of_mnists_test_pictures_shows_two_digits(mnist):
    assert sum(digits_in_form(picture) > 1 for picture in mnist.test_images[..., 0]) <= 5  # of 10,000


def test_at_most_one_in_200_of_mnists_test_pictures_that_are_read_right_is_called_unsure(classifier, mnist):
    shares = np.concatenate([classifier.compute(part) for part in np.split(mnist.test_images, 20)])
    shares = calibrate(shares, classifier.card.temperature)  # all are in MNIST's form, which stays as it is
    right = shares.argmax(axis=1) == mnist.test_labels
    sights = [Sight(FORM, form=picture) for picture in mnist.test_images[right]]
    least = classifier.card.sure_from
    verdicts = [judge(each, float(share), least) for each, share in zip(sights, shares[right].max(axis=1), strict=True)]
    assert sum(verdict.name != "sure" for verdict in reject(verdicts, sights)) < 0.005 * len(mnist.test_labels)


def test_csv_has_a_row_for_each_picture_and_for_each_digit_of_a_sheet(classifier):
    results = classifier.try_predict([printed("7"), np.full((300, 500, 3), 235, np.uint8)])
    lines = [rows.header(2), *(row for name, each in zip(('a "1", b', "c"), results, strict=True)
                               for row in rows.rows(name, each, 2))]  # fmt: skip
    first, second = csv.DictReader(io.StringIO(rows.as_csv(lines)))
    assert (first["image"], first["label"], first["verdict"], first["error"]) == ('a "1", b', "7", "sure", "")
    assert 0 < float(first["probability_2"]) < float(first["probability"])
    assert (second["label"], second["verdict"]) == ("", "nothing found")
    sheet = classifier.read_sheet(printed("47"))
    lines = [rows.header(many=True), *rows.rows("s", sheet, many=True)]
    assert len(lines[0]) == len(lines[1])
    four, seven = csv.DictReader(io.StringIO(rows.as_csv(lines)))
    assert int(four["x"]) < int(seven["x"])
    assert four["row"] == seven["row"] == "0"


def doubtful_sheet():
    digit = Digit((20, 30, 40, 50), 0, FORM[..., 0])
    verdicts = [Verdict(), Verdict("unsure"), Verdict("not one digit"), Verdict("unsure")]
    pairs = [(digit, Prediction(((str(i), 0.9),), FORM, verdict)) for i, verdict in enumerate(verdicts)]
    return Sheet((tuple(pairs[:3]), tuple(pairs[3:])))


def test_the_line_of_a_sheet_marks_and_counts_what_is_not_sure():
    sheet = doubtful_sheet()
    assert sheet.line("s.png") == "s.png: 01?2? 3?  (?: 2 unsure, 1 not one digit)"
    assert sheet.text == "012 3"
    assert Sheet(((sheet.digits[0],),)).line("s.png") == "s.png: 0"


def test_a_letter_between_digits_is_marked(classifier):
    picture = np.full((300, 1100, 3), 235, np.uint8)
    for i, letter in enumerate("4A7"):
        cv2.putText(picture, letter, (60 + 330 * i, 220), cv2.FONT_HERSHEY_TRIPLEX, 6, (30, 30, 30), 12, cv2.LINE_AA)
    line = classifier.read_sheet(picture).line("mix.png")
    assert "?7  (?: 1 " in line, line


@pytest.mark.parametrize(("sure", "colour"), [(True, sheets.RED), (False, sheets.GREY)])
def test_the_boxes_of_digits_that_are_not_sure_are_grey(sure, colour):
    pair = doubtful_sheet().digits[0 if sure else 1]
    drawn = with_boxes(np.full((100, 100, 3), 255, np.uint8), Sheet(((pair,),)))
    assert (drawn == colour).all(axis=2).any()
    assert (drawn[..., 0] != drawn[..., 1]).any() == sure


@pytest.mark.parametrize("name", ["sure", "unsure", "not one digit"])
def test_a_drawing_says_whether_the_answer_is_sure(name):
    figure = galleries.predictions([FORM], ["a"], [Prediction((("4", 0.9), ("9", 0.1)), FORM, Verdict(name))])
    bars = figure.axes[2]
    assert bars.get_title(loc="left") == ("4  (90.0%)" if name == "sure" else f"4  (90.0%)  {name}")
    assert (bars.patches[0].get_facecolor() == bars.patches[1].get_facecolor()) == (name != "sure")


@pytest.mark.parametrize(("count", "least", "most"), [(3, 0.2, 1.2), (17, 0.5, 2), (40, 0.5, 2)])
def test_explanations_of_many_pictures_are_drawn_as_a_grid(count, least, most):
    heats = {"occlusion": np.zeros((28, 28), np.float32), "Grad-CAM": np.zeros((28, 28), np.float32)}
    answers = [Prediction((("4", 0.9), ("9", 0.1)), FORM)] * count
    figure = galleries.explanations([FORM] * count, ["a"] * count, answers, [heats] * count)
    width, height = figure.get_size_inches()
    assert least < width / height < most
    assert sum(axes.get_title() == "why 4: occlusion" for axes in figure.axes) == count


@pytest.mark.parametrize(("top", "bars"), [(1, 5), (3, 3)])
def test_as_many_bars_are_drawn_as_classes_are_asked_for(classifier, tmp_path, top, bars, monkeypatch):
    from kerasnets.reports import plots

    figures = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: figures.append(figure))
    gallery = Gallery(top)
    gallery.add(printed("7"), "seven", classifier.predict(printed("7"))[0])
    gallery.draw(tmp_path / "drawn.png")
    assert len(figures[0].axes[2].patches) == bars


def test_seventeen_pictures_are_drawn_as_a_grid(classifier, monkeypatch):
    from kerasnets.reports import plots

    figures = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: figures.append(figure))
    gallery = Gallery()
    answer = classifier.predict(printed("7"))[0]
    for i in range(17):
        gallery.add(printed("7"), f"{i}.png", answer)
    gallery.draw("drawn.png")
    width, height = figures[0].get_size_inches()
    assert 0.5 < width / height < 2
    assert sum(axes.get_title() == "what the network sees" for axes in figures[0].axes) == 17
