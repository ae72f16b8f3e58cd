"""PyTorch's weights and Keras', both ways: the same numbers under other names and in another order of axes.

torch is imported only here and in the modules that compare with it, and only where a file or a module of torch is read.
"""

import collections
from pathlib import Path

import keras
import numpy as np

from kerasnets.convert.axes import parts, to_keras, to_torch
from kerasnets.convert.matching import (
    COUNTER,
    arrays_of,
    by_name,
    by_order,
    by_shape,
    check_all_used,
    grouped,
    is_module,
    unwrapped_module,
)
from kerasnets.convert.matching_by_run import by_run
from kerasnets.convert.torchvision_names import torchvision_paths
from kerasnets.convert.weight_files import blaming, import_torch, read_tensors, write_tensors
from kerasnets.errors import shorten
from kerasnets.graph import weighted_layers

__all__ = [
    "load_torch_weights",
    "named_arrays",
    "parts",
    "read_tensors",
    "to_keras",
    "to_torch",
    "torch_state_dict",
    "write_tensors",
]


def load_torch_weights(model, source, example=None, in_order=False):
    """Give `model` the weights of `source`, and return {layer name: name in the source}.

    source: a torch.nn.Module, a state_dict (name -> tensor or array), or a file (.pth, .pt, .safetensors).
    example: what the module takes, float (n, channels, height, width). Its run is followed from layer to layer, so
        that neither names nor the order of definition matter, and the outputs of both must agree.
    in_order: take the tensors in their order for the layers in theirs: that of the docstring, where branches run side
        by side, and of `torch_state_dict(model)`.
    Without either, tensors are matched by name (ours, or torchvision's for its networks), else by shape where that
    leaves no choice. A Flatten is then taken as PyTorch's, of (channels, height, width). Every tensor is used once.
    From float16 and bfloat16 the numbers are exact; float64 is rounded.
    Raises BadInputError where weights and network do not belong together; `model` is then as it was.
    """
    if not isinstance(model, keras.Model) or not getattr(model, "outputs", None):  # of a class of one's own
        words = "a keras.Model from inputs to outputs, as kerasnets.build gives"
        raise ValueError(f"weights are loaded into {words}, not into {model!r:.60}")
    if example is not None and not is_module(source):
        raise ValueError("an example goes with a torch.nn.Module, which it is run through; a state_dict has no run")
    if example is not None and in_order:
        raise ValueError("in_order and an example are two ways to tell what belongs where; pass one of them")
    if isinstance(source, (str, Path)):
        with blaming(source):
            return load_torch_weights(model, read_tensors(source, in_order), in_order=in_order)
    if is_module(source):
        source = unwrapped_module(source)
    groups = grouped(source, model)
    layers = weighted_layers(model)
    if example is not None:
        matched = by_run(model, groups, source, example)
    elif in_order:
        matched = by_order(layers, groups)
    else:
        matched = by_name(model, groups) or by_shape(layers, groups)
    check_all_used(layers, groups, matched)
    weights = [to_keras(layer, arrays_of(layer, groups, matched[layer.name])) for layer in layers]
    for layer, arrays in zip(layers, weights, strict=True):
        layer.set_weights(arrays)
    return {name: match.path for name, match in matched.items()}


def torch_state_dict(model, names=None):
    """The weights of `model` as an OrderedDict of torch tensors, for `load_state_dict` of the same network in PyTorch.

    names: {layer name: name in the module}, as `load_torch_weights` returns; without it, torchvision's own for its
        networks, else those of the layers. Keys are "<name>.weight" and so on, in the order of the layers.
    A dense layer after a Flatten takes its inputs as PyTorch flattens them.
    Raises ValueError where `names` lacks a layer.
    """
    torch = import_torch("a state_dict of tensors")
    arrays = named_arrays(model, names)
    return collections.OrderedDict((name, torch.from_numpy(array)) for name, array in arrays.items())


def named_arrays(model, names=None):
    """What `torch_state_dict` gives, as NumPy arrays."""
    layers = weighted_layers(model)
    paths = names or torchvision_paths(model) or {layer.name: layer.name for layer in layers}
    lacking = [layer.name for layer in layers if layer.name not in paths]
    if lacking:
        raise ValueError(f"names lacks the layers {shorten(', '.join(lacking))}; pass what load_torch_weights returned")
    arrays = {}
    for layer in layers:
        for part, array in to_torch(layer).items():
            arrays[f"{paths[layer.name]}.{part}"] = np.array(array, order="C")  # memory of its own
        if isinstance(layer, keras.layers.BatchNormalization):
            arrays[f"{paths[layer.name]}.{COUNTER}"] = np.array(0)
    return arrays
