"""MODELS: the name of every network and the function that builds it."""

import fnmatch
import inspect
import numbers
from functools import partial

import keras

from kerasnets.errors import nearest_first
from kerasnets.graph import rebuild
from kerasnets.models.alexnet import alexnet, alexnet_plain, alexnet_torchvision
from kerasnets.models.dense import dnn_mnist, dnn_tabular, fc2layer
from kerasnets.models.densenet import densenet, densenet_cifar
from kerasnets.models.googlenet import googlenet, googlenet_mini, googlenet_torchvision
from kerasnets.models.lenet import lenet5, lenet5_sigmoid
from kerasnets.models.nin import nin
from kerasnets.models.resnet import resnet, resnet_cifar, resnet_cifar_wide, resnet_mini
from kerasnets.models.small import baseline_cnn, cifar_net, fashion_cnn, mnist_cnn, sigmoid_cnn, small_cnn
from kerasnets.models.vgg import HEADS, vgg, vgg_cifar

MODELS = {
    "lenet5": lenet5,
    "lenet5_sigmoid": lenet5_sigmoid,
    "mnist_cnn": mnist_cnn,
    "baseline_cnn": baseline_cnn,
    "sigmoid_cnn": sigmoid_cnn,
    "small_cnn": small_cnn,
    "fashion_cnn": fashion_cnn,
    "cifar_net": cifar_net,
    "dnn_tabular": dnn_tabular,
    "dnn_mnist": dnn_mnist,
    "fc2layer": fc2layer,
    "alexnet": alexnet,
    "alexnet_plain": alexnet_plain,
    "alexnet_torchvision": alexnet_torchvision,
    "vgg7": partial(vgg, depth=7, batch_norm=False),
    "vgg7_bn": partial(vgg, depth=7, batch_norm=True),
    "vgg9": partial(vgg, depth=9, batch_norm=False),
    "vgg9_bn": partial(vgg, depth=9, batch_norm=True),
    "vgg11": partial(vgg, depth=11, batch_norm=False),
    "vgg11_bn": partial(vgg, depth=11, batch_norm=True),
    "vgg13": partial(vgg, depth=13, batch_norm=False),
    "vgg13_bn": partial(vgg, depth=13, batch_norm=True),
    "vgg16": partial(vgg, depth=16, batch_norm=False),
    "vgg16_1x1": partial(vgg, depth="16_1x1", batch_norm=False),
    "vgg16_bn": partial(vgg, depth=16, batch_norm=True),
    "vgg19": partial(vgg, depth=19, batch_norm=False),
    "vgg19_bn": partial(vgg, depth=19, batch_norm=True),
    "vgg_cifar": vgg_cifar,
    "nin": nin,
    "googlenet": googlenet,
    "googlenet_torchvision": googlenet_torchvision,
    "googlenet_mini": googlenet_mini,
    "resnet18": partial(resnet, depth=18),
    "resnet34": partial(resnet, depth=34),
    "resnet50": partial(resnet, depth=50),
    "resnet101": partial(resnet, depth=101),
    "resnet152": partial(resnet, depth=152),
    "resnet20": partial(resnet_cifar, depth=20),
    "resnet32": partial(resnet_cifar, depth=32),
    "resnet44": partial(resnet_cifar, depth=44),
    "resnet56": partial(resnet_cifar, depth=56),
    "resnet110": partial(resnet_cifar, depth=110),
    "resnet_mini": resnet_mini,
    "resnet_cifar_wide": resnet_cifar_wide,
    "densenet121": partial(densenet, depth=121),
    "densenet161": partial(densenet, depth=161),
    "densenet169": partial(densenet, depth=169),
    "densenet201": partial(densenet, depth=201),
    "densenet40": partial(densenet_cifar, depth=40, bottleneck=False),
    "densenet_bc100": partial(densenet_cifar, depth=100, bottleneck=True),
}

for builder in MODELS.values():
    if isinstance(builder, partial):
        builder.__doc__ = builder.func.__doc__

# The smallest height and width, in pixels, that a network's convolutions and poolings leave something of; else 1.
SMALLEST = {
    "lenet5": 28,
    "lenet5_sigmoid": 16,
    "mnist_cnn": 18,
    "sigmoid_cnn": 36,
    "small_cnn": 16,
    "fashion_cnn": 16,
    "cifar_net": 16,
    "googlenet": 31,
    "googlenet_torchvision": 15,
    "googlenet_mini": 16,
    "resnet_mini": 16,
    "resnet_cifar_wide": 14,
    "densenet40": 4,
    "densenet_bc100": 4,
    **dict.fromkeys(fnmatch.filter(MODELS, "densenet[12]*"), 29),
    "alexnet": 67,
    "alexnet_plain": 65,
    "alexnet_torchvision": 63,
    "vgg7": 8,
    "vgg7_bn": 8,
    "vgg9": 16,
    "vgg9_bn": 16,
    **dict.fromkeys(fnmatch.filter(MODELS, "vgg1*"), 32),
    "vgg_cifar": 32,
}
SMALLEST_WITH = {("alexnet_plain", "first_padding", 0): 67, ("googlenet", "auxiliary_heads", True): 79}


