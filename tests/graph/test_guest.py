"""The head and the scale of any network are found, whatever they are made of; expected numbers are NumPy's."""

import numpy as np
import pytest

from tests.conftest import mostly_on_torch

RNG = np.random.default_rng(0)
FEATURES, UNITS = 5, 3
KERNEL, BIAS = RNG.normal(0, 0.05, (FEATURES, UNITS)), np.array([0.5, -1.0, 0.25])
PIXELS = RNG.integers(0, 256, (6, 4, 4, 3)).astype("uint8")


def softmax(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def dense(x, activation=None, units=UNITS):
    """A dense layer of the given weights, which are in it once it is called."""
    from keras import layers

    layer = layers.Dense(units, activation=activation)
    result = layer(x)
    layer.set_weights([KERNEL[:, :units], BIAS[:units]])
    return result


def head_of_ops(x):
    import keras

    shares = keras.ops.exp(dense(x))
    return shares / keras.ops.sum(shares, axis=-1, keepdims=True)


def head_in_a_model(x, activation="softmax"):
    import keras

    inputs = keras.Input((FEATURES,))
    return keras.Sequential([keras.Model(inputs, dense(inputs, activation))])(x)


def layer(name, *args, **options):
    def call(x):
        from keras import layers

        return getattr(layers, name)(*args, **options)(x)

    return call


def function(name):
    def call(x):
        import keras

        return getattr(keras.ops, name)(x)

    return call


# Name: (head of a tensor of features, its kind, probabilities for logits, whether the classes exclude each other)
HEADS = {
    "logits": (dense, "logits", softmax, True),
    "softmax in the layer": (lambda x: dense(x, "softmax"), "softmax", softmax, True),
    "a Softmax": (lambda x: layer("Softmax")(dense(x)), "softmax", softmax, True),
    "an Activation": (lambda x: layer("Activation", "softmax")(dense(x)), "softmax", softmax, True),
    "an operation": (lambda x: function("softmax")(dense(x)), "softmax", softmax, True),
    "several operations": (head_of_ops, "softmax", softmax, True),
    "logarithms": (lambda x: function("log_softmax")(dense(x)), "logits", softmax, True),
    "in models": (head_in_a_model, "softmax", softmax, True),
    "with a Dropout behind": (lambda x: layer("Dropout", 0.5)(dense(x, "softmax")), "softmax", softmax, True),
    "with a Reshape behind": (lambda x: layer("Reshape", (UNITS,))(dense(x, "softmax")), "softmax", softmax, True),
    "averaged": (
        lambda x: layer("Average")([dense(x, "softmax"), function("softmax")(dense(x) * 2.0)]), "probabilities",
        lambda logits: (softmax(logits) + softmax(2 * logits)) / 2, True,
    ),
    "sigmoids": (lambda x: dense(x, "sigmoid"), "sigmoid", sigmoid, False),
    "sigmoids by an operation": (lambda x: function("sigmoid")(dense(x)), "sigmoid", sigmoid, False),
    "one sigmoid": (lambda x: dense(x, "sigmoid", 1), "sigmoid", sigmoid, True),
    "one logit": (lambda x: dense(x, None, 1), "logits", sigmoid, True),
    "one sigmoid, averaged": (
        lambda x: layer("Average")([dense(x, "sigmoid", 1), function("sigmoid")(dense(x, None, 1) * 2.0)]),
        "probabilities", lambda logits: (sigmoid(logits) + sigmoid(2 * logits)) / 2, True,
    ),
}  # fmt: skip


def whole_with_head(name):
    """Return facts about a network with this head, and its probabilities."""
    import keras

    from kerasnets.graph import make_whole

    inputs = keras.Input((FEATURES,))
    network = keras.Model(inputs, HEADS[name][0](inputs))
    before = [array.copy() for array in network.get_weights()]
    whole = make_whole(network)
    rows = np.random.default_rng(1).normal(0, 40, (6, FEATURES)).astype("float32")
    found = whole.model.predict(rows, verbose=0)
    untouched = all(map(np.array_equal, before, network.get_weights()))
    return rows, found, whole.kind, whole.exclusive, untouched


@pytest.mark.parametrize("name", HEADS)
@mostly_on_torch
def test_a_head_of_any_making_gives_its_own_probabilities(worker, name):
    _, kind, probabilities, is_exclusive = HEADS[name]
    rows, found, found_kind, found_exclusive, untouched = worker(whole_with_head, name)
    units = 1 if name.startswith("one") else UNITS
    expected = probabilities(rows @ KERNEL[:, :units] + BIAS[:units])
    if units == 1:
        expected = np.hstack([1 - expected, expected])  # a class and its opposite
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (found_kind, found_exclusive, untouched) == (kind, is_exclusive, True)


def caffe(x):
    import keras

    return keras.applications.resnet.preprocess_input(x)


def tensorflow_form(x):
    import keras

    return keras.applications.mobilenet_v2.preprocess_input(x)


def in_a_sequential(x):
    import keras

    return keras.Sequential([keras.layers.RandomFlip(), keras.layers.Rescaling(1 / 255)])(x)


MEANS = np.array([103.939, 116.779, 123.68])  # of blue, green and red: the documentation of keras.applications.resnet
# Name: (what a network does first, the values it takes, the numbers it makes of pixels 0..255 brought to these values)
FIRST = {
    "Rescaling": (layer("Rescaling", 1 / 255), "0..255", lambda p: p / 255),
    "Rescaling to -1..1": (layer("Rescaling", 1 / 127.5, -1), "0..255", lambda p: p / 127.5 - 1),
    "x / 255": (lambda x: x / 255.0, "0..255", lambda p: p / 255),
    "1 - x / 255": (lambda x: 1 - x / 255.0, "0..255", lambda p: 1 - p / 255),
    "mobilenet_v2": (tensorflow_form, "0..255", lambda p: p / 127.5 - 1),
    "resnet": (caffe, "0..255", lambda p: p[..., ::-1] - MEANS),
    "Normalization": (
        layer("Normalization", mean=[120.0, 110.0, 100.0], variance=[3600.0, 4900.0, 6400.0]), "0..255",
        lambda p: (p - [120, 110, 100]) / [60, 70, 80],
    ),
    "Normalization of 0..1": (
        layer("Normalization", mean=[0.5, 0.4, 0.3], variance=[0.04, 0.09, 0.16]), "0..1",
        lambda p: (p / 255 - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4],
    ),
    "2x - 1": (lambda x: x * 2.0 - 1.0, "0..1", lambda p: p / 127.5 - 1),
    "255x": (layer("Rescaling", 255.0), "0..1", lambda p: p),
    "(x + 1) / 2": (layer("Rescaling", 0.5, 0.5), "-1..1", lambda p: p / 255),
    "augmentation in a model": (in_a_sequential, "0..255", lambda p: p / 255),
    "nothing": (lambda x: x, "", lambda p: p / 255),
}  # fmt: skip


def whole_with_first(name, scaling=None, bgr=False):
    """Return the values that a network takes, its logits, and the names of its layers."""
    import keras
    from keras import layers

    from kerasnets.graph import make_whole

    inputs = keras.Input((4, 4, 3), name="picture")
    x = layers.Flatten()(FIRST[name][0](inputs))
    network = keras.Model({"picture": inputs}, layers.Dense(2, use_bias=False, name="end")(x))
    network.get_layer("end").set_weights([weights()])
    whole = make_whole(network, scaling=scaling, bgr=bgr)
    logits = keras.Model(whole.model.input, whole.model.layers[-1].input)
    return whole.values, logits.predict(PIXELS, verbose=0), [each.name for each in whole.model.layers]


def weights():
    return np.random.default_rng(2).normal(0, 0.1, (48, 2))


@pytest.mark.parametrize("name", FIRST)
@mostly_on_torch
def test_the_scale_of_pixels_is_found_and_becomes_one_rescaling(worker, name):
    _, values, numbers = FIRST[name]
    found_values, logits, names = worker(whole_with_first, name)
    expected = numbers(PIXELS.astype("float64")).reshape(6, -1) @ weights()
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4 * abs(expected).max())
    assert found_values == values
    assert names == ["pixels", "rescaling", *(["rgb_to_bgr"] if name == "resnet" else []), *names[-3:]]


