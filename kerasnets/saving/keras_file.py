"""Model files: one self-contained .keras or .h5, written whole or not at all, with its card inside.

The file is a Keras model from raw pixels to class probabilities; plain `keras.models.load_model` reads it on any
backend. The card is an entry of our own in the zip archive, or an attribute of the HDF5 file, which Keras passes over.

Modules that take long to import are imported where they are needed: a card alone is read in milliseconds.
"""

import contextlib
import dataclasses
import errno
import hashlib
import math
import os
import re
from pathlib import Path

from kerasnets.errors import BadInputError, in_one_line, shorten
from kerasnets.saving import keras_check, shipped
from kerasnets.saving.card import Card, as_json, check_card, check_present, from_json
from kerasnets.saving.keras_check import CARD

SUFFIXES = (".keras", ".h5")
MOST_NUMBERS = 2**26  # that a layer gives for one picture; the most of ours gives 3.2 million


def save(model, path, card, scaling=None):
    """Write `model`, with `card` inside, to `path` (.keras or .h5), whole or not at all.

    model: a built keras.Model; where it ends in logits, the file gets a softmax. What `compile` added is left out: no
        other backend loads it.
    scaling: (scale, offset) by which pixels 0..255 become what `model` was trained on, numbers or one per channel:
        (1 / 255, 0.0) where it was given pixels / 255. None for one that takes uint8 pixels, as those that `load`
        gives, or rows of numbers.
    Raises ValueError for another suffix, a model that is not built, pictures without `scaling`, and a card that says
    something else than the model; OSError where the file cannot be written.
    """
    check_suffix(path)
    if not getattr(model, "inputs", None):
        raise ValueError(f"a model file holds a built network, not {model!r:.60}; call it on pictures first")
    from kerasnets.graph import rebuild, up_to_probabilities
    from kerasnets.runtime.atomic import reserve, whole_file

    if scaling is None and len(model.input_shape) == 4 and model.input.dtype != "uint8":
        raise ValueError(
            f"{model.name} takes scaled pixels and a model file raw ones: pass the scaling it was trained with, as "
            "scaling=(1 / 255, 0.0)"
        )
    model = up_to_probabilities(model) if scaling is None else rebuild(model, scaling=scaling, probabilities=True)
    check_card(card, model)
    card = dataclasses.replace(card, weights_sha256=digest(model))
    text = as_json(card)
    with whole_file(path) as part, quiet_keras(), hdf5_errors_as_os_errors():
        if part.suffix == ".h5":
            reserve(part, size_as_h5(model))
        model.save(part)
        if part.suffix == ".h5":
            import h5py

            with h5py.File(part, "r+") as file:
                file.attrs[CARD] = text
            keras_check.seal(part)
        else:
            import zipfile

            with zipfile.ZipFile(part, "a") as archive:
                archive.writestr(CARD, text)


def size_as_h5(model):
    """Bytes of the .h5 file of `model` at most. HDF5 takes 1 to 2 kB for each array and layer beside their content."""
    weights = model.weights
    content = sum(math.prod(variable.shape) * 4 for variable in weights)
    return content + 4_000 * (len(weights) + len(model.layers)) + 2 * len(model.to_json()) + 20_000


def load(path, *, logits=False):
    """Return (model, card) from a .keras or .h5 file, or from a shipped model by its name, as "mnist_cnn-mnist".

    The model is uncompiled and runs on any backend.

    model: uint8 pixels (n, height, width, channels), 0..255 -> float32 class probabilities (n, num_classes);
    with `logits`, up to the layer before the softmax, for features and fine-tuning. What another program has saved
    takes and gives what it was made for, and its card has no class names.
    Raises BadInputError for a file that is missing, damaged, or more than a network of Keras' layers.
    """
    path = shipped.path_of(path, shipped.KERAS)
    content = read(path)
    card = card_in(content, path)
    from kerasnets.runtime import backends

    backends.choose()
    import keras

    import kerasnets.graph  # noqa: F401  which lets Keras read Power

    try:
        with quiet_keras(), no_more_weights_than(content.numbers):
            model = keras.models.load_model(path, compile=False)
    except BadInputError as error:
        raise BadInputError(f"{shorten(path)} {error}") from error
    except Exception as error:  # Keras raises whatever the damaged part led it to
        raise BadInputError(
            f"{shorten(path)} is damaged or was made by an incompatible Keras ({in_one_line(error)}); train or copy it "
            "again"
        ) from error
    with blaming(path):
        check_model(model, card)
    if not card.model:
        card = dataclasses.replace(card, model=model.name, input_shape=model.input_shape[1:])
    if not logits:
        return model, card
    if not isinstance(model.layers[-1], keras.layers.Softmax):
        raise BadInputError(f"{shorten(path)} has no logits: the softmax is inside its layer {model.layers[-1].name}")
    return keras.Model(model.input, model.layers[-1].input, name=model.name), card


