"""Each setting of a training does on every backend what a loop in plain PyTorch does by PyTorch's own functions."""

import contextlib
import dataclasses
import io
import json
import math
import re
import types

import numpy as np
import pytest
import scipy.stats

import kerasnets
from kerasnets import recipes, saving
from kerasnets.recipes import RECIPES, Recipe
from kerasnets.training import checkpoints, settings
from tests.conftest import mostly_on_torch
from tests.stand_ins import few_digits
from tests.training.test_resuming import state_of, train_few

EXAMPLES, COLUMNS, HIDDEN, CLASSES, SEED = 22, 5, 8, 3, 6
RECIPE = Recipe(  # 3 steps an epoch, the last one of 6 examples
    "dense", "drawn", mean=0.0, std=1.0, optimizer="sgd", learning_rate=0.1, momentum=0.9, batch_size=8, epochs=4,
    validation=0, goal=None,
)  # fmt: skip

CASES = {
    "decay without biases": {"weight_decay": 0.1, "decay_norms": False},
    "adamw": {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.5},
    "adamw without biases": {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.5, "decay_norms": False},
    "clip": {"gradient_clip": 0.3},
    "adamw, clip": {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.5, "gradient_clip": 0.3},
    "accumulate": {"accumulate": 2},
    "adamw, accumulate, clip": {"optimizer": "adamw", "learning_rate": 0.01, "accumulate": 3, "gradient_clip": 0.2},
    "ema": {"ema": 0.8},
    "ema, accumulate": {"ema": 0.8, "accumulate": 2},
    "class weights": {"class_weights": "balanced"},
    "class weights, smoothing": {"class_weights": "balanced", "label_smoothing": 0.2},
    "mixup": {"mixup": 0.4},
    "mixup, everything": {
        "mixup": 0.4, "class_weights": "balanced", "label_smoothing": 0.1, "ema": 0.5, "accumulate": 2,
        "gradient_clip": 0.5, "weight_decay": 0.01, "optimizer": "adamw", "learning_rate": 0.01,
    },
    "mixup, squared error": {"mixup": 0.4, "loss": "squared_error", "learning_rate": 1.0, "class_weights": "balanced"},
    "one cycle": {"momentum": 0.0, "schedule": ("onecycle", 0.25)},
    "warm-up": {"momentum": 0.0, "schedule": ("constant", 2)},
    "epochs": {"momentum": 0.0, "schedule": ("epochs", 0.1, (2, 3), 1)},
    "linear": {"momentum": 0.0, "schedule": ("linear", 1)},
}  # fmt: skip


def draw():
    """(weights, inputs, labels): the classes are of different sizes."""
    rng = np.random.default_rng(0)
    shapes = ((COLUMNS, HIDDEN), (HIDDEN,), (HIDDEN, CLASSES), (CLASSES,))
    weights = [rng.normal(0, 0.7, shape).astype("float32") for shape in shapes]
    labels = np.repeat(np.arange(CLASSES), (12, 7, 3))
    return weights, rng.normal(0, 1, (EXAMPLES, COLUMNS)).astype("float32"), rng.permutation(labels)


def mixed(inputs, ones, alpha, epoch, step):
    """Mix a batch by the formula of Zhang et al. 2017, equation 1, with torchvision's choice of the other example."""
    raw = np.random.Philox(key=np.array((SEED, epoch), "uint64"), counter=[0, 0, 1, step]).random_raw(4)
    share = scipy.stats.beta(alpha, alpha).ppf((int(raw[1]) >> 11) / 2**53)
    others = np.concatenate([[-1], np.arange(len(inputs) - 1)])
    return [(share * x + (1 - share) * x[others]).astype("float32") for x in (inputs, ones)]


# All of them at once, with dropout and batch normalization
ALL = recipes.with_changes(
    recipes.own("baseline_cnn", "digits"), epochs=3, batch_size=32, augmentation="crop_flip", optimizer="adamw",
    weight_decay=0.01, decay_norms=False, label_smoothing=0.1, schedule=("epochs", 0.5, (1, 2), 1), mixup=0.2,
    cutmix=1.0, random_erasing=0.25, trivial_augment=True, class_weights="balanced", gradient_clip=1.0, accumulate=3,
    ema=0.9,
)  # fmt: skip


