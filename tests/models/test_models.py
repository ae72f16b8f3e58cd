"""Each network is the one that its source describes, and the same on every backend and in either layout.

All that is asked here is asked of the whole registry; a new network needs a row in kerasnets/published.py and a twin.
"""

import numpy as np
import pytest

import kerasnets
from kerasnets.proof import verification
from kerasnets.proof.parameter_counts import MAIN, PUBLISHED

# Proven in every run; the others, DenseNet among them, by `pytest -m whole_registry`.
IN_EVERY_RUN = (
    "lenet5", "mnist_cnn", "baseline_cnn", "sigmoid_cnn", "cifar_net", "dnn_tabular", "fc2layer", "alexnet",
    "alexnet_torchvision", "vgg7 head=compact", "vgg11_bn", "nin", "googlenet", "googlenet_mini", "resnet18",
    "resnet20", "resnet_mini", "resnet_cifar_wide",
)  # fmt: skip

# ---- run in the workers ----


def names_of_models():
    return kerasnets.list_models()


def twins_that_exist():
    from kerasnets.proof import twins

    return [name for name in kerasnets.list_models() if callable(twins.builder_of(name))]


def options_and_smallest(name, options):
    from kerasnets import models

    return list(models.options_of(name)), models.smallest(name, options)[0]


def error_of_unlisted(name, options):
    from unittest import mock

    from kerasnets import models

    with mock.patch.dict(models.SMALLEST, {name: 1}):
        return build_error(name, options)


def parameters(name, options):
    from kerasnets.graph.weights import drawing_nothing

    with drawing_nothing():  # a hundred million normal numbers take a second
        network = kerasnets.build(name, **options)
    return (
        sum(int(np.prod(weight.shape)) for weight in network.trainable_weights),
        network.output_shape,
        network.compiled,
        network.name,
        network.input_shape[1:],
    )


def apart_in_layout(name, shape, layout):
    """How far the logits of the network in `layout` lie from those in channels_last, of their scale."""
    from kerasnets.graph import rebuild
    from kerasnets.proof.case import draw_weights

    network = kerasnets.build(name, input_shape=shape)
    network.set_weights(draw_weights(network, 0))
    images = np.random.default_rng(0).random((2, *shape), "float32")
    expected = network.predict_on_batch(images)
    found = rebuild(network, layout=layout).predict_on_batch(images)
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def names_of_layers(name):
    return [layer.name for layer in kerasnets.build(name).layers[1:]]


def largest_kernels():
    """Of lenet5: the largest weight of each kernel, times the root of its fan-in; the largest bias."""
    import keras

    keras.utils.set_random_seed(0)
    weights = kerasnets.build("lenet5").get_weights()
    kernels = [float(np.abs(kernel).max() * np.sqrt(np.prod(kernel.shape[:-1]))) for kernel in weights[::2]]
    return kernels, max(float(np.abs(bias).max()) for bias in weights[1::2])


def build_error(name, options):
    from kerasnets.graph.weights import drawing_nothing

    try:
        with drawing_nothing():
            kerasnets.build(name, **options)
    except ValueError as error:
        return str(error)
    return None


def raw_builder_fails(name, shape, options):
    from kerasnets.models import MODELS

    try:
        MODELS[name](input_shape=shape, **options)
    except Exception as error:
        return type(error).__name__
    return None


def deviations(name, layers, options):
    """The standard deviation of each named layer's fresh kernel."""
    import keras

    keras.utils.set_random_seed(0)
    network = kerasnets.build(name, **options)
    return {layer: float(np.std(network.get_layer(layer).get_weights()[0])) for layer in layers}


# ---- tests ----


def test_every_network_has_a_count_from_outside(workers):
    assert sorted(MAIN) == workers["torch"](names_of_models)


