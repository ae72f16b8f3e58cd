"""Layers matched with PyTorch's modules by their inputs while an example runs through both networks."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from scipy.special import log_softmax

from kerasnets.convert.axes import flattened_shape, shapes, to_keras
from kerasnets.convert.matching import Groups, Match, Matches, arrays_of, by_name, misfit, shapes_of, text
from kerasnets.convert.weight_files import import_torch
from kerasnets.errors import BadInputError
from kerasnets.graph import has_weights, nodes, producer, weighted_layers

TRACED = 2  # rows of the example that are run
SAME_INPUT = 1e-3  # of its scale: the largest difference between a layer's input and the module's
SAME_OUTPUT = 1e-4  # of its scale: the largest difference between the outputs
ATTEMPTS = 1000  # runs, if layers of one shape have the same input

# Called with a layer, its input and the paths that are in use; returns the tensors that the layer may take.
Candidates = Callable[[keras.Layer, Any, set[str]], Sequence[Match]]


def by_run(network: keras.Model, groups: Groups, module: Any, example: Any) -> Matches:
    """Match layers and tensors by the inputs of layers and modules while `example` runs through both networks.

    Raises:
        BadInputError: No match gives the same outputs.
        ValueError: The example does not suit the network or the module.
    """
    images = to_images(network, np.asarray(example.detach().float().cpu() if hasattr(example, "detach") else example))
    inputs, output = record(module, example, groups)
    try:
        named = by_name(network, groups)
    except BadInputError:  # some names are others: the run tells
        named = None
    if named and has_output(network, images, groups, named, output):
        return named
    check_all_seen(groups, inputs)
    return search(network, images, groups, inputs, output)


def has_output(network: keras.Model, images: np.ndarray, groups: Groups, matches: Matches, output: np.ndarray) -> bool:
    """Whether `network` with the matched tensors gives `output`."""
    if not all(match_fits(layer, groups, matches[layer.name]) for layer in weighted_layers(network)):
        return False
    [(_, logits, _)] = runs(network, images, groups, lambda layer, value, used: [matches[layer.name]])
    return logits is not None and distance(logits, output) < SAME_OUTPUT


def search(
    network: keras.Model, images: np.ndarray, groups: Groups, inputs: dict[str, np.ndarray], output: np.ndarray
) -> Matches:
    """Return the first match by inputs, {path: array}, that gives `output`; raise BadInputError if none does."""

    def candidates(layer: keras.Layer, value: Any, used: set[str]) -> list[Match]:
        return [
            Match(path, as_keras_flattens)
            for path, theirs in inputs.items()
            if path not in used and shapes_of(groups[path]) == shapes(layer)
            for as_keras_flattens in same_input(layer, value, theirs)
        ]

    differences: list[float] = []
    ends: list[tuple[keras.Layer, Matches]] = []
    for matched, logits, last in runs(network, images, groups, candidates):
        if logits is None:
            ends.append((last, matched))
            continue
        differences.append(distance(logits, output))
        if differences[-1] < SAME_OUTPUT:
            return matched
    if differences:
        raise BadInputError(
            f"the outputs differ by {min(differences):.1g} of their scale on the example, and {SAME_OUTPUT:g} is "
            f"allowed: the module computes something else than {network.name}, which keeps its old weights"
        )
    layer, matched = max(ends, key=lambda end: len(end[1]))
    used = {match.path for match in matched.values()}
    left = {path: group for path, group in groups.items() if path not in used}
    if any(shapes_of(group) == shapes(layer) for group in left.values()):
        raise BadInputError(
            f"nothing in the module has the input of the layer {layer.name} of {network.name} in the run of the "
            "example: the layers before it differ, or the input is scaled; the network keeps its old weights"
        )
    raise misfit(weighted_layers(network), layer, left)


def match_fits(layer: keras.Layer, groups: Groups, match: Match) -> bool:
    return shapes_of(groups.get(match.path, {})) == shapes(layer)


def to_images(network: keras.Model, example: np.ndarray) -> np.ndarray:
    """Return the first rows of an example as `network` takes them."""
    if network.inputs[0].dtype != "float32":
        raise ValueError("the network takes pixels and scales them; pass the one that kerasnets.build returns")
    shape = tuple(network.input_shape[1:])
    images = example[:TRACED].astype("float32")
    channels_before = shape if len(shape) != 3 else (shape[2], *shape[:2])
    if images.shape[1:] not in (channels_before, (math.prod(shape),)):
        raise ValueError(f"the example must be (n, {', '.join(map(str, channels_before))}), not {example.shape}")
    if np.ptp(images) == 0:
        raise ValueError("the example is of one value throughout, which hides differences; pass torch.rand(...)")
    images = images.reshape(-1, *channels_before)
    return images.transpose(0, 2, 3, 1) if len(shape) == 3 else images


def record(module: Any, example: Any, groups: Groups) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Run `module` in inference mode; return the input of each submodule with weights, by path, and the output."""
    torch = import_torch("a module")
    like = next(tensor for group in groups.values() for tensor in group.values())
    if like.dtype in (torch.float16, torch.bfloat16):  # the rounding of 16 bits would hide differences
        module, like = copy.deepcopy(module).float(), like.float()
    inputs: dict[str, np.ndarray] = {}
    modes = [(part, part.training) for part in module.modules()]

    def watch(path: str) -> Callable[[Any, Any, Any], None]:
        def hook(_: Any, args: Any, kwargs: Any) -> None:
            if path in inputs:
                raise BadInputError(f"{path} is used twice in a run; no two layers of kerasnets share their weights")
            inputs[path] = rows_of([*args, *kwargs.values()])

        return hook

    holders = [(path, part) for path, part in module.named_modules() if path in groups]
    hooks = [part.register_forward_pre_hook(watch(path), with_kwargs=True) for path, part in holders]
    try:
        module.eval()
        with torch.no_grad():
            output = rows_of(module(torch.as_tensor(example).to(like.device, like.dtype)))
    except BadInputError:
        raise
    except Exception as error:  # from torch, mostly about shapes, or from the module's own code
        reason = str(error).partition("\n")[0]
        raise ValueError(f"the module does not take the example {tuple(example.shape)}: {reason}") from error
    finally:
        for hook in hooks:
            hook.remove()
        for part, training in modes:
            part.training = training
    return inputs, output


