"""How far the engines of other precision or compilation are from the judge's values, on this process' backend."""

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np

from kerasnets.graph import variables
from kerasnets.proof import fit_distances
from kerasnets.proof.case import SCALING, STEPS, Case, title_of
from kerasnets.proof.distances import assign, build_with_zeros, release_memory, unflat
from kerasnets.proof.engines import DRAWS
from kerasnets.proof.fit_distances import Changes
from kerasnets.recipes import Recipe
from kerasnets.training.trainee import trainee_of


def measure_compiled(case: Case) -> dict[str, list[float]]:
    """Return {recipe: [distance of the steps]} of the trainee whose step is one compiled program, in float32."""
    recipes = tuple(dataclasses.replace(recipe, compiled=True) for recipe in case.recipes)
    distances = fit_distances.measure(dataclasses.replace(case, recipes=recipes, freezes=False))
    return {title: [distances[title]] for title in map(title_of, recipes)}


def measure_bfloat16(case: Case) -> dict[str, list[float]]:
    """Return {recipe: `typical` distances} of the trainee in mixed_bfloat16, over the draws of `case`."""
    release_memory()
    return {title_of(recipe): bfloat16_distances(case, recipe) for recipe in case.recipes}


def bfloat16_distances(case: Case, recipe: Recipe) -> list[float]:
    network = build_with_zeros(case)
    weights = unflat(np.load(case.folder / "weights.npy", mmap_mode="r"), network)
    assign(network, weights)
    scaling = SCALING if fit_distances.takes_pixels(case) else None
    half = dataclasses.replace(recipe, precision="mixed_bfloat16")
    trainee = trainee_of(network, half, scaling, steps_per_epoch=1)
    optimizer = trainee.optimizer
    if not optimizer.built:
        optimizer.build(trainee.trainable_variables)
    fresh = list(map(keras.ops.convert_to_numpy, optimizer.variables))
    steps = []
    for draw in draws(case):  # one trainee: on TensorFlow and JAX another would compile its step again
        assign(trainee, weights)
        for variable, value in zip(optimizer.variables, fresh, strict=True):
            variable.assign(value)
        steps += distances_of_steps(fit_distances.changes_of(trainee, weights, draw), network, draw, title_of(recipe))
    return typical(steps)


def draws(case: Case) -> list[Case]:
    """Return the case with other pictures and labels, DRAWS times; the reference values of each have a folder."""
    return [
        dataclasses.replace(case, seed=case.seed + number, folder=case.folder / f"draw {number}")
        for number in range(DRAWS)
    ]


def distances_of_steps(changes: Changes, network: keras.Model, case: Case, title: str) -> list[list[float]]:
    """Return for each step the distance of all trained weights' changes together, then that of each.

    A distance is the Euclidean norm of the difference from the reference, divided by the norm of the reference. A
    weight that has no gradient but rounding is left out, and so is a moving statistic, which moves much further than
    a weight.
    """
    is_noise = np.load(case.folder / "noise.npy")
    is_trained = [
        variable.trainable and not noise for variable, noise in zip(variables(network), is_noise, strict=True)
    ]
    steps = []
    for number in range(STEPS):
        references = unflat(np.load(case.folder / f"{title} {number}.npy", mmap_mode="r"), network)
        pairs = [pair for *pair, trained in zip(changes[number], references, is_trained, strict=True) if trained]
        far = np.array([np.linalg.norm(change - reference) for change, reference in pairs])
        size = np.array([np.linalg.norm(reference) for _, reference in pairs])
        steps.append([float(np.linalg.norm(far) / np.linalg.norm(size)), *map(float, far / size)])
    return steps


def typical(steps: Sequence[Sequence[float]]) -> list[float]:
    """Return the median over steps of each distance; NaN if one is infinite or NaN.

    In bfloat16 the distance of one step is a matter of chance: PyTorch's own of eight draws of lenet5_sigmoid were from
    0.022 to 0.079, and JAX's from 0.42 to 1.59 times those. If an input of a ReLU moves across 0, which happens in one
    draw of some, a step of fc2layer is 0.46 away, and else 0.003.
    """
    finite = np.isfinite(steps).all(axis=0)
    return [float(each) for each in np.where(finite, np.median(np.nan_to_num(steps), axis=0), np.nan)]
