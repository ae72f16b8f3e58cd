"""PyTorch's weights to Keras' and back: the same numbers with other names and another order of axes."""

import collections
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasnets.convert.axes import parts, to_keras
from kerasnets.convert.choice import choose
from kerasnets.convert.matching import arrays_of, check_all_used, groups_of, is_module, unwrap_module
from kerasnets.convert.matching_by_run import by_run
from kerasnets.convert.torchvision_names import torchvision_paths
from kerasnets.convert.weight_files import import_torch, in_file, read_tensors, write_tensors
from kerasnets.errors import BadInputError, shorten
from kerasnets.graph import weighted_layers

if TYPE_CHECKING:
    import torch

    from kerasnets.convert.to_torch.program import Leaf

__all__ = [
    "load_torch_weights",
    "named_arrays",
    "parts",
    "read_tensors",
    "to_keras",
    "torch_state_dict",
    "write_tensors",
]


def load_torch_weights(
    model: keras.Model,
    source: "torch.nn.Module | Mapping[str, Any] | str | Path",
    example: Any = None,
    in_order: bool = False,
) -> dict[str, str]:
    """Load PyTorch's weights into a network of the same architecture.

    The weights may lie anywhere in a checkpoint, under any prefix of a wrapper (`module.`, `model.`, `backbone.`, ...).
    If it also holds an averaged copy (EMA, SWA), the trained weights are taken, and a warning says so.

    Tensors are matched by name (ours, or torchvision's for its networks), else by shape if the match is unique; in that
    case, a Flatten is assumed to be in PyTorch's order, (channels, height, width). Every tensor is used once. The
    numbers of float16 and bfloat16 are exact; float64 is rounded to float32.

    Args:
        model: The network, from scaled pixels to logits, as `build` returns it.
        source: A torch.nn.Module, a state_dict (name -> tensor or array) or a checkpoint with one, or a file of either:
            what torch.save wrote, whatever its suffix, or .safetensors. No code in a file is run.
        example: An input of the module, float (n, channels, height, width). It is run through both networks, and layers
            are matched by their inputs, so that neither names nor the order of definition matter. The outputs of both
            must agree.
        in_order: Match tensors and layers in their order, which is the order of `torch_state_dict(model)`.

    Returns:
        {layer name: name in the source}, for `torch_state_dict`.

    Raises:
        BadInputError: The weights do not belong to the network, which keeps its old weights.
        ValueError: The arguments contradict each other.
        ImportError: The source needs PyTorch, which is not installed.

    Example:
        >>> network, other = kerasnets.build("lenet5"), kerasnets.build("lenet5")
        >>> weights = {name: tensor.numpy() for name, tensor in kerasnets.torch_state_dict(other).items()}
        >>> kerasnets.load_torch_weights(network, weights)["c1"]
        'c1'
    """
    if not isinstance(model, keras.Model) or not getattr(model, "outputs", None):  # a subclass has no outputs
        kind = "a keras.Model from inputs to outputs, as kerasnets.build gives"
        raise ValueError(f"weights are loaded into {kind}, not into {model!r:.60}")
    if example is not None and not is_module(source):
        raise ValueError("an example goes with a torch.nn.Module, which it is run through; a state_dict has no run")
    if example is not None and in_order:
        raise ValueError("in_order and an example are two ways to match tensors with layers; pass one of them")
    if isinstance(source, (str, Path)):
        with in_file(source):
            return load_torch_weights(model, read_tensors(source, in_order), in_order=in_order)
    content: Any = unwrap_module(source).state_dict() if is_module(source) else source
    layers = weighted_layers(model)
    if example is not None:
        groups = groups_of(content, model)
        matched = by_run(model, groups, unwrap_module(source), example)
        check_all_used(layers, groups, matched)
    else:
        groups, matched = choose(content, model, in_order)
    weights = [to_keras(layer, arrays_of(layer, groups, matched[layer.name])) for layer in layers]
    for layer, arrays in zip(layers, weights, strict=True):
        layer.set_weights(arrays)
    return {name: match.path for name, match in matched.items()}


def torch_state_dict(
    model: keras.Model, names: Mapping[str, str] | None = None
) -> "collections.OrderedDict[str, torch.Tensor]":
    """Return the weights of a network for `load_state_dict` of the same network in PyTorch.

    Args:
        model: The network. A dense layer after a Flatten takes its inputs in the order of PyTorch's Flatten.
        names: {layer name: name in the module}, as `load_torch_weights` returns it; by default torchvision's names for
            its networks, else the layers' names.

    Returns:
        float32 tensors by "<name>.weight", "<name>.bias", ..., in the order of the layers.

    Raises:
        BadInputError: A layer has no translation to PyTorch, or is a model of its own.
        ValueError: `names` lacks a layer.
        ImportError: PyTorch is not installed.

    Example:
        >>> state = kerasnets.torch_state_dict(kerasnets.build("lenet5"))
        >>> next(iter(state)), tuple(next(iter(state.values())).shape)
        ('c1.weight', (6, 1, 5, 5))
    """
    torch = import_torch("a state_dict of tensors")
    arrays = named_arrays(model, names)
    return collections.OrderedDict((name, torch.from_numpy(array)) for name, array in arrays.items())


def named_arrays(model: keras.Model, names: Mapping[str, str] | None = None) -> dict[str, np.ndarray]:
    """Return the content of `torch_state_dict` as NumPy arrays, without torch."""
    layers = weighted_layers(model)
    paths = names or torchvision_paths(model) or {layer.name: layer.name for layer in layers}
    lacking = [layer.name for layer in layers if layer.name not in paths]
    if lacking:
        raise ValueError(f"names lacks the layers {shorten(', '.join(lacking))}; pass what load_torch_weights returned")
    return {
        f"{paths[leaf.of]}{leaf.suffix}.{part}": np.array(array, order="C")  # a copy
        for leaf in distinct_leaves(model)
        for part, array in leaf.weights.items()
    }


def distinct_leaves(model: keras.Model) -> "list[Leaf]":
    """Return the modules of PyTorch that hold the model's weights; one that is called twice, once."""
    from kerasnets.convert.to_torch.program import leaves
    from kerasnets.convert.to_torch.translate import translate

    for layer in weighted_layers(model):
        if isinstance(layer, keras.Model):
            problem = f"layer {shorten(layer.name)!r} is a model of its own, with names that can collide"
            raise BadInputError(problem, remedy="use kerasnets.to_torch(model).state_dict()")
    return list({id(leaf): leaf for leaf in leaves(translate(model)) if leaf.weights}.values())
