"""Each network is the one that its source describes, and the same on every backend and in either layout."""

import numpy as np
import pytest

import kerasnets
from tests.conftest import draw_weights

# name: (trainable parameters, at input shape), from shared/SPEC.md section 1, which counts as PyTorch does
PARAMETERS = {
    "lenet5": (61_706, (28, 28, 1)),
    "mnist_cnn": (93_322, (28, 28, 1)),
    "baseline_cnn": (198_494, (32, 32, 3)),
    "dnn_mnist": (575_050, (28, 28, 1)),
}
NO_DROPOUT = {"baseline_cnn": {"dropout": 0.0}}  # its masks differ by backend, and nothing else does

LAYOUTS = ("channels_last", "channels_first")

# name: the smallest picture, by hand from the arithmetic of its convolutions (valid: n - k + 1) and poolings (n // 2)
SMALLEST = {"lenet5": 28, "mnist_cnn": 18, "baseline_cnn": 1, "dnn_mnist": 1}


def numpy_case(worker, name):
    """Weights and three batches (images, labels) from NumPy: what every backend is given."""
    rng = np.random.default_rng(3)
    weights = draw_weights(worker(weight_shapes, name), seed=3)
    shape = PARAMETERS[name][1]
    batches = [(rng.random((8, *shape), dtype="float32"), rng.integers(0, 10, 8)) for _ in range(3)]
    return weights, batches


# ---- run in the workers ----


def weight_shapes(name):
    return [(weight.path, tuple(weight.shape)) for weight in kerasnets.build(name).weights]


def parameters(name, options):
    network = kerasnets.build(name, **options)
    return (
        sum(int(np.prod(weight.shape)) for weight in network.trainable_weights),
        network.output_shape,
        network.compiled,
    )


def names_of_layers(name):
    return [layer.name for layer in kerasnets.build(name).layers[1:]]


