"""What an inspection found, for people and programs: tables, one page of pictures, JSON."""

import html
import json
from dataclasses import dataclass

import keras
import numpy as np

from kerasnets.errors import nearest_first, shorten
from kerasnets.inspection import figures, probes
from kerasnets.inspection.subject import Subject, subject_of
from kerasnets.reports import pages
from kerasnets.reports.tables import Table

FIRST = 3  # values of a weight that the table shows
LONGEST_NAME = 40  # characters of a layer's
POOLED = ("MaxPooling2D", "AveragePooling2D", "Concatenate", "Add")  # whose maps are worth a look, besides activations'


@dataclass(frozen=True)
class Inspection:
    """All that was found of one subjects.Subject. saliency: float32 (height, width), or (columns,) of a row."""

    subject: Subject
    logits: np.ndarray  # float32 (classes,), of the picture
    label: int  # the class of the saliency map, and of the batch where it is the picture alone
    label_words: str  # how it was come by
    weights: list[probes.Weight]
    activities: list[probes.Activity]
    gradients: list[probes.Gradient]
    step: probes.Step
    saliency: np.ndarray

    @property
    def ranking(self):
        """[(label, probability)] of the picture, the likeliest first."""
        shares = np.exp(self.logits.astype("float64") - self.logits.max())
        shares /= shares.sum()
        return [(self.subject.class_names[i], float(shares[i])) for i in np.argsort(-shares, kind="stable")]

    def text(self, values=()):
        """All tables for a terminal; below them the weights that the shell-style patterns `values` name, in full."""
        (label, probability), *_ = self.ranking
        about = (
            f"network: {self.subject.words}\n"
            f"picture: {self.subject.picture.words}, answered {label} ({probability:.4f})\n"
            f"saliency: of class {self.subject.class_names[self.label]}, {self.label_words}"
        )
        in_full = [f"{each.name}\n{whole(each.values)}" for each in self.named(values)]
        return "\n\n".join([about, *(make(self).text() for make in TABLES.values()), *in_full])

    def named(self, patterns):
        """The weights whose name, or whose layer's, fits one of `patterns`; ValueError for one that fits none."""
        for pattern in patterns:
            if not any(probes.matching(each.name, [pattern]) for each in self.weights):
                names = nearest_first(pattern, [each.name for each in self.weights])
                raise ValueError(f"no weight is called {pattern!r}; choose from: {names}")
        return [each for each in self.weights if probes.matching(each.name, patterns)]

    def line(self):
        """The result as one greppable line."""
        (label, probability), *_ = self.ranking
        step = self.step
        return (
            f"result model={self.subject.card.model} answer={label!r} probability={probability:.4f} "
            f"loss_before={step.loss_before:.6f} loss_after={step.loss_after:.6f} right_before={step.right_before} "
            f"right_after={step.right_after} examples={step.examples}"
        )

    def json(self, values=()):
        """All for a program to read; with the values of the weights that the shell-style patterns `values` name."""

        chosen = self.named(values)

        def weight(each):
            row = {"name": each.name, "shape": each.shape, "trainable": each.trainable, **moments(each.values)}
            return row | ({"values": each.values.tolist()} if each in chosen else {})

        def gradient(each):
            norms = {"before": norm(each.before), "after": norm(each.after)}
            return {"name": each.name, "shape": each.shape, **norms}

        def activity(each):
            numbers = ("name", "kind", "shape", "smallest", "largest", "zeros_before", "zeros")
            return {name: getattr(each, name) for name in numbers}

        return json.dumps({
            "network": self.subject.words,
            "picture": self.subject.picture.words,
            "ranking": [{"label": label, "probability": probability} for label, probability in self.ranking],
            "label": self.subject.class_names[self.label],
            "label_is": self.label_words,
            "batch": self.subject.batch.words,
            "weights": list(map(weight, self.weights)),
            "trace": list(map(activity, self.activities)),
            "gradients": list(map(gradient, self.gradients)),
            "step": vars(self.step),
            "saliency": self.saliency.tolist(),
        })  # fmt: skip

    def write_page(self, path, names=()):
        """Write the page of pictures and tables to `path`, whole or not at all; its pictures are inside of it.

        names: shell-style patterns of the layers whose filters and maps are drawn; without them, the page chooses.
        Raises ValueError where no layer is called so, OSError where the file cannot be written.
        """
        drawn = [pages.section(title, content) for title, content in self.sections(names)]
        (label, probability), *_ = self.ranking
        lead = (
            f"The answer for {self.subject.picture.words} is <b>{html.escape(label)}</b>, with a probability of "
            f"{probability:.2%}."
        )
        pages.write_page(path, f"Inside {self.subject.words}", [f'<p class="lead">{lead}</p>', *drawn])

    def sections(self, names=()):
        """(title, HTML) of each part of the page."""
        tables = {name: make(self) for name, make in TABLES.items()}
        figures = {name: figure for name, make in FIGURES.items() if (figure := make(self, names)) is not None}
        if names and not {"maps", "filters"} & figures.keys():
            raise ValueError(f"no layer with maps or filters is called {' or '.join(names)}; the trace lists them")
        for name, title, note in PARTS:
            if name in figures:
                yield title, f"<p>{html.escape(note.format(self=self))}</p>{pages.image(figures[name])}"
            elif name in tables:
                yield tables[name].title, tables[name].html()


