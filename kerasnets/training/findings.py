"""What a report finds in the pictures and in the network, beyond the answers to a test.

Everything is bounded: if there are more pictures, evenly spread ones are examined. A short report reads few pictures
from the disk and computes little; a full one may take a minute.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kerasnets.data.streams import Part
from kerasnets.reports import measures, similarity

if TYPE_CHECKING:
    import keras

    from kerasnets.data import Data
    from kerasnets.training.evaluation import Evaluation

MOST_TEST, MOST_TRAIN = 10_000, 60_000  # pictures in memory that are compared with each other
READ_SHORT, READ_FULL = 500, 5_000  # streamed pictures that are read from the disk
MOST_JUDGED = 5_000  # training pictures that the network answers for a full report
MOST_POINTS = 2_000  # of a map
DIMENSIONS, STEPS = 50, 500  # main components of the features that are kept; steps of t-SNE
LEAST_RIGHT = 0.7  # accuracy of a network whose answers may dispute labels
# Of sure answers that dispute the label: of ten published test sets at most 0.101 of the labels are wrong (QuickDraw;
# Northcutt, Athalye and Mueller, NeurIPS 2021, arXiv:2103.14749, table 1). If more are disputed, the answers are wrong.
MOST_DISPUTED = 0.1
BATCH = 64  # pictures that go through the network at once


@dataclass(frozen=True)
class Material:
    """What a report has besides the test's answers.

    Args:
        model: The network, from prepared pixels to logits; None if another library runs it.
        input_kind: How pictures are prepared for it, a name in pictures.KINDS.
        validation: The answers for the training pictures that were held out; None if none were.
        held_out: Their indices among the training pictures.
        is_full: Whether the report may take a minute.
    """

    model: "keras.Model | None" = None
    input_kind: str = "picture"
    validation: "Evaluation | None" = None
    held_out: np.ndarray | None = None
    is_full: bool = False


NOTHING = Material()


class Doubt(NamedTuple):
    """A training picture whose label is likely wrong: its index, its label, the answer and its probability."""

    picture: int
    label: int
    answer: int
    probability: float


class Doubts(NamedTuple):
    """The doubtful labels of a part, the likeliest wrong ones first.

    Args:
        pictures: Those with a doubtful label.
        searched: The number of pictures that were searched.
        part: "training" or "validation".
        accuracy: The share of them that the network answers correctly, by their labels.
        sure: The number of answers that are as sure as those of their class usually are.
    """

    pictures: list[Doubt]
    searched: int
    part: str
    accuracy: float
    sure: int

    @property
    def are_credible(self) -> bool:
        """Whether the network is right so often that a sure answer says more than the label; one doubt may be."""
        is_rare = len(self.pictures) <= max(1, MOST_DISPUTED * self.sure)
        return self.accuracy >= LEAST_RIGHT and is_rare


def spread(count: int, most: int) -> np.ndarray:
    """Return `most` evenly spread indices of `count`, or all."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(int)


def is_streamed(images: Any) -> bool:
    return not isinstance(images, np.ndarray)


def readable(images: Any, most: int, is_full: bool) -> np.ndarray:
    """Return the indices of the pictures that are examined, at most `most`; fewer if they are read from the disk."""
    streamed = READ_FULL if is_full else READ_SHORT
    return spread(len(images), min(most, streamed) if is_streamed(images) else most)


def brightness(data: "Data", material: Material) -> tuple[np.ndarray, np.ndarray]:
    """Return (indices of test pictures, the mean of the pixels of each)."""
    chosen = readable(data.test_images, MOST_TRAIN, material.is_full)
    return chosen, similarity.brightness(Part(data.test_images, chosen))


def copies(data: "Data", material: Material) -> tuple[list[similarity.Copy], int, int]:
    """Return (pairs, test pictures and training pictures that were compared)."""
    test = readable(data.test_images, MOST_TEST, material.is_full)
    train = readable(data.train_images, MOST_TRAIN, material.is_full)
    pairs = similarity.copies(Part(data.test_images, test), Part(data.train_images, train))
    pairs = [similarity.Copy(int(test[i]), int(train[k]), correlation) for i, k, correlation in pairs]
    return pairs, len(test), len(train)


