"""PyTorch's weights to Keras' and back: the same numbers with other names and another order of axes.

torch is imported only for a file or a module of torch.
"""

from kerasnets.runtime.chosen import BACKEND as BACKEND

from kerasnets.convert.axes import parts, to_keras
from kerasnets.convert.state_dict import load_torch_weights, named_arrays, torch_state_dict
from kerasnets.convert.weight_files import read_tensors, write_tensors

__all__ = ["load_torch_weights", "named_arrays", "parts", "read_tensors", "to_keras", "torch_state_dict",
           "write_tensors"]  # fmt: skip