def inspect_network(network, image=None, learning_rate=probes.LEARNING_RATE, **given):
    """The Inspection of a network: a model file, or a name of the registry with fresh weights.

    image: a picture file. learning_rate: of one step of SGD. given: label, dataset, data_dir and seed, as
    `subjects.subject_of` takes them, which tells what is taken where they are not given.

    >>> found = kerasnets.inspect_network("lenet5", "docs/samples/three-on-paper.jpg")
    >>> found.write_page("lenet5.html")
    """
    subject = subject_of(network, image, **given)
    activities = probes.trace(subject.network, subject.picture.images)
    logits = activities[-1].output[0]
    if given.get("label") is not None:
        chosen, words = int(subject.picture.labels[0]), "as you said"
    else:
        chosen, words = int(logits.argmax()), "the likeliest, as the network has it"
    batch = subject.batch
    labels = np.array([chosen]) if batch.labels is None else batch.labels
    return Inspection(
        subject, logits, chosen, words, probes.named_weights(subject.network), activities,
        probes.gradients(subject.network, batch.images, labels),
        probes.take_step(subject.network, batch.images, labels,
                             keras.optimizers.SGD(learning_rate)),
        probes.saliency(subject.network, subject.picture.images, np.array([chosen]))[0],
    )  # fmt: skip


# ---- tables ----


def table_of_trace(found):
    head = ("layer", "kind", "output", "smallest", "largest", "zeros before", "zeros after")
    rows = [
        (shorten(a.name, LONGEST_NAME), a.kind, sizes(a.shape), number(a.smallest), number(a.largest),
         "" if a.zeros_before is None else f"{a.zeros_before:.1%}", f"{a.zeros:.1%}")
        for a in found.activities
    ]  # fmt: skip
    note = "An activation inside of a layer stands below it, on a line of its own. Zeros: the share that is exactly 0."
    return Table(f"One picture, layer by layer: {found.subject.picture.words}", note, head, rows, words=2)


def table_of_weights(found):
    head = ("weight", "shape", "trained", "smallest", "largest", "mean", "deviation", "first values")
    rows = [
        (shorten(w.name, LONGEST_NAME), sizes(w.shape), "yes" if w.trainable else "no",
         *map(number, moments(w.values).values()), " ".join(map(number, w.values.ravel()[:FIRST])))
        for w in found.weights
    ]  # fmt: skip
    return Table("Weights", "", head, rows)


def table_of_gradients(found):
    head = ("weight", "shape", "before", "after: length", "largest", "zeros")
    rows = [
        (shorten(g.name, LONGEST_NAME), sizes(g.shape), *(["none" if g.before is None else number(norm(g.before))]),
         *(["none", "", ""] if g.after is None else
           [number(norm(g.after)), number(float(np.abs(g.after).max())), f"{probes.share_of_zeros(g.after):.1%}"]))
        for g in found.gradients
    ]  # fmt: skip
    kinds = {a.kind for a in found.activities}
    note = f"Of the mean cross-entropy of {words_of_batch(found)}; before and after the backward pass."
    if "BatchNormalization" in kinds:
        note += " Batch normalization is by the batch itself."
    if kinds & {each.__name__ for each in probes.DROPOUTS}:
        note += " Dropout does nothing."
    return Table("Gradients of one batch", note, head, rows)


