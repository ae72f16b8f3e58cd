"""A recipe's optimizer, schedule, loss and weight decay do the same as plain PyTorch."""

import dataclasses
import math

import numpy as np
import pytest

from kerasnets.recipes import RECIPES, Recipe

EXAMPLES, COLUMNS, HIDDEN, CLASSES, SEED = 22, 5, 8, 3, 6
RECIPE = Recipe(  # 3 steps an epoch, the last one of 6 examples
    "dense", "drawn", mean=0.0, std=1.0, optimizer="sgd", learning_rate=0.1, momentum=0.0, batch_size=8, epochs=4,
    validation=0, goal=None,
)  # fmt: skip

# changes of RECIPE -> name in torch.optim, and its options besides the rate
CASES = {
    "momentum": ({"momentum": 0.9}, "SGD", {"momentum": 0.9}),
    "decay": ({"momentum": 0.9, "weight_decay": 0.1}, "SGD", {"momentum": 0.9, "weight_decay": 0.1}),
    "adam, decay": ({"optimizer": "adam", "learning_rate": 0.01, "weight_decay": 0.1}, "Adam", {"weight_decay": 0.1}),
    "smoothing, decay": ({"label_smoothing": 0.1, "weight_decay": 0.1}, "SGD", {"weight_decay": 0.1}),
    "squared error": ({"loss": "squared_error", "learning_rate": 1.0}, "SGD", {}),
    "steps": ({"schedule": ("steps", 0.1, (4, 7))}, "SGD", {}),
    "cosine, warm-up": ({"schedule": ("cosine", 2)}, "SGD", {}),
}  # fmt: skip


def draw():
    """(weights, inputs, labels) for the dense network of the cases."""
    rng = np.random.default_rng(0)
    shapes = ((COLUMNS, HIDDEN), (HIDDEN,), (HIDDEN, CLASSES), (CLASSES,))
    weights = [rng.normal(0, 0.7, shape).astype("float32") for shape in shapes]
    return weights, rng.normal(0, 1, (EXAMPLES, COLUMNS)).astype("float32"), rng.integers(0, CLASSES, EXAMPLES)


def cosine(step, steps_per_epoch, epochs, warmup):
    """Fraction of the rate: Goyal et al. 2017 (arXiv:1706.02677), 2.2, then Loshchilov and Hutter 2017, equation 5."""
    total, warm = steps_per_epoch * epochs, steps_per_epoch * warmup
    if step < warm:
        return 1 / warm + (1 - 1 / warm) * step / warm
    return (1 + math.cos(math.pi * (step - warm) / (total - warm))) / 2


# ---- run in the workers ----


def fit(changes, weights, inputs, labels):
    """Train like kerasnets; return (weights, figures by epoch, figures by batch)."""
    import keras

    from kerasnets.training.batches import Batches, as_fit_takes
    from kerasnets.training.callbacks import Figures
    from kerasnets.training.train import trainee_of

    recipe = dataclasses.replace(RECIPE, **changes)
    entered = keras.Input((COLUMNS,))
    hidden = keras.layers.Dense(HIDDEN, activation="tanh")(entered)
    network = keras.Model(entered, keras.layers.Dense(CLASSES)(hidden))
    network.set_weights(weights)
    plan = Batches(inputs, labels, recipe.batch_size, recipe.epochs, seed=SEED)
    network = trainee_of(network, recipe, None, plan.steps_per_epoch)
    figures = Figures(plan, keep_best=False, patience=0, save=lambda epoch, arrays: None)
    network.fit(as_fit_takes(plan), steps_per_epoch=plan.steps_per_epoch, epochs=recipe.epochs, shuffle=False,
                callbacks=[figures], verbose=0)  # fmt: skip
    return network.get_weights(), figures.history, figures.batches