def test_every_network_has_a_twin(workers):
    assert workers["torch"](twins_that_exist) == sorted(MAIN)


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row.title)
def test_parameters_are_those_that_are_published(workers, row):
    shape = {"input_shape": row.input_shape, "num_classes": row.num_classes}
    count, output_shape, compiled, name, _ = workers["torch"](parameters, row.name, shape | row.options)
    assert (row.parameters or count, compiled, name) == (count, False, row.name)
    assert (output_shape[0] if row.options.get("auxiliary_heads") else output_shape) == (None, row.num_classes)


@pytest.mark.parametrize("row", MAIN.values(), ids=MAIN)
def test_the_main_form_is_what_build_gives_without_options(workers, row):
    count, output_shape, *_, input_shape = workers["torch"](parameters, row.name, {})
    assert (count, output_shape, input_shape) == (row.parameters, (None, row.num_classes), row.input_shape)


# Where TensorFlow turns single convolutions of a branch, Keras' order of the weights is another than before.
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("name", "shape"), [("googlenet_mini", (36, 36, 1)), ("googlenet", (40, 128, 3))])
def test_weights_keep_their_place_where_maps_are_as_wide_as_they_have_channels(worker, name, shape, layout):
    assert worker(apart_in_layout, name, shape, layout) < 1e-5


def test_classes_and_input_shape_are_options(worker):
    # conv1 3*3*3*32+32, conv2 18,496, conv3 36,928; 40 -> 38 -> 19 -> 17 -> 8 -> 6: 6*6*64*64+64; 64*7+7
    count, output_shape, *_ = worker(parameters, "mnist_cnn", {"input_shape": (40, 40, 3), "num_classes": 7})
    assert (count, output_shape) == (896 + 18_496 + 36_928 + 147_520 + 455, (None, 7))


def test_lenet5_has_the_layer_names_of_the_paper(workers):
    assert workers["torch"](names_of_layers, "lenet5") == ["c1", "s2", "c3", "s4", "c5", "flatten", "f6", "logits"]


def test_lenet5_begins_with_kernels_as_pytorch_draws_them(worker):
    """U(+-1/sqrt(fan_in)), torch.nn.Linear and Conv2d; each has 150 weights or more, so one is near the bound."""
    kernels, bias = worker(largest_kernels)
    assert all(0.95 < kernel <= 1 + 1e-6 for kernel in kernels)
    assert bias == 0


@pytest.mark.parametrize(("name", "options", "expected"), [
    # He normal by fan-out, sqrt(2 / (3 * 3 * filters)), and N(0, 0.01): torchvision's vgg.py
    ("vgg11", {"units": 64}, {"stage3_conv2": (2 / (9 * 256)) ** 0.5, "fc1": 0.01}),
    # He normal by fan-out: torchvision's resnet.py
    ("resnet18", {}, {"stage2_block1_conv2": (2 / (9 * 128)) ** 0.5, "stage4_block2_conv1": (2 / (9 * 512)) ** 0.5}),
    # He normal by fan-in: torchvision's densenet.py
    ("densenet121", {}, {"block1_layer1_conv2": (2 / (9 * 128)) ** 0.5}),
    # He normal by fan-in, so that their depth learns: our own choice, as their docstrings say
    ("nin", {}, {"stage2_conv1": (2 / (25 * 96)) ** 0.5}),
    ("googlenet", {}, {"4a_3x3": (2 / (9 * 96)) ** 0.5}),
    # N(0, 0.01): the paper of AlexNet, section 5
    ("alexnet", {"units": 64}, {"conv3": 0.01, "fc6": 0.01}),
])  # fmt: skip
def test_deep_networks_begin_as_their_source_says(workers, name, options, expected):
    found = workers["torch"](deviations, name, list(expected), options)
    for layer, deviation in expected.items():
        assert found[layer] == pytest.approx(deviation, rel=0.03)


@pytest.mark.parametrize("row", [
    pytest.param(row, id=row.title, marks=() if row.title in IN_EVERY_RUN else pytest.mark.whole_registry)
    for row in PUBLISHED
])  # fmt: skip
def test_every_backend_and_layout_agrees_with_plain_pytorch(workers, row):
    """Logits, gradients, three steps of SGD, files, names: see kerasnets/verification.py for what is allowed."""
    [proof] = verification.verify([row], workers)
    assert proof.faults == []
    assert len(proof.keras) == (4 if proof.left_out else 6)
    assert len(proof.files) == 6


