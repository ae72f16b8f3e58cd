"""PyTorch's tensors matched with layers by name, order or shape, or the reason why they cannot be."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kerasnets.convert.axes import flattened_shape, shapes
from kerasnets.convert.torchvision_names import torchvision_paths
from kerasnets.errors import BadInputError
from kerasnets.graph import weighted_layers

Group = dict[str, Any]  # part -> tensor of one layer: "weight", "bias", ...
Groups = dict[str, Group]  # path in the module -> group
Shapes = dict[str, tuple[int, ...]]  # part -> shape

COUNTER = "num_batches_tracked"  # of batch norm in PyTorch: the batches of its training. Keras has no such weight
WRAPPERS_OF_MODULES = {"DataParallel": "module", "DistributedDataParallel": "module", "OptimizedModule": "_orig_mod"}
COUNTERS = ("int64", "int32", "int16", "bool")  # of metrics, positions and averages, which are no weights
LOSSES = re.compile(r"(^|\.)(criterion|loss\w*|\w*_loss|\w*metrics?|(\w*_)?acc(uracy)?)\.", re.IGNORECASE)
AUXILIARY = ("aux1.", "aux2.", "aux1_", "aux2_")  # GoogLeNet's heads for training, which a network may lack
FLOATS = ("float32", "float16", "bfloat16", "float64")
LARGEST = 1e10  # far above any weight or variance; most flipped bits of an exponent exceed it
REMEDY = "pass the module with an example input, or in_order=True (--in-order) if they stand in the network's order"


# ---- tensors by name -------------------------------------------------------------------------------------------------


def is_module(source: object) -> bool:
    """Whether `source` is a torch.nn.Module, without importing torch: there is none before torch is imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(source, torch.nn.Module)


def unwrap_module(module: Any) -> Any:
    """Return the module inside torch.compile's and DataParallel's wrappers."""
    while type(module).__name__ in WRAPPERS_OF_MODULES:
        module = getattr(module, WRAPPERS_OF_MODULES[type(module).__name__])
    return module


def groups_of(tensors: Mapping[str, Any], model: keras.Model) -> Groups:
    """Return {path: {part: tensor}} of a state_dict, without counters, losses and heads that `model` lacks."""
    with_heads = any(layer.name.startswith("aux") for layer in model.layers)
    skipped = AUXILIARY if model.name.startswith("googlenet") and not with_heads else ()
    groups: Groups = {}
    for name, tensor in tensors.items():
        path, _, part = name.rpartition(".")
        if part == COUNTER or name.startswith(skipped) or LOSSES.search(name) or getattr(tensor, "shape", None) == ():
            continue
        groups.setdefault(path, {})[part] = tensor
    groups = {path: group for path, group in groups.items() if not all(map(is_counter, group.values()))}
    for path, group in groups.items():
        for part, tensor in group.items():
            check_tensor(f"{path}.{part}".removeprefix("."), tensor)
    if not groups:
        raise BadInputError("there are no weights in it", remedy="pass the state_dict of a trained module")
    return groups


def is_counter(tensor: Any) -> bool:
    return str(getattr(tensor, "dtype", "")).removeprefix("torch.") in COUNTERS


def check_tensor(name: str, tensor: Any) -> None:
    """Raise BadInputError if a value cannot be a weight, by its type and dtype."""
    if not hasattr(tensor, "shape") or not hasattr(tensor, "dtype"):
        problem = f"{name} is a {type(tensor).__name__}, not a tensor"
        raise BadInputError(problem, remedy="save model.state_dict() alone")
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype not in FLOATS:
        problem = (
            f"{name} is {dtype} {tuple(tensor.shape)}; weights are {', '.join(FLOATS)}: save them before quantizing"
        )
        raise BadInputError(problem)
    if str(getattr(tensor, "layout", "torch.strided")) != "torch.strided" or getattr(tensor, "is_meta", False):
        problem = f"{name} is sparse or without numbers"
        raise BadInputError(problem, remedy="save an ordinary tensor (to_dense())")


