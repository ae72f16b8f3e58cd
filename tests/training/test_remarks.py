"""The report says in words what went wrong, and nothing where nothing did."""

import types

import numpy as np
import pytest

from kerasnets import recipes
from kerasnets.training import evaluation
from kerasnets.training.remarks import notes_on, of_test, remarks, size_note, too_short

GOOD = {"accuracy": [0.9, 0.95, 0.97], "loss": [0.3, 0.2, 0.1], "val_accuracy": [0.91, 0.95, 0.96],
        "val_loss": [0.3, 0.2, 0.15], "best_epoch": 3}  # fmt: skip
# what lenet5-mnist does with seed 0
COLLAPSE = {"accuracy": [0.9, 0.97, 0.98, 0.95, 0.98], "loss": [0.3, 0.1, 0.06, 0.2, 0.06],
            "val_accuracy": [0.96, 0.975, 0.98, 0.92, 0.981], "val_loss": [0.1, 0.08, 0.07, 0.3, 0.07],
            "best_epoch": 5}  # fmt: skip


def run(**figures):
    return types.SimpleNamespace(**(GOOD | figures))


def judged(predictions, labels=None, names=("cat", "dog", "eel")):
    labels = np.arange(len(predictions)) % len(names) if labels is None else np.array(labels)
    return evaluation.of_logits(labels, 9.0 * np.eye(len(names))[predictions], names)


ALL = judged([0, 1, 2] * 50)


def test_a_training_without_faults_has_no_remarks():
    assert remarks(run(), ALL, 6000) == []
    assert remarks(run(val_accuracy=[], val_loss=[]), ALL, 0) == []
    first = {name: values[:1] for name, values in GOOD.items() if name != "best_epoch"}
    assert remarks(run(**first, best_epoch=1), ALL, 6000) == []


def test_a_collapse_between_epochs_is_told_with_its_figures():
    [text] = remarks(run(**COLLAPSE), ALL, 6000)
    assert text.startswith(
        "validation accuracy fell from 0.9800 to 0.9200 in epoch 4 and rose again later; the weights "
    )
    assert "those of epoch 5" in text
    [text] = remarks(run(**COLLAPSE | {"val_accuracy": [], "val_loss": []}), ALL, 0)
    assert text.startswith("training accuracy fell from 0.9800 to 0.9500 in epoch 4")


def test_a_fall_that_few_pictures_explain_is_none():
    """Of 24 pictures, with an accuracy of 0.75, one standard error is 0.088."""
    figures = {"val_accuracy": [0.75, 0.5, 0.75], "val_loss": [0.5, 0.6, 0.5], "accuracy": [0.7, 0.7, 0.7]}
    [text] = remarks(run(**figures), ALL, 24)
    assert text == "24 examples are few for the validation: each of them is 4.2 points of accuracy."


def test_a_validation_loss_that_rises_is_overfitting():
    figures = {"val_loss": [0.3, 0.2, 0.24, 0.31], "loss": [0.3, 0.2, 0.1, 0.05], "best_epoch": 4,
               "accuracy": [0.9, 0.95, 0.97, 0.99], "val_accuracy": [0.91, 0.95, 0.95, 0.95]}  # fmt: skip
    [text] = remarks(run(**figures), ALL, 6000)
    assert text.startswith(
        "from epoch 2 on, the validation loss rose from 0.2000 to 0.3100 while the training loss fell"
    )
    assert "overfitting" in text
    assert remarks(run(**figures | {"loss": [0.3, 0.2, 0.3, 0.4]}), ALL, 6000) == []  # both rise: no learning by heart
    small = {"val_loss": [0.3, 0.061, 0.07, 0.091]}  # of mnist_cnn-digits, whose validation accuracy rises on
    assert remarks(run(**figures | small), ALL, 6000) == []


def test_a_gap_between_training_and_validation_is_overfitting():
    [text] = remarks(run(accuracy=[0.9, 0.95, 1.0], val_accuracy=[0.8, 0.85, 0.86]), ALL, 6000)
    assert text.startswith("accuracy is 1.0000 on the training pictures and 0.8600 on validation (overfitting)")


@pytest.mark.parametrize(("accuracy", "validation", "count", "is_said"), [
    (0.2037, 0.0, 6, False),  # a network that learned nothing: a standard error of 0.12
    (1.0, 0.5, 6, False),
    (1.0, 0.0, 6, True),
    (1.0, 0.8, 60, True),
    (0.6, 0.45, 60, False),
    (0.6, 0.45, 600, True),
])  # fmt: skip
def test_a_gap_that_few_pictures_explain_is_no_overfitting(accuracy, validation, count, is_said):
    figures = {"accuracy": [accuracy], "val_accuracy": [validation], "val_loss": [1.0], "loss": [1.0], "best_epoch": 1}
    assert any("overfitting" in text for text in remarks(run(**figures), ALL, count)) == is_said


