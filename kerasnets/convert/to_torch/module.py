"""The module of a Keras model, made from its own text, and compared with the model before it is returned."""

import linecache
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasnets.convert.to_torch import head, proof
from kerasnets.convert.to_torch.source import Source
from kerasnets.convert.to_torch.translate import translate
from kerasnets.convert.weight_files import import_torch

if TYPE_CHECKING:
    import torch


def to_torch(model: keras.Model) -> "torch.nn.Module":
    """Return a Keras model as a module of plain PyTorch, in inference mode; `module.source` is its text.
    """
    torch = import_torch("a module")
    if not isinstance(model, keras.Model) or not getattr(model, "outputs", None):
        raise ValueError(f"a keras.Model from inputs to outputs is translated, not {model!r:.60}")
    network = translate(model)
    source = Source(network)
    text = source.text(head.head(model, network, source.name))
    module = run(text, source.name)
    weights = {name: torch.from_numpy(np.array(array)) for name, array in source.weights.items()}
    module.load_state_dict(weights)
    module.eval()
    proof.check(model, module, network)
    module.source = text
    return module


def run(text: str, name: str) -> Any:
    """Return an instance of the class `name` of a text, whose lines tracebacks can show."""
    filename = f"<{name} by kerasnets.to_torch {id(text)}>"
    linecache.cache[filename] = len(text), None, text.splitlines(keepends=True), filename
    namespace: dict[str, Any] = {"__name__": f"kerasnets_{name}"}
    exec(compile(text, filename, "exec"), namespace)
    return namespace[name]()
