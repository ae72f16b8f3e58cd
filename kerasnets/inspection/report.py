"""The inspection of a network: all probes at once, as text, JSON or a page."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from scipy.special import softmax

from kerasnets import saving
from kerasnets.errors import nearest_first, visible
from kerasnets.inspection import page, probes
from kerasnets.inspection.results import Activity, Gradient, Step, Weight
from kerasnets.inspection.subject import Subject, subject_of
from kerasnets.inspection.tables import TABLES, moments, norm


@dataclass(frozen=True)
class Inspection:
    """The results of all probes of one network.

    Attributes:
        subject: The network, the picture and the batch.
        logits: float32 (classes,), for the picture.
        label: The class of the saliency map, and of the batch if the batch is the picture alone.
        label_words: How `label` was chosen.
        weights: The weights of the network.
        activities: The trace of the picture.
        gradients: The gradients of the batch.
        step: One optimizer step on the batch.
        saliency: float32 (height, width), or (columns,) for a row of numbers.
    """

    subject: Subject
    logits: np.ndarray
    label: int
    label_words: str
    weights: list[Weight]
    activities: list[Activity]
    gradients: list[Gradient]
    step: Step
    saliency: np.ndarray

    @property
    def ranking(self) -> list[tuple[str, float]]:
        """[(label, probability)] of the picture, the likeliest first."""
        probabilities = softmax(self.logits.astype("float64"))
        order = np.argsort(-probabilities, kind="stable")
        return [(self.subject.class_names[i], float(probabilities[i])) for i in order]

    def text(self, values: Sequence[str] = ()) -> str:
        """Return all tables as text.

        Args:
            values: Shell-style patterns of the weights whose values follow in full.

        Raises:
            ValueError: A pattern fits no weight.
        """
        (label, probability), *_ = self.ranking
        lines = (
            f"network: {self.subject.words}",
            f"picture: {self.subject.picture.words}, answered {label} ({probability:.4f})",
            f"saliency: of class {self.subject.class_names[self.label]}, {self.label_words}",
        )
        summary = "\n".join(map(visible, lines))
        in_full = [f"{visible(weight.name)}\n{all_values(weight.values)}" for weight in self.weights_like(values)]
        return "\n\n".join([summary, *(make(self).text() for make in TABLES.values()), *in_full])

    def weights_like(self, patterns: Sequence[str]) -> list[Weight]:
        """Return the weights that fit a pattern by their name or their layer's; ValueError if a pattern fits none."""
        for pattern in patterns:
            if not any(probes.matches(weight.name, [pattern]) for weight in self.weights):
                names = nearest_first(pattern, [weight.name for weight in self.weights])
                raise ValueError(f"no weight is called {pattern!r}; choose from: {names}")
        return [weight for weight in self.weights if probes.matches(weight.name, patterns)]

    def line(self) -> str:
        """Return the result as one greppable line."""
        (label, probability), *_ = self.ranking
        step = self.step
        return visible(
            f"result model={self.subject.card.model} answer={label!r} probability={probability:.4f} "
            f"loss_before={step.loss_before:.6f} loss_after={step.loss_after:.6f} right_before={step.right_before} "
            f"right_after={step.right_after} examples={step.examples}"
        )

    def json(self, values: Sequence[str] = ()) -> str:
        """Return all results as JSON; `values` as in `text`."""
        chosen = {weight.name for weight in self.weights_like(values)}

        def weight_as_dict(weight: Weight) -> dict[str, object]:
            figures = {"name": weight.name, "shape": weight.shape, "trainable": weight.trainable}
            in_full = {"values": weight.values.tolist()} if weight.name in chosen else {}
            return {**figures, **moments(weight.values), **in_full}

        def gradient_as_dict(gradient: Gradient) -> dict[str, object]:
            arrays = {"before": gradient.before, "after": gradient.after}
            norms = {name: None if array is None else norm(array) for name, array in arrays.items()}
            return {"name": gradient.name, "shape": gradient.shape, **norms}

        def activity_as_dict(activity: Activity) -> dict[str, object]:
            names = ("name", "kind", "shape", "smallest", "largest", "zeros_before", "zeros")
            return {name: getattr(activity, name) for name in names}

        return json.dumps({
            "network": self.subject.words,
            "picture": self.subject.picture.words,
            "ranking": [{"label": label, "probability": probability} for label, probability in self.ranking],
            "label": self.subject.class_names[self.label],
            "label_is": self.label_words,
            "batch": self.subject.batch.words,
            "weights": list(map(weight_as_dict, self.weights)),
            "trace": list(map(activity_as_dict, self.activities)),
            "gradients": list(map(gradient_as_dict, self.gradients)),
            "step": vars(self.step),
            "saliency": self.saliency.tolist(),
        })  # fmt: skip

    def write_page(self, path: str | Path, names: Sequence[str] = ()) -> None:
        """Write one HTML page with all figures and tables, whole or not at all.

        Args:
            path: The file to write.
            names: Shell-style patterns of the layers whose filters and maps are drawn; by default the page chooses.

        Raises:
            ValueError: `names` fit no layer that has filters or maps.
            OSError: The file cannot be written.
        """
        page.write(self, path, names)


