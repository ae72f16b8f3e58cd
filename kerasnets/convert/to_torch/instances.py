"""A text made into a module."""

import itertools
import linecache
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasnets.convert.to_torch.program import Block
from kerasnets.convert.to_torch.source import Source

NUMBERS = itertools.count(1)  # of the texts of this process, for tracebacks


def instantiate(network: Block) -> Any:
    """Return the module of a network, without a proof."""
    source = Source(network)
    return instance(source.text(""), source.name, source.weights)


def instance(text: str, name: str, weights: Mapping[str, np.ndarray]) -> Any:
    """Return the module of the class `name` of a text, whose lines tracebacks and `inspect` can show."""
    import torch

    filename = f"<{name} by kerasnets.to_torch {next(NUMBERS)}>"
    linecache.cache[filename] = len(text), None, text.splitlines(keepends=True), filename
    namespace: dict[str, Any] = {"__name__": f"kerasnets_{name}"}
    exec(compile(text, filename, "exec"), namespace)
    module = namespace[name]()
    tensors = {path: torch.from_numpy(np.array(array, order="C")) for path, array in weights.items()}
    module.load_state_dict(tensors, assign=True)
    return module.eval()
