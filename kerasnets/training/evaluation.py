"""How good a classifier is on labelled data: accuracy, loss, confusion, precision and recall of each class."""

from dataclasses import dataclass

import numpy as np

from kerasnets.errors import BadInputError, shorten
from kerasnets.runtime import backends

AT_ONCE = 64  # pictures that are judged in one step, by a network of unknown size


@dataclass(frozen=True)
class Evaluation:
    """What came of judging n pictures.

    labels: int64 (n,); log_probabilities: float64 (n, classes), natural logarithms.
    """

    labels: np.ndarray
    log_probabilities: np.ndarray
    class_names: tuple[str, ...]

    @property
    def predictions(self):
        """int64 (n,): the likeliest class of each."""
        return self.log_probabilities.argmax(axis=1)

    @property
    def sureness(self):
        """float64 (n,): the probability that was given to the likeliest class of each."""
        return np.exp(self.log_probabilities.max(axis=1))

    @property
    def accuracy(self):
        """The share that was judged rightly."""
        return float((self.predictions == self.labels).mean())

    @property
    def loss(self):
        """Cross-entropy in nats, the mean over the pictures."""
        return float(-self.log_probabilities[np.arange(len(self.labels)), self.labels].mean())

    @property
    def majority(self):
        """The accuracy of always naming the most frequent class: what any classifier must beat."""
        return float(np.bincount(self.labels).max() / len(self.labels))

    @property
    def beats_majority(self):
        """Whether anything was learned: more is right than by always naming the most frequent class."""
        return self.accuracy > self.majority

    def confusion(self):
        """int64 (classes, classes): how many of each class (row) were taken for each class (column)."""
        from sklearn.metrics import confusion_matrix

        return confusion_matrix(self.labels, self.predictions, labels=range(len(self.class_names)))

    def by_class(self):
        """[(class name, precision, recall, F1, pictures)]; shares are 0 where nothing was found."""
        from sklearn.metrics import precision_recall_fscore_support

        figures = precision_recall_fscore_support(
            self.labels, self.predictions, labels=range(len(self.class_names)), zero_division=0
        )
        return [(name, float(p), float(r), float(f), int(n)) for name, p, r, f, n in
                zip(self.class_names, *figures, strict=True)]  # fmt: skip

    def line(self):
        """The result as one greppable line."""
        return (
            f"result test_accuracy={self.accuracy:.4f} test_loss={self.loss:.4f} majority={self.majority:.4f} "
            f"examples={len(self.labels)}"
        )

    def as_dict(self):
        """For a program to read."""
        columns = ("class", "precision", "recall", "f1", "examples")
        return {
            "test_accuracy": self.accuracy,
            "test_loss": self.loss,
            "majority": self.majority,
            "examples": len(self.labels),
            "classes": [dict(zip(columns, row, strict=True)) for row in self.by_class()],
            "confusion": self.confusion().tolist(),
        }

    def worst(self, count):
        """The indices of up to `count` wrongly judged pictures, those first of whose answer the network was surest."""
        wrong = np.flatnonzero(self.predictions != self.labels)
        return wrong[np.argsort(-self.log_probabilities[wrong].max(axis=1), kind="stable")][:count]


def of_logits(labels, logits, class_names):
    """The Evaluation of float32 logits (n, classes)."""
    logits = np.asarray(logits, "float64")
    with np.errstate(invalid="ignore"):  # of infinite ones the loss is NaN, which says enough
        logits = logits - logits.max(axis=1, keepdims=True)
    return Evaluation(labels, logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), tuple(class_names))


def evaluate(model, images, labels, class_names, callbacks=()):
    """Judge labelled images by `model`, from pixels to logits; return the Evaluation. images: a batches.InOrder."""
    return of_logits(labels, model.predict(images, callbacks=list(callbacks), verbose=0), class_names)


def evaluate_file(path, data):
    """Judge the test part of a data.Data by the model file at `path`; return (Evaluation, its Card).

    Pictures of another size or kind are brought to those of the model as `predict_image.py` brings a photo; own ones
    are read by `data.load_like` to that end.
    Raises BadInputError for a bad file, or one that tells other classes apart.
    """
    backends.choose()  # before the first import of Keras
    from kerasnets import saving
    from kerasnets.data.fitting import InOrder, fitted

    model, card = saving.load(path, logits=True)
    if tuple(card.class_names) != tuple(data.class_names):
        raise BadInputError(
            f"{shorten(path, 40)} knows {named(card.class_names)}, {data.title} has {named(data.class_names)}; name "
            "data of its classes"
        )
    if len(card.input_shape) != len(data.image_shape):
        kinds = ("rows of numbers", "pictures") if len(card.input_shape) == 1 else ("pictures", "rows of numbers")
        raise BadInputError(f"{shorten(path)} takes {kinds[0]}, {data.title} has {kinds[1]}")
    images, prepare = fitted(data.test_images, data.input_kind, card.input_kind, card.input_shape)
    judge = InOrder(images, batch_size=AT_ONCE, prepare=prepare)
    return evaluate(model, judge, data.test_labels, data.class_names), card


def named(names):
    """Class names for a message."""
    return f"{len(names)} classes ({', '.join(names[:2])}{', ...' if len(names) > 2 else ''})"
