"""Weights of PyTorch reach the layers that they belong to, whatever they are called and whoever wrote them, or nothing.

The judge is PyTorch: modules written as tutorials write them, and torchvision's, with weights of their own.
"""

import http.server
import json
import resource
import tarfile
import threading
import time
import warnings
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import kerasnets
from kerasnets.backends import BACKENDS
from kerasnets.cases import draw_weights
from kerasnets.errors import BadInputError
from tests.conftest import ROOT
from tests.test_console import only_line, run

MUTATIONS = 50  # a tenth of shared/SPEC.md's 500
SECONDS, MEBIBYTES = 5, 512  # of shared/SPEC.md: at most so much beyond a good file

# name of a network -> options that keep it small; in shapes that are not square where it takes them
NETWORKS = {
    "lenet5": {"input_shape": (32, 28, 3)},
    "baseline_cnn": {"input_shape": (17, 20, 3)},
    "dnn_mnist": {},
    "googlenet_mini": {},
    "alexnet": {"input_shape": (67, 75, 3), "units": 16, "num_classes": 7},
    "resnet20": {"input_shape": (16, 20, 3)},
}

# name of a network of torchvision's -> the same
TORCHVISION = {
    "resnet18": {"input_shape": (40, 56, 3), "num_classes": 7},
    "resnet50": {"input_shape": (40, 56, 3), "num_classes": 7},
    "densenet121": {"input_shape": (40, 56, 3), "num_classes": 7},
    "googlenet_torchvision": {"input_shape": (64, 72, 3), "num_classes": 7},
    "alexnet_torchvision": {"input_shape": (64, 72, 3), "num_classes": 7, "units": 16},
    "vgg11": {"input_shape": (32, 40, 3), "num_classes": 7, "units": 16},
    "vgg16_bn": {"input_shape": (32, 40, 3), "num_classes": 7, "units": 16},
}


# ---- modules as tutorials write them; run in the workers ----


def load(network, source, **how):
    from kerasnets import convert

    return convert.load_torch_weights(network, source, **how)


def state_of(network):
    from kerasnets import convert

    return convert.torch_state_dict(network)


