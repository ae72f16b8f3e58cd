"""Weights that do not fit a network, or that could be swapped, change nothing and are named."""

import numpy as np
import pytest

import kerasnets
from tests.docs.tutorials import apart, load, mnist_cnn_state, refusal, shake, tutorials


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
    "other kernel": ("mnist_cnn", mnist_cnn_state(conv2__weight=zeros(64, 32, 5, 5)),
                     "conv2.weight is (64, 32, 5, 5), expected (64, 32, 3, 3) of the layer conv2"),
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
    "no tensor": ("mnist_cnn", mnist_cnn_state(fc1__bias=[0.0] * 64), "fc1.bias is a list, not a tensor"),
    "number for a name": ("mnist_cnn", {0: zeros(3)}, "it has 0 for a tensor's name"),
    "nothing": ("mnist_cnn", {}, "there are no weights in it"),
    "a list": ("mnist_cnn", [zeros(3)], "there is a list in it, not a state_dict"),
}  # fmt: skip


def mini(in_order):
    """Load googlenet_mini from a bare state_dict in the order of its builder, or in another."""
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
            "nothing in the module has the input of the layer",
        ),
        "another end": ("mnist_cnn", cnn(more=[nn.Sigmoid()]), digits, "of their scale on the example, and"),
        "no bias": ("mnist_cnn", cnn(nn.Conv2d(1, 32, 3, bias=False)), digits, "0.bias (32,) is missing"),
        "no affine": ("baseline_cnn", baseline(nn.BatchNorm2d(6, affine=False)), colours, "1.weight (6,) is missing"),
        "no statistics": (
            "baseline_cnn",
            baseline(nn.BatchNorm2d(6, track_running_stats=False)),
            colours,
            "1.running_mean (6,) is missing",
        ),
        "other epsilon": ("baseline_cnn", shaken(baseline(nn.BatchNorm2d(6, eps=0.5))), colours, "has the input of"),
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


def test_branches_in_the_networks_order_are_taken_by_in_order(workers):
    assert workers["torch"](mini, True) < 1e-5


def test_tensors_that_could_be_swapped_are_refused(workers):
    (kind, message, kept), (_, disorder, still) = workers["torch"](mini, False)
    assert (kind, kept, still) == ("BadInputError", True, True)
    assert "have one shape, weight (16, 10, 1, 1), bias (16,), and could be swapped unnoticed" in message
    assert "pass the module with an example input, or in_order=True (--in-order)" in message
    assert "expected" in disorder


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
