"""Layers matched with modules by what each is given when an example runs through both."""

import copy
import math
from collections.abc import Mapping

import keras
import numpy as np

from kerasnets.convert.axes import flattened_shape, shapes, to_keras
from kerasnets.convert.matching import Match, arrays_of, by_name, misfit, shapes_of, text
from kerasnets.convert.weight_files import import_torch
from kerasnets.errors import BadInputError
from kerasnets.graph import has_weights, nodes, producer, weighted_layers

TRACED = 2  # rows of the example that are followed
SAME_INPUT = 1e-3  # of its scale: how far a layer's input may lie from the module's
SAME_OUTPUT = 1e-4  # of its scale: how far the outputs may lie apart in the end
ATTEMPTS = 1000  # at matching, where layers of one shape are given the same


def by_run(network, groups, module, example):
    """{layer name: Match} from what each layer is given when `example` runs through `module` and through `network`.

    Raises BadInputError where no way to match them gives the same outputs.
    """
    images = our_images(network, np.asarray(example.detach().float().cpu() if hasattr(example, "detach") else example))
    seen, output = recorded(module, example, groups)
    layers = weighted_layers(network)
    named = by_name(network, groups)
    if named and all(match_fits(layer, groups, named[layer.name]) for layer in layers):
        [(_, logits, _)] = runs(network, images, groups, lambda layer, value, used: [named[layer.name]])
        if distance(logits, output) < SAME_OUTPUT:
            return named
    check_all_seen(groups, seen)

    def fitting(layer, value, used):
        return [
            Match(path, as_keras_flattens)
            for path, theirs in seen.items()
            if path not in used and shapes_of(groups[path]) == shapes(layer)
            for as_keras_flattens in same_input(layer, value, theirs)
        ]

    differences, ends = [], []
    for matched, logits, layer in runs(network, images, groups, fitting):
        if layer is not None:
            ends.append((layer, matched))
            continue
        differences.append(distance(logits, output))
        if differences[-1] < SAME_OUTPUT:
            return matched
    if differences:
        raise BadInputError(
            f"the outputs lie {min(differences):.1g} of their scale apart on the example, where {SAME_OUTPUT:g} is "
            f"allowed: the module computes something else than {network.name}, which keeps its old weights"
        )
    layer, matched = max(ends, key=lambda end: len(end[1]))
    used = {match.path for match in matched.values()}
    left = {path: group for path, group in groups.items() if path not in used}
    if any(shapes_of(group) == shapes(layer) for group in left.values()):
        raise BadInputError(
            f"nothing in the module is given what the layer {layer.name} of {network.name} is given in the run of the "
            "example: what comes before it differs, or the input is scaled; the network keeps its old weights"
        )
    raise misfit(layers, layer, left)


def match_fits(layer, groups, match):
    return shapes_of(groups.get(match.path, {})) == shapes(layer)


def our_images(network, example):
    """The first rows of an example as `network` takes them."""
    if network.inputs[0].dtype != "float32":
        raise ValueError("the network takes pixels and scales them; pass the one that kerasnets.build gives")
    shape = tuple(network.input_shape[1:])
    images = example[:TRACED].astype("float32")
    channels_before = shape if len(shape) != 3 else (shape[2], *shape[:2])
    if images.shape[1:] not in (channels_before, (math.prod(shape),)):
        raise ValueError(f"the example must be (n, {', '.join(map(str, channels_before))}), not {example.shape}")
    if np.ptp(images) == 0:
        raise ValueError("the example is of one value throughout, which tells layers apart badly; pass torch.rand(...)")
    images = images.reshape(-1, *channels_before)
    return images.transpose(0, 2, 3, 1) if len(shape) == 3 else images


def recorded(module, example, groups):
    """Run `module` in inference mode: ({path: what the layer with weights there is given}, output), of TRACED rows."""
    torch = import_torch("a module")
    like = next(tensor for group in groups.values() for tensor in group.values())
    if like.dtype in (torch.float16, torch.bfloat16):  # its own rounding would hide what belongs where
        module, like = copy.deepcopy(module).float(), like.float()
    seen, modes = {}, [(part, part.training) for part in module.modules()]

    def watch(path):
        def hook(_, args, kwargs):
            if path in seen:
                raise BadInputError(f"{path} is used twice in a run; a layer of kerasnets has its weights for itself")
            seen[path] = rows_of([*args, *kwargs.values()])

        return hook

    holders = [(path, part) for path, part in module.named_modules() if path in groups]
    hooks = [part.register_forward_pre_hook(watch(path), with_kwargs=True) for path, part in holders]
    try:
        module.eval()
        with torch.no_grad():
            output = rows_of(module(torch.as_tensor(example).to(like.device, like.dtype)))
    except BadInputError:
        raise
    except Exception as error:  # torch's about shapes mostly, or whatever the module's own code raises
        said = str(error).partition("\n")[0]
        raise ValueError(f"the module does not take the example {tuple(example.shape)}: {said}") from error
    finally:
        for hook in hooks:
            hook.remove()
        for part, training in modes:
            part.training = training
    return seen, output


