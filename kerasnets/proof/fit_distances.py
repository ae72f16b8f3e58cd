"""The distances of the trainee, the network that `fit` trains, from the judge's values, on this process' backend."""

from collections.abc import Sequence

import keras
import numpy as np

from kerasnets.graph import variables, weighted_layers
from kerasnets.proof.case import SCALING, STEPS, Case, title_of
from kerasnets.proof.distances import (
    assign,
    build_with_zeros,
    distances,
    logits_of,
    release_memory,
    unflat,
    values,
)
from kerasnets.recipes import Recipe
from kerasnets.training.batches import Batches, as_fit_takes
from kerasnets.training.trainee import trainee_of

LOGITS, FROZEN = "training_logits", "first layer frozen"
Changes = list[list[np.ndarray]]  # [step][weight, in the order of `variables`]


def measure(case: Case) -> dict[str, float]:
    """Return {quantity: distance of the trainee from the reference}, in float32; {} for a case without recipes.

    The quantities are the logits in training mode, the steps with each recipe and, if the network is not deep, the
    steps with its first layer frozen.
    """
    if not case.recipes:
        return {}
    release_memory()
    results = {title_of(recipe): run(case, recipe) for recipe in case.recipes}
    if case.freezes:
        results[FROZEN] = run(case, case.recipes[0], frozen=1)
    logits = float(np.max([logits for logits, _ in results.values()]))  # NaN if one is NaN
    return {LOGITS: logits, **{title: steps for title, (_, steps) in results.items()}}


def run(case: Case, recipe: Recipe, frozen: int = 0) -> tuple[float, float]:
    """Return (distance of the logits, distance of the steps) for a recipe, with the first `frozen` layers frozen."""
    network = build_with_zeros(case)
    weights = unflat(np.load(case.folder / "weights.npy", mmap_mode="r"), network)
    assign(network, weights)
    kept = 0
    for layer in weighted_layers(network)[:frozen]:
        layer.trainable, kept = False, kept + len(layer.weights)
    trainee = trainee_of(network, recipe, SCALING if takes_pixels(case) else None, steps_per_epoch=1)
    steps = distance_of_steps(changes_of(trainee, weights, case), network, case, title_of(recipe), kept)
    assign(trainee, weights)
    logits = logits_of(trainee, inputs_of(case), training=True)
    return distances(network, {LOGITS: logits}, case.folder)[LOGITS], steps


def takes_pixels(case: Case) -> bool:
    return len(case.options["input_shape"]) == 3


def inputs_of(case: Case) -> np.ndarray:
    """Return the batch as `fit` takes it: uint8 pixels, or rows of float32."""
    return case.pixels()[0] if takes_pixels(case) else case.images()[0]


def changes_of(trainee: keras.Model, weights: Sequence[np.ndarray], case: Case) -> Changes:
    """Return the change of each weight in each step of `fit`; trained weights are put back after each step."""
    changes = []
    for labels in case.labels():
        plan = Batches(inputs_of(case), labels, batch_size=0, epochs=1, seed=case.seed)
        trainee.fit(as_fit_takes(plan), steps_per_epoch=1, epochs=1, shuffle=False, verbose=0)
        changes.append([after - before for after, before in zip(values(trainee), weights, strict=True)])
        for variable, before in zip(variables(trainee), weights, strict=True):
            if variable.trainable:
                variable.assign(before)
    return changes


def distance_of_steps(changes: Changes, network: keras.Model, case: Case, title: str, kept: int = 0) -> float:
    """Return the largest distance of a weight's change, by the Euclidean norm, from the reference in the case's folder.

    Adam and RMSprop divide a gradient by its own size, and so enlarge its rounding if it is near 0. A few weights of a
    tensor have such gradients, and count little in its norm; a tensor that has only such gradients is left out. The
    first `kept` weights must not change at all.
    """
    is_noise = np.load(case.folder / "noise.npy")
    results: list[float] = []
    for number in range(STEPS):
        references = unflat(np.load(case.folder / f"{title} {number}.npy", mmap_mode="r"), network)
        results += [np.inf for change in changes[number][:kept] if np.any(change)]
        results += [
            float(np.linalg.norm(change - reference) / np.linalg.norm(reference))
            for change, reference, noise in list(zip(changes[number], references, is_noise, strict=True))[kept:]
            if not noise
        ]
    return float(np.max(results))  # NaN if one is NaN
