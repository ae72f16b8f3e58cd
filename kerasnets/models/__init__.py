"""MODELS: the name of every network and the function that builds it."""

import fnmatch
import inspect
import numbers

from kerasnets import backends

backends.choose()  # before the first import of Keras

import keras  # noqa: E402

from kerasnets.graph import rebuild  # noqa: E402
from kerasnets.models.dense import dnn_mnist  # noqa: E402
from kerasnets.models.lenet import lenet5  # noqa: E402
from kerasnets.models.small import baseline_cnn, mnist_cnn  # noqa: E402

MODELS = {
    "baseline_cnn": baseline_cnn,
    "dnn_mnist": dnn_mnist,
    "lenet5": lenet5,
    "mnist_cnn": mnist_cnn,
}

# The smallest height and width, in pixels, that a network's convolutions and poolings leave something of; else 1.
SMALLEST = {
    "lenet5": 28,
    "mnist_cnn": 18,
}


def list_models(pattern="*"):
    """The names of the networks that match the shell-style `pattern`, sorted."""
    return sorted(fnmatch.filter(MODELS, pattern))


def build(name, *, layout="channels_last", **options):
    """Build the network `name` with fresh weights: an uncompiled keras.Model from scaled pixels to logits.

    input: float32 (n, height, width, channels) in either layout; output: float32 (n, num_classes).
    layout: where the channels lie inside, "channels_last" or "channels_first"; the weights are the same.
    options: `input_shape` (height, width, channels), `num_classes`, and what the builder documents.
    Raises ValueError for an unknown name or option and for a picture that is too small.
    """
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; choose one of: {', '.join(list_models())}")
    check_options(name, options)
    configured = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")  # whatever the user's keras.json says
    try:
        network = MODELS[name](**options)
    finally:
        keras.config.set_image_data_format(configured)
    return network if layout == "channels_last" else rebuild(network, layout=layout)


def check_options(name, options):
    """Raise ValueError in one line for options that `name` cannot be built with."""
    known = inspect.signature(MODELS[name]).parameters
    for option in options:
        if option not in known:
            raise ValueError(f"{name} has no option {option!r}; it takes: {', '.join(known)}")
    num_classes = options.get("num_classes", 10)
    if not is_count(num_classes):
        raise ValueError(f"num_classes must be a whole number of at least 1, not {num_classes!r}")
    if "input_shape" not in options:
        return
    shape, smallest = options["input_shape"], SMALLEST.get(name, 1)
    if not isinstance(shape, (tuple, list)) or len(shape) != 3 or not all(map(is_count, shape)):
        raise ValueError(f"input_shape must be (height, width, channels) in pixels, not {shape!r}")
    if min(shape[:2]) < smallest:
        raise ValueError(f"{name} needs pictures of at least {smallest}x{smallest}, not {shape[0]}x{shape[1]}")


def is_count(value):
    """Whether `value` is a whole number of at least 1, of Python or of NumPy."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= 1
