"""Classifier: from pictures to class names and probabilities, prepared as the model file's card says."""

import dataclasses
import functools
import itertools
import math
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from kerasnets import pictures
from kerasnets.errors import BadInputError, name_path, shorten
from kerasnets.prediction import engines
from kerasnets.prediction.answers import Prediction, Sheet
from kerasnets.prediction.engine import Engine
from kerasnets.saving import UNKNOWN, Card, Guest, formats, shipped
from kerasnets.saving.guest import check_own
from kerasnets.saving.onnx_file import Input

Image: TypeAlias = str | Path | bytes | np.ndarray  # a file's name, a file's content, or pixels
Images: TypeAlias = Image | Sequence[Image]

BATCH = 64  # pictures that go through the network at once
SMALL = ((28, 28, 1), (32, 32, 1))  # the inputs of networks for MNIST and Fashion-MNIST
UNNAMED = "the picture"  # stands for an array or bytes in a message


class Classifier:
    """A model file that classifies pictures, each prepared as the file's card says. Threads may share one.

    Make one by `Classifier.load`.

    Attributes:
        path: The model file.
        card: Its Card.
        engine_name: A name in `engines.ENGINES`.

    Example:
        >>> classifier = kerasnets.Classifier.load("models_saved/pretrained/mnist_cnn-mnist.onnx")
        >>> [answer] = classifier.predict(["docs/samples/three-on-paper.jpg"])
        >>> answer.label, round(answer.probability, 2)
        ('3', 1.0)
        >>> import cv2, numpy
        >>> array = cv2.imread("docs/samples/seven-white-on-black.png")[..., ::-1]  # OpenCV's arrays are BGR
        >>> answers = classifier.predict([array, numpy.flipud(array), "docs/samples/screen-5.png"])
        >>> answers[0].label, answers[2].label
        ('7', '5')
    """

    def __init__(
        self, path: str | Path, card: Card, engine: str, given: Input | None = None, guest: Guest | None = None
    ) -> None:
        self.path, self.card, self.engine_name, self.given, self.guest = Path(path), card, engine, given, guest
        self.lock = threading.Lock()
        self.loaded: Engine | None = None

    @classmethod
    def load(cls, path: str | Path, engine: str = engines.AUTO, guest: Guest = UNKNOWN) -> "Classifier":
        """Return the Classifier of a model file; the network itself is loaded at the first prediction.

        Args:
            path: A .keras or .h5 file, an export of one, or a model file made by another program; or the name of a
                shipped model.
            engine: A name in `engines.ENGINES`; "auto" takes the fastest that is installed and reads the file.
            guest: What is known about a file that kerasnets did not write.

        Raises:
            BadInputError: The file is missing or damaged.
            ValueError: The engine does not read the file.
            ImportError: The engine is not installed.

        Example:
            >>> kerasnets.Classifier.load("models_saved/pretrained/mnist_cnn-mnist.onnx").card.dataset
            'MNIST'
        """
        path = shipped.path_of(path)
        card, given = formats.read(path)
        with name_path(path):
            return cls(path, introduced(card, guest), engines.choose(path, engine), given, told(card, guest))

    @property
    def engine(self) -> Engine:
        """The Engine with the network in it."""
        with self.lock:  # the first of several threads loads it
            if self.loaded is None:
                guest = self.guest or own_guest(self.card, self.engine_name)
                self.loaded = engines.load_safely(self.path, self.engine_name, self.given, guest)
            return self.loaded

    @functools.cached_property
    def input_shape(self) -> tuple[int, ...]:
        """(height, width, channels) of the network's input, or (columns,) of a row."""
        is_told = self.card.input_shape and (self.guest is None or self.engine_name != "keras")
        shape = self.card.input_shape if is_told else self.engine.shape
        sizes = tuple(size for size in shape if size is not None)
        if len(sizes) < len(shape):
            raise BadInputError("leaves open what size its pictures have", path=self.path, remedy="export it with one")
        return sizes

    @property
    def note(self) -> str:
        """What was assumed about another program's file, for whoever reads its predictions; "" for our own files."""
        if self.guest is None:
            return ""
        words = [] if self.card.class_names else [" and names no classes: they are numbered"]
        shape, kind = "x".join(map(str, self.input_shape)), self.guest.input_kind
        words.append(f"; pictures are prepared as {kind}" if kind else f"; pictures are resized to {shape}")
        scaled = self.engine.scaled or ("0 to 255" if self.engine.dtype == "uint8" else "divided by 255")
        return f"{shorten(self.path, 40)} was not made by kerasnets{''.join(words)}, pixels {scaled}"

    def count_classes(self) -> int:
        """Return the number of classes, by running the network once."""
        dtype = np.uint8 if len(self.input_shape) == 3 else np.float32
        return int(self.engine(np.zeros((1, *self.input_shape), dtype)).shape[1])

    @functools.cached_property
    def ten_classes(self) -> bool:
        return self.count_classes() == 10

    def check_kind(self, picture: np.ndarray) -> None:
        """Raise BadInputError if a picture cannot be prepared for another program's network by a guess.

        A small grey input and ten classes are those of MNIST's digits and of Fashion-MNIST's clothes, which have to be
        cut out and inverted each in its own way: resized, any photo gets a wrong answer.
        """
        shape = self.input_shape
        if self.guest is None or self.guest.input_kind or shape not in SMALL or picture.shape[:2] == shape[:2]:
            return
        if self.ten_classes:
            version = self.card.versions.get("keras", "")
            problem = (
                f"is {picture.shape[1]}x{picture.shape[0]}; the model{version and f' of Keras {version}'} takes "
                f"{shape[1]}x{shape[0]} in ten classes: of digits, clothes or others"
            )
            raise BadInputError(problem, remedy="add --input-kind mnist, fashion or picture")

    def predict(self, images: Images) -> list[Prediction]:
        """Return a Prediction for each image, in any mixture of kinds and sizes.

        Args:
            images: One image, or several in a list or an array (n, height, width[, channels]). An image is a path, the
                bytes of a picture file, or an array (height, width[, 1 or 3]) of 0..255, grey or RGB. An array of
                floats 0..1, as tutorials make them, is multiplied by 255, with a warning.

        Raises:
            BadInputError: An image cannot be read; with `try_predict`, the other images are still classified.
            ValueError: An array is not a picture.

        Example:
            >>> classifier = kerasnets.Classifier.load("models_saved/pretrained/mnist_cnn-mnist.onnx")
            >>> classifier.predict("docs/samples/screen-5.png")[0].label
            '5'
        """
        results = self.try_predict(images)
        predictions = []
        for result in results:
            if isinstance(result, BadInputError):
                raise result
            predictions.append(result)
        return predictions

    def try_predict(self, images: Images) -> list[Prediction | BadInputError]:
        """Like `predict`, with a BadInputError instead of the Prediction of each image that cannot be read."""
        return self.classify([self.prepare(image) for image in listed(images)])

    def prepare(self, image: Image, name: str | Path | None = None) -> np.ndarray | BadInputError:
        """Return the pixels that the network takes for one image, or the BadInputError of an image without any.

        Args:
            image: As in `predict`.
            name: Stands for an array or bytes in a message.
        """
        shape = self.input_shape  # before the image: an open size is the file's fault
        name = name or (image if isinstance(image, (str, Path)) else UNNAMED)
        try:
            picture = pixels_of(image, name)
            with name_path(name):
                self.check_kind(picture)
            return pictures.prepare(picture, self.card.input_kind, shape, name)
        except BadInputError as error:
            return error

    def classify(self, prepared: Sequence[np.ndarray | BadInputError]) -> list[Prediction | BadInputError]:
        """Return a Prediction for the pixels of each image, as `prepare` gives them; errors stay where they are."""
        results: list[Prediction | BadInputError] = []
        good = [pixels for pixels in prepared if not isinstance(pixels, BadInputError)]
        predictions: list[Prediction] = []
        for start in range(0, len(good), BATCH):
            batch = good[start : start + BATCH]
            probabilities = self.engine(np.stack(batch))
            names = self.names_of(probabilities)
            orders = np.argsort(-probabilities).tolist()
            for pixels, shares, order in zip(batch, probabilities.tolist(), orders, strict=True):
                predictions.append(Prediction(tuple((names[k], shares[k]) for k in order), pixels))
        waiting = iter(predictions)
        for each in prepared:
            results.append(each if isinstance(each, BadInputError) else next(waiting))
        return results

    def read_sheet(self, image: Image, name: str | Path = UNNAMED) -> Sheet:
        """Return the Sheet of one image that shows several digits.

        Args:
            image: As in `predict`.
            name: Stands for the image in a message.

        Raises:
            BadInputError: The image shows no digit, or the model was not trained on digits.
        """
        if not self.card.input_kind.startswith("mnist"):
            raise BadInputError("does not read digits", path=self.path, remedy="take one that was trained on MNIST")
        with name_path(name):
            digits = pictures.find_digits(pixels_of(image, name))
        predictions = self.predict([digit.pixels for digit in digits])
        pairs = zip(digits, predictions, strict=True)
        return Sheet(tuple(tuple(row) for _, row in itertools.groupby(pairs, key=lambda pair: pair[0].row)))

    def names_of(self, probabilities: np.ndarray) -> Sequence[str]:
        """Return the label of each column: a class name, or its number if the file names none."""
        names, count = self.card.class_names, probabilities.shape[1]
        if not names:
            return [f"class {i}" for i in range(count)]
        if len(names) != count:
            problem = f"names {len(names)} classes and gives {count} probabilities"
            raise BadInputError(problem, path=self.path, remedy="export it again")
        return names


