"""How good a classifier is on labelled data: accuracy, loss, confusion, precision and recall of each class."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.special

from kerasnets.data.dataset import count_of_classes
from kerasnets.errors import BadInputError
from kerasnets.reports import measures
from kerasnets.runtime import backends

if TYPE_CHECKING:
    import keras

    from kerasnets.data import Data
    from kerasnets.data.fitting import InOrder
    from kerasnets.saving import Card, Guest

CHANCE = 2  # standard errors above the majority that may be chance
BATCH_SIZE = 64  # images in a step, for a network of unknown size
NEAREST = 1e-7  # the smallest distance of a probability from 0 and 1 in a loss: keras.config.epsilon()


@dataclass(frozen=True)
class Evaluation:
    """A classifier's answers for n labelled images.

    Args:
        labels: int64 (n,).
        log_probabilities: float64 (n, classes), natural logarithms.
        class_names: One for each class.
        exclusive: Whether the probabilities of an image add up to 1; else each class is a question of its own.
        temperature: Of the model's card, with which prediction calibrates probabilities. It changes no answer, and not
            the `loss`, which is of the network's own probabilities.
    """

    labels: np.ndarray
    log_probabilities: np.ndarray
    class_names: tuple[str, ...]
    exclusive: bool = True
    temperature: float = 1.0

    @property
    def predictions(self) -> np.ndarray:
        """int64 (n,): the most probable class of each image."""
        return self.log_probabilities.argmax(axis=1)

    @property
    def sureness(self) -> np.ndarray:
        """float64 (n,): the probability of the most probable class of each image, as prediction gives it."""
        return measures.sureness(self.log_probabilities, self.temperature)

    @property
    def right(self) -> np.ndarray:
        """bool (n,): whether each image is classified correctly."""
        return self.predictions == self.labels

    @property
    def accuracy(self) -> float:
        """The fraction of images that are classified correctly."""
        return float(self.right.mean())

    @property
    def top5_accuracy(self) -> float | None:
        """The fraction of images whose class is among the five likeliest; None of five classes or fewer."""
        count = len(self.class_names)
        return measures.top_accuracy(self.log_probabilities, self.labels, 5) if count > 5 else None

    def reliability(self, temperature: float | None = None) -> measures.Bins:
        """Return how often answers are right by their probability; `temperature` takes the place of the model's."""
        sureness = measures.sureness(self.log_probabilities, self.temperature if temperature is None else temperature)
        return measures.reliability(sureness, self.right)

    @property
    def loss(self) -> float:
        """The mean cross-entropy in nats; if the classes do not exclude each other, the mean of the binary ones."""
        if self.exclusive:
            return float(-self.log_probabilities[np.arange(len(self.labels)), self.labels].mean())
        is_label = self.labels[:, None] == np.arange(len(self.class_names))
        complements = np.log(-np.expm1(self.log_probabilities))  # log(1 - p)
        return float(-np.where(is_label, self.log_probabilities, complements).mean())

    @property
    def majority(self) -> float:
        """The accuracy of always predicting the most frequent class: the baseline of any classifier."""
        return float(np.bincount(self.labels).max() / len(self.labels))

    @property
    def beats_majority(self) -> bool:
        """Whether the classifier is better than always predicting the most frequent class, and not by chance."""
        return self.accuracy - self.majority > CHANCE * measures.standard_error(self.majority, len(self.labels))

    def confusion(self) -> np.ndarray:
        """Return int64 (classes, classes): the number of images of each class (row) by their predictions (column)."""
        from sklearn.metrics import confusion_matrix

        return confusion_matrix(self.labels, self.predictions, labels=range(len(self.class_names)))

    def by_class(self) -> list[tuple[str, float, float, float, int]]:
        """Return [(class name, precision, recall, F1, images)]; a figure with a denominator of 0 is 0."""
        from sklearn.metrics import precision_recall_fscore_support

        figures = precision_recall_fscore_support(
            self.labels, self.predictions, labels=range(len(self.class_names)), zero_division=0
        )
        return [(name, float(p), float(r), float(f), int(n)) for name, p, r, f, n in
                zip(self.class_names, *figures, strict=True)]  # fmt: skip

    def line(self) -> str:
        """Return the result as one greppable line."""
        line = (
            f"result test_accuracy={self.accuracy:.4f} test_loss={self.loss:.4f} majority={self.majority:.4f} "
            f"examples={len(self.labels)}"
        )
        if self.temperature == 1:
            return line
        before, after = self.reliability(1.0).error, self.reliability().error
        return f"{line} temperature={self.temperature:g} ece={after:.4f} ece_before={before:.4f}"

    def as_dict(self) -> dict[str, Any]:
        """Return the result for a program to read."""
        columns = ("class", "precision", "recall", "f1", "examples")
        return {
            "test_accuracy": self.accuracy,
            "test_loss": self.loss,
            "majority": self.majority,
            "examples": len(self.labels),
            "top5_accuracy": self.top5_accuracy,
            "temperature": self.temperature,
            "ece": self.reliability().error,
            "ece_before": self.reliability(1.0).error,
            "classes": [dict(zip(columns, figures, strict=True)) for figures in self.by_class()],
            "confusion": self.confusion().tolist(),
        }

    def worst(self, count: int) -> np.ndarray:
        """Return the indices of up to `count` misclassified images, the most probable wrong answers first."""
        wrong = np.flatnonzero(~self.right)
        return wrong[np.argsort(-self.sureness[wrong], kind="stable")][:count]