def to_array(name: str, tensor: Any) -> np.ndarray:
    """Return a tensor as a float32 array; raise BadInputError if its numbers cannot be weights."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu().resolve_neg().float().numpy()
    with np.errstate(over="ignore"):
        array = np.asarray(tensor).astype("float32", copy=False)
    if not np.isfinite(array).all():
        problem = f"{name} {array.shape} holds NaN or infinite numbers"
        raise BadInputError(problem, remedy="train it again, or copy it again")
    if array.size and np.abs(array).max() > LARGEST:
        problem = f"{name} {array.shape} holds {np.abs(array).max():.1e}: it is damaged"
        raise BadInputError(problem, remedy="copy it again")
    if name.endswith("running_var") and array.size and array.min() < 0:
        problem = f"{name} {array.shape} holds a negative variance: it is damaged"
        raise BadInputError(problem, remedy="copy it again")
    return array


def arrays_of(layer: keras.Layer, groups: Groups, match: "Match") -> dict[str, np.ndarray]:
    """Return the tensors of one layer as arrays, the columns of a dense one by (channels, height, width)."""
    arrays = {part: to_array(f"{match.path}.{part}", tensor) for part, tensor in groups[match.path].items()}
    if match.as_keras_flattens:
        height, width, channels = flattened_shape(layer) or (1, 1, -1)
        weight = arrays["weight"].reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
        arrays["weight"] = weight.reshape(len(weight), -1)
    return arrays


# ---- matching --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Match:
    """The tensors of a layer: their path, and whether a dense layer's columns are by (height, width, channels)."""

    path: str
    as_keras_flattens: bool = False


Matches = dict[str, Match]  # layer name -> match


def namings(network: keras.Model) -> list[dict[str, str]]:
    """Return {layer name: path} for each naming of the network: ours, and torchvision's if it has the network."""
    own = {layer.name: layer.name for layer in weighted_layers(network)}
    return [own, *filter(None, [torchvision_paths(network)])]


def resolve(path: str, groups: Groups) -> str | None:
    """Return the path of a group: `path`, or the only one below it, as a head's in Sequential(Dropout, Linear)."""
    below = [path] if path in groups else [each for each in groups if each.startswith(f"{path}.")]
    return below[0] if len(below) == 1 else None


def by_name(network: keras.Model, groups: Groups) -> Matches | None:
    """Match by our names or torchvision's, the layers of other names by shape; None if most paths are neither.

    Raises:
        BadInputError: The layers of other names do not fit, or could be swapped.
    """
    layers = weighted_layers(network)
    for paths in namings(network):
        matched = {name: Match(path) for name in paths if (path := resolve(paths[name], groups)) is not None}
        if len(matched) == len(layers):
            return matched
        if 2 * len(matched) > len(layers):
            used = {match.path for match in matched.values()}
            left = {path: group for path, group in groups.items() if path not in used}
            absent = [layer for layer in layers if layer.name not in matched]
            return matched | by_shape(absent, left)
    return None


def by_order(layers: Sequence[keras.Layer], groups: Groups) -> Matches:
    """Match layers and tensors in their order."""
    return {layer.name: Match(path) for layer, path in zip(layers, groups, strict=False)}


def by_shape(layers: Sequence[keras.Layer], groups: Groups) -> Matches:
    """Match by shape; raise BadInputError if the shapes leave a choice, or do not fit."""
    candidates = {
        layer.name: [path for path, group in groups.items() if shapes_of(group) == shapes(layer)] for layer in layers
    }
    candidate_paths = {path for paths in candidates.values() for path in paths}
    left = {path: group for path, group in groups.items() if path not in candidate_paths}
    for layer in layers:
        rivals = [name for name in candidates if candidates[name] == candidates[layer.name]]
        if len(rivals) > len(candidates[layer.name]):
            raise misfit(layers, layer, left)
    for layer in layers:
        if len(candidates[layer.name]) > 1:
            first, second = candidates[layer.name][:2]
            problem = f"{first} and {second} have one shape, {text(shapes(layer))}, and could be swapped unnoticed"
            raise BadInputError(problem, remedy=REMEDY)
    return {name: Match(path) for name, [path] in candidates.items()}


