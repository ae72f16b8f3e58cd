"""The trainee on TensorFlow computes the same as Keras: outputs, steps, running statistics, figures."""

import numpy as np
import pytest

from tests.training.test_torch_model import (
    LAYERS,
    NETWORKS,
    ROWS,
    SMALL_STEPS,
    check,
    kinds_of_trainee,
    of_layers,
    of_name,
)

FUSED = [case for case in LAYERS if case.startswith("many channels")]
DEEP = [each for each in NETWORKS if each[0] in ("lenet5", "resnet20", "densenet40")]


@pytest.mark.parametrize("case", ["batch normalization", *FUSED])
def test_batch_normalization_trains_like_keras(workers, case):
    check(workers["tensorflow"], of_layers, (case,), {})


@pytest.mark.parametrize("case", ROWS)
def test_a_recipe_trains_like_keras(workers, case):
    check(workers["tensorflow"], of_layers, ("same",), ROWS[case])


@pytest.mark.parametrize(("name", "shape"), [
    pytest.param(name, shape, marks=[pytest.mark.whole_registry] * (name == "densenet40")) for name, shape in DEEP
])  # fmt: skip
def test_a_network_trains_like_keras(workers, name, shape):
    check(workers["tensorflow"], of_name, (name, shape), SMALL_STEPS, tolerance=1e-3)  # 40 layers of float32 and ReLU


def normalize(count, offset):
    """(numbers around `offset` with std 1, their batch normalization in a training step, running mean and variance)."""
    from kerasnets.training.fast.tensorflow_model import FusedBatchNormalization

    layer = FusedBatchNormalization()
    pictures = offset + np.random.default_rng(0).normal(size=(count, 1, 1, 16)).astype(np.float32)
    outputs = layer(pictures, training=True)
    return pictures, np.asarray(outputs), np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)


@pytest.mark.parametrize(("count", "offset"), [(1, 0), (2, 0), (500, 10_000)])
def test_batch_normalization_has_the_biased_variance_and_tolerates_a_large_offset(workers, count, offset):
    pictures, outputs, mean, variance = workers["tensorflow"](normalize, count, offset)
    values = pictures.astype(float).reshape(count, 16)
    expected = (values - values.mean(axis=0)) / np.sqrt(values.var(axis=0) + 1e-3)
    np.testing.assert_allclose(outputs.reshape(count, 16), expected, rtol=0, atol=1e-5 + 5e-7 * offset)
    np.testing.assert_allclose(mean, 0.01 * values.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(variance, 0.99 + 0.01 * values.var(axis=0), rtol=1e-5)


@pytest.mark.parametrize(("name", "modules"), [("baseline_cnn", {"keras"}), ("vgg_cifar", {"keras", "kerasnets"})])
def test_a_network_with_few_channels_keeps_the_layers_of_keras(workers, name, modules):
    assert workers["tensorflow"](kinds_of_trainee, name) == ("TensorFlowNetwork", modules)