def inspect_network(
    network: str | Path,
    image: str | Path | None = None,
    learning_rate: float = probes.LEARNING_RATE,
    *,
    label: str | None = None,
    dataset: str | Path | None = None,
    data_dir: str | Path | None = None,
    seed: int = 0,
    guest: saving.Guest | None = None,
) -> Inspection:
    """Inspect a network: weights, one picture layer by layer, gradients, one optimizer step, saliency.

    Args:
        network: A .keras or .h5 file, or a name in `list_models()`; such a network gets fresh weights.
        image: A picture file; by default the first test picture of the data, or noise if there are no data.
        learning_rate: The learning rate of the SGD step.
        label: The class of the picture; by default the class that the network finds likeliest.
        dataset: The source of the batch of 64 training pictures, as in `load_data`. By default the network's own data
            set if it is on this disk; scikit-learn's digits for a network that reads digits; else the picture alone.
        data_dir: The folder of the data sets; by default KERASNETS_DATA, then data/.
        seed: The seed of fresh weights, of the batch and of noise.
        guest: What is known about a file that kerasnets did not write.

    Returns:
        The Inspection, with `text()`, `json()` and `write_page(path)`.

    Raises:
        BadInputError: A file is missing or damaged, or the data set has other classes than the network.
        ValueError: The name of the network or of the label is unknown.
        OSError: A file cannot be read.

    Example:
        >>> import kerasnets
        >>> inspection = kerasnets.inspect_network("lenet5", "docs/samples/three-on-paper.jpg")
        >>> print(inspection.text().splitlines()[0])
        network: lenet5 with fresh weights of seed 0
        >>> [(activity.name, activity.shape) for activity in inspection.activities[-2:]]
        [('f6', (84,)), ('logits', (10,))]
    """
    subject = subject_of(network, image, label=label, dataset=dataset, data_dir=data_dir, seed=seed, guest=guest)
    activities = probes.trace(subject.network, subject.picture.images)
    logits = activities[-1].output[0]
    if label is not None and subject.picture.labels is not None:
        chosen, label_words = int(subject.picture.labels[0]), "the given class"
    else:
        chosen, label_words = int(logits.argmax()), "the likeliest class"
    batch = subject.batch
    labels = np.array([chosen]) if batch.labels is None else batch.labels
    return Inspection(
        subject=subject,
        logits=logits,
        label=chosen,
        label_words=label_words,
        weights=probes.named_weights(subject.network),
        activities=activities,
        gradients=probes.gradients(subject.network, batch.images, labels),
        step=probes.take_step(subject.network, batch.images, labels, keras.optimizers.SGD(learning_rate)),
        saliency=probes.saliency(subject.network, subject.picture.images, np.array([chosen]))[0],
    )


def all_values(array: np.ndarray) -> str:
    """Return all numbers of an array as text."""
    return np.array2string(array, threshold=array.size + 1, max_line_width=110, precision=6)
