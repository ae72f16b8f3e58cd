"""How far the engines of other precision or compilation are from the judge's values, on this process' backend."""

import dataclasses

import keras
import numpy as np

from kerasnets.proof import fit_distances
from kerasnets.proof.case import SCALING, STEPS, Case, title_of
from kerasnets.proof.distances import assign, build_with_zeros, release_memory, unflat
from kerasnets.proof.fit_distances import Changes
from kerasnets.training.trainee import trainee_of


def measure_compiled(case: Case) -> dict[str, float]:
    """Return {recipe: distance of the steps} of the trainee whose step is one compiled program, in float32."""
    recipes = tuple(dataclasses.replace(recipe, compiled=True) for recipe in case.recipes)
    return fit_distances.measure(dataclasses.replace(case, recipes=recipes, freezes=False))


def measure_bfloat16(case: Case) -> dict[str, float]:
    """Return {recipe: distance of all weights' steps together} of the trainee in mixed_bfloat16."""
    release_memory()
    return {title_of(recipe): bfloat16_steps(case, number) for number, recipe in enumerate(case.recipes)}


def bfloat16_steps(case: Case, number: int) -> float:
    recipe = dataclasses.replace(case.recipes[number], precision="mixed_bfloat16")
    network = build_with_zeros(case)
    weights = unflat(np.load(case.folder / "weights.npy", mmap_mode="r"), network)
    assign(network, weights)
    scaling = SCALING if fit_distances.takes_pixels(case) else None
    trainee = trainee_of(network, recipe, scaling, steps_per_epoch=1)
    return distance_of_all(fit_distances.changes_of(trainee, weights, case), network, case, title_of(recipe))


def distance_of_all(changes: Changes, network: keras.Model, case: Case, title: str) -> float:
    """Return the Euclidean distance of all weights' changes together, over the norm of the reference: the worst step.

    In bfloat16, inputs of ReLUs move across 0 whatever the margins, and a tensor of few weights jumps, in PyTorch as
    here. Over all weights these jumps average out. A weight that has no gradient but rounding is left out.
    """
    is_noise = np.load(case.folder / "noise.npy")
    far = []
    for number in range(STEPS):
        references = unflat(np.load(case.folder / f"{title} {number}.npy", mmap_mode="r"), network)
        pairs = [pair for *pair, noise in zip(changes[number], references, is_noise, strict=True) if not noise]
        distances = [np.linalg.norm(change - reference) for change, reference in pairs]
        far.append(np.linalg.norm(distances) / np.linalg.norm([np.linalg.norm(reference) for _, reference in pairs]))
    return float(np.max(far))  # NaN if one is NaN
