"""A network of PyTorch as a plain functional Keras model, proven to give the same numbers."""

from kerasnets.runtime.chosen import BACKEND as BACKEND

from kerasnets.convert.from_torch.conversion import from_torch

__all__ = ["from_torch"]
