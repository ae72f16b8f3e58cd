"""The axes of learning curves show what matters, also beside outliers and losses of another kind."""

import pytest

from kerasnets.reports.curves import Curve, learning_curves, limits

STEADY = [0.3, 0.12, 0.08, 0.06, 0.05]
STEPS = [value for value in STEADY for _ in range(20)]


def of(name="loss", by_batch=STEPS, training=STEADY, validation=(), test=0.06):
    return Curve(name, by_batch, training, list(validation), test)


def test_a_steady_curve_is_shown_whole():
    low, high, beyond = limits(of(), STEPS)
    assert (low, beyond) == (pytest.approx(0.05 - 0.0125), None)
    assert high == pytest.approx(0.3 + 0.0125)


def test_an_outlier_does_not_press_the_curve_into_a_line():
    points = [*STEPS[:60], 9.0, 4.0, *STEPS[62:]]
    low, high, beyond = limits(of(by_batch=points), points)
    assert beyond == 9.0
    assert 0.3 < high < 1.5
    assert low < 0.05


def test_outliers_of_an_accuracy_are_below():
    accuracies = [0.9, 0.97, 0.98, 0.98, 0.985]
    points = [value for value in accuracies for _ in range(20)]
    points[70] = 0.1
    low, high, beyond = limits(of("accuracy", points, accuracies, (), 0.98), points)
    assert beyond == pytest.approx(0.1)
    assert 0.5 < low < 0.9
    assert 0.985 < high <= 1


def test_a_constant_curve_has_a_range():
    low, high, beyond = limits(of(by_batch=[0.5] * 40, training=[0.5, 0.5], test=0.5), [0.5] * 40)
    assert low < 0.5 < high
    assert beyond is None


def test_a_test_of_another_loss_is_not_drawn_and_what_is_off_the_scale_is_told():
    points = [*STEPS[:60], 9.0, *STEPS[61:]]
    curves = [of("accuracy", [0.9] * 100, [0.9] * 5, (), 0.9), of("loss: squared error", points, test=None)]
    accuracy, loss = learning_curves("a run", curves, 5).axes
    assert "test 0.9000" in [text.get_text() for text in accuracy.get_legend().get_texts()]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["each batch", "training"]
    assert loss.get_title() == "Loss: squared error"
    assert [text.get_text() for text in loss.texts] == ["off the scale: up to 9"]
    assert not accuracy.texts
