"""The trainee on torch computes the same as Keras: outputs, steps, running statistics, figures."""

import dataclasses

import numpy as np
import pytest

from kerasnets.recipes import RECIPES, Recipe

SHAPE = (9, 8, 4)
RECIPE = Recipe(
    "layers", "drawn", mean=0.5, std=0.25, optimizer="sgd", learning_rate=0.05, momentum=0.9, batch_size=6, epochs=2,
    validation=0, goal=None,
)  # fmt: skip
SMALL_STEPS = {"optimizer": "sgd", "learning_rate": 0.002, "momentum": 0.9, "batch_size": 6, "epochs": 2}

# layers between the pixels and a dense head: (name in keras.layers, options)
LAYERS = {
    "convolution": [("Conv2D", {"filters": 6, "kernel_size": 3})],
    "no bias": [("Conv2D", {"filters": 6, "kernel_size": 3, "use_bias": False})],
    "same": [("Conv2D", {"filters": 6, "kernel_size": 5, "padding": "same", "activation": "relu"})],
    "same, of unequal sides": [("Conv2D", {"filters": 6, "kernel_size": (3, 5), "padding": "same"})],
    "same, of an even side": [("Conv2D", {"filters": 6, "kernel_size": 4, "padding": "same"})],
    "strides": [("Conv2D", {"filters": 6, "kernel_size": 3, "strides": 2, "activation": "tanh"})],
    "strides, same": [("Conv2D", {"filters": 6, "kernel_size": 3, "strides": 2, "padding": "same"})],
    "dilated": [("Conv2D", {"filters": 6, "kernel_size": 3, "dilation_rate": 2, "activation": "sigmoid"})],
    "dilated, same": [("Conv2D", {"filters": 6, "kernel_size": 3, "dilation_rate": (2, 1), "padding": "same"})],
    "groups": [("Conv2D", {"filters": 6, "kernel_size": 3, "groups": 2, "padding": "same"})],
    "an activation of Keras alone": [("Conv2D", {"filters": 6, "kernel_size": 3, "activation": "softsign"})],
    "batch normalization": [("BatchNormalization", {})],
    "PyTorch's constants": [("BatchNormalization", {"momentum": 0.9, "epsilon": 1e-5})],
    "no scale": [("BatchNormalization", {"scale": False})],
    "neither scale nor shift": [("BatchNormalization", {"scale": False, "center": False})],
    "frozen": [("BatchNormalization", {"trainable": False})],
    "many channels": [("Conv2D", {"filters": 20, "kernel_size": 3}), ("BatchNormalization", {})],
    "many channels, frozen": [("Conv2D", {"filters": 20, "kernel_size": 3}),
                              ("BatchNormalization", {"trainable": False})],
    "many channels, no scale": [("Conv2D", {"filters": 20, "kernel_size": 3}),
                                ("BatchNormalization", {"scale": False})],
    "many channels, PyTorch's constants": [("Conv2D", {"filters": 20, "kernel_size": 3}),
                                           ("BatchNormalization", {"momentum": 0.9, "epsilon": 1e-5})],
    "max-pooling": [("MaxPooling2D", {})],
    "max-pooling, same": [("MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same"})],
    "average pooling": [("AveragePooling2D", {"pool_size": (3, 2), "strides": 1})],
    "average pooling, same": [("AveragePooling2D", {"pool_size": 3, "strides": 1, "padding": "same"})],
    "padded before": [("ZeroPadding2D", {"padding": (1, 2)}), ("Conv2D", {"filters": 6, "kernel_size": 3})],
    "padded unevenly": [("ZeroPadding2D", {"padding": ((1, 2), (0, 1))}), ("Conv2D", {"filters": 6, "kernel_size": 3})],
    "ReLU of a tanh": [("Conv2D", {"filters": 6, "kernel_size": 3, "activation": "tanh"}), ("ReLU", {})],
    "frozen below": [("Conv2D", {"filters": 6, "kernel_size": 3, "trainable": False}), ("ReLU", {}),
                     ("Conv2D", {"filters": 20, "kernel_size": 3}), ("ReLU", {})],
    "ReLU": [("Conv2D", {"filters": 6, "kernel_size": 3}), ("ReLU", {})],
    "leaky": [("Conv2D", {"filters": 6, "kernel_size": 3}), ("ReLU", {"negative_slope": 0.1, "max_value": 1.0})],
    "dense": [("Flatten", {}), ("Dense", {"units": 5, "use_bias": False}), ("Activation", {"activation": "tanh"})],
    "dropout": [("Conv2D", {"filters": 6, "kernel_size": 3}), ("Dropout", {"rate": 0.4, "seed": 1})],
}  # fmt: skip

