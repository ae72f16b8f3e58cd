"""From pictures to class names and probabilities: prepared as the model file's card says, answered by an engine."""

import dataclasses
import functools
import itertools
import json
import math
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasnets import pictures
from kerasnets.errors import BadInputError, shorten
from kerasnets.prediction import engines
from kerasnets.saving import formats, shipped

DRAWN = 40  # pictures that are drawn into one figure at most
DRAWN_SIDE, DRAWN_SHEET = 500, 1500  # pixels: larger photos, and sheets, are shrunk to it before they are drawn
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

    def as_dict(self, top=1):
        """The answer for a program to read."""
        likeliest = [{"label": label, "probability": probability} for label, probability in self.top(top)]
        return {"label": self.label, "probability": self.probability, "top": likeliest}


@dataclass(frozen=True)
class Sheet:
    """What was read of a picture with several digits. rows: (pictures.Digit, Prediction) of each, in reading order."""

    rows: tuple[tuple[tuple[pictures.Digit, Prediction], ...], ...]

    @property
    def found(self):
        return [each for row in self.rows for each in row]

    @property
    def text(self):
        """What stands there: the labels of a row side by side, a space between rows."""
        return " ".join("".join(prediction.label for _, prediction in row) for row in self.rows)

    def line(self, name, top=1):
        """What stands there as one greppable line; with `top` above 1, a line for each digit below it."""
        lines = [f"{name}: {self.text}"]
        if top > 1:
            for i, (digit, prediction) in enumerate(self.found, start=1):
                lines.append("  " + prediction.line(f"{name} digit {i} at {','.join(map(str, digit.box))}", top))
        return "\n".join(lines)

    def as_dict(self, top=1):
        """What stands there for a program to read."""
        return {"text": self.text, "digits": [{"box": digit.box, **each.as_dict(top)} for digit, each in self.found]}


class Classifier:
    """A model file that answers for pictures, each prepared as the file's card says. Threads may share one.

    >>> classifier = Classifier.load("models_saved/pretrained/mnist_cnn-mnist.onnx")
    >>> answer, = classifier.predict(["docs/samples/three-on-paper.jpg"])
    >>> answer.label, round(answer.probability, 2)
    ('3', 1.0)
    >>> import cv2, numpy
    >>> array = cv2.imread("docs/samples/seven-white-on-black.png")[..., ::-1]  # OpenCV's arrays are BGR
    >>> [answer.label for answer in classifier.predict([array, numpy.flipud(array), "docs/samples/screen-5.png"])][::2]
    ['7', '5']
    """

    def __init__(self, path, card, engine):
        self.path, self.card, self.engine_name = Path(path), card, engine
        self.lock = threading.Lock()
        self.loaded = None

    @classmethod
    def load(cls, path, engine=engines.AUTO):
        """Take the model file `path`: .keras, .h5, what scripts/export.py makes of them, or another program's.

        path: or the name of a shipped model, as "mnist_cnn-mnist".

        engine: a name in engines.ENGINES; "auto" takes the fastest that is installed and reads the file. It is loaded
        when the first picture is judged.
        Raises BadInputError for a file that is missing or damaged, ValueError for an engine that does not read it,
        ImportError for one that is not installed.
        """
        path = shipped.path_of(path)
        card = formats.load(path)
        return cls(path, card, engines.choose(path, engine))

    @property
    def engine(self):
        """The engines.Engine with the network in it."""
        with self.lock:  # of threads that come together, one loads
            if self.loaded is None:
                if not self.card.class_names and self.engine_name != "keras":  # without our checksum
                    from kerasnets.prediction.sandbox import try_out

                    try_out(self.path, self.engine_name)
                self.loaded = engines.load(self.path, self.engine_name)
        return self.loaded

    @functools.cached_property
    def input_shape(self):
        """(height, width, channels) of what the network takes, or (columns,) of a row."""
        shape = self.card.input_shape or self.engine.shape
        if None in shape:
            raise BadInputError(f"{shorten(self.path)} leaves open what size its pictures have; export it with one")
        return shape

    @property
    def note(self):
        """What a person should know who reads the answers of another program's file; "" for our own."""
        if self.card.class_names:
            return ""
        shape = "x".join(map(str, self.input_shape))
        scaled = "0 to 255" if self.engine.dtype == "uint8" else "divided by 255"
        return (
            f"{shorten(self.path, 40)} is not of kerasnets and names no classes: they are numbered; pictures are "
            f"resized to {shape}, pixels {scaled}"
        )

    def predict(self, images):
        """Return a Prediction for each image, in any mixture of kinds and sizes.

        images: one image, or several in a list or an array (n, height, width[, channels]). An image is a path, the
        bytes of a picture file, or an array (height, width[, 1 or 3]) of 0..255, grey or RGB. Floats of 0..1, as
        tutorials divide by 255, are noticed, multiplied by 255 and warned of.
        Raises BadInputError for the first image that cannot be judged; `try_predict` answers for the others. Raises
        ValueError for an array that is no picture.
        """
        results = self.try_predict(images)
        for result in results:
            if isinstance(result, BadInputError):
                raise result
        return results

    def try_predict(self, images):
        """As `predict`, with a BadInputError in the place of each image that cannot be judged."""
        images = listed(images)
        if images:
            _ = self.input_shape  # which a file that cannot be run does not tell of any image
        results = [self.prepared(image) for image in images]
        good = [i for i, result in enumerate(results) if not isinstance(result, BadInputError)]
        for start in range(0, len(good), BATCH):
            chosen = good[start : start + BATCH]
            probabilities = self.engine(np.stack([results[i] for i in chosen]))
            names = self.names_of(probabilities)
            for i, row, order in zip(chosen, probabilities.tolist(), np.argsort(-probabilities).tolist(), strict=True):
                results[i] = Prediction(tuple((names[k], row[k]) for k in order), results[i])
        return results

    def read_sheet(self, image, name="the picture"):
        """Return the Sheet of one image, as in `predict`, that shows several digits.

        name: stands for an array or bytes in an error. Raises BadInputError where there is no digit, or the model reads
        other things.
        """
        if not self.card.input_kind.startswith("mnist"):
            raise BadInputError(f"{shorten(self.path)} does not read digits; take one that was trained on MNIST")
        picture = picture_of(image, name)
        try:
            digits = pictures.find_digits(picture)
        except BadInputError as error:
            raise BadInputError(f"{shorten(name)}: {error}") from error
        answers = self.predict([digit.pixels for digit in digits])
        found = zip(digits, answers, strict=True)
        return Sheet(tuple(tuple(row) for _, row in itertools.groupby(found, key=lambda each: each[0].row)))

    def prepared(self, image):
        """The pixels that the network takes for one image, or the BadInputError that says why there are none."""
        name = image if isinstance(image, (str, Path)) else "the picture"
        try:
            return pictures.prepare(picture_of(image, name), self.card.input_kind, self.input_shape, name)
        except BadInputError as error:
            return error

    def names_of(self, probabilities):
        """The label of each column: a class name, or its number where the file names none."""
        names, count = self.card.class_names, probabilities.shape[1]
        if not names:
            return [f"class {i}" for i in range(count)]
        if len(names) != count:
            named = f"{len(names)} classes and tells {count} apart"
            raise BadInputError(f"{shorten(self.path)} names {named}; export it again")
        return names


