"""The networks once more in torch.nn, from the papers and listings: an independent reference for those in Keras.

A twin takes (n, channels, height, width), as PyTorch does, and gives logits. It is torchvision's if torchvision has the
network. It has the file, the name and the arguments of its builder in `kerasnets.models`.
"""

import importlib
from collections.abc import Callable
from typing import Any

from torch import nn

from kerasnets.models.registry import NETWORKS


def build(name: str, **options: Any) -> nn.Module:
    """Build the twin of the network `name`, with options as in kerasnets.build."""
    form = NETWORKS[name]
    depth = [] if form.depth is None else [form.depth]
    return builder_of(name)(*depth, **form.fixed, **options)


def builder_of(name: str) -> Callable[..., nn.Module]:
    """Return the function that builds the twin of the network `name`."""
    file, function = NETWORKS[name].builder.split(".")
    return getattr(importlib.import_module(f"kerasnets.proof.twins.{file}"), function)