# changes of RECIPE
ROWS = {
    "weight decay": {"weight_decay": 0.1},
    "smoothed labels": {"label_smoothing": 0.1},
    "squared error": {"loss": "squared_error"},
    "Adam": {"optimizer": "adam", "learning_rate": 0.001},
    "RMSprop": {"optimizer": "rmsprop", "learning_rate": 0.001},
    "no momentum": {"momentum": 0.0},
    "a rate in steps": {"schedule": ("steps", 0.1, (1, 3))},
}

# networks with branches, joints, cut edges and dropout of rate 0: (name, shape of an image)
NETWORKS = [("lenet5", (28, 28, 1)), ("googlenet_mini", (28, 28, 1)), ("resnet_mini", (28, 28, 1)),
            ("resnet20", (32, 32, 3)), ("densenet40", (32, 32, 3)), ("nin", (32, 32, 3)), ("alexnet", (67, 67, 3)),
            ("resnet18", (32, 32, 3)), ("vgg_cifar", (32, 32, 3))]  # fmt: skip


# ---- run in the workers ----


def of_layers(case):
    """A functional network with the layers of a case."""
    import keras

    inputs = x = keras.Input(SHAPE)
    for i, (kind, options) in enumerate(LAYERS[case]):
        x = getattr(keras.layers, kind)(**options, name=f"layer{i}")(x)
    x = keras.layers.Dense(3, name="logits")(keras.layers.Flatten(name="to_row")(x))
    return keras.Model(inputs, x, name="layers")


def of_name(name, shape):
    from kerasnets import models

    return models.build(name, input_shape=shape, num_classes=3)


def learn(build, arguments, changes, by):
    """[logits before and after two epochs of two steps, figures by epoch, weights], by Keras or by the trainee."""
    import keras

    from kerasnets.graph import rebuild
    from kerasnets.training.optimizers import compile_for
    from kerasnets.training.train import trainee_of

    keras.utils.set_random_seed(0)
    network, recipe = build(*arguments), dataclasses.replace(RECIPE, **changes)
    rng = np.random.default_rng(0)
    for variable in network.variables:
        if variable.path.endswith(("gamma", "beta", "bias", "mean", "variance")):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    pixels = rng.integers(0, 256, (10, *network.input_shape[1:]), np.uint8)
    labels = rng.integers(0, 3, 10)
    if by == "kerasnets":
        trainee = trainee_of(network, recipe, recipe.scaling, 2)
    else:
        layout = "channels_first" if keras.backend.backend() == "torch" else "channels_last"
        trainee = rebuild(network, layout=layout, scaling=recipe.scaling)
        compile_for(trainee, recipe, 2, recipe.epochs)
    before = trainee.predict(pixels, batch_size=4, verbose=0)
    history = trainee.fit(pixels, labels, batch_size=6, epochs=2, shuffle=False, verbose=0).history
    if "data_loss" in history:  # beside which Keras' loss has decay added in
        history["loss"] = history["data_loss"]
    figures = np.array([history["loss"], history["accuracy"]])
    return [before, trainee.predict(pixels, batch_size=4, verbose=0), figures, *trainee.get_weights()]


def check(worker, build, arguments, changes, tolerance=1e-5):
    ours, keras_own = (worker(learn, build, arguments, changes, by) for by in ("kerasnets", "keras"))
    assert len(ours) == len(keras_own)
    for mine, theirs in zip(ours, keras_own, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=tolerance * max(1, abs(theirs).max()))
    assert abs(ours[0] - ours[1]).max() > 1e-3  # something was learned


@pytest.mark.parametrize("case", LAYERS)
def test_a_layer_trains_like_keras(workers, case):
    check(workers["torch"], of_layers, (case,), {})


def one_tensor_twice(kind):
    """A network in which two layers take the same tensor: of a padding, or one that a ReLU would overwrite."""
    import keras
    from keras import layers

    inputs = keras.Input(SHAPE)
    unbiased = layers.Conv2D(20, 3, use_bias=False, name="conv")
    x = {
        "padding": lambda: layers.ZeroPadding2D(1, name="pad")(inputs),
        "convolution": lambda: layers.Conv2D(20, 3, name="shared")(inputs),
        "norm": lambda: layers.BatchNormalization(name="shared")(unbiased(inputs)),
        "sum": lambda: layers.Add(name="shared")([layers.Conv2D(20, 3, name=f"conv{i}")(inputs) for i in range(2)]),
    }[kind]()
    y = layers.ReLU(name="relu")(x)
    if kind == "padding":
        y, x = (layers.Conv2D(20, 3, name=f"of_padding{i}")(x) for i in range(2))
    z = layers.Concatenate(name="joined")([y, x, layers.Add(name="again")([y, x])])
    return keras.Model(inputs, layers.Dense(3, name="logits")(layers.Flatten(name="to_row")(z)), name="twice")