@pytest.mark.parametrize(("settings", "kind", "advice"), [
    ({}, "picture", "More pictures, --augment, or fewer epochs (--patience) help."),
    ({"augmentation": "flip"}, "picture", "More pictures, --weight-decay, or fewer epochs (--patience) help."),
    ({"augmentation": "flip", "weight_decay": 1e-4}, "crop", "More pictures or fewer epochs (--patience) help."),
    ({"trivial_augment": True, "weight_decay": 1e-4, "patience": 5}, "crop", "More pictures or a smaller network "
     "help."),
    ({"patience": 5}, "picture", "More pictures or --augment help."),
    ({}, "row", "More examples, --weight-decay, or fewer epochs (--patience) help."),
    (None, "picture", "More pictures help."),
])  # fmt: skip
def test_no_advice_is_what_the_recipe_does_already(settings, kind, advice):
    figures = {"accuracy": [0.9, 0.95, 1.0], "val_accuracy": [0.8, 0.85, 0.86]}
    recipe = recipes.with_changes(recipes.own("small_cnn", "pets"), **settings or {})
    examples = types.SimpleNamespace(input_kind=kind)
    job = None if settings is None else types.SimpleNamespace(recipe=recipe, data=examples)
    [text] = remarks(run(**figures), ALL, 6000, job)
    assert text.endswith(f"(overfitting). {advice}")


def test_an_accuracy_near_the_majority_is_said_to_be_chance():
    labels = np.arange(250) % 5
    answers = np.where(np.arange(250) < 53, labels, (labels + 1) % 5)
    [text] = of_test(judged(answers.tolist(), labels, tuple("abcde")))
    assert text.startswith("the accuracy of 0.2120 may be no better than always naming the most frequent class (0.2")


@pytest.mark.parametrize(("predictions", "labels", "words"), [
    ([0, 1] * 60, [0, 2] * 60, "this class is never the answer in the test: eel."),
    ([0] * 120, [0, 1, 2] * 40, "2 classes are never the answer in the test: dog, eel."),
    ([0, 1] * 60, [0, 1] * 60, None),  # nor is it asked for
])  # fmt: skip
def test_a_class_that_is_never_predicted_is_named(predictions, labels, words):
    assert of_test(judged(predictions, labels)) == ([words] if words else [])


def test_many_classes_that_are_never_predicted_are_counted():
    names = tuple(f"class {i}" for i in range(20))
    [text] = of_test(judged([0] * 200, np.arange(200) % 20, names))
    assert (
        text == "19 classes are never the answer in the test: class 1, class 2, class 3, class 4, class 5 and 14 more."
    )


def test_few_pictures_of_a_test_are_mentioned():
    assert of_test(judged([0, 1, 2] * 4)) == [
        "12 examples are few for the test: each of them is 8.3 points of accuracy."
    ]


@pytest.mark.parametrize(
    ("parameters", "pictures", "is_fresh", "is_said"),
    [
        (128_000_000, 60, True, True),  # vgg11_bn on a few photos
        (128_000_000, 60, False, False),  # it has learned before
        (61_706, 60, True, False),  # lenet5
        (46_764_746, 59_000, True, False),  # alexnet_plain on Fashion-MNIST, as published
        (269_722, 20, True, False),  # resnet20
    ],
)
def test_a_network_that_is_far_too_large_is_remarked(parameters, pictures, is_fresh, is_said):
    assert bool(size_note(parameters, pictures, is_fresh=is_fresh)) == is_said
    if is_said:
        assert f"{parameters:,} parameters for 60 pictures" in size_note(parameters, pictures, is_fresh=True)


@pytest.mark.parametrize(("losses", "is_short"), [
    ([1.11, 1.04, 0.97, 0.90], True), ([1.11, 1.0, 0.95, 0.945], False), ([1.1, 0.9, 0.8, 0.85], False), ([1.1], False),
])  # fmt: skip
def test_a_training_whose_loss_still_falls_was_too_short_if_it_has_hardly_learned(losses, is_short):
    untaught = judged([0] * 60)
    notes = [" ".join(notes_on(run(loss=losses, majority=1 / 3), untaught, 600)),
             " ".join(too_short(run(loss=losses), untaught))]  # fmt: skip
    assert ["train for more --epochs" in notes[0], "more --epochs help" in notes[1]] == [is_short, is_short]
    assert list(too_short(run(loss=losses), ALL)) == []