def test_what_is_proven_in_every_run_exists():
    assert set(IN_EVERY_RUN) <= {row.title for row in PUBLISHED}


@pytest.mark.parametrize(("name", "options", "words"), [
    ("lenet6", {}, "unknown model 'lenet6'; choose one of: lenet5, "),
    ("lenet5", {"depth": 3}, "lenet5 has no option 'depth'; it takes: input_shape, num_classes"),
    ("vgg11", {"depth": 13}, "vgg11 has no option 'depth'; it takes: head, dropout, units, filters, input_shape, num"),
    ("vgg11", {"head": "big"}, "head must be one of: paper, compact, not 'big'"),
    ("vgg11", {"units": 0}, "units must be a whole number of at least 2, not 0"),
    ("alexnet", {"dropout": None}, "dropout must be a fraction from 0 to below 1, not None"),
    ("vgg11", {"head": ["paper"]}, "head must be one of: paper, compact, not ['paper']"),
    ("googlenet", {"auxiliary_heads": True, "input_shape": (78, 90, 3)},
     "googlenet with auxiliary_heads=True needs pictures of at least 79x79, not 78x90"),
    ("vgg11", {"dropout": 1.0}, "dropout must be a fraction from 0 to below 1, not 1.0"),
    ("resnet18", {"small_stem": 1}, "small_stem must be True or False, not 1"),
    ("lenet5", {"input_shape": (27, 28, 1)}, "lenet5 needs pictures of at least 28x28, not 27x28"),
    ("vgg16", {"input_shape": (31, 64, 3)}, "vgg16 needs pictures of at least 32x32, not 31x64"),
    ("lenet5", {"input_shape": (28, 28)}, "input_shape must be (height, width, channels) in pixels, not (28, 28)"),
    ("lenet5", {"input_shape": 28}, "input_shape must be (height, width, channels) in pixels, not 28"),
    ("resnet18", {"input_shape": (3, 224, 224)},
     "input_shape must be (height, width, channels), not (3, 224, 224); did you mean (224, 224, 3)?"),
    ("dnn_tabular", {"input_shape": (3, 3, 1)}, "input_shape of dnn_tabular must be (columns,), not (3, 3, 1)"),
    ("lenet5", {"num_classes": True}, "num_classes must be a whole number of at least 1, not True"),
    ("lenet5", {"num_classes": 0}, "num_classes must be a whole number of at least 1, not 0"),
    ("lenet5", {"layout": "nchw"}, "unknown layout 'nchw'; choose one of: channels_last, channels_first"),
])  # fmt: skip
def test_what_cannot_be_built_is_said_in_one_line(workers, name, options, words):
    message = workers["torch"](build_error, name, options)
    assert message.startswith(words)
    assert "\n" not in message


def test_a_picture_that_leaves_nothing_is_told_of_where_nobody_has_listed_it(workers):
    message = workers["torch"](error_of_unlisted, "fashion_cnn", {"input_shape": (8, 8, 1)})
    assert message.startswith("fashion_cnn cannot be built with {'input_shape': (8, 8, 1)}; are the pictures large")


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row.title)
def test_smallest_picture_is_the_smallest(workers, row):
    name = row.name
    options, side = workers["torch"](options_and_smallest, name, row.options)
    narrow = ({"units": 8} if "units" in options else {}) | row.options
    if len(row.input_shape) == 1:
        assert workers["torch"](build_error, name, {"input_shape": (1,)}) is None
        return
    channels = row.input_shape[2]
    assert workers["torch"](build_error, name, {"input_shape": (side, side + 1, channels), **narrow}) is None
    if side > 1:
        for smaller in ((side - 1, side, channels), (side, side - 1, channels)):
            assert "at least" in workers["torch"](build_error, name, {"input_shape": smaller, **row.options})
            assert workers["torch"](raw_builder_fails, name, smaller, narrow), smaller
