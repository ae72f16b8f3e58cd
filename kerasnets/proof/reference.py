"""The judge: a network's twin in plain PyTorch computes the truth in float64, and the yardstick in float32."""

import contextlib

import numpy as np
import torch
from torch import nn

from kerasnets import convert, models
from kerasnets.convert.torchvision_names import torchvision_paths
from kerasnets.graph import variables, weighted_layers
from kerasnets.graph.weights import count
from kerasnets.proof import twins
from kerasnets.proof.case import STEPS, Case, draw_weights
from kerasnets.proof.distances import LEARNING_RATE, MOMENTUM, distance, distances, flat, logits_of, undrawn, values

# What makes a network small enough to be proven on two cores: the height in pixels, where it can do with that, and the
# options of a builder that has them. Dropout is off: its masks differ by backend, and nothing else does.
HEIGHT = 32
TURNS = (1, 3)  # of a batch, to see how far PyTorch's own rounding goes in float64
REDUCED = {"num_classes": 10, "units": 64, "filters": 8, "dropout": 0.0}


def judge(row, folder):
    """Compute truth and yardstick of a row of PUBLISHED; leave the truth in `folder`.

    Returns (Case, distances of the yardstick, layer names that are automatic, distance and parameters at full
    size, number of layers with weights).
    """
    folder.mkdir()
    case = case_of(row, folder)
    network = undrawn(case)
    network.set_weights(draw_weights(network, case.seed))
    np.save(folder / "weights.npy", flat(values(network)))
    twin = twins.build(case.name, **case.options)
    with computing_in(twin, torch.float64):
        truth = twin_logits(twin, network, case) | trained(twin, network, case)
        for name, value in truth.items():
            np.save(folder / f"{name}.npy", flat(value))
        yardstick = worst(distances(network, trained(twin, network, case, turns), folder) for turns in TURNS)
    with computing_in(twin, torch.float32):
        yardstick |= distances_of_twin(twin, network, case)
    names = automatic_names(network, undrawn(case))
    return case, yardstick, names, at_full_size(row, folder), len(weighted_layers(network))


def distances_of_twin(twin, network, case):
    """How far PyTorch's own logits lie from the truth, by quantity: the worse of its two memory formats."""
    return worst(
        distances(network, twin_logits(twin.to(memory_format=memory_format), network, case), case.folder)
        for memory_format in (torch.contiguous_format, torch.channels_last)
    )


def worst(far):
    """The largest of several distances, by quantity; NaN where one is."""
    far = list(far)
    return {quantity: float(np.max([found[quantity] for found in far])) for quantity in far[0]}


