"""A converted network: its names, its training, what is refused, and that the proof notices a wrong layer."""

import numpy as np
import pytest

from kerasnets.project.conversions import randomize
from tests.conftest import mostly_on_torch
from tests.convert.from_torch.small_modules import build_module, pictures, to_last

PICTURE = (3, 16, 16)
NETWORK = "Network()"


def convert(expression, shape=PICTURE):
    module = build_module(expression)
    import torch

    import kerasnets

    return module, kerasnets.from_torch(module, torch.from_numpy(pictures(1, shape)))


def layers_of(expression):
    _, model = convert(expression)
    return [(layer.name, type(layer).__name__) for layer in model.operations]


def test_layers_have_the_names_of_the_modules_and_nothing_is_transposed(workers):
    layers = workers["torch"](layers_of, NETWORK)
    names = [name for name, _ in layers]
    assert {"stem_0", "stem_1", "block_conv1", "block_bn1", "block_add", "block_scale", "head"} <= set(names)
    assert not {kind for _, kind in layers} & {"Permute", "Transpose", "Lambda"}


def after_one_step(expression):
    """The largest differences of the weights after a step of SGD, relative to a weight's own step; and the names."""
    module, model = convert(expression)
    import keras
    import torch

    import kerasnets

    inputs, labels = pictures(8, PICTURE), np.arange(8) % 5
    before = [np.array(keras.ops.convert_to_numpy(w)) for w in model.weights]
    model.compile(keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(to_last(inputs), labels, batch_size=8, epochs=1, verbose=0)
    module.train()
    optimizer = torch.optim.SGD(module.parameters(), 0.05)
    torch.nn.functional.cross_entropy(module(torch.from_numpy(inputs)), torch.from_numpy(labels)).backward()
    optimizer.step()
    expected = kerasnets.from_torch(module.eval(), torch.from_numpy(inputs[:1]))
    differences = {}
    for old, ours, theirs in zip(before, model.weights, expected.weights, strict=True):
        a, b = (np.asarray(keras.ops.convert_to_numpy(w)) for w in (ours, theirs))
        if ours.path.endswith("moving_variance"):  # PyTorch's is unbiased, of 8 pictures of 8 x 8 pixels
            b = old * 0.9 + (b - old * 0.9) * 511 / 512
        step = np.abs(b - old).max()
        differences[ours.path] = (float(np.abs(a - b).max()), float(step))
    return differences


NETWORK_TO_TRAIN = "Network(dropout=0)"
TRAINED = {  # a network -> a word in the path of one of its weights, which has to move; maps are of 8 x 8 pixels
    NETWORK_TO_TRAIN: "scale",
    "nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish(), nn.Conv2d(8, 8, 3, 1, 1, "
    "groups=8), nn.BatchNorm2d(8), Call(lambda x: x * F.hardsigmoid(x.mean((2, 3), keepdim=True))), "
    "nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))": "moving_mean",
    "nn.Sequential(nn.Conv2d(3, 8, 2, 2), Call(lambda x: x.permute(0, 2, 3, 1)), nn.LayerNorm(8), nn.Linear(8, 16), "
    "nn.GELU(), nn.Linear(16, 8), Call(lambda x: x.mean((1, 2))), nn.Linear(8, 5))": "gamma",
}


def test_a_step_of_training_gives_the_weights_of_pytorch(worker):
    check_step(worker, NETWORK_TO_TRAIN)


@pytest.mark.parametrize("network", list(TRAINED)[1:])
@mostly_on_torch
def test_a_step_of_other_networks_does_too(worker, network):
    check_step(worker, network)


def check_step(worker, network):
    differences = worker(after_one_step, network)
    moved = [path for path, (_, step) in differences.items() if step > 1e-5]
    assert any(TRAINED[network] in path for path in moved)
    assert len(moved) > len(differences) / 2
    assert {path: pair for path, pair in differences.items() if pair[0] > 1e-5 + 1e-3 * pair[1]} == {}


def dropout_rates():
    _, model = convert("nn.Sequential(StochasticDepth(0.5), nn.Dropout(0.2), nn.Dropout2d(0.3), nn.Dropout(0))")
    inputs = np.ones((400, 16, 16, 3), "float32")
    import keras

    result = np.asarray(
        keras.ops.convert_to_numpy(keras.Model(model.input, model.layers[1].output)(inputs, training=True))
    )
    wholes = {tuple(np.unique(picture)) for picture in result}
    return [(type(x).__name__, x.rate) for x in model.layers[1:]], wholes, float(result.mean())


def test_dropout_stays_with_its_rate_and_stochastic_depth_drops_whole_pictures(workers):
    layers, wholes, mean = workers["torch"](dropout_rates)
    assert layers == [("Dropout", 0.5), ("Dropout", 0.2), ("SpatialDropout2D", 0.3)]
    assert wholes == {(0.0,), (2.0,)}
    assert 0.8 < mean < 1.2


def state_after(expression):
    """Whether a module in training is left as it was: modes, statistics, functions."""
    module = build_module(expression)
    import torch

    import kerasnets

    module.train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    kerasnets.from_torch(module, torch.from_numpy(pictures(2, PICTURE)))
    same = all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    return same, all(child.training and "forward" not in vars(child) for child in module.modules())


def test_the_module_is_left_as_it_was(workers):
    assert workers["torch"](state_after, "nn.Sequential(Network(), StochasticDepth(0.2))") == (True, True)


def names_of_outputs():
    module, model = convert("Named()")
    import torch

    inputs = pictures(2, PICTURE)
    with torch.no_grad():
        expected = module(torch.from_numpy(inputs))
    results = model.predict_on_batch(to_last(inputs))
    return [(name, float(np.abs(results[name] - expected[name].numpy()).max())) for name in expected]


def test_outputs_by_name_keep_their_names(workers):
    distances = workers["torch"](names_of_outputs)
    assert [name for name, _ in distances] == ["second", "first"]
    assert all(distance < 1e-5 for _, distance in distances)


# ---- refusals --------------------------------------------------------------------------------------------------------


def refusal(expression, shape=PICTURE):
    try:
        convert(expression, shape)
    except ValueError as error:
        return str(error)


REFUSALS = {
    "nn.Sequential(nn.Conv2d(3, 4, 3), Call(lambda x: torch.fft.fft2(x).real))":
        "no Keras layer is known for the operator fft_fft2 in 1 (Call)",
    "Call(lambda x: x if x.sum() > 0 else -x)": "the way through Call depends on the numbers in a tensor (line ",
    "Call(lambda x: F.dropout(x, 0.5))": "dropout: it drops numbers in evaluation too",
    "Call(lambda x: x * x.shape[0] ** 2)": "becomes 9 for another batch size",
    "nn.Conv2d(3, 4, 3).double()": "weight is torch.float64; call module.float() first",
    "nn.Conv2d(4, 4, 3)": "torch.export cannot follow Conv2d",
    "nn.Sequential(nn.MaxPool2d(2, dilation=2))": "max_pool2d in 0: a maximum over every second pixel",
    "nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 3))":
        "call torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight') first",
}  # fmt: skip


@pytest.mark.parametrize("expression", REFUSALS)
def test_what_cannot_be_converted_is_refused_in_one_line(workers, expression):
    message = workers["torch"](refusal, expression)
    assert REFUSALS[expression] in message
    assert "\n" not in message


def disagreement():
    from kerasnets.convert.from_torch import activations, operators

    right = operators.OPERATORS["relu"]
    operators.OPERATORS["relu"] = activations.relu6
    try:
        convert("nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), Call(lambda x: x * 100), nn.ReLU(), nn.Conv2d(4, 4, 1))")
    except ArithmeticError as error:
        return str(error)
    finally:
        operators.OPERATORS["relu"] = right


def test_a_wrong_layer_is_noticed_and_the_first_one_named(workers):
    assert "the first layer that differs: relu in 3 (" in workers["torch"](disagreement)


def wrong_in_training():
    from kerasnets.convert.from_torch import normalizations, operators

    def unlike(net, x, *args, **kwargs):
        result = normalizations.batch_norm(net, x, *args, **kwargs)
        list(net.layers.values())[-1].trainable = False  # Keras then normalizes by the moving statistics
        return result

    right = operators.OPERATORS["batch_norm"]
    operators.OPERATORS["batch_norm"] = unlike
    try:
        convert("nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))")
    except ArithmeticError as error:
        return str(error)
    finally:
        operators.OPERATORS["batch_norm"] = right


def test_a_difference_in_training_alone_is_noticed(workers):
    assert "in training the model is" in workers["torch"](wrong_in_training)


# ---- torchvision -----------------------------------------------------------------------------------------------------

SAMPLE = ("resnet18", "squeezenet1_1", "shufflenet_v2_x0_5", "mobilenet_v3_small", "convnext_tiny", "swin_t")
SIZES = {"inception_v3": 96, "vit_h_14": 56}  # pixels; 64 for the others
CLASSIFIERS = (
    "alexnet", "convnext_base", "convnext_large", "convnext_small", "convnext_tiny", "densenet121", "densenet161",
    "densenet169", "densenet201", *(f"efficientnet_b{i}" for i in range(8)), "efficientnet_v2_l", "efficientnet_v2_m",
    "efficientnet_v2_s", "googlenet", "inception_v3", "maxvit_t", "mnasnet0_5", "mnasnet0_75", "mnasnet1_0",
    "mnasnet1_3", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small",
    *(f"regnet_{kind}_{size}" for kind in "xy" for size in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")),
    "regnet_y_128gf", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d",
    "resnext101_32x8d", "resnext101_64x4d", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0", "squeezenet1_0", "squeezenet1_1", "swin_t", "swin_s", "swin_b", "swin_v2_t", "swin_v2_s",
    "swin_v2_b", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn", "vit_b_16",
    "vit_b_32", "vit_l_16", "vit_l_32", "vit_h_14", "wide_resnet50_2", "wide_resnet101_2",
)  # fmt: skip


def classifier_differs_by(name):
    """The largest difference of a classifier of torchvision from PyTorch, and the transpositions left in it."""
    from kerasnets.convert.from_torch.programs import load_torch

    load_torch()
    import keras
    import torch
    from torchvision import models

    import kerasnets

    size = 224 if name == "maxvit_t" else SIZES.get(name, 64)
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    options |= {"image_size": size} if name.startswith("vit") else {}
    torch.manual_seed(0)
    module = models.get_model(name, weights=None, num_classes=10, **options).eval()
    randomize(module)
    inputs = pictures(2, (3, size, size))
    model = kerasnets.from_torch(module, torch.from_numpy(inputs))
    with torch.no_grad():
        expected = module(torch.from_numpy(inputs)).numpy()
    result = np.asarray(keras.ops.convert_to_numpy(model(to_last(inputs))))
    kinds = [type(operation).__name__ for operation in model.operations]
    return float(np.abs(result - expected).max() / np.abs(expected).max()), kinds.count("Permute") + kinds.count(
        "Transpose"
    )


MOVED = ("swin", "vit", "maxvit", "shufflenet")  # windows, heads and shuffled channels are transpositions by themselves


def marked(names, sample):
    return [name if name in sample else pytest.param(name, marks=pytest.mark.whole_registry) for name in names]


@pytest.mark.parametrize("name", marked(CLASSIFIERS, SAMPLE))
def test_a_classifier_of_torchvision_gives_the_numbers_of_pytorch(workers, name):
    difference, transpositions = workers["torch"](classifier_differs_by, name)
    assert difference < 2e-5
    assert transpositions == 0 or name.startswith(MOVED)


@pytest.mark.whole_registry
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_it_does_so_on_the_other_backends(workers, backend, name):
    difference, _ = workers[backend](classifier_differs_by, name)
    assert difference < 2e-5


def test_all_classifiers_of_torchvision_are_listed(workers):
    assert workers["torch"](names_of_classifiers) == sorted(CLASSIFIERS)


def names_of_classifiers():
    from torchvision import models

    return sorted(models.list_models(module=models))