def check_all_seen(groups, seen):
    for path, group in groups.items():
        if path not in seen:
            raise BadInputError(f"{path}, {text(shapes_of(group))}, is not run as a layer: nothing tells its place")
        if not seen[path].any():
            raise BadInputError(f"{path} is given nothing but zeros in the run of the example; pass another example")


def rows_of(values):
    """The first rows of the first tensor in a module's arguments or output, as an array of its own."""
    while not hasattr(values, "detach"):
        values = next(iter(values.values() if isinstance(values, Mapping) else values))
    return np.array(values[:TRACED].detach().float().cpu())


def runs(network, images, groups, candidates):
    """Run `network` layer by layer with the tensors that `candidates(layer, input, used paths)` offers for each.

    Yields (matched, output, None) for a run that came through, (matched, None, layer) for one that ended at `layer`
    for want of candidates. Where several are offered, each gets its run, in their order.
    Raises BadInputError after ATTEMPTS runs.
    """
    order = [node for node in nodes(network) if not node.is_input]
    last_use = {id(tensor): i for i, node in enumerate(order) for tensor in node.input_tensors}
    last_use |= {id(tensor): len(order) for tensor in network.outputs}
    branches = [(0, {id(network.inputs[0]): keras.ops.convert_to_tensor(images)}, {}, None)]
    for _ in range(ATTEMPTS):
        if not branches:
            return
        start, values, matched, chosen = branches.pop()
        for i, node in enumerate(order[start:], start):
            layer = node.operation
            args, kwargs = node.fill_in(values)
            if has_weights(layer):
                if chosen is None:
                    offered = candidates(layer, args[0], {match.path for match in matched.values()})
                    if not offered:
                        yield matched, None, layer
                        break
                    chosen, *others = offered
                    branches += [(i, dict(values), dict(matched), other) for other in reversed(others)]
                matched[layer.name], chosen = chosen, None
                result = applied(layer, to_keras(layer, arrays_of(layer, groups, matched[layer.name])), args[0])
            else:
                result = layer(*args, **kwargs)
            values[id(node.outputs[0])] = result
            for tensor in node.input_tensors:
                if last_use[id(tensor)] == i:
                    values.pop(id(tensor), None)
        else:
            yield matched, np.asarray(keras.ops.convert_to_numpy(values[id(network.outputs[0])])), None
    if branches:
        raise BadInputError(f"{ATTEMPTS} ways to match layers of one shape were tried; pass in_order=True instead")


def applied(layer, arrays, value):
    """What `layer` would give with other weights, in inference."""
    given = {id(weight): array for weight, array in zip(layer.weights, arrays, strict=True)}
    trained = [keras.ops.convert_to_tensor(given[id(weight)]) for weight in layer.trainable_variables]
    others = [keras.ops.convert_to_tensor(given[id(weight)]) for weight in layer.non_trainable_variables]
    result, _ = layer.stateless_call(trained, others, value)
    return result


def same_input(layer, value, theirs):
    """In which ways PyTorch's input of a layer is ours: [False] as it is, [True] flattened as Keras does, or []."""
    ours = np.asarray(keras.ops.convert_to_numpy(value))
    flattened = flattened_shape(layer) if ours.ndim == 2 else None
    if ours.ndim == 2 and theirs.size == ours.size:
        theirs = theirs.reshape(ours.shape)
    if flattened:
        height, width, channels = flattened
        turned = theirs.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(theirs.shape)
        return [way for way, there in ((False, turned), (True, theirs)) if is_close(ours, there)][:1]
    if ours.ndim == 4 and not holds_channels_first(layer):
        ours = ours.transpose(0, 3, 1, 2)
    return [False] if is_close(ours, theirs) or is_close(without_padding(layer, ours), theirs) else []


def holds_channels_first(layer):
    return getattr(layer, "data_format", None) == "channels_first" or getattr(layer, "axis", None) == 1


def without_padding(layer, images):
    """(n, channels, height, width) without the zeros of a ZeroPadding2D before `layer`: PyTorch pads inside."""
    before = producer(layer.input)
    if not isinstance(before, keras.layers.ZeroPadding2D):
        return images
    (top, bottom), (left, right) = before.padding
    return images[:, :, top : images.shape[2] - bottom, left : images.shape[3] - right]


def is_close(ours, theirs):
    return ours.shape == theirs.shape and np.abs(ours - theirs).max() <= SAME_INPUT * np.abs(theirs).max()


def distance(logits, output):
    """How far logits lie from a module's output, as a fraction of its scale; it may end in a softmax, or its log."""
    if logits.shape != output.shape:
        return float("inf")
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    readings = (logits, log_softmax, np.exp(log_softmax))
    nearest = min(float(np.abs(reading - output).max()) for reading in readings)
    return nearest / max(float(np.abs(output).max()), 1e-30) if np.isfinite(nearest) else float("inf")