def tutorials():
    """name -> (name of a network, its options, module, shape of its input)."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    class Backwards(nn.Module):
        """The layers of mnist_cnn, the last defined first, ending in log_softmax as in PyTorch's MNIST example."""

        def __init__(self):
            super().__init__()
            self.fc2, self.fc1 = nn.Linear(64, 10), nn.Linear(576, 64)
            self.c, self.b, self.a = nn.Conv2d(64, 64, 3), nn.Conv2d(32, 64, 3), nn.Conv2d(1, 32, 3)

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.a(x), inplace=True), 2)
            x = F.relu(self.c(F.max_pool2d(F.relu(self.b(x)), 2)))
            return F.log_softmax(self.fc2(F.relu(self.fc1(x.view(x.size(0), -1)))), dim=1)

    class Swapped(nn.Module):
        """Names that are our network's, on layers that are not: conv2 of one is conv1 of the other."""

        def __init__(self):
            super().__init__()
            for name, shape in (("dense2", (8, 8)), ("dense1", (784, 8)), ("logits", (8, 10))):
                self.add_module(name, nn.Linear(*shape))

        def forward(self, x):
            return self.logits(F.relu(self.dense2(F.relu(self.dense1(torch.flatten(x, 1))))))

    class HeightWidthChannels(nn.Module):
        """A module whose author flattened as Keras does, on a picture of three channels."""

        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 6, 5, padding=2), nn.BatchNorm2d(6, eps=1e-3)
            self.out, self.hidden = nn.Linear(128, 10), nn.Linear(8 * 10 * 6, 128)

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.norm(self.conv(x))), 2)
            return self.out(F.relu(self.hidden(x.permute(0, 2, 3, 1).flatten(1))))

    class Inception(nn.Module):
        """Three convolutions of one shape on one input; defined in another order than they are joined."""

        def __init__(self, channels):
            super().__init__()
            self.third, self.pool = nn.Conv2d(channels, 16, 1), nn.Conv2d(channels, 24, 1)
            self.first, self.second = nn.Conv2d(channels, 16, 1), nn.Conv2d(channels, 16, 1)
            self.second3, self.second2 = nn.Conv2d(24, 24, 3, padding=1), nn.Conv2d(16, 24, 3, padding=1)
            self.third2 = nn.Conv2d(16, 24, 5, padding=2)

        def forward(self, x):
            second = self.second3(self.second2(self.second(x)))
            return torch.cat([self.first(x), second, self.third2(self.third(x)), self.pool(x)], 1)

    class Mini(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.inc2, self.inc1 = nn.Linear(1408, 10), Inception(20), Inception(10)
            self.conv1, self.conv2 = nn.Conv2d(1, 10, 5), nn.Conv2d(88, 20, 5)

        def forward(self, x):
            x = self.inc1(F.max_pool2d(F.relu(self.conv1(x)), 2))
            return self.fc(self.inc2(F.max_pool2d(F.relu(self.conv2(x)), 2)).flatten(1))

    made = {
        "backwards": ("mnist_cnn", {}, Backwards(), (1, 28, 28)),
        "swapped": ("fc2layer", {}, Swapped(), (1, 28, 28)),
        "flattened as Keras does": ("baseline_cnn", {"input_shape": (16, 20, 3)}, HeightWidthChannels(), (3, 16, 20)),
        "branches of one shape": ("googlenet_mini", {}, Mini(), (1, 28, 28)),
    }
    for _, _, module, _ in made.values():
        shake(module)
    return made


def shake(module, seed=0):
    """Statistics and scales of batch norm that are not those of the beginning."""
    import torch

    torch.manual_seed(seed)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            for tensor in (part.running_var, part.weight.data):
                tensor.uniform_(0.5, 1.5)


def apart(network, module, shape):
    """How far the logits of both lie apart on other pictures than any before, as a fraction of their scale."""
    import torch

    pictures = np.random.default_rng(9).normal(size=(2, *shape)).astype("float32")
    with torch.no_grad():
        theirs = module.eval()(torch.from_numpy(pictures)).numpy()
    ours = network.predict_on_batch(pictures.transpose(0, 2, 3, 1))
    if (theirs <= 0).all():  # it ends in log_softmax
        ours = ours - np.log(np.exp(ours).sum(1, keepdims=True))
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def back_under_its_own_names():
    """Whether a module takes back what was made of it, under the names that load_torch_weights returned."""
    import torch

    import kerasnets

    name, options, module, shape = tutorials()["branches of one shape"]
    network = kerasnets.build(name, **options)
    names = load(network, module, example=torch.rand(3, *shape))
    state = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    back = kerasnets.torch_state_dict(network, names)
    module.load_state_dict(back)
    try:
        kerasnets.torch_state_dict(network, dict(list(names.items())[1:]))
    except ValueError as error:
        return all(torch.equal(back[key], state[key]) for key in state), str(error)


def trace(tutorial, layout):
    import torch

    name, options, module, shape = tutorials()[tutorial]
    network = kerasnets.build(name, layout=layout, **options)
    module.train()
    load(network, module, example=torch.rand(3, *shape))
    assert module.training
    return apart(network, module, shape)


def trace_of_16_bit(dtype):
    """Whether the weights of a module of 16 bit come exactly, by a run."""
    import torch

    module = tutorials()["backwards"][2].to(getattr(torch, dtype))
    network = kerasnets.build("mnist_cnn")
    load(network, module, example=torch.rand(2, 1, 28, 28).to(getattr(torch, dtype)))
    biases = [layer.get_weights()[1] for layer in network.layers if layer.weights]
    theirs = [p.detach().float().numpy() for name, p in module.named_parameters() if name.endswith("bias")]
    return sorted(map(tuple, biases)) == sorted(map(tuple, theirs)), str(next(module.parameters()).dtype)


def torchvision_module(name, options):
    """torchvision's own model; with `units`, narrow dense layers in its place."""
    from torchvision import models

    from kerasnets import twins

    more = {"init_weights": False} if name.startswith("goog") else {}
    kind = getattr(models, name.removesuffix("_torchvision"))
    module = twins.build(name, **options) if "units" in options else kind(num_classes=options["num_classes"], **more)
    shake(module)
    return module


def torchvision_both_ways(name, options):
    import torch

    module = torchvision_module(name, options)
    network = kerasnets.build(name, **options)
    load(network, module.state_dict())
    height, width, channels = options["input_shape"]
    distance = apart(network, module, (channels, height, width))
    state, back = module.state_dict(), state_of(network)
    without_heads = {key for key in state if not key.startswith("aux")}
    equal = all(torch.equal(back[key], state[key]) for key in back if not key.endswith("num_batches_tracked"))
    return distance, set(back) == without_heads, equal, module.load_state_dict(back, strict=False).unexpected_keys


def old_densenet():
    from kerasnets import convert

    network = kerasnets.build("densenet121", input_shape=(32, 32, 3), num_classes=3)
    state = convert.named_arrays(network)
    old = {key.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): state[key] for key in state}
    assert set(old) != set(state)
    fresh = kerasnets.build("densenet121", input_shape=(32, 32, 3), num_classes=3)
    matched = load(fresh, old)
    same = all(
        np.array_equal(new, there) for new, there in zip(fresh.get_weights(), network.get_weights(), strict=True)
    )
    return len(matched), same


