"""PyTorch's weights and Keras', both ways: the same numbers under other names and in another order of axes.

torch is imported only here and in the modules that compare with it, and only where a file or a module of torch is read.
"""

from kerasnets.runtime.chosen import BACKEND as BACKEND

from kerasnets.convert.axes import parts, to_keras, to_torch
from kerasnets.convert.state_dict import load_torch_weights, named_arrays, torch_state_dict
from kerasnets.convert.weight_files import read_tensors, write_tensors

__all__ = ["load_torch_weights", "named_arrays", "parts", "read_tensors", "to_keras", "to_torch", "torch_state_dict",
           "write_tensors"]  # fmt: skip
