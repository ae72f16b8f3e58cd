"""The options that change a recipe's settings; no framework is loaded."""

import argparse

import pytest

from kerasnets import data, recipes
from kerasnets.cli import app, train, training_settings
from kerasnets.cli.app import UsageError
from kerasnets.recipes import RECIPES
from kerasnets.training.settings import check_recipe, without_effect
from tests.conftest import ROOT


def changes(words, recipe="lenet5-mnist"):
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int)
    training_settings.add_settings(parser)
    told = training_settings.changes_of(parser.parse_args(words.split()), RECIPES[recipe])
    return {name: value for name, value in told.items() if value is not None}


# lenet5-mnist has 5 epochs of SGD at a constant rate
TOLD = {
    "": {},
    "--optimizer adamw --learning-rate 0.01": {"optimizer": "adamw", "learning_rate": 0.01},
    "--momentum 0.8": {"momentum": 0.8},
    "--weight-decay 1e-4 --spare-norms": {"weight_decay": 1e-4, "decay_norms": False},
    "--schedule constant": {"schedule": ()},
    "--schedule cosine": {"schedule": ("cosine", 0)},
    "--schedule cosine --warmup 1.5": {"schedule": ("cosine", 1.5)},
    "--schedule linear --warmup 2": {"schedule": ("linear", 2)},
    "--schedule steps": {"schedule": ("epochs", 0.1, (2, 3), 0)},
    "--schedule steps --epochs 90": {"schedule": ("epochs", 0.1, (30, 60), 0)},
    "--schedule steps --epochs 1": {"schedule": ("epochs", 0.1, (1,), 0)},
    "--schedule steps 1 4 --warmup 1": {"schedule": ("epochs", 0.1, (1, 4), 1)},
    "--schedule onecycle": {"schedule": ("onecycle", 0.3)},
    "--schedule onecycle --warmup 1": {"schedule": ("onecycle", 0.2)},
    "--warmup 2": {"schedule": ("constant", 2)},
    "--label-smoothing 0.1": {"label_smoothing": 0.1},
    "--mixup": {"mixup": 0.2},
    "--mixup 0.4 --cutmix": {"mixup": 0.4, "cutmix": 1.0},
    "--random-erasing": {"random_erasing": 0.25},
    "--trivial-augment": {"trivial_augment": True},
    "--progressive-size 96:160": {"progressive_size": (96, 160)},
    "--progressive-size 160:192:11:13": {"progressive_size": (160, 192, 11, 13)},
    "--ema 0.99": {"ema": 0.99},
    "--ema 0": {"ema": 0.0},
    "--class-weights balanced": {"class_weights": "balanced"},
    "--gradient-clip 1": {"gradient_clip": 1.0},
    "--accumulate 4": {"accumulate": 4},
}


@pytest.mark.parametrize("words", TOLD)
def test_the_options_become_settings(words):
    assert changes(words) == TOLD[words]


def test_every_option_of_the_settings_is_a_field_of_a_recipe():
    parser = argparse.ArgumentParser()
    training_settings.add_settings(parser)
    options = {action.dest for action in parser._actions} - {"help"}
    fields = set(training_settings.changes_of(parser.parse_args([]), RECIPES["lenet5-mnist"]))
    assert fields <= {field for field in vars(RECIPES["lenet5-mnist"])}
    assert options - fields == {"spare_norms", "warmup", "find_learning_rate"}


def test_a_warm_up_of_the_recipe_stays_with_another_schedule():
    assert changes("--schedule linear", "resnet18-cifar10") == {"schedule": ("linear", 5)}
    assert changes("--warmup 1", "resnet18-cifar10") == {"schedule": ("cosine", 1)}


REFUSED = {
    "--schedule triangle": "unknown schedule 'triangle'; choose one of: constant, cosine, linear, steps, onecycle",
    "--schedule cosine 3": "epochs go with --schedule steps, not with cosine",
    "--schedule steps 3 2": "whole, rising numbers of epochs, not '3 2'",
    "--schedule steps 0.5": "whole, rising numbers of epochs, not '0.5'",
    "--warmup 9": "--warmup must be from 0 to the 5 epochs, not 9",
    "--progressive-size 96": "--progressive-size takes FIRST:LAST or FIRST:LAST:START:END, not '96'",
    "--progressive-size 96:a": "--progressive-size takes FIRST:LAST or FIRST:LAST:START:END, not '96:a'",
    "--optimizer adam": "--optimizer adam needs a --learning-rate: 0.9 is for sgd",
}


@pytest.mark.parametrize("words", REFUSED)
def test_impossible_options_are_refused_in_words(words):
    with pytest.raises(UsageError) as refusal:
        changes(words)
    assert REFUSED[words] in str(refusal.value)


