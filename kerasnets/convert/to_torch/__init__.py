"""A Keras model as a module of plain PyTorch, and as the text of it."""

from kerasnets.convert.to_torch.module import to_torch

__all__ = ["to_torch"]