def run_case(name, layout, weights, batches):
    """logits, the gradient of each weight, and the weights after three steps of SGD with momentum."""
    import keras

    def fresh(**sgd):
        network = kerasnets.build(name, layout=layout, **NO_DROPOUT.get(name, {}))
        network.set_weights(weights)
        network.compile(keras.optimizers.SGD(**sgd), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return network

    network = fresh(learning_rate=1.0)
    logits = network.predict_on_batch(batches[0][0])
    network.train_on_batch(*batches[0])
    gradients = [before - after for before, after in zip(weights, network.get_weights(), strict=True)]
    network = fresh(learning_rate=0.05, momentum=0.9)
    for batch in batches:
        network.train_on_batch(*batch)
    return logits, gradients, network.get_weights()


def twin_logits(name, weights, images):
    from tests import twins

    return twins.logits(name, weights, images)


def build_error(name, options):
    try:
        kerasnets.build(name, **options)
    except ValueError as error:
        return str(error)
    return None


def raw_builder_fails(name, side):
    from kerasnets.models import MODELS

    try:
        MODELS[name](input_shape=(side, side, 1))
    except Exception as error:
        return type(error).__name__
    return None


# ---- tests ----


def test_every_model_of_the_registry_is_proven_here(workers):
    assert workers["torch"](kerasnets_names) == sorted(PARAMETERS)


def kerasnets_names():
    return kerasnets.list_models()


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_those_of_the_specification(worker, name):
    count, output_shape, compiled = worker(parameters, name, {})
    assert (count, output_shape, compiled) == (PARAMETERS[name][0], (None, 10), False)


def test_classes_and_input_shape_are_options(worker):
    # conv1 3*3*3*32+32, conv2 18,496, conv3 36,928; 40 -> 38 -> 19 -> 17 -> 8 -> 6: 6*6*64*64+64; 64*7+7
    count, output_shape, _ = worker(parameters, "mnist_cnn", {"input_shape": (40, 40, 3), "num_classes": 7})
    assert (count, output_shape) == (896 + 18_496 + 36_928 + 147_520 + 455, (None, 7))


def test_lenet5_has_the_layer_names_of_the_paper(workers):
    assert workers["torch"](names_of_layers, "lenet5") == ["c1", "s2", "c3", "s4", "c5", "flatten", "f6", "logits"]


def largest_kernels():
    """Of lenet5: the largest weight of each kernel, times the root of its fan-in; the largest bias."""
    import keras

    keras.utils.set_random_seed(0)
    weights = kerasnets.build("lenet5").get_weights()
    kernels = [float(np.abs(kernel).max() * np.sqrt(np.prod(kernel.shape[:-1]))) for kernel in weights[::2]]
    return kernels, max(float(np.abs(bias).max()) for bias in weights[1::2])


def test_lenet5_begins_with_kernels_as_pytorch_draws_them(worker):
    """U(+-1/sqrt(fan_in)), torch.nn.Linear and Conv2d; each has 150 weights or more, so one is near the bound."""
    kernels, bias = worker(largest_kernels)
    assert all(0.95 < kernel <= 1 + 1e-6 for kernel in kernels)
    assert bias == 0


@pytest.mark.parametrize("name", PARAMETERS)
def test_backends_and_layouts_agree(workers, name):
    """Same weights and batches from NumPy: logits, gradients and three SGD steps, within float32's rounding.

    Tolerance 1e-5 absolute on values of order 1; the largest difference measured is 1.4e-6, of baseline_cnn.
    """
    weights, batches = numpy_case(workers["torch"], name)
    reference = workers["torch"](run_case, name, "channels_last", weights, batches)
    for backend, worker in workers.items():
        for layout in LAYOUTS:
            logits, gradients, stepped = worker(run_case, name, layout, weights, batches)
            case = f"{name} on {backend}, {layout}"
            np.testing.assert_allclose(logits, reference[0], rtol=0, atol=1e-5, err_msg=f"logits of {case}")
            for kind, ours, theirs in (("gradients", gradients, reference[1]), ("weights", stepped, reference[2])):
                for i, (mine, yours) in enumerate(zip(ours, theirs, strict=True)):
                    np.testing.assert_allclose(mine, yours, rtol=0, atol=1e-5, err_msg=f"{kind} {i} of {case}")
    largest = [np.abs(gradient).max() for gradient in reference[1]]
    assert sorted(largest)[1] > 1e-3  # there was something to compare; a bias before batch norm has no gradient


@pytest.mark.parametrize("name", PARAMETERS)
def test_logits_are_those_of_a_twin_in_plain_torch(workers, name):
    weights, batches = numpy_case(workers["torch"], name)
    logits, _, _ = workers["torch"](run_case, name, "channels_last", weights, batches)
    twin = workers["torch"](twin_logits, name, weights, batches[0][0])
    np.testing.assert_allclose(logits, twin, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "options", "words"), [
    ("lenet6", {}, "unknown model 'lenet6'; choose one of: baseline_cnn, dnn_mnist, lenet5, mnist_cnn"),
    ("lenet5", {"depth": 3}, "lenet5 has no option 'depth'; it takes: input_shape, num_classes"),
    ("lenet5", {"input_shape": (27, 28, 1)}, "lenet5 needs pictures of at least 28x28, not 27x28"),
    ("lenet5", {"input_shape": (28, 28)}, "input_shape must be (height, width, channels) in pixels, not (28, 28)"),
    ("lenet5", {"input_shape": 28}, "input_shape must be (height, width, channels) in pixels, not 28"),
    ("lenet5", {"num_classes": True}, "num_classes must be a whole number of at least 1, not True"),
    ("lenet5", {"num_classes": 0}, "num_classes must be a whole number of at least 1, not 0"),
    ("lenet5", {"layout": "nchw"}, "unknown layout 'nchw'; choose one of: channels_last, channels_first"),
])  # fmt: skip
def test_what_cannot_be_built_is_said_in_one_line(worker, name, options, words):
    assert worker(build_error, name, options) == words


@pytest.mark.parametrize("name", SMALLEST)
def test_smallest_picture_is_the_smallest(workers, name):
    side = SMALLEST[name]
    assert workers["torch"](build_error, name, {"input_shape": (side, side, 1)}) is None
    if side > 1:
        assert "at least" in workers["torch"](build_error, name, {"input_shape": (side - 1, side, 1)})
        assert workers["torch"](raw_builder_fails, name, side - 1)
