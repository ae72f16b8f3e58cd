"""Weights of PyTorch reach the layers that they belong to, whatever they are called and whoever wrote them, or nothing.

The judge is PyTorch: modules written as tutorials write them, and torchvision's, with weights of their own.
"""

import numpy as np
import pytest

import kerasnets
from kerasnets.proof.case import draw_weights
from tests.docs.tutorials import apart, load, mnist_cnn_state, shake, tutorials

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


def state_of(network):
    from kerasnets import convert

    return convert.torch_state_dict(network)


def back_under_its_own_names():
    """Whether a module loads its own weights back, by the names that load_torch_weights returned."""
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
    """Whether the weights of a module of 16 bits are exact after matching by its run."""
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

    from kerasnets.proof import twins

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
    from kerasnets.proof import twins

    distances = {}
    for name, options in NETWORKS.items():
        network, twin = kerasnets.build(name, **options), twins.build(name, **options)
        network.set_weights(draw_weights(network, seed=1))
        twin.load_state_dict(state_of(network))
        height, width, channels = network.input_shape[1:]
        distances[name] = apart(network, twin, (channels, height, width))
    return distances


def wrapped():
    """Return how many layers are matched in each wrapping of one state_dict, and the weights of the last."""
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
    """Whether weights of 16 bits are exact and of 64 bits rounded, as tensors and from files."""
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


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize("name", NETWORKS)
def test_weights_come_back_exactly(worker, name, layout):
    assert worker(round_trip, name, NETWORKS[name], layout)


def test_a_module_with_our_state_dict_gives_the_same_as_the_network(workers):
    for name, distance in workers["torch"](twin_answers).items():
        assert distance < 1e-5, name


def test_a_module_takes_its_weights_back_under_its_own_names(workers):
    same, message = workers["torch"](back_under_its_own_names)
    assert same
    assert message == "names lacks the layers conv1; pass what load_torch_weights returned"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_module_of_16_bits_is_matched_by_its_run(workers, dtype):
    assert workers["torch"](trace_of_16_bit, dtype) == (True, f"torch.{dtype}")  # and is left as it was


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize("tutorial", ["backwards", "swapped", "flattened as Keras does", "branches of one shape"])
def test_a_tutorials_module_is_matched_by_its_run(workers, tutorial, layout):
    assert workers["torch"](trace, tutorial, layout) < 1e-5


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvisions_state_dict_goes_both_ways(workers, name):
    distance, same_keys, equal, unexpected = workers["torch"](torchvision_both_ways, name, TORCHVISION[name])
    assert distance < 1e-5
    assert (same_keys, equal, unexpected) == (True, True, [])


def test_old_names_of_densenet_are_understood(workers):
    # 2 of the stem, 4 of each of 58 layers (table 1 of the paper: 6 + 12 + 24 + 16), 2 of each transition, 2 at the end
    assert workers["torch"](old_densenet) == (2 + 4 * 58 + 2 * 3 + 2, True)


def test_wrappers_are_removed(workers):
    assert workers["torch"](wrapped) == ([5] * 6, True)


def test_other_dtypes_are_converted(workers, tmp_path):
    answers = workers["torch"](from_other_types, tmp_path)
    assert len(answers) == 9
    assert all(answers.values()), answers