def shapes_of(group: Group) -> Shapes:
    return {part: tuple(tensor.shape) for part, tensor in group.items()}


def text(shapes: Shapes) -> str:
    return ", ".join(f"{part} {shape}" for part, shape in shapes.items())


def misfit(layers: Sequence[keras.Layer], layer: keras.Layer, left: Groups) -> BadInputError:
    """Return the BadInputError that tells why no group in `left` fits `layer`."""
    expected = shapes(layer)
    for path, group in left.items():
        if main_shape(shapes_of(group)) == main_shape(expected):
            return BadInputError(misfit_of_parts(layer, path, group))
    for path, group in left.items():
        wrong = misfit_of_classes(layers, layer, path, group)
        if wrong:
            return BadInputError(wrong)
    listed = "; ".join(f"{path}: {text(shapes_of(group))}" for path, group in list(left.items())[:3])
    problem = f"no tensors fit the layer {layer.name}, which takes {text(expected)}; left are {listed or 'none'}"
    return BadInputError(problem)


def main_shape(shapes: Shapes) -> tuple[int, ...] | None:
    """Return the shape that identifies a layer: its kernel's, or its means' for batch norm."""
    return shapes.get("running_mean") or shapes.get("weight")


def misfit_of_parts(layer: keras.Layer, path: str, group: Group) -> str:
    """Return the fault of the tensors at `path`, which belong to `layer`; "" if there is none."""
    expected, actual = shapes(layer), shapes_of(group)
    for part in expected:
        if part not in actual:
            return f"{path}.{part} {expected[part]} is missing, which the layer {layer.name} takes"
        if actual[part] != expected[part]:
            remedy = ""
            if len(expected[part]) == 2 and actual[part][:1] == expected[part][:1] and flattened_shape(layer):
                remedy = "; build the network with the input_shape that they were trained on"
            return f"{path}.{part} is {actual[part]}, expected {expected[part]} of the layer {layer.name}{remedy}"
    for part in actual:
        if part not in expected:
            return (
                f"{path}.{part} {actual[part]} has no place: the layer {layer.name} takes {', '.join(expected)} alone"
            )
    return ""


def misfit_of_classes(layers: Sequence[keras.Layer], layer: keras.Layer, path: str, group: Group) -> str:
    """Return the fault if the tensors at `path` suit `layer` except for the number of classes; else ""."""
    expected, actual = shapes(layer), shapes_of(group)
    is_head = layer is layers[-1] or layer.name.endswith("logits")
    if not is_head or set(actual) != set(expected) or actual == expected:
        return ""
    if actual["weight"][1:] != expected["weight"][1:]:
        return ""
    classes = actual["weight"][0]
    return (
        f"{path}.weight is {actual['weight']}, of {classes} classes; the network has {expected['weight'][0]}: "
        f"build it with num_classes={classes} (--num-classes {classes})"
    )


def check_all_used(layers: Sequence[keras.Layer], groups: Groups, matched: Matches) -> None:
    """Raise BadInputError unless every layer has tensors of its shapes, and every tensor a layer."""
    for layer in layers:
        path = matched[layer.name].path if layer.name in matched else None
        if path is None or path not in groups:
            expected = ", ".join(f"{path or layer.name}.{part} {shape}" for part, shape in shapes(layer).items())
            raise BadInputError(f"the tensors of the layer {layer.name} are missing: expected {expected}")
        wrong = misfit_of_classes(layers, layer, path, groups[path]) or misfit_of_parts(layer, path, groups[path])
        if wrong:
            raise BadInputError(wrong)
    used = {match.path for match in matched.values()}
    for path, group in groups.items():
        if path not in used:
            unused = ", ".join(f"{path}.{part} {shape}" for part, shape in shapes_of(group).items())
            count = f"the network has {len(layers)} layers with weights, not {len(groups)}"
            raise BadInputError(f"no layer is left for {unused}: {count}")