def case_of(row, folder):
    """The smallest Case that says all, not square, where height and width could change places."""
    known = models.options_of(row.name)
    options = row.options | {option: value for option, value in REDUCED.items() if option in known}
    shape = known["input_shape"].default
    if len(shape) == 3:
        height = max(models.smallest(row.name, options)[0], min(shape[0], HEIGHT))
        shape = (height, height + height // 4, shape[2])
    return Case(row.name, options | {"input_shape": shape}, folder)


def at_full_size(row, folder):
    """(how far the logits for one picture lie from the twin's in float64, number of trainable parameters).

    At the input shape and number of classes that the row tells, with torch as the backend.
    """
    options = row.options | {"input_shape": row.input_shape, "num_classes": row.num_classes}
    case = Case(row.name, options, folder)
    network = undrawn(case)
    network.set_weights(draw_weights(network, case.seed))
    found = logits_of(network, case.images()[0, :1])
    twin = twins.build(case.name, **options)
    with computing_in(twin, torch.float64), torch.no_grad():
        load_twin(twin, network)
        truth = heads(twin.eval()(batches(case)[0, :1]))[0].numpy()
    return distance(found, truth), count(network.trainable_weights)


def automatic_names(network, again):
    """Layer names that Keras gave: those differ when the network is built `again`. Double ones Keras refuses itself."""
    names, other = ({layer.name for layer in built.layers} for built in (network, again))
    return sorted(names - other)


@contextlib.contextmanager
def computing_in(twin, dtype):
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


def twin_logits(twin, network, case):
    """The logits of the first batch, in inference and in training mode, with the weights of `network`."""
    images = batches(case)[0]
    load_twin(twin, network)
    with torch.no_grad():
        logits = heads(twin.eval()(images))[0].numpy()
        return {"logits": logits, "training_logits": heads(twin.train()(images))[0].numpy()}


def trained(twin, network, case, turns=0):
    """The gradient of each weight, and its change by STEPS steps of SGD, in the order of Keras' weights.

    turns: by how many places the pictures of a batch are moved on, which changes nothing but the order of sums.
    """
    images, labels = batches(case).roll(turns, 1), torch.from_numpy(case.labels()).roll(turns, 1)

    def step(optimizer, number):
        optimizer.zero_grad()
        losses = [nn.functional.cross_entropy(logits, labels[number]) for logits in heads(twin(images[number]))]
        sum(losses).backward()
        optimizer.step()

    load_twin(twin, network)
    step(torch.optim.SGD(twin.train().parameters(), lr=0.0), 0)
    gradients = {name: np.zeros(tensor.shape) for name, tensor in twin.named_buffers()}
    gradients |= {name: parameter.grad.numpy().copy() for name, parameter in twin.named_parameters()}

    load_twin(twin, network)
    before = state_of(twin)
    samples = count_samples(twin)  # filled as the steps run
    optimizer = torch.optim.SGD(twin.parameters(), LEARNING_RATE, MOMENTUM)
    for number in range(STEPS):
        step(optimizer, number)
    after = state_of(twin)
    for path, (n, momentum) in samples.items():  # torch's running variance is unbiased, that of Keras is not
        name = f"{path}.running_var"
        remembered = (1 - momentum) ** STEPS * before[name]
        after[name] = remembered + (after[name] - remembered) * (n - 1) / n
    changes = {name: after[name] - before[name] for name in after}
    return {"gradients": in_keras_order(network, gradients), "steps": in_keras_order(network, changes)}


def batches(case):
    """The pictures of each step as the twin takes them, in its dtype."""
    images = torch.from_numpy(case.images()).to(torch.get_default_dtype())
    return images.permute(0, 1, 4, 2, 3).contiguous() if images.ndim == 5 else images


def heads(output):
    """The logits of a twin, the main ones first; torchvision's GoogLeNet names its auxiliary ones."""
    if hasattr(output, "aux_logits1"):
        return [output.logits, output.aux_logits1, output.aux_logits2]
    return list(output) if isinstance(output, (list, tuple)) else [output]


def load_twin(twin, network):
    """Give the twin the weights of `network`; it keeps its dtype."""
    twin.load_state_dict(convert.torch_state_dict(network))


def state_of(twin):
    return {name: tensor.detach().numpy().copy() for name, tensor in twin.state_dict().items()}


def count_samples(twin):
    """{path of a batch norm: (numbers per channel that its statistics are taken of, its momentum)}, once it has run."""
    counts = {}

    def hook_for(path):
        def count(module, inputs):
            counts[path] = inputs[0].numel() // inputs[0].shape[1], module.momentum

        return count

    for path, module in twin.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(hook_for(path))
    return counts


def in_keras_order(network, tensors):
    """Arrays of the twin, by PyTorch's names, as `variables` has the network's weights."""
    paths, by_variable = torchvision_paths(network) or {}, {}
    for layer in weighted_layers(network):
        path = paths.get(layer.name, layer.name)
        arrays = convert.to_keras(layer, {part: tensors[f"{path}.{part}"] for part in convert.parts(layer)})
        by_variable |= dict(zip(map(id, layer.weights), arrays, strict=True))
    return [by_variable[id(variable)] for variable in variables(network)]
