"""The judge of `fit`: the twin, trained by each recipe, in float64 and, for the yardstick, in float32.

All steps take one batch of images, with other labels in each step. They start from the same weights, which are put back
after each step, while the optimizer keeps its averages: so no input of a ReLU is near 0 in any step.

Adam divides a gradient by its own size. If one weight's gradient is as small as the rounding of its sum, the order of
that sum decides its change: it took fashion_cnn on an AVX2 processor from 3e-5 to 1e-4 away, in PyTorch alone. So the
yardstick of Adam and RMSprop is the worst of several orders of the batch.
"""

import dataclasses
import math

import keras
import numpy as np
import torch
from torch import nn

from kerasnets.graph import variables, weighted_layers
from kerasnets.proof import reference
from kerasnets.proof.case import STEPS, Case, title_of
from kerasnets.proof.distances import NOISE, flat, unflat, values
from kerasnets.proof.fit_distances import FROZEN, Changes, distance_of_steps
from kerasnets.proof.optimizers import loss_of, optimizer_of
from kerasnets.proof.verdict import DEEP
from kerasnets.recipes import RECIPES, Recipe

SHARE = 2**-6  # of the weights, by their norm, that a step of SGD changes: enough for float32 to resolve the change
RATE = 2**-9  # of Adam and RMSprop, whose step does not depend on the size of the gradient

# For a network without a recipe
COMMON = Recipe(
    "", "", mean=0.5, std=0.5, optimizer="sgd", learning_rate=RATE, momentum=0.9, batch_size=0, epochs=1, validation=0,
    goal=None, weight_decay=5e-4,
)  # fmt: skip
KEPT = ("optimizer", "momentum", "weight_decay", "decay_norms", "label_smoothing", "loss")  # of a network's recipes


def recipes_of(network: keras.Model, name: str) -> list[Recipe]:
    """Return the recipes of a network, one for each optimizer with its options and loss. `fit` trains one head only."""
    if len(network.outputs) > 1:
        return []
    own = [
        dataclasses.replace(COMMON, model=name, **{setting: getattr(recipe, setting) for setting in KEPT})
        for recipe in RECIPES.values()
        if recipe.model == name
    ]
    return list({title_of(recipe): recipe for recipe in own or [dataclasses.replace(COMMON, model=name)]}.values())


def judge(twin: nn.Module, network: keras.Model, case: Case) -> tuple[Case, dict[str, float]]:
    """Save the reference values for the trainee; return the case with its recipes, and {quantity: yardstick}."""
    gradients = unflat(np.load(case.folder / "gradients.npy"), network)
    largest = max(np.abs(gradient).max() for gradient in gradients)
    pairs = zip(variables(network), gradients, strict=True)
    noise = [variable.trainable and np.abs(gradient).max() <= NOISE * largest for variable, gradient in pairs]
    np.save(case.folder / "noise.npy", noise)
    rate = 2.0 ** round(math.log2(SHARE * norm(values(network)) / norm(gradients)))
    recipes = [
        dataclasses.replace(recipe, learning_rate=rate if recipe.optimizer == "sgd" else RATE)
        for recipe in recipes_of(network, case.name)
    ]
    yardstick: dict[str, float] = {}
    for recipe in recipes:
        title = title_of(recipe)
        with reference.compute_in(twin, torch.float64):
            for number, changes in enumerate(changes_of(twin, network, case, recipe)):
                np.save(case.folder / f"{title} {number}.npy", flat(changes))
        with reference.compute_in(twin, torch.float32):
            distances = [
                distance_of_steps(
                    changes_of(twin.to(memory_format=each), network, case, recipe, turns), network, case, title
                )
                for each in (torch.contiguous_format, torch.channels_last)
                for turns in ((0,) if recipe.optimizer == "sgd" else (0, *reference.TURNS))
            ]
        yardstick[title] = float(np.max(distances))  # NaN if one is NaN, which Python's max would ignore
    freezes = len(weighted_layers(network)) <= DEEP
    if recipes and freezes:
        yardstick[FROZEN] = yardstick[title_of(recipes[0])]
    return dataclasses.replace(case, recipes=tuple(recipes), freezes=freezes), yardstick


def norm(arrays: list[np.ndarray]) -> float:
    """Return the Euclidean norm of all numbers together."""
    return math.sqrt(sum(float((array.astype("float64") ** 2).sum()) for array in arrays))


def changes_of(twin: nn.Module, network: keras.Model, case: Case, recipe: Recipe, turns: int = 0) -> Changes:
    """Return the change of each weight in each step; of a moving statistic, in all steps so far.

    `turns` is by how many places the batch is rotated, which changes only the order of sums.
    """
    reference.load_twin(twin, network)
    images, labels = reference.batches(case)[0].roll(turns, 0), torch.from_numpy(case.labels()).roll(turns, 1)
    before, samples = reference.state_of(twin), reference.count_samples(twin)
    optimizer, changes = optimizer_of(list(twin.train().parameters()), recipe), []
    for number in range(STEPS):
        optimizer.zero_grad()
        loss_of(reference.heads(twin(images))[0], labels[number], recipe).backward()
        optimizer.step()
        after = reference.state_of(twin)
        reference.correct_variances(after, before, samples, number + 1)
        changes.append(reference.in_keras_order(network, {name: after[name] - before[name] for name in after}))
        with torch.no_grad():
            for name, parameter in twin.named_parameters():
                parameter.copy_(torch.from_numpy(before[name]))
    return changes