@pytest.mark.parametrize("kind", ["padding", "convolution", "norm", "sum"])
def test_the_input_of_two_layers_is_not_overwritten(workers, kind):
    check(workers["torch"], one_tensor_twice, (kind,), {})


@pytest.mark.parametrize("case", ROWS)
def test_a_recipe_trains_like_keras(workers, case):
    check(workers["torch"], of_layers, ("same",), ROWS[case])


@pytest.mark.parametrize(("name", "shape"), [
    pytest.param(name, shape, marks=[pytest.mark.whole_registry] * (name == "densenet40")) for name, shape in NETWORKS
])  # fmt: skip
def test_a_network_trains_like_keras(workers, name, shape):
    check(workers["torch"], of_name, (name, shape), SMALL_STEPS, tolerance=1e-3)  # 40 layers of float32 and ReLU


def offset_pictures():
    """(largest output, running variance) of batch normalization of numbers around 10,000 with std 1."""
    import keras
    import torch

    from kerasnets.training.fast.torch_layers import batch_normalization

    layer = keras.layers.BatchNormalization(axis=1)
    layer.build((None, 3, 16, 16))
    pictures = 1e4 + torch.randn((8, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    outputs = batch_normalization(layer)(True, pictures)
    return float(outputs.detach().abs().max()), float(layer.moving_variance.value[0])


def test_batch_normalization_tolerates_a_large_offset(workers):
    """Keras' composed batch normalization subtracts two large squares here."""
    largest, variance = workers["torch"](offset_pictures)
    assert 3 < largest < 6  # deviations, of 6,144 numbers
    assert abs(variance - (0.99 * 1 + 0.01 * 1)) < 1e-3


def train_on_arrays():
    """The loss of a step on NumPy arrays, which are not on the device of the weights."""
    from kerasnets import models
    from kerasnets.training import train

    trainee = train.trainee_of(models.build("lenet5"), RECIPE, (1 / 255, 0.0), 1)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 28, 28, 1), np.uint8)
    trainee.fit(pixels, np.arange(6), batch_size=6, verbose=0)
    return float(trainee.train_step((pixels, np.arange(6)))["loss"])


def test_a_step_moves_its_arrays_to_the_device_of_the_weights(workers):
    assert 0 < workers["torch"](train_on_arrays) < 10


def asks_more(what):
    """The class of the trainee of a network with its own regularizers, constraints or outputs."""
    import keras
    from keras import layers

    from kerasnets.training import train

    options = {
        "nothing": {},
        "a constraint": {"kernel_constraint": "max_norm"},
        "a regularizer": {"kernel_regularizer": "l2"},
        "a small map": {"activity_regularizer": "l1"},
    }[what]
    inputs = keras.Input(SHAPE)
    outputs = layers.Dense(3, name="logits", **options)(layers.Flatten(name="to_row")(inputs))
    return type(train.trainee_of(keras.Model(inputs, outputs), RECIPE, (1.0, 0.0), 1)).__name__


@pytest.mark.parametrize("what", ["a constraint", "a regularizer", "a small map"])
def test_a_network_with_its_own_regularizers_is_left_to_keras(workers, what):
    assert workers["torch"](asks_more, "nothing") == "TorchNetwork"
    assert workers["torch"](asks_more, what) == "Functional"


def error_of_optimizer(kind, options):
    import keras

    from kerasnets.training.fast.torch_optimizers import step_of

    variable = keras.Variable(np.zeros(3))
    optimizer = getattr(keras.optimizers, kind)(**options)
    optimizer.build([variable])
    try:
        step_of(optimizer, [variable])
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize(("kind", "options", "named"), [
    ("Nadam", {}, "Nadam"), ("Adam", {"amsgrad": True}, "amsgrad"), ("SGD", {"nesterov": True}, "nesterov"),
    ("SGD", {"clipnorm": 1.0}, "clipnorm"), ("RMSprop", {"momentum": 0.9}, "momentum"),
])  # fmt: skip
def test_an_unknown_optimizer_or_option_is_refused(workers, kind, options, named):
    assert named in workers["torch"](error_of_optimizer, kind, options)


def kinds_of_trainee(name="baseline_cnn"):
    """(class of the trainee, modules of its layers' classes)."""
    from kerasnets import models
    from kerasnets.training import train

    trainee = train.trainee_of(models.build(name), RECIPES["cifar_net-cifar10"], (1 / 255, 0.0), 10)
    return type(trainee).__name__, {type(layer).__module__.partition(".")[0] for layer in trainee.layers}


def test_the_trainee_has_keras_layers(workers):
    assert workers["torch"](kinds_of_trainee) == ("TorchNetwork", {"keras"})