def of_logits(labels: np.ndarray, logits: np.ndarray, class_names: Iterable[str]) -> Evaluation:
    """Return the Evaluation of float32 logits (n, classes)."""
    with np.errstate(invalid="ignore"):  # infinite logits give a loss of NaN, which callers check
        log_probabilities = scipy.special.log_softmax(np.asarray(logits, "float64"), axis=1)
    return Evaluation(labels, log_probabilities, tuple(class_names))


def of_separate(labels: np.ndarray, probabilities: np.ndarray, class_names: Iterable[str]) -> Evaluation:
    """Return the Evaluation of probabilities (n, classes), each of one class by itself.

    They are clipped by NEAREST, as Keras' binary cross-entropy does.
    """
    clipped = np.clip(np.asarray(probabilities, "float64"), NEAREST, 1 - NEAREST)
    return Evaluation(labels, np.log(clipped), tuple(class_names), exclusive=False)


def evaluate(
    model: "keras.Model",
    images: "InOrder",
    labels: np.ndarray,
    class_names: Iterable[str],
    callbacks: "Iterable[keras.callbacks.Callback]" = (),
    join: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> Evaluation:
    """Return the Evaluation of `model`, from pixels to logits, on labelled images.

    `join` is given the logits of `images`, and returns those of all `labels`, if each worker computes a part.
    """
    from kerasnets.data.streams import original_faults

    logits = np.zeros((0, *model.output_shape[1:]), "float32")
    with original_faults(images):
        if len(images):
            logits = model.predict(images, callbacks=list(callbacks), verbose=0)
    return of_logits(labels, join(logits), class_names)


def evaluate_file(
    path: str | Path, data: "Data", guest: "Guest | None" = None, tell: Callable[[str], object] = lambda note: None,
    show: "Callable[[keras.Model], object]" = lambda model: None,
) -> "tuple[Evaluation, Card]":  # fmt: skip
    """Evaluate the model file at `path` on the test part of `data`; return (Evaluation, the file's Card).

    Images of another size or kind are prepared for the model like a photo in prediction. Load own images with
    `data.load_like`, which prepares them. Of classes that do not exclude each other, the likeliest counts, and the loss
    is the mean of their binary cross-entropies.

    Args:
        path: A .keras or .h5 file.
        data: Its classes must be among the model's; as many, if the model has no names for them.
        guest: What is known about a file that kerasnets did not write.
        tell: Called with a note on what is assumed about such a file.
        show: Called with the network, from prepared pixels to logits; not with one whose classes do not exclude each
            other.

    Raises:
        BadInputError: The file is bad, or `data` has other classes or another kind of input.
    """
    backends.choose()  # before the first import of Keras
    from kerasnets import saving
    from kerasnets.data.fitting import InOrder, fit_to_network
    from kerasnets.saving import keras_model

    guest = guest or saving.UNKNOWN
    model, card, scale_words = saving.load_with_scale(path, guest)
    saving.check_size(card, path)
    data = with_classes(card.class_names, data)
    check_classes(path, card.class_names, model.output_shape[-1], data)
    check_input(path, card, data)
    images, prepare = fit_to_network(data.test_images, data.input_kind, card.input_kind, card.input_shape)
    in_order = InOrder(images, batch_size=BATCH_SIZE, prepare=prepare)
    if scale_words:
        classes = "" if card.class_names else f" and names no classes: they are those of {data.title}, in their order"
        tell(saving.note_on(path, card.input_shape, guest, scale_words, classes))
    if card.multi_label:
        return of_separate(data.test_labels, model.predict(in_order, verbose=0), data.class_names), card
    logits = keras_model.logits_of(model)
    show(logits)
    result = evaluate(logits, in_order, data.test_labels, data.class_names)
    return dataclasses.replace(result, temperature=card.temperature), card


def evaluate_by(
    compute: Callable[[np.ndarray], np.ndarray], path: str | Path, card: "Card", data: "Data"
) -> Evaluation:
    """Evaluate a file that another library than Keras runs; no framework is loaded.

    Args:
        compute: From prepared pixels, uint8 (n, height, width, channels), to probabilities (n, classes).
        path: The file, for messages.
        card: Its Card, with the input shape.
        data: As in `evaluate_file`.

    Raises:
        BadInputError: `data` has other classes or another kind of input.
    """
    from kerasnets.data.preparation import fit_to_network

    check_input(path, card, data)
    data = with_classes(card.class_names, data)
    images, prepare = fit_to_network(data.test_images, data.input_kind, card.input_kind, card.input_shape)
    parts = []
    for start in range(0, len(data.test_labels), BATCH_SIZE):
        part = images[start : start + BATCH_SIZE]
        parts.append(compute(prepare(part) if prepare else part))
        check_classes(path, card.class_names, parts[0].shape[1], data)
    probabilities = np.concatenate(parts)
    if card.multi_label:
        return of_separate(data.test_labels, probabilities, data.class_names)
    logarithms = np.log(np.clip(np.asarray(probabilities, "float64"), NEAREST, 1))
    return Evaluation(data.test_labels, logarithms, tuple(data.class_names), temperature=card.temperature)


def with_classes(known: Sequence[str], data: "Data") -> "Data":
    """Return data with some of the classes that a model knows as data of the model's classes; other data as is.

    The labels are renumbered, and some classes have no examples.
    """
    names = tuple(data.class_names)
    if not set(names) < set(known):
        return data
    numbers = np.array([list(known).index(name) for name in names])
    train, test = numbers[data.train_labels], numbers[data.test_labels]
    return dataclasses.replace(data, train_labels=train, test_labels=test, class_names=tuple(known))


def classes_missing(known: Sequence[str], data: "Data") -> list[str]:
    """Return the classes of a model that data have no test examples of, if it knows all classes of the data."""
    present = {data.class_names[label] for label in np.unique(data.test_labels)}
    return [name for name in known if name not in present] if set(data.class_names) <= set(known) else []


def check_classes(path: str | Path, known: Sequence[str], count: int, data: "Data") -> None:
    """Raise BadInputError unless `data` has the classes of a file with `count` outputs, which may know no names."""
    names = tuple(known) or tuple(data.class_names)[:count]
    if names == tuple(data.class_names) and len(names) == count:
        return
    names = tuple(known) or tuple(f"class {i}" for i in range(count))
    ours, theirs = count_of_classes(names, data.class_names), count_of_classes(data.class_names, names)
    remedy = "name data of its classes" + ", in their order" * (set(names) == set(data.class_names))
    raise BadInputError(f"knows {ours}, {data.title} has {theirs}", path=path, remedy=remedy)


def check_input(path: str | Path, card: "Card", data: "Data") -> None:
    """Raise BadInputError if a file takes pictures and `data` are rows, or the other way round."""
    if len(card.input_shape) != len(data.image_shape):
        kinds = ("rows of numbers", "pictures") if len(card.input_shape) == 1 else ("pictures", "rows of numbers")
        raise BadInputError(f"takes {kinds[0]}, {data.title} has {kinds[1]}", path=path)