def check_all_seen(groups: Groups, inputs: dict[str, np.ndarray]) -> None:
    """Raise BadInputError if a group of tensors has no input by which it could be matched."""
    for path, group in groups.items():
        if path not in inputs:
            raise BadInputError(f"{path}, {text(shapes_of(group))}, is not run as a layer: nothing tells its place")
        if not inputs[path].any():
            problem = f"the input of {path} is all zeros in the run of the example"
            raise BadInputError(problem, remedy="pass another example")


def rows_of(values: Any) -> np.ndarray:
    """Return a copy of the first rows of the first tensor in a module's arguments or output."""
    while not hasattr(values, "detach"):
        values = next(iter(values.values() if isinstance(values, Mapping) else values))
    return np.array(values[:TRACED].detach().float().cpu())


def runs(
    network: keras.Model, images: np.ndarray, groups: Groups, candidates: Candidates
) -> Iterator[tuple[Matches, np.ndarray | None, keras.Layer]]:
    """Run `network` layer by layer with the tensors that `candidates` offers for each layer.

    If several are offered, each has its run, in their order.

    Yields:
        (matches, output, last layer) of a complete run; (matches, None, layer) of a run that ended at a layer without
        candidates.

    Raises:
        BadInputError: After ATTEMPTS runs.
    """
    order = [node for node in nodes(network) if not node.is_input]
    last_use = {id(tensor): i for i, node in enumerate(order) for tensor in node.input_tensors}
    last_use |= {id(tensor): len(order) for tensor in network.outputs}
    branches: list[tuple[int, dict[int, Any], Matches, Match | None]]
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
                result = apply(layer, to_keras(layer, arrays_of(layer, groups, matched[layer.name])), args[0])
            else:
                result = layer(*args, **kwargs)
            values[id(node.outputs[0])] = result
            for tensor in node.input_tensors:
                if last_use[id(tensor)] == i:
                    values.pop(id(tensor), None)
        else:
            yield matched, np.asarray(keras.ops.convert_to_numpy(values[id(network.outputs[0])])), network.layers[-1]
    if branches:
        problem = f"{ATTEMPTS} ways to match layers of one shape were tried"
        raise BadInputError(problem, remedy="pass in_order=True instead")


def apply(layer: keras.Layer, arrays: Sequence[np.ndarray], value: Any) -> Any:
    """Return the output of `layer` with other weights, in inference."""
    arrays_by_id = {id(weight): array for weight, array in zip(layer.weights, arrays, strict=True)}
    trained = [keras.ops.convert_to_tensor(arrays_by_id[id(weight)]) for weight in layer.trainable_variables]
    others = [keras.ops.convert_to_tensor(arrays_by_id[id(weight)]) for weight in layer.non_trainable_variables]
    result, _ = layer.stateless_call(trained, others, value)
    return result


def same_input(layer: keras.Layer, value: Any, theirs: np.ndarray) -> list[bool]:
    """Compare both inputs of a layer: [False] if they agree, [True] if they do in Keras' order of Flatten, else []."""
    ours = np.asarray(keras.ops.convert_to_numpy(value))
    flattened = flattened_shape(layer) if ours.ndim == 2 else None
    if ours.ndim == 2 and theirs.size == ours.size:
        theirs = theirs.reshape(ours.shape)
    if flattened:
        height, width, channels = flattened
        turned = theirs.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(theirs.shape)
        return [is_ours for is_ours, array in ((False, turned), (True, theirs)) if is_close(ours, array)][:1]
    if ours.ndim == 4 and not holds_channels_first(layer):
        ours = ours.transpose(0, 3, 1, 2)
    return [False] if is_close(ours, theirs) or is_close(without_padding(layer, ours), theirs) else []


def holds_channels_first(layer: keras.Layer) -> bool:
    return getattr(layer, "data_format", None) == "channels_first" or getattr(layer, "axis", None) == 1


def without_padding(layer: keras.Layer, images: np.ndarray) -> np.ndarray:
    """Return (n, channels, height, width) without the zeros of a ZeroPadding2D before `layer`: PyTorch pads inside."""
    before = producer(layer.input)
    if not isinstance(before, keras.layers.ZeroPadding2D):
        return images
    (top, bottom), (left, right) = before.padding
    return images[:, :, top : images.shape[2] - bottom, left : images.shape[3] - right]


def is_close(ours: np.ndarray, theirs: np.ndarray) -> bool:
    return ours.shape == theirs.shape and bool(np.abs(ours - theirs).max() <= SAME_INPUT * np.abs(theirs).max())


def distance(logits: np.ndarray, output: np.ndarray) -> float:
    """Return the difference of logits from a module's output, as a fraction of its scale.

    The module may end in a softmax, or in its logarithm.
    """
    if logits.shape != output.shape:
        return float("inf")
    log_probabilities = log_softmax(logits, axis=-1)
    forms = (logits, log_probabilities, np.exp(log_probabilities))
    nearest = min(float(np.abs(form - output).max()) for form in forms)
    return nearest / max(float(np.abs(output).max()), 1e-30) if np.isfinite(nearest) else float("inf")
