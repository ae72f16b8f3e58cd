"""Each network is the one that its source describes, and the same on every backend and in either layout.

These tests run over the whole registry; a new network needs a row in kerasnets/models/registry.py and a twin.
"""

import dataclasses
import inspect

import numpy as np
import pytest

import kerasnets
from kerasnets.models.registry import FORMS, NETWORKS
from kerasnets.project.tables import networks_table
from kerasnets.proof import verification

# Verified in every run: a row of layers, batch norms, branches, sums. The others by `pytest -m whole_registry`.
IN_EVERY_RUN = ("lenet5", "baseline_cnn", "googlenet_mini", "resnet_mini")

# ---- run in the workers ----


def twins_that_exist():
    from kerasnets.proof import twins

    return [name for name in kerasnets.list_models() if callable(twins.builder_of(name))]


def signatures(name):
    """The parameters of the builder and of the twin: name, kind, default."""
    from kerasnets.models import builders
    from kerasnets.proof import twins

    form = dataclasses.replace(NETWORKS[name], depth=None, fixed={})
    of_both = inspect.signature(builders.builder_of(form)), inspect.signature(twins.builder_of(name))
    return [[(p.name, p.kind.name, p.default) for p in each.parameters.values()] for each in of_both]


def docs_of_builders():
    return {name: builder.__doc__ for name, builder in kerasnets.models.MODELS.items()}


def options_and_smallest(name, options):
    from kerasnets import models

    return list(models.options_of(name)), models.smallest(name, options)[0]


def error_of_unlisted(name, options):
    from unittest import mock

    with mock.patch.dict(NETWORKS, {name: dataclasses.replace(NETWORKS[name], smallest=1)}):
        return build_error(name, options)


def parameters(name, options):
    from kerasnets.graph import skip_initializers

    with skip_initializers():  # a hundred million normal numbers take a second
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
    result = rebuild(network, layout=layout).predict_on_batch(images)
    return float(np.abs(result - expected).max() / np.abs(expected).max())


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
    from kerasnets.graph import skip_initializers

    try:
        with skip_initializers():
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


def test_every_network_has_a_published_number_of_parameters():
    assert all(form.parameters and form.source and form.description for form in NETWORKS.values())


def test_every_network_has_a_twin(workers):
    assert workers["torch"](twins_that_exist) == sorted(NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
def test_depth_shape_and_classes_come_first_and_options_by_keyword_in_builder_and_twin(workers, name):
    builder, twin = workers["torch"](signatures, name)
    assert builder == twin
    first = ["depth"] * (NETWORKS[name].depth is not None) + ["input_shape", "num_classes"]
    assert [option for option, kind, _ in builder if kind == "POSITIONAL_OR_KEYWORD"] == first
    assert {kind for _, kind, _ in builder[len(first) :]} <= {"KEYWORD_ONLY"}


def test_every_builder_has_the_docstring_of_its_function(workers):
    docs = workers["torch"](docs_of_builders)
    assert sorted(docs) == sorted(NETWORKS)
    assert docs["vgg16"].startswith("Build the VGG with `depth` weighted layers")
    assert all(doc.startswith("Build ") for doc in docs.values())


def test_the_table_of_networks_has_a_row_for_each():
    head, _, *rows = networks_table().splitlines()
    assert head == "| name | network | input | parameters |"
    assert [row.split("`")[1] for row in rows] == list(NETWORKS)
    assert "| `resnet50` | ResNet with bottlenecks, 50 layers | 224x224x3 | 25,557,032 |" in rows
    assert "| `dnn_tabular` | dense 5, 5, 5, for rows of numbers | 3 | 98 |" in rows


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.title)
def test_parameters_are_as_many_as_published(workers, form):
    shape = {"input_shape": form.input_shape, "num_classes": form.num_classes}
    count, output_shape, compiled, name, _ = workers["torch"](parameters, form.name, shape | form.options)
    assert (form.parameters or count, compiled, name) == (count, False, form.name)
    assert (output_shape[0] if form.options.get("auxiliary_heads") else output_shape) == (None, form.num_classes)


@pytest.mark.parametrize("form", NETWORKS.values(), ids=NETWORKS)
def test_build_without_options_gives_the_main_form(workers, form):
    count, output_shape, *_, input_shape = workers["torch"](parameters, form.name, {})
    assert (count, output_shape, input_shape) == (form.parameters, (None, form.num_classes), form.input_shape)


