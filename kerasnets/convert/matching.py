"""Which tensors of PyTorch belong to which layer, by name, order or shape; or words for why there is no telling."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kerasnets.convert.axes import flattened_shape, shapes
from kerasnets.convert.torchvision_names import torchvision_paths
from kerasnets.errors import BadInputError, shorten
from kerasnets.graph import weighted_layers

COUNTER = "num_batches_tracked"  # of batch norm in PyTorch: how many it was trained on. Keras has no such weight
WRAPPERS = ("state_dict", "model_state_dict", "model", "net")  # under which checkpoints hold the state_dict
WRAPPERS_OF_MODULES = {"DataParallel": "module", "DistributedDataParallel": "module", "OptimizedModule": "_orig_mod"}
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and torch.compile
AUXILIARY = ("aux1.", "aux2.", "aux1_", "aux2_")  # GoogLeNet's heads for training, which a network may be built without
FLOATS = ("float32", "float16", "bfloat16", "float64")
LARGEST = 1e10  # no weight and no variance comes near; a flipped bit in an exponent goes beyond, mostly
REMEDY = "pass the module with an example input, or in_order=True (--in-order) if they stand in the network's order"


# ---- tensors by name -------------------------------------------------------------------------------------------------


def is_module(source):
    """Whether `source` is a torch.nn.Module; nobody has one where torch is not imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(source, torch.nn.Module)


def unwrapped_module(module):
    """The module inside of torch.compile's and DataParallel's."""
    while type(module).__name__ in WRAPPERS_OF_MODULES:
        module = getattr(module, WRAPPERS_OF_MODULES[type(module).__name__])
    return module


def grouped(source, model):
    """{path: {part: tensor}} of a module or a state_dict, without heads that `model` has not."""
    tensors = source.state_dict() if is_module(source) else unwrapped(source)
    with_heads = any(layer.name.startswith("aux") for layer in model.layers)
    skipped = AUXILIARY if model.name.startswith("googlenet") and not with_heads else ()
    groups = {}
    for name, tensor in tensors.items():
        path, _, part = name.rpartition(".")
        if part == COUNTER or name.startswith(skipped):
            continue
        check_tensor(name, tensor)
        groups.setdefault(path, {})[part] = tensor
    if not groups:
        raise BadInputError("there are no weights in it; pass the state_dict of a trained module")
    return groups


def unwrapped(content):
    """The state_dict in what a training saved, under names without the prefixes of wrappers."""
    if not isinstance(content, Mapping):
        raise BadInputError(f"there is a {type(content).__name__} in it, not a state_dict; save model.state_dict()")
    for wrapper in WRAPPERS:
        content = content[wrapper] if isinstance(content.get(wrapper), Mapping) else content
    for name in content:
        if not isinstance(name, str):
            raise BadInputError(f"it has {shorten(repr(name))} for a tensor's name; save model.state_dict()")
    while content and (prefix := next((p for p in PREFIXES if all(name.startswith(p) for name in content)), None)):
        content = {name.removeprefix(prefix): tensor for name, tensor in content.items()}
    # as torchvision does with DenseNet's published weights, which are older than its names
    return {re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)", r"\1\2", name): content[name] for name in content}


def check_tensor(name, tensor):
    """Refuse what cannot be a weight, by its type alone."""
    if not hasattr(tensor, "shape") or not hasattr(tensor, "dtype"):
        raise BadInputError(f"{name} is a {type(tensor).__name__}, not a tensor; save model.state_dict() alone")
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype not in FLOATS:
        raise BadInputError(
            f"{name} is {dtype} {tuple(tensor.shape)}; weights are {', '.join(FLOATS)}: save them before quantizing"
        )
    if str(getattr(tensor, "layout", "torch.strided")) != "torch.strided" or getattr(tensor, "is_meta", False):
        raise BadInputError(f"{name} is sparse or without numbers; save an ordinary tensor (to_dense())")


def numbers(name, tensor):
    """A tensor as a float32 array of finite numbers."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu().float().numpy()
    with np.errstate(over="ignore"):
        array = np.asarray(tensor).astype("float32", copy=False)
    if not np.isfinite(array).all():
        raise BadInputError(f"{name} {array.shape} holds NaN or infinite numbers; train it again, or copy it again")
    if array.size and np.abs(array).max() > LARGEST:
        raise BadInputError(f"{name} {array.shape} holds {np.abs(array).max():.1e}: it is damaged; copy it again")
    if name.endswith("running_var") and array.size and array.min() < 0:
        raise BadInputError(f"{name} {array.shape} holds a negative variance: it is damaged; copy it again")
    return array


def arrays_of(layer, groups, match):
    """The tensors of one layer as arrays, the columns of a dense one by (channels, height, width)."""
    arrays = {part: numbers(f"{match.path}.{part}", tensor) for part, tensor in groups[match.path].items()}
    if match.as_keras_flattens:
        height, width, channels = flattened_shape(layer)
        weight = arrays["weight"].reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
        arrays["weight"] = weight.reshape(len(weight), -1)
    return arrays


# ---- matching --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Match:
    """Where the tensors of a layer are. as_keras_flattens: a dense one's columns are by (height, width, channels)."""

    path: str
    as_keras_flattens: bool = False


