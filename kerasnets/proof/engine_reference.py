"""The judge of the engines of other precision or compilation: the twin in float64, and in PyTorch's own bfloat16."""

import shutil
from pathlib import Path

import keras
import numpy as np
import torch
from torch import nn

from kerasnets.models.registry import Form
from kerasnets.proof import fit_reference, reference, twins
from kerasnets.proof.case import Case, Reference, title_of
from kerasnets.proof.distances import assign, build_with_zeros, flat, unflat
from kerasnets.proof.engine_distances import distances_of_steps, draws, typical
from kerasnets.recipes import Recipe


def judge(form: Form, folder: Path) -> tuple[Reference, dict[str, list[float]]]:
    """Save the reference values of a network in `folder`; return the Reference, and {recipe: distances in bfloat16}.

    The distances are those of the twin under PyTorch's autocast, as engine_distances.measure_bfloat16 measures them, in
    the worse of its memory formats. Only the forward pass is under autocast, as PyTorch advises.
    """
    judged = reference.judge(form, folder)
    case = judged.case
    network = build_with_zeros(case)
    assign(network, unflat(np.load(folder / "weights.npy"), network))
    twin = twins.build(case.name, **case.options)
    for draw in draws(case):
        draw.folder.mkdir()
        shutil.copy(folder / "noise.npy", draw.folder)
        with reference.compute_in(twin, torch.float64):
            for recipe in case.recipes:
                for number, changes in enumerate(fit_reference.changes_of(twin, network, draw, recipe)):
                    np.save(draw.folder / f"{title_of(recipe)} {number}.npy", flat(changes))
    twin.forward = torch.autocast("cpu", torch.bfloat16)(twin.forward)
    return judged, {title_of(recipe): autocast_distances(twin, network, case, recipe) for recipe in case.recipes}


def autocast_distances(twin: nn.Module, network: keras.Model, case: Case, recipe: Recipe) -> list[float]:
    formats = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        steps = []
        with reference.compute_in(twin.to(memory_format=memory_format), torch.float32):
            for draw in draws(case):
                changes = fit_reference.changes_of(twin, network, draw, recipe)
                steps += distances_of_steps(changes, network, draw, title_of(recipe))
        formats.append(typical(steps))
    return [float(distance) for distance in np.max(formats, axis=0)]