def round_trip(name, options, layout):
    from kerasnets import convert

    network = kerasnets.build(name, layout=layout, **options)
    weights = draw_weights(network, seed=1)
    network.set_weights(weights)
    fresh = kerasnets.build(name, **options)
    load(fresh, convert.named_arrays(network))
    return all(np.array_equal(ours, drawn) for ours, drawn in zip(fresh.get_weights(), weights, strict=True))


def twin_answers():
    """The distance of our logits from a module that took `torch_state_dict`, for every network of NETWORKS."""
    from kerasnets import twins

    distances = {}
    for name, options in NETWORKS.items():
        network, twin = kerasnets.build(name, **options), twins.build(name, **options)
        network.set_weights(draw_weights(network, seed=1))
        twin.load_state_dict(state_of(network))
        height, width, channels = network.input_shape[1:]
        distances[name] = apart(network, twin, (channels, height, width))
    return distances


# ---- what is refused; run in the worker of torch ----


def mnist_cnn_state(**changes):
    """A state_dict for mnist_cnn under a tutorial's names, its shapes all different; None takes a tensor out."""
    shapes = {
        "conv1": (32, 1, 3, 3),
        "conv2": (64, 32, 3, 3),
        "conv3": (64, 64, 3, 3),
        "fc1": (64, 576),
        "fc2": (10, 64),
    }
    rng, state = np.random.default_rng(5), {}
    for name, shape in shapes.items():
        state[f"{name}.weight"] = rng.normal(0, 0.05, shape).astype("float32")
        state[f"{name}.bias"] = rng.normal(0, 0.05, shape[:1]).astype("float32")
    state |= {name.replace("__", "."): value for name, value in changes.items()}
    return {name: value for name, value in state.items() if value is not None}


def spoilt(value, name="conv2.weight"):
    state = mnist_cnn_state()
    state[name].flat[3] = value
    return state


def zeros(*shape, dtype="float32"):
    return np.zeros(shape, dtype)


# case: (network, source, words); PyTorch's own modules are in REFUSED_MODULES
REFUSED = {
    "missing tensor": ("mnist_cnn", mnist_cnn_state(conv2__bias=None), "conv2.bias (64,) is missing"),
    "missing layer": (
        "mnist_cnn",
        mnist_cnn_state(conv3__weight=None, conv3__bias=None),
        "no tensors fit the layer conv3, which takes weight (64, 64, 3, 3), bias (64,)",
    ),
    "one too many": ("mnist_cnn", mnist_cnn_state(extra__weight=zeros(3, 4)), "no layer is left for extra.weight"),
    "bias too many": (
        "resnet20",
        {"stem_conv.weight": zeros(16, 3, 3, 3), "stem_conv.bias": zeros(16)},
        "stem_conv.bias (16,) has no place: the layer stem_conv takes weight alone",
    ),
    "other kernel": ("mnist_cnn", mnist_cnn_state(conv2__weight=zeros(64, 32, 5, 5)), "no tensors fit the layer conv2"),
    "other classes": (
        "mnist_cnn",
        mnist_cnn_state(fc2__weight=zeros(7, 64), fc2__bias=zeros(7)),
        "fc2.weight is (7, 64), of 7 classes; the network has 10: build it with num_classes=7",
    ),
    "NaN": ("mnist_cnn", spoilt(np.nan), "conv2.weight (64, 32, 3, 3) holds NaN or infinite numbers"),
    "infinite": ("mnist_cnn", spoilt(-np.inf), "conv2.weight (64, 32, 3, 3) holds NaN or infinite numbers"),
    "huge": ("mnist_cnn", spoilt(3e30), "conv2.weight (64, 32, 3, 3) holds 3.0e+30: it is damaged"),
    "too large for float32": (
        "mnist_cnn",
        mnist_cnn_state(fc1__bias=np.full(64, 1e300)),
        "fc1.bias (64,) holds NaN or infinite numbers",
    ),
    "whole numbers": ("mnist_cnn", mnist_cnn_state(fc1__bias=zeros(64, dtype="int8")), "fc1.bias is int8 (64,)"),
    "no tensor": ("mnist_cnn", mnist_cnn_state(epoch=5), "epoch is a int, not a tensor"),
    "number for a name": ("mnist_cnn", {0: zeros(3)}, "it has 0 for a tensor's name"),
    "nothing": ("mnist_cnn", {}, "there are no weights in it"),
    "a list": ("mnist_cnn", [zeros(3)], "there is a list in it, not a state_dict"),
}  # fmt: skip