# On TensorFlow some convolutions of a branch stay in channels_last, which changes Keras' order of the weights.
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("name", "shape"), [
    ("googlenet_mini", (36, 36, 1)), pytest.param("googlenet", (40, 128, 3), marks=pytest.mark.whole_registry)
])  # fmt: skip
def test_weights_keep_their_place_if_maps_are_as_wide_as_they_have_channels(worker, name, shape, layout):
    assert worker(apart_in_layout, name, shape, layout) < 1e-5


def test_classes_and_input_shape_are_options(worker):
    # conv1 3*3*3*32+32, conv2 18,496, conv3 36,928; 40 -> 38 -> 19 -> 17 -> 8 -> 6: 6*6*64*64+64; 64*7+7
    count, output_shape, *_ = worker(parameters, "mnist_cnn", {"input_shape": (40, 40, 3), "num_classes": 7})
    assert (count, output_shape) == (896 + 18_496 + 36_928 + 147_520 + 455, (None, 7))


def test_lenet5_has_the_layer_names_of_the_paper(workers):
    assert workers["torch"](names_of_layers, "lenet5") == ["c1", "s2", "c3", "s4", "c5", "flatten", "f6", "logits"]


def test_lenet5_draws_its_kernels_as_pytorch_does(worker):
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
    # He normal by fan-in, with which deep networks learn: our own choice, as their docstrings say
    ("nin", {}, {"stage2_conv1": (2 / (25 * 96)) ** 0.5}),
    ("googlenet", {}, {"4a_3x3": (2 / (9 * 96)) ** 0.5}),
    # N(0, 0.01): the paper of AlexNet, section 5
    ("alexnet", {"units": 64}, {"conv3": 0.01, "fc6": 0.01}),
])  # fmt: skip
def test_deep_networks_draw_their_weights_as_the_source_says(workers, name, options, expected):
    result = workers["torch"](deviations, name, list(expected), options)
    for layer, deviation in expected.items():
        assert result[layer] == pytest.approx(deviation, rel=0.03)


@pytest.mark.parametrize("form", [
    pytest.param(form, id=form.title, marks=() if form.title in IN_EVERY_RUN else pytest.mark.whole_registry)
    for form in FORMS
])  # fmt: skip
def test_every_backend_and_layout_agrees_with_plain_pytorch(workers, form):
    """Logits, gradients, three steps of SGD, files, names; kerasnets/proof/verdict.py has the tolerances."""
    [proof] = verification.verify([form], workers)
    assert proof.faults == []
    assert len(proof.keras) == (4 if "channels_first" in proof.left_out else 6)
    assert len(proof.files) == 6


def test_networks_that_are_verified_in_every_run_exist():
    assert set(IN_EVERY_RUN) <= {form.title for form in FORMS}


@pytest.mark.parametrize(("name", "options", "words"), [
    ("lenet6", {}, "unknown network 'lenet6'; choose one of: lenet5, "),
    ("lenet5", {"depth": 3}, "lenet5 has no option 'depth'; it takes: input_shape, num_classes"),
    ("vgg11", {"depth": 13}, "vgg11 has no option 'depth'; it takes: input_shape, num_classes, head, dropout, units"),
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
def test_impossible_options_are_refused_in_one_line(workers, name, options, words):
    message = workers["torch"](build_error, name, options)
    assert message.startswith(words)
    assert "\n" not in message


def test_an_image_too_small_for_a_wrong_entry_of_the_registry_is_refused_too(workers):
    message = workers["torch"](error_of_unlisted, "fashion_cnn", {"input_shape": (8, 8, 1)})
    assert message.startswith("fashion_cnn cannot be built with {'input_shape': (8, 8, 1)}; are the pictures large")


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.title)
def test_no_image_smaller_than_the_registry_says_can_be_built(workers, form):
    name = form.name
    options, side = workers["torch"](options_and_smallest, name, form.options)
    narrow = ({"units": 8} if "units" in options else {}) | form.options
    if len(form.input_shape) == 1:
        assert workers["torch"](build_error, name, {"input_shape": (1,)}) is None
        return
    channels = form.input_shape[2]
    assert workers["torch"](build_error, name, {"input_shape": (side, side + 1, channels), **narrow}) is None
    if side > 1:
        for smaller in ((side - 1, side, channels), (side, side - 1, channels)):
            assert "at least" in workers["torch"](build_error, name, {"input_shape": smaller, **form.options})
            assert workers["torch"](raw_builder_fails, name, smaller, narrow), smaller