def list_models(pattern="*"):
    """The names of the networks that match the shell-style `pattern`, sorted."""
    return sorted(fnmatch.filter(MODELS, pattern))


def build(name, *, layout="channels_last", **options):
    """Build the network `name` with fresh weights: an uncompiled keras.Model from scaled pixels to logits.

    input: float32 (n, height, width, channels) in either layout; output: float32 (n, num_classes).
    layout: where the channels lie inside, "channels_last" or "channels_first"; the weights are the same.
    options: `input_shape` (height, width, channels), `num_classes`, and what help(kerasnets.models.MODELS[name]) tells.
    Raises ValueError for an unknown name or option and for a picture that is too small.
    """
    check_name(name)
    check_options(name, options)
    configured = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")  # whatever the user's keras.json says
    try:
        network = MODELS[name](**options)
    except ValueError as error:  # Keras'; ours have been told by check_options
        raise ValueError(f"{name} cannot be built with {options}; are the pictures large enough for them?") from error
    finally:
        keras.config.set_image_data_format(configured)
    return network if layout == "channels_last" else rebuild(network, layout=layout)


def check_name(name):
    """Raise ValueError where no network is called `name`."""
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; choose one of: {nearest_first(name, list_models())}")


def options_of(name):
    """The options of the network `name` -> inspect.Parameter; what its row of MODELS has decided is none."""
    decided = getattr(MODELS[name], "keywords", {})
    return {option: p for option, p in inspect.signature(MODELS[name]).parameters.items() if option not in decided}


def check_options(name, options):
    """Raise ValueError in one line for options that `name` cannot be built with."""
    known = options_of(name)
    for option in options:
        if option not in known:
            raise ValueError(f"{name} has no option {option!r}; it takes: {', '.join(known)}")
    for option, (is_meant, expected) in EXPECTED.items():
        of_its_own = option in options and options[option] is None and known[option].default is None
        if option in options and not of_its_own and not is_meant(options[option]):
            raise ValueError(f"{option} must be {expected}, not {options[option]!r}")
    if "input_shape" not in options:
        return
    shape = options["input_shape"]
    if len(known["input_shape"].default) == 1:
        if not isinstance(shape, (tuple, list)) or len(shape) != 1 or not is_count(shape[0]):
            raise ValueError(f"input_shape of {name} must be (columns,), not {shape!r}")
        return
    if not isinstance(shape, (tuple, list)) or len(shape) != 3 or not all(map(is_count, shape)):
        raise ValueError(f"input_shape must be (height, width, channels) in pixels, not {shape!r}")
    if shape[0] in (1, 3) and shape[1] == shape[2] > 4:
        meant = (*shape[1:], shape[0])
        raise ValueError(f"input_shape must be (height, width, channels), not {shape}; did you mean {meant}?")
    pixels, reason = smallest(name, options)
    if min(shape[:2]) < pixels:
        raise ValueError(f"{name}{reason} needs pictures of at least {pixels}x{pixels}, not {shape[0]}x{shape[1]}")


def smallest(name, options):
    """(the smallest height and width in pixels of a picture for the network, the option that asks for it in words)."""
    for (network, option, value), pixels in SMALLEST_WITH.items():
        if name == network and options.get(option) == value:
            return pixels, f" with {option}={value}"
    return SMALLEST.get(name, 1), ""


def is_count(value, least=1):
    """Whether `value` is a whole number of at least `least`, of Python or of NumPy."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= least


def is_fraction(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and 0 <= value < 1


# option -> (whether a value can be meant, what is expected in words)
EXPECTED = {
    "num_classes": (is_count, "a whole number of at least 1"),
    "units": (lambda value: is_count(value, least=2), "a whole number of at least 2"),
    "filters": (is_count, "a whole number of at least 1"),
    "dropout": (is_fraction, "a fraction from 0 to below 1"),
    "head": (lambda value: value in tuple(HEADS), f"one of: {', '.join(HEADS)}"),
    "first_padding": (lambda value: is_count(value, least=0) and value < 2, "0 or 1"),
    "small_stem": (lambda value: isinstance(value, bool), "True or False"),
    "auxiliary_heads": (lambda value: isinstance(value, bool), "True or False"),
}