def refusal(name, source, options=None, **how):
    """The message of a refusal, and whether the network kept its weights."""
    network = kerasnets.build(name, **(options or {}))
    before = network.get_weights()
    try:
        load(network, source, **how)
    except ValueError as error:
        kept = all(np.array_equal(old, new) for old, new in zip(before, network.get_weights(), strict=True))
        return type(error).__name__, str(error), kept
    return "", "", True


def mini(in_order):
    """googlenet_mini from a bare state_dict in the order of its builder, and in another."""
    import torch

    name, _, module, shape = tutorials()["branches of one shape"]
    order = [f"inc{i}.{part}" for i in (1, 2)
             for part in ("first", "second", "second2", "second3", "third", "third2", "pool")]  # fmt: skip
    order = ["conv1", *order[:7], "conv2", *order[7:], "fc"]
    state = module.state_dict()
    state = {f"{path}.{part}": state[f"{path}.{part}"] for path in order for part in ("weight", "bias")}
    network = kerasnets.build(name)
    if not in_order:
        return refusal(name, state), refusal(name, module.state_dict(), in_order=True)
    load(network, state, in_order=True)
    assert isinstance(state["fc.weight"], torch.Tensor)
    return apart(network, module, shape)


def modules_that_differ():
    """case: (network, module, example, words) of modules that are not quite the network."""
    import torch
    from torch import nn

    def cnn(first=None, activation=nn.ReLU, flatten=None, more=()):
        return nn.Sequential(
            first or nn.Conv2d(1, 32, 3), activation(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), activation(),
            nn.MaxPool2d(2), nn.Conv2d(64, 64, 3), activation(), flatten or nn.Flatten(),
            nn.Linear(576, 64), activation(), nn.Linear(64, 10), *more,
        )  # fmt: skip

    def baseline(norm):
        return nn.Sequential(
            nn.Conv2d(3, 6, 5, padding=2), norm, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1536, 128),
            nn.ReLU(), nn.Linear(128, 10),
        )  # fmt: skip

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(784, 8), nn.Linear(8, 8), nn.Linear(8, 10)

        def forward(self, x):
            return self.c(self.b(self.b(self.a(x.flatten(1)))))

    digits, colours = torch.rand(2, 1, 28, 28), torch.rand(2, 3, 32, 32)
    return {
        "tanh for ReLU": (
            "mnist_cnn",
            cnn(activation=nn.Tanh),
            digits,
            "nothing in the module is given what the layer",
        ),
        "another end": ("mnist_cnn", cnn(more=[nn.Sigmoid()]), digits, "of their scale apart on the example, where"),
        "no bias": ("mnist_cnn", cnn(nn.Conv2d(1, 32, 3, bias=False)), digits, "0.bias (32,) is missing"),
        "no affine": ("baseline_cnn", baseline(nn.BatchNorm2d(6, affine=False)), colours, "1.weight (6,) is missing"),
        "no statistics": (
            "baseline_cnn",
            baseline(nn.BatchNorm2d(6, track_running_stats=False)),
            colours,
            "1.running_mean (6,) is missing",
        ),
        "other epsilon": ("baseline_cnn", shaken(baseline(nn.BatchNorm2d(6, eps=0.5))), colours, "is given what"),
        "used twice": ("fc2layer", Twice(), digits, "b is used twice in a run"),
        "not run": ("mnist_cnn", with_extra(cnn()), digits, "extra, weight (3, 3), bias (3,), is not run as a layer"),
        "a layer with weights that we have not": (
            "mnist_cnn",
            cnn(activation=nn.PReLU),
            digits,
            "nothing in the module",
        ),
        "zeros": ("mnist_cnn", cnn(), torch.zeros(2, 1, 28, 28), "the example is of one value throughout"),
        "another shape": ("mnist_cnn", cnn(), torch.rand(2, 1, 30, 28), "the example must be (n, 1, 28, 28), not"),
        "channels last": (
            "fc2layer",
            nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 10)),
            torch.rand(2, 28, 28, 1),
            "the example must be (n, 1, 28, 28), not",
        ),
        "state_dict": ("mnist_cnn", cnn().state_dict(), digits, "an example goes with a torch.nn.Module"),
    }


def shaken(module):
    shake(module)
    return module


def with_extra(module):
    import torch

    module.register_module("extra", torch.nn.Linear(3, 3))
    module.forward = torch.nn.Sequential(*list(module)[:-1]).forward
    return module


def refusals_of_modules():
    return {
        case: (refusal(name, module, example=example), words)
        for case, (name, module, example, words) in modules_that_differ().items()
    }


