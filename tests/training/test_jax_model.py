"""The trainee on JAX computes the same as Keras: its convolutions and pooling against XLA's, and whole networks."""

import itertools

import numpy as np
import pytest

from tests.training.test_torch_model import NETWORKS, SMALL_STEPS, check, of_name

DEEP = [each for each in NETWORKS if each[0] in ("lenet5", "resnet20", "densenet40")]

# (height, width, channels, filters, kernel height, kernel width, strides), images: each way of computing, and its edges
CONVOLUTIONS = [
    ((9, 8, 3, 4, 3, 3, 1), 5),  # by XLA
    ((9, 8, 3, 40, 3, 3, 1), 5),  # the gradient of the kernel by blocks
    ((9, 8, 3, 40, 3, 3, 1), 17),  # with some images left over
    ((20, 30, 2, 32, 3, 3, 1), 3),  # in blocks of one image
    ((9, 8, 3, 40, 5, 3, 2), 9),
    ((2, 2, 6, 7, 3, 3, 1), 5),  # the map is smaller than the kernel
    ((4, 4, 6, 7, 3, 3, 2), 5),  # the output is
    ((5, 5, 6, 7, 5, 5, 1), 5),
    ((6, 7, 5, 9, 1, 1, 1), 5),
    ((6, 7, 5, 9, 1, 1, 2), 5),
    ((3, 9, 2, 33, 2, 4, 3), 4),
]


def convolve_both_ways(case, images, padding):
    """[(ours, XLA's in float64)] of the output and the gradients of input and kernel."""
    import jax
    from jax import lax

    from kerasnets.training.fast import jax_layers

    height, width, channels, filters, *size, stride = case
    rng = np.random.default_rng(0)
    inputs, kernel = rng.normal(size=(images, height, width, channels)), rng.normal(size=(*size, channels, filters))
    strides = stride, stride

    def ours(inputs, kernel):
        return jax_layers.convolution(inputs, kernel, strides, padding)

    def xla(inputs, kernel):
        numbers = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(inputs, kernel, strides, padding.upper(), dimension_numbers=numbers)

    def all_of(convolve, dtype):
        outputs, gradients_of = jax.vjp(convolve, inputs.astype(dtype), kernel.astype(dtype))
        gradient = np.random.default_rng(1).normal(size=outputs.shape).astype(dtype)
        return [np.asarray(each) for each in (outputs, *gradients_of(gradient))]

    with jax.enable_x64(True):
        expected = all_of(xla, np.float64)
    return list(zip(all_of(ours, np.float32), expected, strict=True))


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("case", "images"), CONVOLUTIONS)
def test_a_convolution_and_its_gradients_are_those_of_xla(workers, case, images, padding):
    if padding == "valid" and (case[0] < case[4] or case[1] < case[5]):
        padding = "same"  # a valid one has no output
    for ours, expected in workers["jax"](convolve_both_ways, case, images, padding):
        assert ours.shape == expected.shape
        np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def pool_both_ways(shape, size):
    import jax
    import jax.numpy as jnp
    from jax import lax

    from kerasnets.training.fast import jax_layers

    # few different numbers, so that a window often has its maximum several times
    inputs = jnp.asarray(np.random.default_rng(0).integers(-2, 2, shape), jnp.float32)

    def xla(inputs):
        window = 1, *size, 1
        return lax.reduce_window(inputs, -jnp.inf, lax.max, window, window, "VALID")

    results = []
    for pool in (lambda inputs: jax_layers.maximum(inputs, size), xla):
        outputs, gradient_of = jax.vjp(pool, inputs)
        [gradient] = gradient_of(jnp.arange(1.0, outputs.size + 1).reshape(outputs.shape))
        results.append((np.asarray(outputs), np.asarray(gradient)))
    return results


@pytest.mark.parametrize(("shape", "size"), [*itertools.product([(3, 8, 6, 2), (2, 7, 9, 1)], [(2, 2), (3, 2)])])
def test_max_pooling_and_its_gradient_are_those_of_xla(workers, shape, size):
    (ours, our_gradient), (expected, expected_gradient) = workers["jax"](pool_both_ways, shape, size)
    np.testing.assert_array_equal(ours, expected)
    np.testing.assert_array_equal(our_gradient, expected_gradient)


@pytest.mark.parametrize(("name", "shape"), [
    pytest.param(name, shape, marks=[pytest.mark.whole_registry] * (name != "lenet5")) for name, shape in DEEP
])  # fmt: skip
def test_a_network_trains_like_keras(workers, name, shape):
    check(workers["jax"], of_name, (name, shape), SMALL_STEPS, tolerance=1e-3)  # 40 layers of float32 and ReLU


def kinds_in_trainee(name, precision):
    import dataclasses

    from kerasnets import models
    from kerasnets.recipes import RECIPES
    from kerasnets.training.trainee import trainee_of

    recipe = dataclasses.replace(RECIPES["vgg_cifar-cifar10"], precision=precision)
    trainee = trainee_of(models.build(name, input_shape=(28, 28, 1), num_classes=10), recipe, None, 1)
    return {type(layer).__name__ for layer in trainee.layers}


def test_the_fast_layers_are_used_in_float32_alone(workers):
    fast = {"FastConv2D", "FastMaxPooling2D"}
    assert workers["jax"](kinds_in_trainee, "mnist_cnn", "float32") >= fast
    assert not workers["jax"](kinds_in_trainee, "mnist_cnn", "mixed_bfloat16") & fast