def doubts(data: "Data", material: Material, temperature: float = 1.0) -> Doubts | None:
    """Return the training pictures with a doubtful label; None if the network answered none of them.

    A short report has the answers for the pictures that were held out, which the network has not learned by heart.
    Their probabilities are those that prediction gives, at the `temperature` of the model's card.
    """
    if material.is_full and material.model is not None and len(data.train_labels):
        chosen = spread(len(data.train_labels), MOST_JUDGED)
        logs = answers(material, data, data.train_images, chosen)
        part = "training"
    elif material.validation is not None and material.held_out is not None:
        chosen, logs, part = material.held_out, material.validation.log_probabilities, "validation"
    else:
        return None
    labels = data.train_labels[chosen]
    doubtful, sure = measures.doubtful_labels(logs, labels), int(measures.sure_answers(logs, labels).sum())
    accuracy = float((logs.argmax(axis=1) == labels).mean()) if len(labels) else 0.0
    logs = logs[doubtful]
    columns = (chosen[doubtful], labels[doubtful], logs.argmax(axis=1), measures.sureness(logs, temperature))
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return Doubts([Doubt(*row) for row in rows], len(chosen), part, accuracy, sure)


def answers(material: Material, data: "Data", images: Any, chosen: np.ndarray) -> np.ndarray:
    """Return the log-probabilities of some pictures by the network, float64 (n, classes)."""
    from scipy.special import log_softmax

    assert material.model is not None
    return log_softmax(predict(material.model, material, data, images, chosen).astype("float64"), axis=1)


def predict(model: "keras.Model", material: Material, data: "Data", images: Any, chosen: np.ndarray) -> np.ndarray:
    """Return the outputs of a network for some pictures, which are prepared for it."""
    from kerasnets.data.fitting import InOrder, fit_to_network
    from kerasnets.data.streams import select

    prepared, prepare = fit_to_network(select(images, chosen), data.input_kind, material.input_kind,
                                       model.input_shape[1:])  # fmt: skip
    return np.asarray(model.predict(InOrder(prepared, batch_size=BATCH, prepare=prepare), verbose=0))


def heats(material: Material, data: "Data", chosen: np.ndarray, places: Sequence[int]) -> np.ndarray | None:
    """Return the Grad-CAM of test pictures, float32 (n, height, width), 0..1; None if the network has none.

    Args:
        material: Has the network.
        data: Has the pictures.
        chosen: Their indices.
        places: The number of the class of each that is explained.
    """
    if material.model is None or not len(chosen):
        return None
    from kerasnets.data.preparation import fit_to_network
    from kerasnets.prediction.explanations import grad_cams

    shape = tuple(material.model.input_shape[1:])
    if len(shape) != 3 or None in shape:
        return None
    images, prepare = fit_to_network(data.test_images[chosen], data.input_kind, material.input_kind, shape)
    return grad_cams(material.model, prepare(images) if prepare else images, places)


def landscape(data: "Data", material: Material) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (indices of test pictures, float64 (n, 2) their places on a map of the features); None without a network.

    The features are what the classifier at the end gets. Their main components are laid out by t-SNE.

    Source: van der Maaten and Hinton, JMLR 2008, as scikit-learn computes it.
    """
    if material.model is None or not material.is_full:
        return None
    from kerasnets.transfer import headless

    try:
        model = headless(material.model)
    except ValueError:  # there is no such classifier
        return None
    chosen = spread(len(data.test_labels), MOST_POINTS)
    features = predict(model, material, data, data.test_images, chosen)
    features = features.reshape(len(features), -1)
    if len(features) < 10 or not np.isfinite(features).all() or not features.std():
        return None
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    count = min(DIMENSIONS, *features.shape)
    with threadpool_limits(2):  # more threads wait for each other
        parts = PCA(count, svd_solver="randomized", random_state=0).fit_transform(features)
        layout = TSNE(2, init="pca", perplexity=min(30, (len(parts) - 1) / 3), random_state=0)
        steps = "max_iter" if "max_iter" in layout.get_params() else "n_iter"  # its name before scikit-learn 1.5
        return chosen, layout.set_params(**{steps: STEPS}).fit_transform(parts)
