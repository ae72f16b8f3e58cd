"""The judge of the engines of other precision or compilation: the twin in float64, and in PyTorch's own bfloat16."""

from pathlib import Path

import numpy as np
import torch

from kerasnets.models.registry import Form
from kerasnets.proof import fit_reference, reference, twins
from kerasnets.proof.case import Reference, title_of
from kerasnets.proof.distances import assign, build_with_zeros, unflat
from kerasnets.proof.engine_distances import distances_of_steps


def judge(form: Form, folder: Path) -> tuple[Reference, dict[str, list[float]]]:
    """Save the reference values of a network in `folder`; return the Reference, and {recipe: distances in bfloat16}.

    The distances are those of the twin under PyTorch's autocast, as engine_distances.distances_of_steps measures them,
    in the worse of its memory formats. Only the forward pass is under autocast, as PyTorch advises.
    """
    judged = reference.judge(form, folder)
    case = judged.case
    network = build_with_zeros(case)
    assign(network, unflat(np.load(folder / "weights.npy"), network))
    twin = twins.build(case.name, **case.options)
    twin.forward = torch.autocast("cpu", torch.bfloat16)(twin.forward)
    yardstick = {}
    for recipe in case.recipes:
        title, formats = title_of(recipe), []
        for memory_format in (torch.contiguous_format, torch.channels_last):
            with reference.compute_in(twin.to(memory_format=memory_format), torch.float32):
                changes = fit_reference.changes_of(twin, network, case, recipe)
                formats.append(distances_of_steps(changes, network, case, title))
        yardstick[title] = [float(distance) for distance in np.max(formats, axis=0)]
    return judged, yardstick
