"""The judge: a network's twin in plain PyTorch gives the reference values in float64, and the yardstick in float32."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch
from torch import nn

from kerasnets import convert, models
from kerasnets.convert.torchvision_names import torchvision_paths
from kerasnets.graph import count, variables, weighted_layers
from kerasnets.models.registry import Form
from kerasnets.proof import fit_reference, twins
from kerasnets.proof.case import STEPS, Case, Reference, draw_weights
from kerasnets.proof.distances import (
    LEARNING_RATE,
    MOMENTUM,
    assign,
    build_with_zeros,
    distance,
    distances,
    flat,
    in_float64,
    logits_of,
    values,
)
from kerasnets.proof.margins import widen

# A network small enough to be verified on two cores: the height in pixels, if it takes such images, and the options of
# a builder that has them. Dropout is off, because its masks differ by backend, and only they.
HEIGHT = 32
REDUCED = {"num_classes": 10, "units": 64, "filters": 8, "dropout": 0.0}
Samples = dict[str, tuple[int, float]]  # path of a batch norm -> (numbers per channel in its statistics, its momentum)
DRAWS, CLEAR = 8, 1e-5  # of weights and pictures; the difference of two inputs that float32 keeps apart
TURNS = (1, 3)  # of a batch, to see how far PyTorch's own rounding goes in float64


def judge(form: Form, folder: Path) -> Reference:
    """Compute the reference values and the yardstick of a network; save weights and reference values in `folder`."""
    folder.mkdir()
    case = case_of(form, folder)
    network, case = build_with_margins(case)
    np.save(folder / "weights.npy", flat(values(network)))
    twin = twins.build(case.name, **case.options)
    with compute_in(twin, torch.float64):
        reference = twin_logits(twin, network, case) | train_twin(twin, network, case)
        for name, value in reference.items():
            np.save(folder / f"{name}.npy", flat(value))
        yardstick = worst(distances(network, train_twin(twin, network, case, turns), folder) for turns in TURNS)
    with compute_in(twin, torch.float32):
        yardstick |= distances_of_twin(twin, network, case)
    case, of_fit = fit_reference.judge(twin, network, case)
    full_size, parameters = at_full_size(form, folder)
    names = automatic_names(network, build_with_zeros(case))
    of_fit["training_logits"] = yardstick["training_logits"]
    return Reference(case, yardstick, names, full_size, parameters, len(weighted_layers(network)), of_fit)


def build_with_margins(case: Case) -> tuple[keras.Model, Case]:
    """Build the network with weights that keep the inputs of its ReLUs away from 0; return the case with their seed.

    Of DRAWS seeds, the first is taken whose maxima are no close call, or else the one whose closest call is the least.
    """
    network, tried = build_with_zeros(case), list[tuple[float, Case]]()
    with in_float64():
        exact = build_with_zeros(case)

        def widened(drawn: Case, *, until_pooling: bool) -> float:
            network.set_weights(draw_weights(network, drawn.seed))
            assign(exact, values(network))
            return widen(exact, drawn.images()[0], until_pooling=until_pooling)

        for seed in range(case.seed, case.seed + DRAWS):
            drawn = dataclasses.replace(case, seed=seed)
            tried.append((widened(drawn, until_pooling=True), drawn))
            if tried[-1][0] > CLEAR:
                break
        _, case = max(tried, key=lambda each: each[0])
        widened(case, until_pooling=False)
    assign(network, values(exact))
    return network, case


def case_of(form: Form, folder: Path) -> Case:
    """Return the smallest Case that verifies everything. It is not square, or height and width could change places.

    It has half the height of the network's pictures, so that the last maps of a network for small ones are small too.
    """
    known = models.options_of(form.name)
    options = {**form.options, **{option: value for option, value in REDUCED.items() if option in known}}
    shape = form.input_shape
    if len(shape) == 3:
        height = max(models.smallest(form.name, options)[0], min(shape[0] // 2, HEIGHT))
        shape = (height, height + height // 4, shape[2])
    return Case(form.name, options | {"input_shape": shape}, folder)


def at_full_size(form: Form, folder: Path) -> tuple[float, int]:
    """Return (distance of the logits of one image from the twin's in float64, number of trainable parameters).

    At the published input shape and number of classes, with torch as the backend.
    """
    options = {**form.options, "input_shape": form.input_shape, "num_classes": form.num_classes}
    case = Case(form.name, options, folder)
    network = build_with_zeros(case)
    network.set_weights(draw_weights(network, case.seed))
    logits = logits_of(network, case.images()[0, :1])
    twin = twins.build(case.name, **options)
    with compute_in(twin, torch.float64), torch.no_grad():
        load_twin(twin, network)
        reference = heads(twin.eval()(batches(case)[0, :1]))[0].numpy()
    return distance(logits, reference), count(network.trainable_weights)


def distances_of_twin(twin: nn.Module, network: keras.Model, case: Case) -> dict[str, float]:
    """Return how far PyTorch's own logits are from the reference: the worse of its two memory formats."""
    return worst(
        distances(network, twin_logits(twin.to(memory_format=memory_format), network, case), case.folder)
        for memory_format in (torch.contiguous_format, torch.channels_last)
    )


def worst(distances: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the largest of several distances, by quantity; NaN if one is NaN."""
    several = list(distances)
    return {quantity: float(np.max([far[quantity] for far in several])) for quantity in several[0]}


def automatic_names(network: keras.Model, again: keras.Model) -> list[str]:
    """Return the layer names that Keras gave: they differ if the network is built `again`."""
    names, other = ({layer.name for layer in built.layers} for built in (network, again))
    return sorted(names - other)


# ---- the twin ----


@contextlib.contextmanager
def compute_in(twin: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """Let `twin` compute in `dtype`, without dropout."""
    torch.set_default_dtype(dtype)  # local response normalization makes tensors of its own
    twin.to(dtype)
    for module in twin.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def twin_logits(twin: nn.Module, network: keras.Model, case: Case) -> dict[str, Any]:
    """Return the logits of the first batch, in inference and in training mode, with the weights of `network`."""
    images = batches(case)[0]
    load_twin(twin, network)
    with torch.no_grad():
        logits = heads(twin.eval()(images))[0].numpy()
        return {"logits": logits, "training_logits": heads(twin.train()(images))[0].numpy()}


def train_twin(twin: nn.Module, network: keras.Model, case: Case, turns: int = 0) -> dict[str, list[np.ndarray]]:
    """Return the gradient of each weight, and its change by STEPS steps of SGD, in the order of Keras' weights.

    Args:
        twin: Gets the weights of `network` first.
        network: In Keras.
        case: Gives images and labels.
        turns: By how many places the images of a batch are rotated, which changes only the order of sums.
    """
    images, labels = batches(case).roll(turns, 1), torch.from_numpy(case.labels()).roll(turns, 1)

    def step(optimizer: torch.optim.Optimizer, number: int) -> None:
        optimizer.zero_grad()
        losses = [nn.functional.cross_entropy(logits, labels[number]) for logits in heads(twin(images[number]))]
        sum(losses[1:], losses[0]).backward()
        optimizer.step()

    load_twin(twin, network)
    step(torch.optim.SGD(twin.train().parameters(), lr=0.0), 0)
    gradients = {name: np.zeros(tensor.shape) for name, tensor in twin.named_buffers()}
    gradients |= {name: gradient_of(parameter) for name, parameter in twin.named_parameters()}

    load_twin(twin, network)
    before = state_of(twin)
    samples = count_samples(twin)  # filled as the steps run
    optimizer = torch.optim.SGD(twin.parameters(), LEARNING_RATE, MOMENTUM)
    for number in range(STEPS):
        step(optimizer, number)
    after = state_of(twin)
    correct_variances(after, before, samples, STEPS)
    changes = {name: after[name] - before[name] for name in after}
    return {"gradients": in_keras_order(network, gradients), "steps": in_keras_order(network, changes)}


def correct_variances(
    after: dict[str, np.ndarray], before: Mapping[str, np.ndarray], samples: Samples, steps: int
) -> None:
    """Make the running variances `after` so many steps biased, as Keras' are; torch's are not."""
    for path, (n, momentum) in samples.items():
        name = f"{path}.running_var"
        remembered = (1 - momentum) ** steps * before[name]
        after[name] = remembered + (after[name] - remembered) * (n - 1) / n


def gradient_of(parameter: nn.Parameter) -> np.ndarray:
    assert parameter.grad is not None  # after a backward pass
    return parameter.grad.numpy().copy()


def batches(case: Case) -> torch.Tensor:
    """Return the images of each step for the twin, in the default dtype."""
    images = torch.from_numpy(case.images()).to(torch.get_default_dtype())
    return images.permute(0, 1, 4, 2, 3).contiguous() if images.ndim == 5 else images


def heads(output: Any) -> list[torch.Tensor]:
    """Return the logits of a twin, the main logits first; torchvision's GoogLeNet names its auxiliary logits."""
    if hasattr(output, "aux_logits1"):
        return [output.logits, output.aux_logits1, output.aux_logits2]
    return list(output) if isinstance(output, (list, tuple)) else [output]


def load_twin(twin: nn.Module, network: keras.Model) -> None:
    """Give the twin the weights of `network`; it keeps its dtype."""
    twin.load_state_dict(convert.torch_state_dict(network))


def state_of(twin: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.detach().numpy().copy() for name, tensor in twin.state_dict().items()}


def count_samples(twin: nn.Module) -> Samples:
    """Return {path of a batch norm: (numbers per channel in its statistics, its momentum)}, filled when it runs."""
    counts: Samples = {}

    def hook_for(path: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
        def count(module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
            counts[path] = inputs[0].numel() // inputs[0].shape[1], float(module.momentum)

        return count

    for path, module in twin.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(hook_for(path))
    return counts


def in_keras_order(network: keras.Model, tensors: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return arrays of the twin, by PyTorch's names, in the order of `variables`."""
    paths = torchvision_paths(network) or {}
    by_variable: dict[int, np.ndarray] = {}
    for layer in weighted_layers(network):
        path = paths.get(layer.name, layer.name)
        arrays = convert.to_keras(layer, {part: tensors[f"{path}.{part}"] for part in convert.parts(layer)})
        by_variable |= dict(zip(map(id, layer.weights), arrays, strict=True))
    return [by_variable[id(variable)] for variable in variables(network)]