# ---- run in the workers ----


def fit(changes, weights, inputs, labels):
    """Train like kerasnets; return (weights that would be saved, figures by epoch)."""
    import keras

    from kerasnets.training.batches import Batches, as_fit_takes
    from kerasnets.training.callbacks import Figures, TestAverages
    from kerasnets.training.regularization import regularization_of
    from kerasnets.training.trainee import trainee_of

    recipe = dataclasses.replace(RECIPE, **changes)
    entered = keras.Input((COLUMNS,))
    hidden = keras.layers.Dense(HIDDEN, activation="tanh")(entered)
    network = keras.Model(entered, keras.layers.Dense(CLASSES)(hidden))
    network.set_weights(weights)
    regularization = regularization_of(recipe, CLASSES)
    plan = Batches(inputs, labels, recipe.batch_size, recipe.epochs, seed=SEED, regularization=regularization)
    class_weights = settings.class_weights_of(recipe, labels, CLASSES)
    network = trainee_of(network, recipe, None, plan.steps_per_epoch, class_weights)
    figures = Figures(plan, False, 0, save=lambda epoch, arrays: None, averages=bool(recipe.ema))
    network.fit(as_fit_takes(plan), steps_per_epoch=plan.steps_per_epoch, epochs=recipe.epochs, shuffle=False,
                callbacks=[figures, TestAverages()], validation_data=(inputs, labels), verbose=0)  # fmt: skip
    best = list(figures.best.values()) if recipe.ema else network.get_weights()
    return best, figures.history


def loop_of_pytorch(changes, weights, inputs, labels):
    """Train by a loop in PyTorch; return (weights that would be saved, losses and accuracies on all data by epoch)."""
    import torch
    from torch.optim import swa_utils

    recipe = dataclasses.replace(RECIPE, **changes)
    network = torch.nn.Sequential(torch.nn.Linear(COLUMNS, HIDDEN), torch.nn.Tanh(), torch.nn.Linear(HIDDEN, CLASSES))
    for parameter, array in zip(network.parameters(), weights, strict=True):
        parameter.data = torch.tensor(array.T)
    groups = [
        {"params": [p for p in network.parameters() if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in network.parameters() if p.ndim == 1],
         "weight_decay": recipe.weight_decay if recipe.decay_norms else 0.0},
    ]  # fmt: skip
    optimizer = (
        torch.optim.AdamW(groups, lr=recipe.learning_rate)
        if recipe.optimizer == "adamw"
        else torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
    )
    counts = np.bincount(labels)
    balanced = torch.tensor(len(labels) / (CLASSES * counts)).float() if recipe.class_weights else torch.ones(CLASSES)

    def criterion(logits, shares):
        if recipe.loss == "squared_error":
            each = ((logits.softmax(1) - shares) ** 2).mean(1)
            return (each * (shares @ balanced)).mean()
        return torch.nn.functional.cross_entropy(
            logits, shares, weight=balanced, label_smoothing=recipe.label_smoothing
        )

    steps = -(-EXAMPLES // recipe.batch_size)
    scheduler = scheduler_of(recipe, optimizer, steps)
    mean = None
    if recipe.ema:
        mean = swa_utils.AveragedModel(network, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(recipe.ema))
    batches, updates, history = 0, 0, {"loss": [], "accuracy": []}
    for epoch in range(recipe.epochs):
        order = np.random.default_rng((SEED, epoch)).permutation(EXAMPLES)
        for step, start in enumerate(range(0, EXAMPLES, recipe.batch_size)):
            chosen = order[start : start + recipe.batch_size]
            entered, shares = inputs[chosen], np.eye(CLASSES, dtype="float32")[labels[chosen]]
            if recipe.mixup:
                entered, shares = mixed(entered, shares, recipe.mixup, epoch, step)
            loss = criterion(network(torch.tensor(entered)), torch.tensor(shares))
            (loss / recipe.accumulate).backward()
            batches += 1
            if batches % recipe.accumulate == 0:
                if recipe.gradient_clip:
                    torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_clip)
                updates += 1
                for group in optimizer.param_groups:  # Keras has the paper's epsilon-hat
                    if recipe.optimizer == "adamw":
                        group["eps"] = 1e-7 / math.sqrt(1 - 0.999**updates)
                optimizer.step()
                optimizer.zero_grad()
            if mean and updates:  # the first weights that were trained begin the average
                mean.update_parameters(network)
            if updates and batches < steps * recipe.epochs:  # OneCycleLR refuses one step more
                scheduler.step()
        tested = mean.module if mean else network
        with torch.no_grad():
            logits = tested(torch.tensor(inputs))
            history["loss"].append(float(criterion(logits, torch.eye(CLASSES)[labels])))
            history["accuracy"].append(float((logits.argmax(1) == torch.tensor(labels)).float().mean()))
    return [parameter.detach().numpy().T for parameter in (mean.module if mean else network).parameters()], history


