"""What one model answers for a picture, and what its layers give. All of it runs in the process that has the model."""

import functools
import threading

import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.prediction import Classifier

LOCK = threading.Lock()  # of threads that come together, one opens a file


def classifier_of(path, version, engine):
    """The prediction.Classifier of a model file, the same until the file is written anew."""
    with LOCK:
        return opened(path, version, engine)


@functools.cache
def opened(path, version, engine):
    return Classifier.load(path, engine)


def prepare(path, version, engine):
    """Load a model and let it compute once, so that the first answer is as fast as the others; say what it is.

    Raises BadInputError for a damaged file, and for one of rows.
    """
    classifier = classifier_of(path, version, engine)
    if len(classifier.input_shape) != 3:
        raise BadInputError(f"{classifier.path.name} takes rows of {classifier.input_shape[0]} numbers, no pictures")
    blank = np.zeros((1, *classifier.input_shape), np.uint8)
    names = classifier.names_of(classifier.engine(blank))
    card = classifier.card
    return {
        "classes": list(names),
        "shape": list(classifier.input_shape),
        "kind": card.input_kind,
        "network": card.model,
        "dataset": card.dataset,
        "accuracy": card.accuracy,
        "note": classifier.note,
    }


def answer(path, version, engine, picture):
    """(probabilities in the order of the classes, pixels that the network saw) of one picture, uint8 (h, w, 3).

    Raises BadInputError where there is nothing to see.
    """
    classifier = classifier_of(path, version, engine)
    [prediction] = classifier.predict([picture])
    shares = dict(prediction.ranking)
    names = classifier.card.class_names or [f"class {i}" for i in range(len(shares))]
    return [shares[name] for name in names], prediction.pixels


def layers(path, version):
    """What there is to see of each layer: a list of dictionaries. The model is loaded, and computes once."""
    return layer_maps(path, version).describe()


def maps(path, version, pixels):
    """(a dictionary for each layer, their maps as bytes) of what the network saw: uint8 (height, width, channels)."""
    return layer_maps(path, version).draw(pixels)


def layer_maps(path, version):
    classifier = classifier_of(path, version, "keras")
    with LOCK:
        return made(classifier)


@functools.cache
def made(classifier):
    from kerasnets.demo.feature_maps import LayerMaps  # which imports Keras

    return LayerMaps(classifier.engine)