def picture_of(image, name="the picture"):
    """The pixels of an image: uint8 (height, width[, 1 or 3])."""
    if isinstance(image, bytes):
        return pictures.decode(image, name)
    return pictures.read(image) if isinstance(image, (str, Path)) else as_pixels(image)


def listed(images):
    """`images` as a list of images."""
    if isinstance(images, (str, Path, bytes)):
        return [images]
    if not isinstance(images, (list, tuple)):
        images = np.asarray(images)
        is_one = images.ndim in (0, 2) or (images.ndim == 3 and images.shape[2] <= 4)  # which `prepare` may refuse
        return [images] if is_one else list(images)
    return images


def as_pixels(array):
    """uint8 of an array of any type with the values 0..255, or of floats 0..1 with a warning.

    Raises ValueError for other values, which are no picture's.
    """
    array = np.asarray(array)
    if array.dtype == np.uint8 or not array.size:
        return array
    if array.dtype.kind not in "iufb":
        raise ValueError(f"an array of {array.dtype} is no picture; pass uint8 (height, width[, 1 or 3]), 0..255")
    low, high = float(array.min()), float(array.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise BadInputError("the picture has pixels that are not finite numbers; pass uint8, 0..255")
    if low < 0 or high > 255:
        raise ValueError(f"an array of {low:g} to {high:g} is no picture; pass pixels of 0..255, before any scaling")
    if array.dtype.kind in "fb" and high <= 1:
        warnings.warn(
            "the pixels are 0..1: multiplied by 255; pass them as they are, 0..255, the model scales them itself",
            stacklevel=2,
        )
        array = array * np.float32(255)
    return np.rint(array).astype(np.uint8)


def as_json(names, results, top=1):
    """The results of `try_predict` for a program to read: a JSON list, one object for each image."""
    paired = zip(names, results, strict=True)
    return json.dumps([{"image": name, **as_dict(result, top)} for name, result in paired], indent=1)


def as_dict(result, top=1):
    """A Prediction, a Sheet, or the BadInputError in its place, for a program to read."""
    return {"error": str(result)} if isinstance(result, BadInputError) else result.as_dict(top)


def draw(images, names, results, save=None, show=False):
    """Draw the images that were answered, the first 40: the picture, what the network saw, bars of the top classes.

    images: as in `predict`; names: captions; results: what `try_predict` gave. save: the file to write, by its suffix;
    show: open a window. Raises OSError where the file cannot be written, or where there is no screen.
    """
    from kerasnets.reports import plots, window

    good = [i for i, result in enumerate(results) if isinstance(result, Prediction)][:DRAWN]
    if not good:
        return
    seen = [pictures.shrink(np.squeeze(picture_of(images[i])), DRAWN_SIDE) for i in good]
    figure = plots.predictions(seen, [names[i] for i in good], [results[i] for i in good])
    if save:
        plots.save_figure(figure, save)
    if show:
        window.show(figure)


def draw_sheets(images, names, results, save=None, show=False):
    """Draw the images in which digits were found, the first 40, each digit in its box; otherwise as `draw`."""
    from kerasnets.reports import plots, window

    good = [i for i, result in enumerate(results) if isinstance(result, Sheet)][:DRAWN]
    if not good:
        return
    drawn = []
    for i in good:
        digits, answers = zip(*results[i].found, strict=True)
        boxed = pictures.draw_boxes(picture_of(images[i]), digits, [answer.label for answer in answers])
        drawn.append(pictures.shrink(boxed, DRAWN_SHEET))
    figure = plots.sheets(drawn, [f"{names[i]}: {results[i].text}" for i in good])
    if save:
        plots.save_figure(figure, save)
    if show:
        window.show(figure)
