"""The answers of one model, their reasons, and its feature maps, in the process that holds the model.

A model is named by its path, by its version (which changes when the file is rewritten) and by its engine.
"""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from kerasnets.demo.newest import Newest
from kerasnets.errors import BadInputError
from kerasnets.prediction import Classifier, explanations

if TYPE_CHECKING:
    from kerasnets.demo.feature_maps import LayerMaps
    from kerasnets.prediction.runtimes import Keras

LOCK = threading.Lock()  # only one thread loads a file
LOADED: Newest[tuple[str, str], Classifier] = Newest()
MAPS: Newest[str, "LayerMaps"] = Newest()


def classifier_of(path: str, version: int, engine: str) -> Classifier:
    """Return the Classifier of a model file, which stays in memory."""
    with LOCK:
        return load(path, version, engine)


def load(path: str, version: int, engine: str) -> Classifier:
    return LOADED.get((path, engine), version, lambda: Classifier.load(path, engine))


def prepare(path: str, version: int, engine: str) -> dict[str, Any]:
    """Load a model and run it once, so that the first answer is as fast as the others; return what the page shows.

    Raises:
        BadInputError: The file is damaged, or the model takes rows of numbers.
    """
    classifier = classifier_of(path, version, engine)
    check_pictures(classifier)
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


def answer(path: str, version: int, engine: str, picture: np.ndarray) -> tuple[list[float], np.ndarray, str]:
    """Return the answer for a uint8 (h, w, 3) picture.

    Returns:
        The probabilities in the order of the classes, the network's input, and why the answer is not sure, if so.

    Raises:
        BadInputError: The picture shows nothing.
    """
    classifier = classifier_of(path, version, engine)
    [prediction] = classifier.predict([picture])
    shares = dict(prediction.ranking)
    names = classifier.card.class_names or [f"class {i}" for i in range(len(shares))]
    verdict = prediction.verdict
    doubt = f"{verdict.name}: {verdict.reason}" if verdict.reason else ""
    return [shares[name] for name in names], prediction.pixels, doubt


def explain(path: str, version: int, engine: str, pixels: np.ndarray, place: int) -> tuple[list[dict[str, Any]], bytes]:
    """Return the places in the network's input that one class depends on.

    Args:
        pixels: The network's input, uint8 (height, width, channels).
        place: The number of the class.

    Returns:
        The method, height and width of each map; and all maps as uint8, row by row, 255 where the answer depends most.

    Raises:
        BadInputError: The model takes rows of numbers.
        ValueError: The pixels have another shape, or there is no such class.
    """
    classifier = classifier_of(path, version, engine)
    check_pictures(classifier)
    check_shape(pixels, classifier.input_shape)
    if not 0 <= place < classifier.count_classes():
        raise ValueError(f"there is no class {place}")
    maps = explanations.maps_of(classifier, pixels, place)
    about = [{"method": method, "height": len(heat), "width": heat.shape[1]} for method, heat in maps.items()]
    return about, b"".join(np.rint(255 * heat).astype(np.uint8).tobytes() for heat in maps.values())


def layers(path: str, version: int) -> dict[str, Any]:
    """Return the layers as LayerMaps.describe does. The model is loaded and runs once."""
    return layer_maps(path, version).describe()


def maps(path: str, version: int, pixels: np.ndarray) -> tuple[list[dict[str, Any]], bytes]:
    """Return the feature maps of the network's input, as LayerMaps.draw does."""
    drawer = layer_maps(path, version)
    check_shape(pixels, drawer.engine.shape)
    return drawer.draw(pixels)


def check_pictures(classifier: Classifier) -> None:
    """Raise BadInputError if a model takes rows of numbers."""
    if len(classifier.input_shape) != 3:
        columns = classifier.input_shape[0]
        raise BadInputError(f"takes rows of {columns} numbers, no pictures", path=classifier.path.name)


def check_shape(pixels: np.ndarray, shape: Sequence[int | None]) -> None:
    """Raise ValueError if pixels do not have the shape that the network takes."""
    if pixels.shape != tuple(shape):
        raise ValueError(f"the pixels must have the shape that the network takes, {tuple(shape)}")


def layer_maps(path: str, version: int) -> "LayerMaps":
    from kerasnets.demo.feature_maps import LayerMaps  # which imports Keras

    classifier = classifier_of(path, version, "keras")
    with LOCK:
        return MAPS.get(path, version, lambda: LayerMaps(cast("Keras", classifier.engine)))
