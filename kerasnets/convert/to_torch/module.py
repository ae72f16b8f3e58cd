"""The module of a Keras model, made from its own text, and compared with the model before it is returned."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from kerasnets import saving
from kerasnets.convert.to_torch import proof
from kerasnets.convert.to_torch.blocks import with_blocks
from kerasnets.convert.to_torch.head import head
from kerasnets.convert.to_torch.instances import instance
from kerasnets.convert.to_torch.source import Source
from kerasnets.convert.to_torch.translate import translate
from kerasnets.convert.weight_files import import_torch
from kerasnets.errors import name_path
from kerasnets.runtime import backends

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Translation:
    """A Keras model in PyTorch: its module, the text of its class, its weights by their names in the module, and the
    largest difference of its outputs from Keras', as a share of their scale.
    """

    module: "torch.nn.Module"
    text: str
    weights: dict[str, np.ndarray]
    difference: float


def to_torch(model: keras.Model | str | Path) -> "torch.nn.Module":
    """Return a Keras model as a module of plain PyTorch, with equal weights, proven to give equal outputs.

    The module is made from a text that a person could have written, which needs neither Keras nor kerasnets:
    `module.source`. Its layers have Keras' names; parts that repeat are classes. Pictures go in as PyTorch has them,
    float32 (n, channels, height, width), in the range that the Keras model takes; other inputs keep their axes. In
    training mode, dropout and batch norm train as in Keras (the running variance of PyTorch alone is unbiased).

    Args:
        model: A model with a graph, functional or Sequential, on any backend. Sizes of pictures that it leaves open are
            taken for 64 in the proof. Or a .keras or .h5 file, or the name of a shipped model, as `load` takes it.

    Returns:
        The module in inference mode.

    Raises:
        BadInputError: A layer has no translation, which the message names; or an output differs by more than 2e-5 of
            its scale; or the file is missing or damaged.
        ValueError: `model` is no keras.Model with a graph.
        ImportError: PyTorch is not installed.

    Example:
        >>> import torch
        >>> module = kerasnets.to_torch(kerasnets.build("lenet5"))
        >>> module.c1
        Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))
        >>> module(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
        >>> module.source.splitlines()[-1].strip()
        'return self.logits(x)'
    """
    if not isinstance(model, (str, Path)):
        return translate_model(model).module
    network, card = saving.load(model)
    with name_path(model):
        return translate_model(network, class_names=card.class_names).module


def translate_model(model: keras.Model, weights_file: str = "", class_names: Sequence[str] = ()) -> Translation:
    """Return the module of a Keras model with its text, which names the file of weights and the classes."""
    backends.admit("torch", "torchvision")
    import_torch("a module of PyTorch")
    if not isinstance(model, keras.Model) or not getattr(model, "outputs", None):
        raise ValueError(f"a keras.Model from inputs to outputs, or its file, is translated, not {model!r:.60}")
    network = translate(model)
    source = Source(with_blocks(network))
    text = source.text(head(model, network, source.name, weights_file), class_names)
    module = instance(text, source.name, source.weights)
    difference = proof.check(model, module, network)
    module.source = text
    return Translation(module, text, source.weights, difference)