def by_name(network, groups):
    """{layer name: Match} where the paths are ours or torchvision's, else None."""
    names = [layer.name for layer in weighted_layers(network)]
    if set(groups) == set(names):
        return {name: Match(name) for name in names}
    theirs = torchvision_paths(network) or {}
    if 2 * len(set(theirs.values()) & set(groups)) > len(names):  # theirs, whatever may be wrong with it
        return {name: Match(path) for name, path in theirs.items()}
    return None


def by_order(layers, groups):
    """{layer name: Match} of layers and tensors in their order."""
    return {layer.name: Match(path) for layer, path in zip(layers, groups, strict=False)}


def by_shape(layers, groups):
    """{layer name: Match} where the shapes leave no choice; BadInputError where they do, or do not fit."""
    fitting = {
        layer.name: [path for path, group in groups.items() if shapes_of(group) == shapes(layer)] for layer in layers
    }
    taken = {path for paths in fitting.values() for path in paths}
    left = {path: group for path, group in groups.items() if path not in taken}
    for layer in layers:
        rivals = [name for name in fitting if fitting[name] == fitting[layer.name]]
        if len(rivals) > len(fitting[layer.name]):
            raise misfit(layers, layer, left)
    for layer in layers:
        if len(fitting[layer.name]) > 1:
            first, second = fitting[layer.name][:2]
            raise BadInputError(
                f"{first} and {second} have one shape, {text(shapes(layer))}, and could be swapped unnoticed; {REMEDY}"
            )
    return {name: Match(path) for name, [path] in fitting.items()}


def shapes_of(group):
    return {part: tuple(tensor.shape) for part, tensor in group.items()}


def text(shapes):
    return ", ".join(f"{part} {shape}" for part, shape in shapes.items())


def misfit(layers, layer, left):
    """The BadInputError that says why nothing of the groups in `left` fits `layer`."""
    wanted = shapes(layer)
    for path, group in left.items():
        if telling(shapes_of(group)) == telling(wanted):
            return BadInputError(misfit_of_parts(layer, path, group))
    for path, group in left.items():
        wrong = misfit_of_classes(layers, layer, path, group)
        if wrong:
            return BadInputError(wrong)
    listed = "; ".join(f"{path}: {text(shapes_of(group))}" for path, group in list(left.items())[:3])
    return BadInputError(
        f"no tensors fit the layer {layer.name}, which takes {text(wanted)}; left are {listed or 'none'}"
    )


def telling(shapes):
    """The shape that tells a layer from others: its kernel's, or that of a batch norm's means."""
    return shapes.get("running_mean") or shapes.get("weight")


def misfit_of_parts(layer, path, group):
    """What is wrong with the tensors at `path`, which were meant for `layer`; "" where nothing is."""
    wanted, found = shapes(layer), shapes_of(group)
    for part in wanted:
        if part not in found:
            return f"{path}.{part} {wanted[part]} is missing, which the layer {layer.name} takes"
        if found[part] != wanted[part]:
            remedy = ""
            if len(wanted[part]) == 2 and found[part][:1] == wanted[part][:1] and flattened_shape(layer):
                remedy = "; build the network with the input_shape that they were trained on"
            return f"{path}.{part} is {found[part]}, expected {wanted[part]} of the layer {layer.name}{remedy}"
    for part in found:
        if part not in wanted:
            return f"{path}.{part} {found[part]} has no place: the layer {layer.name} takes {', '.join(wanted)} alone"
    return ""


def misfit_of_classes(layers, layer, path, group):
    """What to do where the tensors at `path` are those of `layer`, but for another number of classes; "" elsewhere."""
    wanted, found = shapes(layer), shapes_of(group)
    is_head = layer is layers[-1] or layer.name.endswith("logits")
    if not is_head or set(found) != set(wanted) or found["weight"][1:] != wanted["weight"][1:] or found == wanted:
        return ""
    classes = found["weight"][0]
    return (
        f"{path}.weight is {found['weight']}, of {classes} classes; the network has {wanted['weight'][0]}: "
        f"build it with num_classes={classes} (--num-classes {classes})"
    )


def check_all_used(layers, groups, matched):
    """Raise BadInputError unless every layer has its tensors in their shapes, and every tensor its layer."""
    for layer in layers:
        path = matched[layer.name].path if layer.name in matched else None
        if path not in groups:
            wanted = ", ".join(f"{path or layer.name}.{part} {shape}" for part, shape in shapes(layer).items())
            raise BadInputError(f"the tensors of the layer {layer.name} are missing: expected {wanted}")
        wrong = misfit_of_classes(layers, layer, path, groups[path]) or misfit_of_parts(layer, path, groups[path])
        if wrong:
            raise BadInputError(wrong)
    used = {match.path for match in matched.values()}
    for path, group in groups.items():
        if path not in used:
            unused = ", ".join(f"{path}.{part} {shape}" for part, shape in shapes_of(group).items())
            raise BadInputError(
                f"no layer is left for {unused}: the network has {len(layers)} layers with weights, not {len(groups)}"
            )
