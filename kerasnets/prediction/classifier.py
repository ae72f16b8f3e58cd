"""Classifier: from pictures to class names and probabilities, prepared as the model file's card says."""

import functools
import itertools
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerasnets import pictures
from kerasnets.errors import BadInputError, name_path
from kerasnets.prediction import engines
from kerasnets.prediction.ahead import batches_ahead
from kerasnets.prediction.answers import Prediction, Sheet
from kerasnets.prediction.arrays import UNNAMED, Image, Images, as_pixels, pixels_of, to_list
from kerasnets.prediction.engine import UNABLE, Engine
from kerasnets.prediction.guests import card_with, facts_about, own_guest
from kerasnets.prediction.verdicts import calibrate, judge, part_of_sheet, reject
from kerasnets.saving import NUMBERED, UNKNOWN, Card, Guest, formats, note_on, shipped
from kerasnets.saving.guest import input_shape
from kerasnets.saving.onnx_file import Input

BATCH = 64  # pictures that go through the network at once
DIGITS = ("MNIST", "scikit-learn's digits")  # begin the titles of the data sets
SMALL = ((28, 28, 1), (32, 32, 1))  # the inputs of networks for MNIST and Fashion-MNIST


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
        self, path: str | Path, card: Card, engine: str, onnx_input: Input | None = None, guest: Guest | None = None
    ) -> None:
        self.path, self.card, self.engine_name, self.guest = Path(path), card, engine, guest
        self.onnx_input = onnx_input
        self.lock = threading.Lock()
        self.loaded: Engine | None = None
        self.others: list[str] = []  # engines to try if this one cannot run the file

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
        card, onnx_input = formats.read(path)
        if card.input_kind not in pictures.KINDS:
            problem = f"takes pictures of the kind {card.input_kind!r:.40}, which is unknown here"
            raise BadInputError(problem, path=path, remedy="update kerasnets, or export it again")
        with name_path(path):
            facts = facts_about(card, guest)
        classifier = cls(path, card_with(guest, card), engines.choose(path, engine), onnx_input, facts)
        if engine == engines.AUTO:
            classifier.others = engines.after(path, classifier.engine_name)
        return classifier

    @property
    def engine(self) -> Engine:
        """The Engine with the network in it."""
        with self.lock:  # the first of several threads loads it
            while self.loaded is None:
                guest = self.guest or own_guest(self.card, self.engine_name)
                try:
                    self.loaded = engines.load_safely(self.path, self.engine_name, self.onnx_input, guest)
                except BadInputError as error:
                    self.take_another(error)
            return self.loaded

    def take_another(self, error: BadInputError) -> None:
        """Take the next engine if `error` says that this one cannot run the file; raise it if there is no other."""
        if not self.others or not error.problem.startswith(UNABLE):
            raise error
        self.engine_name, self.loaded = self.others.pop(0), None

    def compute(self, pixels: np.ndarray) -> np.ndarray:
        """Return the probabilities of prepared pixels by the first engine that can run the file."""
        while True:
            engine = self.engine
            try:
                return engine(pixels)
            except BadInputError as error:
                with self.lock:
                    if self.loaded is engine:  # no other thread has taken another
                        self.take_another(error)

    @functools.cached_property
    def input_shape(self) -> tuple[int, ...]:
        """(height, width, channels) of the network's input, or (columns,) of a row."""
        is_told = self.card.input_shape and (self.guest is None or self.engine_name != "keras")
        shape = self.card.input_shape if is_told else self.engine.shape
        with name_path(self.path):
            shape = input_shape(shape, self.guest or UNKNOWN)
            sizes = tuple(size for size in shape if size is not None)
            if len(sizes) < len(shape):
                remedy = "add --image-size PIXELS, or export it with one size"
                raise BadInputError("leaves open what size its pictures have", remedy=remedy)
        return sizes

    @property
    def note(self) -> str:
        """What was assumed about another program's file, for whoever reads its predictions; "" for our own files."""
        if self.guest is None:
            return ""
        classes = "" if self.card.class_names else NUMBERED
        return note_on(self.path, self.input_shape, self.guest, self.engine.scale_words, classes)

    def count_classes(self) -> int:
        """Return the number of classes, by running the network once."""
        dtype = np.uint8 if len(self.input_shape) == 3 else np.float32
        return int(self.compute(np.zeros((1, *self.input_shape), dtype)).shape[1])

    @property
    def reads_digits(self) -> bool:
        """Whether the model was trained on MNIST's or scikit-learn's digits; those of other scripts look otherwise."""
        is_named = tuple(self.card.class_names) == tuple("0123456789")
        return self.card.input_kind in pictures.DIGITS and is_named and self.card.dataset.startswith(DIGITS)

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
                bytes of a picture file, or an array (height, width[, 1 or 3]) of 0..255, grey or RGB. Channels may
                come first, as in PyTorch, and a row may hold all pixels of a grey picture of the network's size. An
                array of floats 0..1, as tutorials make them, is multiplied by 255, with a warning.

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
        given = to_list(images, self.input_shape)
        if any(isinstance(image, np.ndarray) for image in given):  # a warning about it names the caller's line
            return self.classify([self.prepare(image) for image in given])
        return [each for sights in batches_ahead(self.prepare, given, BATCH) for each in self.classify(sights)]

    def prepare(self, image: Image, name: str | Path | None = None) -> pictures.Sight | BadInputError:
        """Return what is seen on one image, with the pixels that the network takes, or a BadInputError.

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
            return pictures.look(picture, self.card.input_kind, shape, name)
        except BadInputError as error:
            return error

    def classify(self, prepared: Sequence[pictures.Sight | BadInputError]) -> list[Prediction | BadInputError]:
        """Return a Prediction for what is seen on each image, as `prepare` gives them; errors stay where they are."""
        results: list[Prediction | BadInputError] = []
        good = [sight for sight in prepared if not isinstance(sight, BadInputError)]
        predictions: list[Prediction] = []
        for start in range(0, len(good), BATCH):
            batch = good[start : start + BATCH]
            probabilities = self.calibrated([sight.pixels for sight in batch])
            names = self.names_of(probabilities)
            orders = np.argsort(-probabilities, kind="stable").tolist()
            likeliest, steady = probabilities.max(axis=1).tolist(), self.steadiness(batch, probabilities)
            seen = zip(batch, likeliest, steady, strict=True)
            verdicts = [judge(sight, share, self.card.sure_from, mean) for sight, share, mean in seen]
            if self.reads_digits:
                verdicts = reject(verdicts, batch, self.engine_name)
            for sight, verdict, shares, order in zip(batch, verdicts, probabilities.tolist(), orders, strict=True):
                ranking = tuple((names[k], shares[k]) for k in order)
                predictions.append(Prediction(ranking, sight.pixels, verdict))
        waiting = iter(predictions)
        for each in prepared:
            results.append(each if isinstance(each, BadInputError) else next(waiting))
        return results

    def calibrated(self, pixels: Sequence[np.ndarray]) -> np.ndarray:
        """Return the probabilities of pixels at the temperature of the card."""
        probabilities = self.compute(np.stack(pixels))
        return probabilities if self.card.multi_label else calibrate(probabilities, self.card.temperature)

    def steadiness(self, sights: Sequence[pictures.Sight], probabilities: np.ndarray) -> list[float | None]:
        """Return the mean probability of each answer over all ways to cut out its digit, None if there is one way."""
        every = [pixels for sight in sights for pixels in sight.others]
        batches = [self.calibrated(every[start : start + BATCH]) for start in range(0, len(every), BATCH)]
        rows, result = iter(np.vstack(batches) if batches else []), list[float | None]()
        for sight, shares in zip(sights, probabilities, strict=True):
            label = shares.argmax()
            others = [row[label] for row in itertools.islice(rows, len(sight.others))]
            result.append(float(np.mean([shares[label], *others])) if others else None)
        return result

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
        seen = [part_of_sheet(self.prepare(digit.pixels, name), digit.doubt) for digit in digits]
        answers = zip(digits, self.classify(seen), strict=True)
        pairs = [(digit, answer) for digit, answer in answers if not isinstance(answer, BadInputError)]
        if not pairs:
            raise next(each for each in seen if isinstance(each, BadInputError))
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


__all__ = ["Classifier", "Image", "Images", "as_pixels", "pixels_of", "to_list"]
