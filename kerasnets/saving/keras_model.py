"""The model that Keras builds of a checked file: its weights and maps are bounded before it computes anything."""

import math
from pathlib import Path

import keras
import numpy as np

import kerasnets.graph  # noqa: F401  registers Power, which Keras needs for some .h5 files
from kerasnets.errors import BadInputError, in_one_line, is_full_memory
from kerasnets.graph.maps import maps
from kerasnets.graph.walk import register_parameters, skip_initializers
from kerasnets.runtime.digests import sha256
from kerasnets.saving.card import Card, check_card
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
OPEN = 224  # pixels, for a size that the network leaves open
AGAIN = "train or copy it again"


def build(path: str | Path, content: Content) -> keras.Model:
    """Return the model in a file that `keras_check.read` has passed; raise BadInputError if Keras cannot build it.

    A config of a few bytes could make Keras allocate any amount of memory for initial weights. So the weights are only
    counted while the network is built, and take memory when their values are read from the file.
    """
    pending = None
    try:
        with skip_initializers(content.numbers) as pending:
            model = keras.models.load_model(path, compile=False)
            register_parameters(model)
        return model
    except Exception as error:  # Keras raises many classes on damaged files
        if pending is not None and pending.numbers > content.numbers:
            problem = "is damaged: its layers need more weights than there are in it"
        elif is_full_memory(error):
            raise
        else:
            problem = f"is damaged or was made by an incompatible Keras ({in_one_line(error)})"
        raise BadInputError(problem, remedy=AGAIN) from error


def check(model: keras.Model, card: Card) -> None:
    """Raise BadInputError if a model contradicts its card, is no network for pictures or rows, or computes too much."""
    if len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1:
        raise BadInputError("has not one input and one output, as a network for pictures has", remedy="make it so")
    if len(model.output_shape) != 2 or len(model.input_shape) not in (2, 4):
        problem = f"makes {model.output_shape} of {model.input_shape}, not (n, classes) of pictures or rows"
        raise BadInputError(problem, remedy="make it so")
    if len(model.input_shape) == 4 and model.input_shape[1] in (1, 3) and model.input_shape[3] not in (1, 3):
        problem = f"takes {model.input_shape}, its channels first"
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
    shape = [length or OPEN for length in model.input_shape[1:]]
    pixels = min(math.prod(shape), LARGEST)
    most, in_all, most_work = (base + each * pixels for base, each in (MOST_NUMBERS, MOST_IN_ALL, MOST_WORK))
    numbers = work = calls = 0
    for part in maps(model, shape):
        numbers, work, calls = numbers + part.numbers, work + part.work, calls + part.calls
        if part.numbers > most or numbers > in_all or work > most_work or calls > MOST_CALLS:
            problem = f"computes far more of one picture than any network does, in {part.name!r:.40}"
            raise BadInputError(problem, remedy="make it smaller")