def scheduler_of(recipe, optimizer, steps):
    """PyTorch's schedulers; the warm-up is that of Goyal et al. 2017, section 2.2, which begins at rate / steps."""
    from torch.optim import lr_scheduler as schedulers

    name, *options = recipe.schedule or ("",)
    if name == "onecycle":
        return schedulers.OneCycleLR(
            optimizer, recipe.learning_rate, total_steps=steps * recipe.epochs, pct_start=options[0],
            cycle_momentum=False,
        )  # fmt: skip
    if name == "constant":
        warm = steps * options[0]
        return schedulers.LinearLR(optimizer, 1 / warm, total_iters=warm)
    if name == "epochs":
        factor, epochs, warmup = options
        fall = schedulers.MultiStepLR(optimizer, [epoch * steps for epoch in epochs], gamma=factor)
        rise = schedulers.LinearLR(optimizer, 1 / (steps * warmup), total_iters=steps * warmup)
        return schedulers.ChainedScheduler([rise, fall])
    if name == "linear":
        warm, total = steps * options[0], steps * recipe.epochs
        rise = schedulers.LinearLR(optimizer, 1 / warm, total_iters=warm)
        fall = schedulers.LinearLR(optimizer, 1.0, 0.0, total_iters=total - warm)
        return schedulers.SequentialLR(optimizer, [rise, fall], milestones=[warm])
    return schedulers.ConstantLR(optimizer, factor=1.0)


# ---- tests ----


@mostly_on_torch
@pytest.mark.parametrize("case", CASES)
def test_a_setting_does_what_pytorch_does(worker, workers, case):
    """The weights that are saved, and the validation of each epoch, which is of the average if there is one."""
    plain, _ = worker(fit, {}, *draw())
    weights, history = worker(fit, CASES[case], *draw())
    expected, figures = workers["torch"](loop_of_pytorch, CASES[case], *draw())
    for result, reference, without in zip(weights, expected, plain, strict=True):
        assert np.abs(reference - without).max() > 1e-3, "the setting changes nothing"
        np.testing.assert_allclose(result, reference, atol=2e-5)
    np.testing.assert_allclose(history["val_loss"], figures["loss"], atol=2e-5)
    np.testing.assert_allclose(history["val_accuracy"], figures["accuracy"], atol=1e-5)


@mostly_on_torch
def test_a_run_with_every_setting_resumes_to_the_last_bit(worker, tmp_path):
    """5 batches an epoch, 3 for a step of the optimizer: the checkpoint has the gradients of the others."""
    whole, _ = worker(train_few, ALL, tmp_path / "a.keras")
    _, (error, _) = worker(train_few, ALL, tmp_path / "b.keras", 2)
    assert error == "Stopped"
    stopped = checkpoints.read(tmp_path / "b/checkpoints/epoch-00002.npz").part("optimizer")
    for part in ("gradient_accumulator", "average"):
        assert any(name.endswith(f"_{part}") and array.any() for name, array in stopped.items()), part
    resumed, _ = worker(train_few, ALL, tmp_path / "b.keras", 0, True)
    first, second = (state_of(tmp_path / name, 3) for name in "ab")
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], array, err_msg=name, strict=True)
    assert resumed["test_loss"] == whole["test_loss"]
    cards = [saving.load_card(tmp_path / f"{name}.keras") for name in "ab"]
    assert cards[0].weights_sha256 == cards[1].weights_sha256


