"""Whole networks: the registry's and keras.applications', with weights of which none is 0 or 1."""

import pytest

import kerasnets
from kerasnets.models.registry import NETWORKS
from kerasnets.project.translations import APPLICATIONS

SMALL = {"units": 16}
WITH_UNITS = ("alexnet", "vgg1", "vgg7", "vgg9")
SAMPLE = ("lenet5", "baseline_cnn", "dnn_tabular", "googlenet_mini", "resnet20", "densenet40", "alexnet")

SAMPLE_OF_APPLICATIONS = ("MobileNetV2", "MobileNetV3Small")


def options_of(name):
    form = NETWORKS[name]
    small = SMALL if name.startswith(WITH_UNITS) else {}
    if len(form.input_shape) < 3:
        return small
    side = max(form.smallest, 32) if form.input_shape[0] > 36 else form.input_shape[0]
    return small | {"input_shape": (side, side + (4 if form.input_shape[0] > 36 else 0), form.input_shape[2])}


def there_and_back(name, options):
    """The distance on inputs of our own, and whether the module's weights load back equal."""
    import numpy as np
    import torch

    from kerasnets.graph import weighted_layers
    from kerasnets.proof.case import draw_weights

    network = kerasnets.build(name, **options)
    network.set_weights(draw_weights(network, 0))
    module = kerasnets.to_torch(network)
    x = np.random.default_rng(1).standard_normal((2, *network.input_shape[1:]), "float32")
    moved = np.ascontiguousarray(np.moveaxis(x, -1, 1)) if x.ndim == 4 else x
    with torch.no_grad():
        y = module(torch.from_numpy(moved)).numpy()
    expected = network.predict_on_batch(x)
    back = kerasnets.build(name, **options)
    kerasnets.load_torch_weights(back, module, example=torch.from_numpy(moved))
    equal = [
        all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))
        for one, other in zip(weighted_layers(network), weighted_layers(back), strict=True)
    ]
    return float(np.abs(y - expected).max() / np.abs(expected).max()), all(equal)


@pytest.mark.parametrize(
    "name", [name if name in SAMPLE else pytest.param(name, marks=pytest.mark.whole_registry) for name in NETWORKS]
)
def test_a_network_of_the_registry_goes_to_pytorch_and_back(workers, name):
    distance, equal = workers["torch"](there_and_back, name, options_of(name))
    assert distance < 2e-5
    assert equal


def application(name, side):
    import keras
    import numpy as np
    import torch

    from kerasnets.graph import skip_initializers
    from kerasnets.proof.case import draw_weights

    with skip_initializers():
        model = getattr(keras.applications, name)(weights=None, input_shape=(side, side, 3), classes=10)
    values = draw_weights(model, 0)
    model.set_weights([0.7 * v if w.name == "gamma" else v for w, v in zip(model.weights, values, strict=True)])
    module = kerasnets.to_torch(model)
    x = np.random.default_rng(1).uniform(0, 255, (2, side, side, 3)).astype("float32")
    with torch.no_grad():
        y = module(torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))).numpy()
    expected = model.predict_on_batch(x)
    return float(np.abs(y - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize(
    "name",
    [
        name if name in SAMPLE_OF_APPLICATIONS else pytest.param(name, marks=pytest.mark.whole_registry)
        for name in APPLICATIONS
    ],
)
def test_a_network_of_keras_applications_goes_to_pytorch(workers, name):
    backend = "jax" if name.startswith("NASNet") else "torch"  # Keras refuses NASNet on torch
    assert workers[backend](application, name, APPLICATIONS[name]) < 2e-5


def outputs_of_aux_heads():
    import numpy as np
    import torch

    network = kerasnets.build("googlenet_torchvision", input_shape=(32, 40, 3), num_classes=5, auxiliary_heads=True)
    module = kerasnets.to_torch(network)
    x = np.random.default_rng(1).standard_normal((2, 32, 40, 3), "float32")
    with torch.no_grad():
        results = module(torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1))))
    return [
        float(np.abs(y.numpy() - expected).max() / np.abs(expected).max())
        for y, expected in zip(results, network.predict_on_batch(x), strict=True)
    ]


def test_auxiliary_heads_are_outputs(workers):
    distances = workers["torch"](outputs_of_aux_heads)
    assert len(distances) == 3
    assert max(distances) < 2e-5
