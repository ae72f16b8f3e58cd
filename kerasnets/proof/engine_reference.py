"""The judge of the engines of other precision or compilation: the twin in float64, and in PyTorch's own bfloat16."""

from pathlib import Path

import numpy as np
import torch

from kerasnets.models.registry import Form
from kerasnets.proof import fit_reference, reference, twins
from kerasnets.proof.case import Reference, title_of
from kerasnets.proof.distances import assign, build_with_zeros, unflat
from kerasnets.proof.engine_distances import distance_of_all


def judge(form: Form, folder: Path) -> tuple[Reference, dict[str, float]]:
    """Save the reference values of a network in `folder`; return the Reference, and {recipe: distance in bfloat16}.

    The distance is that of the twin under PyTorch's autocast, as engine_distances.distance_of_all measures it, in the
    worse of its memory formats.
    """
    judged = reference.judge(form, folder)
    case = judged.case
    network = build_with_zeros(case)
    assign(network, unflat(np.load(folder / "weights.npy"), network))
    twin = twins.build(case.name, **case.options)
    own = {}
    for recipe in case.recipes:
        far = []
        for memory_format in (torch.contiguous_format, torch.channels_last):
            with reference.compute_in(twin.to(memory_format=memory_format), torch.float32):
                with torch.autocast("cpu", torch.bfloat16):
                    changes = fit_reference.changes_of(twin, network, case, recipe)
                far.append(distance_of_all(changes, network, case, title_of(recipe)))
        own[title_of(recipe)] = float(np.max(far))
    return judged, own