@mostly_on_torch
def test_a_given_scaling_and_blue_first_are_obeyed(worker):
    _, logits, _ = worker(whole_with_first, "nothing", ([0.5, 0.25, 0.125], [1.0, 2.0, 3.0]), True)
    numbers = PIXELS.astype("float64")[..., ::-1] * [0.5, 0.25, 0.125] + [1, 2, 3]
    np.testing.assert_allclose(logits, numbers.reshape(6, -1) @ weights(), rtol=1e-4, atol=1e-3)


@mostly_on_torch
def test_a_network_that_takes_blue_first_and_turns_the_channels_itself_is_not_turned_twice(worker):
    _, logits, names = worker(whole_with_first, "resnet", None, True)
    expected = (PIXELS - MEANS).reshape(6, -1) @ weights()
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4 * abs(expected).max())
    assert "rgb_to_bgr" not in names


def flat_names():
    import keras
    from keras import layers

    from kerasnets.graph import flatten

    def block():
        parts = [layers.Dense(4, name="dense"), layers.BatchNormalization(name="norm")]
        return keras.Sequential([keras.Input((4,)), *parts])

    shared, inputs = block(), keras.Input((4,))
    network = keras.Model(inputs, block()(shared(shared(inputs)), training=False))
    for weight in network.weights:
        weight.assign(np.random.default_rng(len(weight.path)).uniform(0.5, 1.5, weight.shape))
    flat = flatten(network)
    rows = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    off = abs(flat.predict(rows, verbose=0) - network.predict(rows, verbose=0)).max()
    return [each.name for each in flat.layers if each.weights], off


@mostly_on_torch
def test_a_flat_copy_shares_what_was_shared_and_gives_each_layer_its_own_name(worker):
    names, off = worker(flat_names)
    assert sorted(names) == ["dense", "dense_2", "norm", "norm_2"]
    assert off < 1e-4
