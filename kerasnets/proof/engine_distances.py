"""How far the engines of other precision or compilation are from the judge's values, on this process' backend."""

import dataclasses

import keras
import numpy as np

from kerasnets.graph import variables
from kerasnets.proof import fit_distances
from kerasnets.proof.case import SCALING, STEPS, Case, title_of
from kerasnets.proof.distances import assign, build_with_zeros, release_memory, unflat
from kerasnets.proof.fit_distances import Changes
from kerasnets.training.trainee import trainee_of


def measure_compiled(case: Case) -> dict[str, list[float]]:
    """Return {recipe: [distance of the steps]} of the trainee whose step is one compiled program, in float32."""
    recipes = tuple(dataclasses.replace(recipe, compiled=True) for recipe in case.recipes)
    distances = fit_distances.measure(dataclasses.replace(case, recipes=recipes, freezes=False))
    return {title: [distances[title]] for title in map(title_of, recipes)}


def measure_bfloat16(case: Case) -> dict[str, list[float]]:
    """Return {recipe: `distances_of_steps`} of the trainee in mixed_bfloat16."""
    release_memory()
    return {title_of(recipe): bfloat16_steps(case, number) for number, recipe in enumerate(case.recipes)}


def bfloat16_steps(case: Case, number: int) -> list[float]:
    recipe = dataclasses.replace(case.recipes[number], precision="mixed_bfloat16")
    network = build_with_zeros(case)
    weights = unflat(np.load(case.folder / "weights.npy", mmap_mode="r"), network)
    assign(network, weights)
    scaling = SCALING if fit_distances.takes_pixels(case) else None
    trainee = trainee_of(network, recipe, scaling, steps_per_epoch=1)
    return distances_of_steps(fit_distances.changes_of(trainee, weights, case), network, case, title_of(recipe))


def distances_of_steps(changes: Changes, network: keras.Model, case: Case, title: str) -> list[float]:
    """Return the distance of all trained weights' changes together, then that of each; the worst of the steps.

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
        steps.append([np.linalg.norm(far) / np.linalg.norm(size), *(far / size)])
    return [float(distance) for distance in np.max(steps, axis=0)]  # NaN if one is NaN