def test_a_warm_up_before_steps_counted_in_batches_is_refused():
    with pytest.raises(UsageError, match="--warmup needs a --schedule: that of resnet20-cifar10 has none"):
        changes("--warmup 1", "resnet20-cifar10")


def test_the_schedules_of_the_command_line_are_schedules_of_recipes():
    for name, make in training_settings.SCHEDULES.items():
        assert (make(1, (), 9) or ("constant",))[0] in recipes.SCHEDULES, name


# ---- options that would have no effect ----

NO_EFFECT = {
    "mnist_cnn-digits --augment flip --augment-photos": "--augment and --augment-photos both say how pictures are",
    "mnist_cnn-digits --augment none --augment-colours": "--augment and --augment-colours both say",
    "mnist_cnn-digits --momentum 0.9": "--momentum goes with --optimizer sgd; adam takes none",
    "lenet5-mnist --optimizer adam --learning-rate 0.01 --momentum 0.9": "--momentum goes with --optimizer sgd",
    "mnist_cnn-digits --spare-norms": "--spare-norms goes with --weight-decay: nothing decays without it",
    "lenet5-mnist --epochs 2 --schedule steps 1 100": "--schedule steps 100 never comes: the training has 2 epochs",
    "lenet5-mnist --schedule steps 5": "--schedule steps 5 never comes: the training has 5 epochs",
    "lenet5-mnist --find-learning-rate --seeds 0 1": "--find-learning-rate trains no model; leave out --seeds",
    "lenet5-mnist --find-learning-rate --resume --schedule cosine": "leave out --resume, --schedule",
    "lenet5-mnist --find-learning-rate 50 --epochs 2 --log wandb --ema": "leave out --epochs, --ema, --log",
}


def recipe_of(words):
    parser = app.Parser("", "train")
    train.add_arguments(parser)
    return train.recipe_of(parser.parse_args(words.split()))


@pytest.mark.parametrize("words", NO_EFFECT)
def test_options_without_an_effect_are_refused(words):
    with pytest.raises(UsageError, match=NO_EFFECT[words]):
        recipe_of(words)


@pytest.mark.parametrize("words", [
    "lenet5-mnist --momentum 0.9", "lenet5-mnist --schedule steps 1 4", "resnet20-cifar10 --spare-norms",
    "lenet5-mnist --find-learning-rate --optimizer adam --learning-rate 0.1 --mixup --overwrite",
    "mnist_cnn-digits --augment-photos --augment-colours", "mnist_cnn-digits --momentum 0",
])  # fmt: skip
def test_options_with_an_effect_are_taken(words):
    assert recipe_of(words).name == words.split()[0]


@pytest.mark.parametrize(("words", "note"), [
    ("lenet5-mnist --worker-statistics", "note: --worker-statistics has no effect in one process\n"),
    ("--model resnet20 --dataset tests --data-dir x", "note: --data-dir has no effect: tests is no known data set\n"),
    ("lenet5-mnist --data-dir x", ""),
])  # fmt: skip
def test_options_that_do_nothing_here_are_told(capsys, monkeypatch, words, note):
    monkeypatch.chdir(ROOT)
    recipe_of(words)
    assert capsys.readouterr().err == note


def test_the_momentum_of_a_recipe_stays_with_sgd():
    assert recipe_of("resnet20-cifar10 --optimizer adamw --learning-rate 0.01").momentum == 0
    assert recipe_of("resnet20-cifar10 --learning-rate 0.01").momentum == 0.9


@pytest.mark.parametrize("changes", [{}, {"epochs": 182}, {"weight_decay": 0.0}])
def test_settings_of_python_without_an_effect_are_told(changes):
    assert without_effect(recipes.with_changes(RECIPES["resnet20-cifar10"], **changes)) == []
    assert all(not without_effect(recipe) for recipe in (*RECIPES.values(), *recipes.IMAGENET.values()))


@pytest.mark.parametrize(("changes", "text"), [
    ({"optimizer": "adam"}, "adam takes no momentum: that of 0.9 has no effect"),
    ({"weight_decay": 0.0, "decay_norms": False}, "without weight decay, decay_norms=False has no effect"),
    ({"schedule": ("epochs", 0.1, (1, 100), 0), "epochs": 2},
     "the learning rate would fall after epoch 100, and the training has 2"),
])  # fmt: skip
def test_a_setting_of_python_without_an_effect_is_told(changes, text):
    assert without_effect(recipes.with_changes(RECIPES["resnet20-cifar10"], **changes)) == [text]


@pytest.mark.parametrize("name", ["dnn_tabular-sum3", "resnet_cifar_wide-cifar10"])
def test_label_smoothing_of_a_squared_error_is_refused(name):
    recipe = recipes.with_changes(RECIPES[name], label_smoothing=0.1)
    with pytest.raises(ValueError, match=f"label smoothing goes with the cross-entropy; {name} has the squared error"):
        check_recipe(recipe, data.load_data("sum3"))
