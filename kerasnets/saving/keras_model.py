"""The model that Keras builds of a checked file: its weights and maps are bounded before it computes anything."""

import dataclasses
import math
from pathlib import Path

import keras
import numpy as np

from kerasnets.errors import BadInputError, in_one_line, is_full_memory
from kerasnets.graph import (  # which registers Power, that Keras needs for some .h5 files
    Scaling,
    Whole,
    has_graph,
    is_full,
    make_whole,
    producer,
    rebuild,
    up_to_probabilities,
)
from kerasnets.graph.maps import maps
from kerasnets.graph.walk import register_parameters, skip_initializers
from kerasnets.runtime.digests import sha256
from kerasnets.saving import keras_check
from kerasnets.saving.card import Card, check_card
from kerasnets.saving.guest import Guest, input_shape
from kerasnets.saving.keras_check import Content

# The most that a network may compute of one picture: a number, and one for each of at most LARGEST numbers in it.
# Keras keeps the maps of a picture until the last is computed. Of the networks in MODELS at 224x224x3, VGG has the
# largest map, 3.2 million (21 for each number of the picture); DenseNet-161 the most in all, 94 million (626); VGG-19
# multiplies most, 2e10 times (130,000); DenseNet-201 has the most maps, 806.
LARGEST = 2**20
MOST_NUMBERS = (2**23, 64)  # in one map
MOST_IN_ALL = (10**8, 1024)
MOST_WORK = (2**36, 2**19)
MOST_CALLS = 8_000
COPIES = 2  # times the weights in the file: Keras makes and drops a third copy of a layer that Bidirectional holds
OPEN = 224  # pixels, for a size that the network leaves open
AGAIN = "train or copy it again"
DIVIDED = "divided by 255"  # the scaling of pixels if nothing tells another


def build(path: str | Path, content: Content) -> keras.Model:
    """Return the model in a file that `keras_check.read` has passed; raise BadInputError if Keras cannot build it.

    A config of a few bytes could make Keras allocate any amount of memory for initial weights. So the weights are only
    counted while the network is built, and take memory when their values are read from the file.
    """
    pending = None
    try:
        with skip_initializers(COPIES * content.numbers) as pending:
            model = of_keras_2(path, content) if content.is_keras_2 else keras.models.load_model(path, compile=False)
            register_parameters(model)
        return model
    except BadInputError as error:
        if content.is_keras_2:
            error.problem = f"was written by Keras {content.version} and {error.problem}"
        raise
    except Exception as error:  # Keras raises many classes on damaged files
        if pending is not None and pending.numbers > content.numbers:
            problem = "is damaged: its layers need more weights than there are in it"
        elif is_full_memory(error):
            raise
        else:
            problem = f"is damaged or was made by an incompatible Keras ({in_one_line(error)})"
        raise BadInputError(problem, remedy=AGAIN) from error


def of_keras_2(path: str | Path, content: Content) -> keras.Model:
    """Return the model in a file of Keras 2."""
    from kerasnets.saving import keras2_model

    model = keras2_model.Part(content.config)
    with keras_check.parts(Path(path)) as (_, _, weights, _):
        keras2_model.assign(model, weights)
    network: keras.Model = model.layer
    return network


def check(model: keras.Model, card: Card) -> None:
    """Raise BadInputError if a model contradicts its card, is no network for pictures or rows, or computes too much."""
    if len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1:
        raise BadInputError("has not one input and one output, as a network for pictures has", remedy="make it so")
    is_ours = bool(card.class_names)
    outputs = [size for size in model.outputs[0].shape[1:] if size != 1] if not is_ours else model.output_shape[1:]
    if len(outputs) > 1 or len(model.inputs[0].shape) not in ((2, 4) if is_ours else (2, 3, 4)):
        problem = f"makes {model.outputs[0].shape} of {model.inputs[0].shape}, not (n, classes) of pictures or rows"
        raise BadInputError(problem, remedy="make it so")
    shape = model.inputs[0].shape
    if len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3):
        problem = f"takes {shape}, its channels first"
        raise BadInputError(problem, remedy="make it with channels last")
    check_maps(model)
    weights = model.get_weights()
    if card.weights_sha256 and sha256(*weights) != card.weights_sha256:
        problem = "is damaged: its weights are not those that were saved"
        raise BadInputError(problem, remedy=AGAIN)
    if not all(np.isfinite(numbers).all() for numbers in weights):
        raise BadInputError("holds weights that are not finite numbers", remedy="train it again")
    if card.class_names:
        try:
            check_card(card, model)
        except ValueError as error:
            raise BadInputError(f"contradicts itself: {error}", remedy=AGAIN) from error