def test_two_runs_that_differ_in_a_setting_do_not_resume_from_each_other():
    for name in settings.LATER:
        other = dataclasses.replace(ALL, **{name: getattr(Recipe, name)})
        differ = settings.compared(ALL) != settings.compared(other)
        assert differ == (getattr(ALL, name) != getattr(Recipe, name)), name


def test_checkpoints_of_earlier_versions_fit_a_recipe_without_the_later_settings():
    for recipe in RECIPES.values():
        assert not settings.compared(recipe).keys() & set(settings.LATER) - {"precision", "compiled"}


def finetune_with_every_setting(folder):
    """(card, report) of a run with all settings from the model file of another run."""
    out, parent = folder / "a.keras", folder / "parent.keras"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        kerasnets.train(recipes.own("baseline_cnn", "digits"), arrays=few_digits(), epochs=1, out=parent)
        recipe = recipes.with_changes(ALL, epochs=1, mixup=0.0, variant="finetuned")
        kerasnets.train(recipe, arrays=few_digits(), out=out, weights=parent, freeze=["conv1"])
    return saving.load_card(out), saving.load_card(parent), (folder / "a/report.html").read_text(encoding="utf-8")


def test_card_and_report_have_every_setting_that_was_used(workers, tmp_path):
    card, parent, report = workers["torch"](finetune_with_every_setting, tmp_path)
    recipe = recipes.with_changes(ALL, epochs=1, mixup=0.0, variant="finetuned")
    for name, value in dataclasses.asdict(recipe).items():
        if name not in settings.NOT_USED:
            assert card.settings[name] == json.loads(json.dumps(value)), name
    assert card.settings["frozen"]
    assert (card.parent, card.parent_sha256) == ("parent.keras", parent.weights_sha256)
    assert (parent.parent, parent.parent_sha256) == ("", "")
    assert len(card.data_digest) == 16
    assert card.data_digest == parent.data_digest
    assert 2026 <= int(card.date[:4]) < 2100
    for words in (
        "adamw", "0.01, without biases and normalizations", "0.001, reached in 1 epochs, times 0.5 after epoch 1 and 2",
        "alpha 1", "a box in 25% of the pictures", "one change out of fourteen", "balanced", "norm of at most 1",
        "3 batches for one step of the optimizer", "momentum 0.9 by batch", "parent.keras",
    ):  # fmt: skip
        assert words in report, words


REFUSED = {
    "ema": (1.0, "ema must be at least 0 and below 1, not 1.0"),
    "accumulate": (0, "accumulate must be at least 1, not 0"),
    "random_erasing": (1.5, "random erasing must be at least 0 and at most 1, not 1.5"),
    "gradient_clip": (-1.0, "gradient clip must be at least 0, not -1.0"),
    "mixup": (math.nan, "mixup must be at least 0, not nan"),
    "optimizer": ("sgdd", "unknown optimizer 'sgdd'; choose one of: sgd, adam, adamw, rmsprop"),
    "schedule": (("triangle",), "unknown schedule 'triangle'"),
    "class_weights": ("rare", "unknown class weights 'rare'; choose one of: balanced"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_impossible_settings_are_refused_before_anything_is_built(name):
    value, words = REFUSED[name]
    with pytest.raises(ValueError, match=re.escape(words)):
        settings.check_recipe(dataclasses.replace(ALL, **{name: value}), few_digits())


def test_changes_of_images_are_refused_for_rows_of_numbers():
    recipe = dataclasses.replace(RECIPES["dnn_tabular-sum3"], random_erasing=0.1)
    rows = types.SimpleNamespace(image_shape=(3,), title="sum3")
    with pytest.raises(ValueError, match="random erasing changes images; sum3 has rows of numbers"):
        settings.check_recipe(recipe, rows)


def test_a_training_of_fewer_batches_than_a_step_takes_is_refused():
    recipe = dataclasses.replace(RECIPE, accumulate=12)
    settings.check_accumulation(recipe, steps_per_epoch=3)
    with pytest.raises(ValueError, match="a step of the optimizer takes 12 batches, but the training has 8"):
        settings.check_accumulation(recipe, steps_per_epoch=2)