def check_model(model, card):
    """Refuse a model that is not what its card says, or none for pictures or rows."""
    import numpy as np

    if len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1:
        raise BadInputError("has not one input and one output, as a network for pictures has; make it so")
    if len(model.output_shape) != 2 or len(model.input_shape) not in (2, 4):
        raise BadInputError(
            f"makes {model.output_shape} of {model.input_shape}, not (n, classes) of pictures or rows; make it so"
        )
    if len(model.input_shape) == 4 and model.input_shape[1] in (1, 3) and model.input_shape[3] not in (1, 3):
        raise BadInputError(f"takes {model.input_shape}, its channels first; make it with channels last")
    for layer in model.layers:
        shape = layer.output.shape[1:]
        if math.prod(size or 1 for size in shape) > MOST_NUMBERS:
            raise BadInputError(f"makes {shape} of one picture in {layer.name}, which is too much; make it smaller")
    weights = model.get_weights()
    if card.weights_sha256 and digest(model) != card.weights_sha256:
        raise BadInputError("is damaged: its weights are not those that were saved; train or copy it again")
    if not all(np.isfinite(numbers).all() for numbers in weights):
        raise BadInputError("holds weights that are not finite numbers; train it again")
    if card.class_names:
        try:
            check_card(card, model)
        except ValueError as error:
            raise BadInputError(f"contradicts itself: {error}; train or copy it again") from error


def load_card(path):
    """Return the Card of a .keras or .h5 file without loading a framework; in another program's, one without names.

    Raises BadInputError as `load` does, but for what only Keras tells.
    """
    return card_in(read(path), path)


def read(path):
    """The `keras_files.Content` of a model file. Raises BadInputError that names `path`."""
    if Path(path).suffix not in SUFFIXES:
        raise BadInputError(f"{shorten(path)} is not a model file; those end in {' or '.join(SUFFIXES)}")
    check_present(path)
    with blaming(path):
        return keras_check.read(path)


def card_in(content, path):
    if content.card is None:
        return Card(content.name, (), content.input_shape)
    return from_json(content.card, path)


@contextlib.contextmanager
def blaming(path):
    """Let what is wrong with a model file name it."""
    try:
        yield
    except BadInputError as error:
        raise BadInputError(f"{shorten(path)} {error}") from error


@contextlib.contextmanager
def no_more_weights_than(numbers):
    """Refuse layers that this thread makes with more weights than there are in the file, before they take memory."""
    import threading
    from unittest import mock

    import keras

    owner, left, original = threading.get_ident(), [numbers], keras.Layer.add_weight

    def add_weight(layer, shape=None, *args, **options):
        if threading.get_ident() == owner:
            left[0] -= math.prod(shape or ())
            if left[0] < 0:
                raise BadInputError(too_many)
        return original(layer, shape, *args, **options)

    too_many = "is damaged: its layers need more weights than there are in it; train or copy it again"
    with mock.patch.object(keras.Layer, "add_weight", add_weight):
        try:
            yield
        except Exception as error:
            if left[0] < 0:  # Keras may have put it into words of its own
                raise BadInputError(too_many) from error
            raise


def check_suffix(path):
    if Path(path).suffix not in SUFFIXES:
        raise ValueError(f"{shorten(path)} is no name for a model file; it must end in {' or '.join(SUFFIXES)}")


def digest(model):
    """SHA-256 of all weights in their order: HDF5 alone would not notice a flipped bit."""
    import numpy as np

    sha = hashlib.sha256()
    for weights in model.get_weights():
        sha.update(np.ascontiguousarray(weights))
    return sha.hexdigest()


@contextlib.contextmanager
def quiet_keras():
    """Hold back Keras' log lines about .h5 being old, one of our two formats, and of parts that it does not find."""
    import logging
    import warnings

    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Skipping nested container")  # an exception tells what lacks
            yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def hdf5_errors_as_os_errors():
    """HDF5 reports a write that failed in several ways, the cause at times in its text alone, at times not at all."""
    try:
        yield
    except (RuntimeError, OSError) as error:
        cause = re.search(r"errno = (\d+)", str(error))
        if getattr(error, "errno", None) or not (cause or isinstance(error, OSError)):
            raise
        number = int(cause[1]) if cause else errno.EIO
        raise OSError(number, os.strerror(number)) from error