def introduced(card: Card, guest: Guest) -> Card:
    """Return the card of a file, with what `guest` tells about another program's."""
    if card.class_names:
        return dataclasses.replace(card, input_kind=guest.input_kind or card.input_kind)
    return dataclasses.replace(
        card, class_names=guest.class_names, input_kind=guest.input_kind or card.input_kind,
        multi_label=guest.multi_label,
    )  # fmt: skip


def own_guest(card: Card, engine: str) -> Guest:
    """Return what an engine has to know about a file of ours; Keras reads the card itself."""
    return UNKNOWN if engine == "keras" else Guest("", (), card.scaling, card.bgr, card.multi_label)


def told(card: Card, guest: Guest) -> Guest | None:
    """Return what is told about another program's file; None for our own, which tell all themselves."""
    if not card.class_names:
        return guest
    check_own(guest)
    return None


def pixels_of(image: Image, name: str | Path = UNNAMED) -> np.ndarray:
    """Return the pixels of an image: uint8 (height, width[, 1 or 3])."""
    if isinstance(image, bytes):
        return pictures.decode(image, name)
    return pictures.read(image) if isinstance(image, (str, Path)) else as_pixels(image)


def listed(images: Images) -> list[Image]:
    """Return `images` as a list of images."""
    if isinstance(images, (str, Path, bytes)):
        return [images]
    if isinstance(images, (list, tuple)):
        return list(images)
    array = np.asarray(images)
    is_one = array.ndim in (0, 2) or (array.ndim == 3 and array.shape[2] <= 4)  # `prepare` refuses some of them
    return [array] if is_one else list(array)


def as_pixels(array: np.ndarray) -> np.ndarray:
    """Return uint8 pixels of an array of any type with values 0..255, or of floats 0..1 with a warning.

    Raises:
        ValueError: The values are not a picture's.
        BadInputError: Some values are not finite.
    """
    array = np.asarray(array)
    if array.dtype == np.uint8 or not array.size:
        return array
    if array.dtype.kind not in "iufb":
        raise ValueError(f"an array of {array.dtype} is no picture; pass uint8 (height, width[, 1 or 3]), 0..255")
    low, high = float(array.min()), float(array.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise BadInputError("has pixels that are not finite numbers", path=UNNAMED, remedy="pass uint8, 0..255")
    if low < 0 or high > 255:
        raise ValueError(f"an array of {low:g} to {high:g} is no picture; pass pixels of 0..255, before any scaling")
    if array.dtype.kind in "fb" and high <= 1:
        warnings.warn(
            "the pixels are 0..1: multiplied by 255; pass them as they are, 0..255, the model scales them itself",
            stacklevel=2,
        )
        array = array * np.float32(255)
    return np.rint(array).astype(np.uint8)