def table_of_step(found):
    step, head = found.step, ("", "loss", "right")
    rows = [
        (when, f"{loss:.6f}", f"{right} of {step.examples}")
        for when, loss, right in (
            ("before", step.loss_before, step.right_before),
            ("after", step.loss_after, step.right_after),
        )
    ]
    title = f"One step of {step.optimizer}, learning rate {step.learning_rate:g}"
    return Table(title, "On the same batch, of a copy: the network stays as it is.", head, rows)


# name -> what makes its Table, in the order on a terminal
TABLES = {
    "weights": table_of_weights,
    "trace": table_of_trace,
    "gradients": table_of_gradients,
    "step": table_of_step,
}


# ---- figures ----


def figure_of_answer(found, names):
    picture, label = found.subject.picture.images[0], found.subject.class_names[found.label]
    if picture.ndim == 1:
        return figures.columns(found.saliency, found.ranking, label)
    return figures.answer(picture, found.subject.original, found.saliency, found.ranking, label)


def figure_of_maps(found, names):
    maps = [a for a in found.activities if len(a.shape) == 3 and min(a.shape[:2]) > 1]
    if names:
        chosen = [a for a in maps if probes.matching(a.name, names)]
    else:
        chosen = [a for a in maps if a.before is not None or a.kind in POOLED]
        chosen = figures.evenly(chosen or maps, figures.MOST_LAYERS)
    return figures.feature_maps(chosen) if chosen else None


def figure_of_filters(found, names):
    kernels = [w for w in found.weights if len(w.shape) == 4 and min(w.shape[:2]) > 1]
    if names:
        chosen = [w for w in kernels if probes.matching(w.name, names)]
    else:
        chosen = figures.evenly(kernels, figures.MOST_KERNELS)
    return figures.filters(chosen) if chosen else None


def figure_by_layer(found, names):
    return figures.by_layer(found.activities, found.gradients)


# name -> what makes its matplotlib Figure of (Inspection, names of layers), or None where there is nothing to draw
FIGURES = {
    "answer": figure_of_answer,
    "maps": figure_of_maps,
    "filters": figure_of_filters,
    "bars": figure_by_layer,
}

# The page from its top to its end: name of a figure or table, title and note of a figure
PARTS = (
    ("answer", "The picture and the answer",
     "Saliency: how much each pixel moves the logit of a class ({self.label_words}), the largest over the channels; "
     "bright pixels move it most, up or down (Simonyan et al. 2014, arXiv:1312.6034)."),
    ("maps", "Feature maps",
     "What layers, and the activations inside of them, give for this picture. Each has its own scale, dark for its "
     "smallest value and light for its largest."),
    ("trace", "", ""),
    ("filters", "Filters",
     "Kernels as they are, red above 0, blue below, white at 0; on three channels, the colours that they look for."),
    ("weights", "", ""),
    ("bars", "Zeros and gradients by layer", 
     "Where an activation gives nothing but zeros, nothing is learned below it."),
    ("gradients", "", ""),
    ("step", "", ""),
)  # fmt: skip


# ---- helpers ----


def words_of_batch(found):
    batch = found.subject.batch
    known = (
        ""
        if batch.labels is not None
        else f", its class unknown and taken for {found.subject.class_names[found.label]}, the likeliest"
    )
    return f"{batch.words}{known}"


def sizes(shape):
    return "x".join(map(str, shape))


def number(value):
    return f"{value:.4g}"


def norm(array):
    """The Euclidean length of all numbers of an array; None of none."""
    return None if array is None else float(np.linalg.norm(array))


def whole(array):
    """All numbers of an array as text."""
    return np.array2string(array, threshold=array.size + 1, max_line_width=110, precision=6)


def moments(values):
    return {
        "smallest": float(values.min()),
        "largest": float(values.max()),
        "mean": float(values.mean()),
        "deviation": float(values.std()),
    }