def wrapped():
    """How many layers are found in each wrapping of one state_dict, and the weights of the last."""
    import torch

    plain = {name: torch.from_numpy(value) for name, value in mnist_cnn_state().items()}
    prefixed = {f"_orig_mod.module.{name}": value for name, value in plain.items()}
    module = torch.nn.DataParallel(tutorials()["backwards"][2])
    sources = [plain, {"state_dict": plain, "epoch": 3}, {"model": plain}, {"model_state_dict": prefixed}, prefixed]
    network = kerasnets.build("mnist_cnn")
    found = [len(load(network, source)) for source in sources]
    same = np.array_equal(network.get_weights()[-1], plain["fc2.bias"].numpy())
    found.append(len(load(network, module, example=torch.rand(1, 1, 28, 28))))
    return found, same


def from_other_types(folder):
    """Whether weights of 16 bit come exactly and of 64 rounded, as tensors and from files."""
    import safetensors.torch
    import torch

    answers = {}
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        state = {name: torch.from_numpy(value).to(dtype) for name, value in mnist_cnn_state().items()}
        wanted = state["fc2.bias"].to(torch.float32).numpy()
        torch.save(state, folder / "a.pth")
        safetensors.torch.save_file(state, folder / "a.safetensors")
        for source in (state, folder / "a.pth", folder / "a.safetensors"):
            network = kerasnets.build("mnist_cnn")
            load(network, source)
            answers[str(dtype), str(source)[-5:]] = np.array_equal(network.get_weights()[-1], wanted)
    return answers


# ---- tests: what belongs together ----


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize("name", NETWORKS)
def test_weights_come_back_exactly(worker, name, layout):
    assert worker(round_trip, name, NETWORKS[name], layout)


def test_a_module_with_our_state_dict_answers_as_the_network_does(workers):
    for name, distance in workers["torch"](twin_answers).items():
        assert distance < 1e-5, name


def test_a_module_takes_its_weights_back_under_its_own_names(workers):
    same, message = workers["torch"](back_under_its_own_names)
    assert same
    assert message == "names lacks the layers conv1; pass what load_torch_weights returned"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_module_of_16_bit_is_followed_through_its_run(workers, dtype):
    assert workers["torch"](trace_of_16_bit, dtype) == (True, f"torch.{dtype}")  # and is left as it was


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize("tutorial", ["backwards", "swapped", "flattened as Keras does", "branches of one shape"])
def test_a_tutorials_module_is_followed_through_its_run(workers, tutorial, layout):
    assert workers["torch"](trace, tutorial, layout) < 1e-5


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvisions_state_dict_goes_both_ways(workers, name):
    distance, same_keys, equal, unexpected = workers["torch"](torchvision_both_ways, name, TORCHVISION[name])
    assert distance < 1e-5
    assert (same_keys, equal, unexpected) == (True, True, [])


def test_old_names_of_densenet_are_understood(workers):
    # 2 of the stem, 4 of each of 58 layers (table 1 of the paper: 6 + 12 + 24 + 16), 2 of each transition, 2 at the end
    assert workers["torch"](old_densenet) == (2 + 4 * 58 + 2 * 3 + 2, True)


def test_branches_in_the_networks_order_are_taken_by_in_order(workers):
    assert workers["torch"](mini, True) < 1e-5


def test_tensors_that_could_be_swapped_are_refused(workers):
    (kind, message, kept), (_, disorder, still) = workers["torch"](mini, False)
    assert (kind, kept, still) == ("BadInputError", True, True)
    assert "have one shape, weight (16, 10, 1, 1), bias (16,), and could be swapped unnoticed" in message
    assert "pass the module with an example input, or in_order=True (--in-order)" in message
    assert "expected" in disorder


def test_wrappers_are_taken_off(workers):
    assert workers["torch"](wrapped) == ([5] * 6, True)


def test_other_types_of_numbers_are_taken(workers, tmp_path):
    answers = workers["torch"](from_other_types, tmp_path)
    assert len(answers) == 9
    assert all(answers.values()), answers


# ---- tests: what does not ----


@pytest.mark.parametrize("case", REFUSED)
def test_weights_that_do_not_fit_are_refused_by_name(workers, case):
    name, source, words = REFUSED[case]
    kind, message, kept = workers["jax"](refusal, name, source)  # without torch
    assert words in message
    assert (kind, kept) == ("BadInputError", True)


def test_modules_that_compute_something_else_are_refused(workers):
    for case, ((kind, message, kept), words) in workers["torch"](refusals_of_modules).items():
        assert words in message, case
        assert kept, case
        assert kind in ("BadInputError", "ValueError"), case


# ---- files ----


