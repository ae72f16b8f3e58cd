"""From picture files to class names and probabilities: OpenCV reads and prepares, a model file answers."""

import dataclasses
import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasnets import pictures, saving
from kerasnets.errors import BadInputError

DRAWN_SIDE = 500  # pixels: larger photos are shrunk to it before they are drawn
BATCH = 64  # pictures that go through the network at once


@dataclass(frozen=True)
class Prediction:
    """One answer. ranking: (label, probability as a fraction) of every class, the likeliest first.

    pixels: uint8 (height, width, channels), what the network saw.
    """

    ranking: tuple[tuple[str, float], ...]
    pixels: np.ndarray = dataclasses.field(repr=False, compare=False)

    @property
    def label(self):
        return self.ranking[0][0]

    @property
    def probability(self):
        return self.ranking[0][1]

    def top(self, k):
        return self.ranking[:k]

    def line(self, name, top=1):
        """The answer as one greppable line."""
        return f"{name}: " + ", ".join(f"{label} {probability:.4f}" for label, probability in self.top(top))


class Classifier:
    """A model file that answers for pictures, each prepared as the file's card says.

    >>> classifier = Classifier.load("models_saved/pretrained/mnist_cnn-mnist.keras")
    >>> classifier.predict(["docs/samples/three-on-paper.jpg"])[0].label
    '3'
    """

    def __init__(self, path, card):
        self.path, self.card = path, card

    @classmethod
    def load(cls, path):
        """Take the model in `path` (.keras, .h5). Keras and its backend are loaded when the first picture is judged.

        Raises BadInputError for a file that is missing, damaged, or not a model of kerasnets.
        """
        return cls(path, saving.load_card(path))

    @functools.cached_property
    def model(self):
        return saving.load(self.path)[0]

    def predict(self, images):
        """Return a Prediction for each image: a path, or uint8 (height, width[, 1 or 3]) 0..255, grey or RGB.

        Raises BadInputError for the first image that cannot be judged; `try_predict` answers for the others.
        """
        results = self.try_predict(images)
        for result in results:
            if isinstance(result, BadInputError):
                raise result
        return results

    def try_predict(self, images):
        """As `predict`, with a BadInputError in the place of each image that cannot be judged."""
        if isinstance(images, (str, Path)):
            images = [images]
        results = [self.prepared(image) for image in images]
        good = [i for i, result in enumerate(results) if not isinstance(result, BadInputError)]
        for start in range(0, len(good), BATCH):
            chosen = good[start : start + BATCH]
            probabilities = self.model.predict_on_batch(np.stack([results[i] for i in chosen]))
            for i, row in zip(chosen, probabilities, strict=True):
                ranking = tuple((self.card.class_names[k], float(row[k])) for k in np.argsort(-row))
                results[i] = Prediction(ranking, results[i])
        return results

    def prepared(self, image):
        """The pixels that the network takes for one image, or the BadInputError that says why there are none."""
        try:
            if not isinstance(image, (str, Path)):
                return pictures.prepare(image, self.card.input_kind, self.card.input_shape)
            return pictures.prepare(pictures.read(image), self.card.input_kind, self.card.input_shape, name=image)
        except BadInputError as error:
            return error


def as_json(names, results, top=1):
    """The results of `try_predict` for a program to read: a JSON list, one object for each image."""
    return json.dumps([as_dict(name, result, top) for name, result in zip(names, results, strict=True)], indent=1)


def as_dict(name, result, top):
    if isinstance(result, BadInputError):
        return {"image": name, "error": str(result)}
    likeliest = [{"label": label, "probability": probability} for label, probability in result.top(top)]
    return {"image": name, "label": result.label, "probability": result.probability, "top": likeliest}


def draw(images, names, results, save=None, show=False):
    """Draw every image that was answered: the picture, what the network saw, bars of the top classes.

    images: paths or arrays; names: captions; results: what `try_predict` gave. save: the file to write, by its suffix;
    show: open a window. Raises OSError where the file cannot be written, or where there is no screen.
    """
    from kerasnets import drawing

    good = [i for i, result in enumerate(results) if isinstance(result, Prediction)]
    if not good:
        return
    seen = [pictures.read(images[i]) if isinstance(images[i], (str, Path)) else images[i] for i in good]
    seen = [pictures.shrink(np.squeeze(picture), DRAWN_SIDE) for picture in seen]
    figure = drawing.predictions(seen, [names[i] for i in good], [results[i] for i in good])
    if save:
        drawing.save_figure(figure, save)
    if show:
        drawing.show(figure)
