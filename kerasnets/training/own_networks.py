"""A person's own network, made ready for a training: from pixels to logits, of Keras' layers alone."""

from kerasnets.runtime.chosen import BACKEND as BACKEND

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from kerasnets import data, saving
from kerasnets.errors import BadInputError, name_path
from kerasnets.graph import Scaling, has_graph, rebuild
from kerasnets.recipes import OWN, Recipe, own
from kerasnets.saving import keras_config, keras_model
from kerasnets.training.request import Network, Request

START_AT_ZERO = "bias", "beta", "moving_mean"  # names of weights


def as_named(request: Request) -> Request:
    """Return a request whose recipe is a name or a Recipe; a network in its place becomes `network`."""
    recipe = request.recipe
    if isinstance(recipe, (str, Recipe)):
        return request
    if not (isinstance(recipe, keras.Model) or callable(recipe)) or request.arrays is None:
        raise ValueError(f"a recipe, or a network with arrays to train on, was expected, not {recipe!r:.60}")
    name = re.sub(r"\W+", "_", getattr(recipe, "name", "") or getattr(recipe, "__name__", "network"))
    title = getattr(request.arrays, "title", data.Data.title)
    title = OWN if title == data.Data.title else re.sub(r"\W+", "_", title)
    return dataclasses.replace(request, recipe=own(name, title), network=recipe)


def check_callbacks(callbacks: Sequence[Any]) -> None:
    """Raise ValueError if one is no callback, or would write a file that nothing can load."""
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise ValueError(f"a keras.callbacks.Callback was expected, not {callback!r:.60}")
        if isinstance(callback, keras.callbacks.ModelCheckpoint) and not callback.save_weights_only:
            raise ValueError("ModelCheckpoint sees a copy that Keras cannot load again: pass save_weights_only=True")


def build(
    network: Network, name: str, shape: tuple[int, ...], class_names: tuple[str, ...], scaling: Scaling
) -> tuple[keras.Model, Scaling | None]:
    """Return a copy of a network, from images to logits, and the scaling of its pixels, None if it scales them itself.

    Args:
        network: A model, or a function that builds it.
        name: Of the network, for messages.
        shape: (height, width, channels) of the pictures, or (columns,) of rows.
        class_names: Of the data.
        scaling: For pixels of a network that does not scale them itself.

    Raises:
        BadInputError: It is no network for these data, or a file of it could not be read without its code.
    """
    with name_path(name):
        model = network if isinstance(network, keras.Model) else call(network, shape, len(class_names))
        check(model, shape)
        if is_plain(model):
            check_classes(model.outputs[0].shape[-1], class_names)
            return rebuild(model), scaling if len(shape) == 3 else None
        guest = saving.Guest(image_size=shape[:2] if len(shape) == 3 else None)
        card = saving.Card(name, (), ())
        whole, card, words = keras_model.as_ours(model, card, guest)
        if words == keras_model.DIVIDED:  # it has no scaling of its own
            guest = saving.Guest(scaling=scaling, image_size=guest.image_size)
            whole, card, _ = keras_model.as_ours(model, card, guest)
        if card.multi_label:
            raise BadInputError("gives each class a probability by itself", remedy="let it end in a softmax, or logits")
        check_classes(whole.outputs[0].shape[-1], class_names)
        return keras_model.logits_of(whole), None


def call(function: Callable[..., Any], shape: tuple[int, ...], num_classes: int) -> keras.Model:
    """Return the network that a function builds, with both arguments, or with none if it takes none."""
    if hasattr(function, "state_dict"):
        raise BadInputError("is a module of PyTorch", remedy="make it a model file by kerasnets convert, for --weights")
    model = function(shape, num_classes) if inspect.signature(function).parameters else function()
    if not isinstance(model, keras.Model):
        problem = f"is built by a function that returns a {type(model).__name__}"
        raise BadInputError(problem, remedy="let it return a keras.Model")
    return model


def check(model: keras.Model, shape: tuple[int, ...]) -> None:
    """Raise BadInputError if a network is no classifier of such images, or not of Keras' layers alone."""
    if isinstance(model, keras.Sequential) and not model.built:
        model.build((None, *shape))
    if not has_graph(model):
        problem = f"is a {type(model).__name__}, which has no graph of layers"
        raise BadInputError(problem, remedy="make it a functional or Sequential model")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        counts = f"has {len(model.inputs)} inputs and {len(model.outputs)} outputs"
        raise BadInputError(counts, remedy="give it one of each: pictures and a number for each class")
    given = tuple(model.inputs[0].shape[1:])
    if len(given) != len(shape) or any(side not in (None, size) for side, size in zip(given, shape, strict=True)):
        raise BadInputError(f"takes {given}, and the data are {shape}", remedy="build it for them, or resize them")
    for kind in classes_of(model):
        if not kind.__module__.startswith("keras.") and keras.saving.get_registered_name(kind) == kind.__name__:
            problem = f"has a layer of your own class {kind.__name__}, which a model file cannot hold"
            raise BadInputError(problem, remedy="compose it of Keras' layers and keras.ops")
    keras_config.check(model.to_json())


def classes_of(model: keras.Model) -> Iterator[type]:
    """Yield the class of each layer, also of those in models within the model."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from classes_of(layer)
        else:
            yield type(layer)


def check_classes(count: int, class_names: tuple[str, ...]) -> None:
    if count != len(class_names):
        problem = f"has {count} outputs, and the data have {len(class_names)} classes"
        raise BadInputError(problem, remedy="build it with one output for each class")


def has_learned(model: keras.Model) -> bool:
    """Whether a network of one's own was trained before: Keras lets biases and moving means start at zero."""
    return any(np.any(keras.ops.convert_to_numpy(weight)) for weight in model.weights if weight.name in START_AT_ZERO)


def is_plain(model: keras.Model) -> bool:
    """Whether a network takes scaled pixels of a known size, or rows, and gives logits."""
    scales = any(isinstance(layer, (keras.layers.Rescaling, keras.layers.Normalization)) for layer in model.layers)
    given = model.inputs[0]
    is_known = None not in given.shape[1:] and given.dtype == "float32"
    return keras_model.is_ours(model) and is_known and not scales