def make_files(folder):
    """A good file of each kind, an old one, and those that only torch can make."""
    import torch

    from kerasnets import convert

    network = kerasnets.build("baseline_cnn", input_shape=(16, 16, 3))
    arrays, state = convert.named_arrays(network), convert.torch_state_dict(network)
    for suffix in (".pth", ".safetensors"):
        convert.write_tensors(arrays, folder / f"good{suffix}")
    safetensors_of_others(arrays, folder / "others.safetensors")
    torch.save(state, folder / "old.pth", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(2, 2), folder / "module.pth")
    torch.save({"state_dict": state, "path": Path("/tmp")}, folder / "object.pth")
    torch.save(state["conv1.weight"], folder / "tensor.pth")
    torch.save(Malice(folder / "ran"), folder / "malice.pth")
    torch.save({"model": cycle()}, folder / "cycle.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that TorchScript is deprecated; files of it are about
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), str(folder / "script.pth"))


def safetensors_of_others(arrays, path):
    import safetensors.numpy

    safetensors.numpy.save_file(arrays, path)


class Malice:
    """What makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def cycle():
    made = {}
    made["model"] = made
    return made


def tar_of(path):
    with tarfile.open(path, "w") as archive:
        archive.add(ROOT / "README.md", "README.md")


def zip_of(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/readme.txt", "no weights")


def bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(200_000_000))


def half(path):
    content = path.with_stem("good").read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flipped(path):
    content = bytearray(path.with_stem("good").read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def written(content, path):
    path.write_bytes(content)


# name: (how it is made; None: by make_files, words)
BAD_FILES = {
    "missing.pth": (lambda path: None, "No such file or directory; check name"),
    "folder.pth": (Path.mkdir, "a folder, not a file of weights; name"),
    "empty.pth": (Path.touch, "the file is empty; copy"),
    "empty.safetensors": (Path.touch, "the file is empty; copy"),
    "garbage.pth": (partial(written, bytes(range(256)) * 9), "is nothing that torch.save wrote, or damaged; copy"),
    "garbage.safetensors": (partial(written, bytes(range(256)) * 9), "the file is damaged"),
    "page.pth": (partial(written, b"<!DOCTYPE html><html>404</html>"), "is a web page: download"),
    "page.safetensors": (partial(written, b"<html>404</html>"), "is a web page: download"),
    "pointer.pth": (partial(written, b"version https://git-lfs.github.com/spec/v1"), "a pointer of Git LFS: fetch"),
    "weights.bin": (partial(written, b"x"), "no file of PyTorch weights; those end in .pth, .pt, .safetensors"),
    "half.pth": (half, "the file is damaged or cut short"),
    "half.safetensors": (half, "the file is damaged"),
    "flipped.pth": (flipped, "fails its checksum; copy"),
    "flipped.safetensors": (flipped, "its numbers are not those that were saved"),
    "other.pth": (zip_of, "a zip archive, but not one of torch.save; name"),
    "bomb.pth": (bomb, "its parts are packed, as torch.save never does"),
    "archive.pth": (tar_of, "the file is a tar archive; unpack"),
    "module.pth": (
        None,
        "holds torch.nn.modules.linear.Linear, which is code and was not run; where it was made, save",
    ),
    "object.pth": (None, "which is code and was not run; where it was made, save model.state_dict() alone"),
    "malice.pth": (None, "which is code and was not run; where it was made, save model.state_dict() alone"),
    "script.pth": (None, "a TorchScript program; where it was made, save model.state_dict() alone"),
    "tensor.pth": (None, "there is a Tensor in it, not a state_dict; save"),
    "cycle.pth": (None, "model is a dict, not a tensor; save"),
}


@pytest.fixture(scope="module")
def folder(workers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    workers["torch"](make_files, folder)
    return folder


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_in_one_line_that_names_it(workers, folder, name):
    make, words = BAD_FILES[name]
    if make:
        make(folder / name)
    kind, message, kept = workers["torch"](refusal, "baseline_cnn", folder / name, {"input_shape": (16, 16, 3)})
    assert words in message
    assert (kind, kept) == ("BadInputError", True)
    assert f"{name}: " in message
    assert "\n" not in message
    assert not (folder / "ran").exists()


def mutated(content, rng):
    """A file cut short, or with a bit, a byte of its beginning, or 64 bytes changed."""
    content, kind = bytearray(content), rng.integers(4)
    place = int(rng.integers(len(content) - 64))
    if kind == 0:
        del content[place:]
    elif kind == 1:
        content[place] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        content[place % 2000] = int(rng.integers(256))
    else:
        content[place : place + 64] = rng.bytes(64)
    return bytes(content)


def judge_mutations(folder, name, count, seed):
    """{answer: how often} over mutated files; the longest time in seconds, the growth of memory in MiB."""
    network = kerasnets.build("baseline_cnn", input_shape=(16, 16, 3))
    load(network, folder / name)
    good, content, rng = network.get_weights(), (folder / name).read_bytes(), np.random.default_rng(seed)
    path, answers, longest = folder / f"mutated-{name}", {}, 0
    Path("/proc/self/clear_refs").write_text("5")  # Linux forgets the most memory that earlier tests took
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(count):
        path.write_bytes(mutated(content, rng))
        started = time.monotonic()
        try:
            load(network, path)
            same = all(np.array_equal(old, new) for old, new in zip(good, network.get_weights(), strict=True))
            answer = "harmless" if same else "unnoticed"
            network.set_weights(good)
        except BadInputError:
            answer = "refused"
        longest = max(longest, time.monotonic() - started)
        answers[answer] = answers.get(answer, 0) + 1
    return answers, longest, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.whole_registry) for seed in range(1, 10))])
@pytest.mark.parametrize(
    ("name", "count"),
    [("good.pth", 2 * MUTATIONS // 5), ("good.safetensors", 2 * MUTATIONS // 5), ("old.pth", MUTATIONS // 10),
     ("others.safetensors", MUTATIONS // 10)],
)  # fmt: skip
def test_mutated_files_are_refused_quickly(workers, folder, name, count, seed):
    """What torch wrote before 1.6, and a .safetensors of others, carry no checksum: a small change can go unnoticed."""
    answers, longest, grown = workers["torch"](judge_mutations, folder, name, count, seed)
    assert answers["refused"] > count // 20
    assert longest < SECONDS
    assert grown < MEBIBYTES
    if name.startswith("good"):
        assert "unnoticed" not in answers


# ---- the script ----

# What a person writes who knows PyTorch and has never heard of us.
TUTORIAL = """
import json, sys, torch, torch.nn as nn, torch.nn.functional as F
from PIL import Image
import numpy as np

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.conv3 = nn.Conv2d(64, 64, 3)
        self.fc1 = nn.Linear(576, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(F.relu(self.conv3(x)), 1)
        return self.fc2(F.relu(self.fc1(x)))

torch.manual_seed(3)
model = Net()
torch.save(model.state_dict(), "tutorial.pth")
picture = np.random.default_rng(4).integers(0, 256, (28, 28), np.uint8)
Image.fromarray(picture).save("picture.png")
x = (torch.from_numpy(picture)[None, None] / 255 - 0.1307) / 0.3081
print(json.dumps(F.softmax(model(x), 1)[0].tolist()))
"""


def probabilities(done):
    assert done.returncode == 0, done.stderr
    return {row["label"]: row["probability"] for row in json.loads(done.stdout)[0]["top"]}


def test_a_plain_pytorch_scripts_weights_give_its_answers_on_every_backend(tmp_path):
    (tmp_path / "tutorial.py").write_text(TUTORIAL)
    answered = run(tmp_path, tmp_path / "tutorial.py")
    assert answered.returncode == 0, answered.stderr
    wanted = json.loads(answered.stdout)
    names = list("abcdefghij")
    scaling = ["--mean", "0.1307", "--std", "0.3081", "--classes", ",".join(names)]
    made = run(tmp_path, "convert_weights.py", "mnist_cnn", "tutorial.pth", "--out", "a.keras", *scaling)
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[-1].startswith(
        "result model=mnist_cnn source=tutorial.pth tensors=10 parameters=93322 classes=10 input=28x28x1 "
    )
    back = run(tmp_path, "convert_weights.py", "a.keras", "--out", "a.safetensors", "--json", backend="jax")
    assert json.loads(back.stdout)["tensors"] == 10
    again = run(tmp_path, "convert_weights.py", "mnist_cnn", "a.safetensors", "--out", "b.h5", *scaling, backend="jax")
    assert again.returncode == 0, again.stderr
    for backend, model in zip(BACKENDS, ("a.keras", "b.h5", "a.keras"), strict=True):
        found = probabilities(
            run(tmp_path, "predict_image.py", model, "picture.png", "--top", 10, "--json", backend=backend)
        )
        np.testing.assert_allclose([found[name] for name in names], wanted, rtol=0, atol=1e-5)


FAILURES = {
    "nothing to convert": (["mnist_cnn", "--out", "a.keras"], 2, "name a network with FILE or --pretrained"),
    "no such network": (["mnist_cnm", "good.pth", "--out", "a.keras"], 2, "unknown model 'mnist_cnm'"),
    "no such option": (["lenet5", "good.pth", "--out", "a.keras", "--option", "deep=3"], 2, "has no option 'deep'"),
    "no such kind": (["lenet5", "good.pth", "--out", "a.keras", "--input-kind", "x"], 2, "unknown input kind 'x'"),
    "too few names": (
        ["lenet5", "good.pth", "--out", "a.keras", "--classes", "a,b", "--num-classes", "3"], 2, "2 class names for 3"),
    "std of zero": (["lenet5", "good.pth", "--out", "a.keras", "--std", "0"], 2, "std must be above 0"),
    "mean of 0..255": (["lenet5", "good.pth", "--out", "a.keras", "--mean", "33"], 2, "mean is of pixels 0..1"),
    "two means": (["lenet5", "good.pth", "--out", "a.keras", "--mean", "0", "1"], 2, "mean must be one number or 1"),
    "out of another kind": (["lenet5", "good.pth", "--out", "a.onnx"], 2, "a.onnx is no name for a model file"),
    "weights of another network": (["lenet5", "good.pth", "--out", "a.keras"], 3, "good.pth: no tensors fit the layer"),
    "module": (["lenet5", "module.pth", "--out", "a.keras"], 3, "where it was made, save model.state_dict() alone"),
    "order of a .safetensors": (
        ["lenet5", "good.safetensors", "--in-order", "--out", "a.keras"], 3, "good.safetensors: a .safetensors file"),
    "not published": (["lenet5", "--pretrained", "--out", "a.keras"], 2, "torchvision publishes no weights of"),
    "no network": (
        ["alexnet_torchvision", "--pretrained", "--out", "a.keras"], 4,
        "AlexNet_Weights.IMAGENET1K_V1 cannot be downloaded; go online, or put alexnet-owt-7be5be79.pth into"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_of_the_script_is_one_line_with_its_exit_code(folder, case):
    arguments, code, words = FAILURES[case]
    done = run(folder, "convert_weights.py", *arguments, TORCH_HOME=str(folder / "hub"))
    assert words in only_line(done, code)
    assert not list(folder.glob("a.*"))


def test_a_pth_under_another_backend_names_the_remedy(folder):
    done = run(folder, "convert_weights.py", "lenet5", "good.pth", "--out", "a.keras", backend="jax")
    assert "set that (the model file is the same for every backend), or use .safetensors" in only_line(done, 4)


# ---- published weights ----


def pretrained_error(name, version):
    from kerasnets.convert.pretrained import pretrained

    try:
        pretrained(name, version)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("version", ["IMAGENET1K_FEATURES", "IMAGENET1K_V9"])
def test_published_weights_without_a_classifier_are_refused_before_the_download(workers, version):
    message = workers["torch"](pretrained_error, "vgg16", version)
    assert message == f"vgg16 has no weights {version!r} with classes; choose one of: IMAGENET1K_V1"


def pretrained_over_the_network(folder, address, name):
    """Take weights of our own for torchvision's published ones, from a server; judge by torchvision's preprocessing."""
    import hashlib
    import os

    import torch
    from PIL import Image
    from sklearn.datasets import load_sample_image
    from torchvision import models

    from kerasnets.convert import making

    os.environ["TORCH_HOME"] = str(folder / f"home-{name}")
    tv_name = name.removesuffix("_torchvision")
    module = getattr(models, tv_name)(weights=None, **({"init_weights": False} if name.startswith("goog") else {}))
    shake(module)
    torch.save(module.state_dict(), folder / "made.pth")
    digest = hashlib.sha256((folder / "made.pth").read_bytes()).hexdigest()[:8]
    (folder / "made.pth").rename(folder / f"made-{digest}.pth")
    weights = models.get_model_weights(tv_name).DEFAULT
    weights.value.url = f"{address}/made-{digest}.pth"
    making.make_pretrained_file(name, folder / f"{name}.keras")
    picture = load_sample_image("china.jpg")
    if name.startswith("goog"):
        module.transform_input = True  # as torchvision sets it with its weights
    with torch.no_grad():
        theirs = module.eval()(weights.transforms()(Image.fromarray(picture))[None])[0].softmax(0).numpy()
    [answer] = kerasnets.Classifier.load(folder / f"{name}.keras").predict([picture])
    card = kerasnets.Classifier.load(folder / f"{name}.keras").card
    ours = np.array([share for _, share in answer.ranking])
    best = weights.meta["categories"][int(theirs.argmax())]
    return float(np.abs(ours - np.sort(theirs)[::-1]).max()), float(theirs.max()), answer.label == best, card


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize("name", ["resnet18", "googlenet_torchvision"])
def test_published_weights_answer_as_torchvision_does(workers, tmp_path, name):
    """torchvision's own preprocessing and module on a photo, against the model file alone."""
    handler = partial(Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            address = f"http://127.0.0.1:{server.server_port}"
            apart, largest, same_label, card = workers["torch"](pretrained_over_the_network, tmp_path, address, name)
        finally:
            server.shutdown()
    assert apart < 1e-5 * max(largest, 0.01)
    assert same_label
    assert (len(card.class_names), card.class_names[207], card.input_kind) == (1000, "golden retriever", "crop256")
    assert card.source.endswith("IMAGENET1K_V1")