def loop_of_pytorch(changes, optimizer, options, weights, inputs, labels):
    """Train by a loop in PyTorch; return (weights, losses by step, accuracies by step, sizes of the steps)."""
    import torch

    recipe = dataclasses.replace(RECIPE, **changes)
    network = torch.nn.Sequential(torch.nn.Linear(COLUMNS, HIDDEN), torch.nn.Tanh(), torch.nn.Linear(HIDDEN, CLASSES))
    for parameter, array in zip(network.parameters(), weights, strict=True):
        parameter.data = torch.tensor(array.T)
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    if recipe.loss == "squared_error":
        eye = torch.eye(CLASSES)

        def criterion(logits, labels):
            return torch.nn.functional.mse_loss(logits.softmax(1), eye[labels])

    optimizer = getattr(torch.optim, optimizer)(network.parameters(), lr=recipe.learning_rate, **options)
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    if recipe.schedule and recipe.schedule[0] == "steps":
        scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, recipe.schedule[2], gamma=recipe.schedule[1])
    elif recipe.schedule:
        steps = -(-EXAMPLES // recipe.batch_size)
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda i: cosine(i, steps, recipe.epochs, recipe.schedule[1])
        )
    losses, right, sizes = [], [], []
    for epoch in range(recipe.epochs):
        order = np.random.default_rng((SEED, epoch)).permutation(EXAMPLES)
        for start in range(0, EXAMPLES, recipe.batch_size):
            chosen = order[start : start + recipe.batch_size]
            logits, expected = network(torch.tensor(inputs[chosen])), torch.tensor(labels[chosen])
            loss = criterion(logits, expected)
            if recipe.optimizer == "adam":  # Keras has the paper's epsilon-hat: Kingma and Ba 2015, end of section 2
                optimizer.param_groups[0]["eps"] = 1e-7 / math.sqrt(1 - 0.999 ** (len(losses) + 1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
            right.append((logits.argmax(1) == expected).float().mean().item())
            sizes.append(len(chosen))
    return [parameter.detach().numpy().T for parameter in network.parameters()], losses, right, sizes


def losses_of(changes, labels, logits):
    """The recipe's loss of each example."""
    import keras

    from kerasnets.training.optimizers import LOSSES

    recipe = dataclasses.replace(RECIPE, **changes)
    return keras.ops.convert_to_numpy(LOSSES[recipe.loss](logits.shape[1], recipe)(labels, logits))


def rates_of(recipe, steps_per_epoch, epochs, steps):
    """The learning rate of each of `steps`."""
    from kerasnets.training.optimizers import rate_of

    schedule = rate_of(recipe, steps_per_epoch, epochs)
    return [float(schedule(step)) for step in steps]


# ---- tests ----


@pytest.mark.parametrize("case", CASES)
def test_training_ends_with_the_weights_of_a_pytorch_loop(worker, workers, case):
    """Weights, biases, and the figures of each batch and epoch, without the share of weight decay."""
    changes, optimizer, options = CASES[case]
    weights, history, batches = worker(fit, changes, *draw())
    expected, losses, right, sizes = workers["torch"](loop_of_pytorch, changes, optimizer, options, *draw())
    for result, reference, before in zip(weights, expected, draw()[0], strict=True):
        assert np.abs(reference - before).max() > 0.01  # it has been trained
        np.testing.assert_allclose(result, reference, atol=2e-5)
    for name, figures in (("loss", losses), ("accuracy", right)):
        np.testing.assert_allclose(batches[name], figures, atol=1e-5, err_msg=name)
        by_epoch = [np.average(figures[i : i + 3], weights=sizes[i : i + 3]) for i in range(0, 12, 3)]
        np.testing.assert_allclose(history[name], by_epoch, atol=1e-5, err_msg=name)
    assert set(history) == {"loss", "accuracy", "seconds"}


def test_losses_of_single_examples_equal_numpys(worker):
    rng = np.random.default_rng(1)
    labels, logits = rng.integers(0, 10, 30), rng.normal(0, 3, (30, 10)).astype("float32")
    logarithms = logits - np.log(np.exp(logits.astype("float64")).sum(1, keepdims=True))
    one_hot = np.eye(10)[labels]
    expected = {
        (): -(one_hot * logarithms).sum(1),
        (("label_smoothing", 0.1),): -((0.9 * one_hot + 0.01) * logarithms).sum(1),
        (("loss", "squared_error"),): ((np.exp(logarithms) - one_hot) ** 2).mean(1),
    }
    for changes, reference in expected.items():
        result = worker(losses_of, dict(changes), labels, logits)
        np.testing.assert_allclose(result, reference, atol=1e-5, err_msg=str(changes))


def test_resnet20_divides_its_rate_by_10_at_32_000_and_48_000_steps_like_the_paper(worker):
    """He et al. 2015, section 4.2: "a learning rate of 0.1, and divide it by 10 at 32k and 48k iterations"."""
    rates = worker(rates_of, RECIPES["resnet20-cifar10"], 352, 182, (0, 31_999, 32_000, 47_999, 48_000, 64_000))
    np.testing.assert_allclose(rates, (0.1, 0.1, 0.01, 0.01, 0.001, 0.001), rtol=1e-5)


@pytest.mark.parametrize("warmup", [0, 1, 3])
def test_a_cosine_schedule_rises_linearly_and_falls_to_0(worker, warmup):
    recipe = dataclasses.replace(RECIPE, schedule=("cosine", warmup), learning_rate=0.4)
    steps = range(0, 71, 5)
    expected = [0.4 * cosine(step, 7, 10, warmup) for step in steps]
    np.testing.assert_allclose(worker(rates_of, recipe, 7, 10, steps), expected, atol=1e-6)
    assert max(expected) == 0.4 or warmup
    assert expected[-1] == 0