def check_maps(model: keras.Model) -> None:
    """Raise BadInputError if a model computes far more of one picture than any network does."""
    shape = [length or OPEN for length in model.inputs[0].shape[1:]]
    pixels = min(math.prod(shape), LARGEST)
    most, in_all, most_work = (base + each * pixels for base, each in (MOST_NUMBERS, MOST_IN_ALL, MOST_WORK))
    numbers = work = calls = 0
    try:
        for part in maps(model, shape):
            numbers, work, calls = numbers + part.numbers, work + part.work, calls + part.calls
            if part.numbers > most or numbers > in_all or work > most_work or calls > MOST_CALLS:
                problem = f"computes far more of one picture than any network does, in {part.name!r:.40}"
                raise BadInputError(problem, remedy="make it smaller")
    except (BadInputError, MemoryError):
        raise
    except Exception as error:  # Keras raises many classes where a shape cannot be told
        problem = f"computes maps whose sizes cannot be told before ({in_one_line(error)})"
        raise BadInputError(problem, remedy="make it of other layers") from error


def as_ours(model: keras.Model, card: Card, guest: Guest) -> tuple[keras.Model, Card, str]:
    """Return another program's model from raw pixels to probabilities, its card, and how its input is scaled, in words.

    Raises:
        BadInputError: It is no such network, or `guest` names another number of classes.
    """
    given = tuple(model.inputs[0].shape[1:])
    shape = input_shape(given, guest)
    try:
        whole = make_whole(model, scaling=guest.scaling, bgr=guest.bgr, shape=shape if shape != given else None)
    except ValueError as error:
        raise BadInputError(f"cannot be used: {in_one_line(error, 100)}", remedy="make it a classifier") from error
    classes = whole.model.outputs[0].shape[-1]
    if guest.class_names and len(guest.class_names) != classes:
        remedy = f"name all {classes} by --classes"
        raise BadInputError(f"has {classes} classes, and {len(guest.class_names)} are named", remedy=remedy)
    sizes = whole.model.inputs[0].shape[1:]
    card = dataclasses.replace(
        card,
        model=card.model or model.name,
        class_names=guest.class_names,
        input_shape=() if None in sizes else tuple(sizes),
        input_kind=guest.input_kind or ("picture" if len(sizes) == 3 else "row"),
        multi_label=not whole.exclusive,
    )
    return whole.model, card, scale_words(whole, guest)


def scale_words(whole: Whole, guest: Guest) -> str:
    """Return how the pixels or rows of a guest are scaled, for a person."""
    if len(whole.model.inputs[0].shape) == 2:
        return "as they are"
    if guest.scaling:
        return "scaled as given"
    if whole.values == "0..255":
        return "0 to 255"
    if whole.values:
        return f"brought to {whole.values.replace('..', ' to ')}"
    return DIVIDED


def logits_of(model: keras.Model) -> keras.Model:
    """Return a model of ours up to its logits; if it has none, up to the logarithms of its probabilities."""
    output = model.outputs[0]
    last = producer(output)
    if last.name == "probabilities" or isinstance(last, keras.layers.Softmax):
        return keras.Model(model.inputs[0], last.input, name=model.name)
    if getattr(last, "activation", None) is keras.activations.softmax:  # as earlier versions saved some
        return logits_of(make_whole(model, scaling=(1.0, 0.0)).model)
    smallest = float(np.finfo("float32").tiny)
    return keras.Model(model.inputs[0], keras.ops.log(keras.ops.maximum(output, smallest)), name=model.name)


def to_probabilities(model: keras.Model, scaling: Scaling | None) -> tuple[keras.Model, bool]:
    """Return `model` from raw pixels to probabilities, and whether these exclude each other.

    Raises:
        ValueError: It takes pictures, and neither it nor `scaling` tells of which numbers.
    """
    given = model.inputs[0]
    scales_itself = any(layer.name == "rescaling" for layer in model.layers) and given.dtype != "uint8"
    if is_ours(model) and not scales_itself:
        takes_raw = len(given.shape) != 4 or given.dtype == "uint8"
        if scaling is not None or (takes_raw and not is_full(model)):
            return rebuild(model, scaling=scaling, probabilities=True), True
        if takes_raw:
            return up_to_probabilities(model), True
    whole = make_whole(model, scaling=scaling)
    if scaling is None and len(given.shape) > 2 and given.dtype != "uint8" and not whole.values:
        raise ValueError(
            f"{model.name} takes scaled pixels and a model file raw ones: pass the scaling it was trained with, as "
            "scaling=(1 / 255, 0.0)"
        )
    return whole.model, whole.exclusive


def is_ours(model: keras.Model) -> bool:
    """Whether a model has the form of those that `build` returns: one flat graph, up to logits or a Softmax."""
    if isinstance(model, keras.Sequential) or not isinstance(model.input, keras.KerasTensor):
        return False
    last = producer(model.outputs[0])
    ends = type(last) in (keras.layers.Dense, keras.layers.GlobalAveragePooling2D, keras.layers.Softmax)
    is_linear = getattr(last, "activation", keras.activations.linear) is keras.activations.linear
    return ends and is_linear and model.outputs[0].shape[-1] != 1 and not any(map(has_graph, model.layers))
