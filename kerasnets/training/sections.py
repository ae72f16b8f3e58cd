"""The sections of a report: each has a heading, words that explain it, and a plot, pictures or a table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kerasnets.reports import evaluations, measures, plots
from kerasnets.reports.names import cut, label_and_answer
from kerasnets.reports.pages import drawing
from kerasnets.reports.tables import Table
from kerasnets.training import findings

if TYPE_CHECKING:
    from markupsafe import Markup

    from kerasnets.data import Data
    from kerasnets.training.evaluation import Evaluation
    from kerasnets.training.findings import Material

SHOWN = 18  # pictures of a grid
LISTED = 100  # rows of a table of findings
FEWEST = 20  # pictures in a group, or its accuracy is not shown


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Args:
        title: Its heading.
        words: A paragraph each.
        drawing: A plot.
        picture: A PNG.
        narrow: The same for a phone.
        name: Of the picture, on the page.
        alt: What it shows, for readers who cannot see it.
        table: More, which is folded away.
        more: The line that unfolds the table.
    """

    title: str
    words: Sequence[str]
    drawing: "Markup | None" = None
    picture: plots.Png | None = None
    narrow: plots.Png | None = None
    name: str = ""
    alt: str = ""
    table: Table | None = None
    more: str = ""


def of_answers(evaluation: "Evaluation", data: "Data", material: "Material") -> list[Section]:
    """Return the sections on the probabilities, and on which pictures are hard."""
    return [
        *honesty(evaluation),
        *two_classes(evaluation),
        *by_size(evaluation, data),
        *by_brightness(evaluation, data, material),
    ]


def of_pictures(evaluation: "Evaluation", data: "Data", material: "Material") -> list[Section]:
    """Return the sections on wrong labels, copies, and the map."""
    if data.test_images.ndim != 4:
        return []
    return [*labels(evaluation, data, material), *copies(data, material), *landscape(evaluation, data, material)]


# ---- probabilities ----


def honesty(evaluation: "Evaluation") -> Iterator[Section]:
    """Yield the section on calibration, unless classes do not exclude each other."""
    if not evaluation.exclusive or not len(evaluation.labels):
        return
    before, after = evaluation.reliability(1.0), evaluation.reliability()
    is_calibrated = evaluation.temperature != 1
    mean, share = float(evaluation.sureness.mean()), evaluation.accuracy
    words = [
        f"An honest probability of 90 % is right in 90 of 100 cases. On average an answer has {mean:.2%}, and "
        f"{share:.2%} are right. The expected calibration error, the mean distance of both over {measures.BINS} "
        f"ranges, is {after.error:.4f}."
    ]
    if is_calibrated:
        is_too_sure = "too sure" if evaluation.temperature > 1 else "not sure enough"
        words.append(
            f"The network itself is {is_too_sure} on the pictures that were held out for validation (its "
            f"error on the test is {before.error:.4f}): the model's card has a temperature of "
            f"{evaluation.temperature:.3g}, by which prediction divides the logits. No answer changes."
        )
    else:
        words.append(
            "The model's card has no temperature, as no pictures were held out for validation: the "
            "probabilities are the network's own."
        )
    alt = (
        f"Reliability diagram: {', '.join(bin_words(after))}. Calibration error {before.error:.4f} before, "
        f"{after.error:.4f} after temperature {evaluation.temperature:.3g}"
    )
    figure = evaluations.reliability(before, after, is_calibrated)
    yield Section("How far the probabilities can be trusted", words, drawing(figure, alt))


def bin_words(bins: measures.Bins) -> Iterator[str]:
    """Yield what the fullest ranges of a reliability diagram show."""
    for place in np.sort(np.argsort(-bins.counts, kind="stable")[:3]):
        if bins.counts[place]:
            yield f"{bins.counts[place]:,} answers of {bins.claimed[place]:.1%} are right in {bins.right[place]:.1%}"


def two_classes(evaluation: "Evaluation") -> Iterator[Section]:
    """Yield the section on thresholds for two classes, if the test has both."""
    names = evaluation.class_names
    if len(names) != 2 or len(np.unique(evaluation.labels)) < 2:
        return
    shares = np.exp(evaluation.log_probabilities[:, 1])
    if not evaluation.exclusive:
        shares = shares / (shares + np.exp(evaluation.log_probabilities[:, 0]))
    from sklearn.metrics import average_precision_score, roc_auc_score

    area, mean = roc_auc_score(evaluation.labels, shares), average_precision_score(evaluation.labels, shares)
    words = [
        f"An answer is the likelier class. Another threshold finds more of {names[1]}, and takes more of "
        f"{names[0]} for it: the curves show both for each threshold. Of a random pair, {names[1]} has the higher "
        f"probability in {area:.2%}; the average precision is {mean:.4f}."
    ]
    figure = evaluations.two_classes(evaluation.labels, shares, names)
    alt = f"ROC curve of area {area:.4f}, and precision against recall, on average {mean:.4f}"
    yield Section(f"{names[0]} or {names[1]}: other thresholds", words, drawing(figure, alt))


# ---- which pictures are hard ----


def by_size(evaluation: "Evaluation", data: "Data") -> Iterator[Section]:
    if data.test_sizes is not None and len(data.test_sizes) == len(evaluation.labels):
        sides = np.sqrt(data.test_sizes.astype(float).prod(axis=1))
        yield from by_quantity(evaluation, np.arange(len(sides)), sides, "size", "root of height times width, pixels")


def by_brightness(evaluation: "Evaluation", data: "Data", material: "Material") -> Iterator[Section]:
    if data.test_images.ndim == 4:
        chosen, values = findings.brightness(data, material)
        yield from by_quantity(evaluation, chosen, values, "brightness", "mean of the pixels, 0 to 255")


def by_quantity(
    evaluation: "Evaluation", chosen: np.ndarray, values: np.ndarray, name: str, unit: str
) -> Iterator[Section]:
    """Yield the section on the accuracy of groups of pictures; none of few pictures, or of equal ones."""
    if len(chosen) < 2 * FEWEST:
        return
    right = evaluation.right[chosen]
    groups = measures.by_quantity(values, right, min(5, len(chosen) // FEWEST))
    if not groups:
        return
    worst = min(groups, key=lambda group: group.right)
    error = 2 * measures.deviation(worst.right, worst.size)
    differs = worst.right + error < right.mean()
    words = [
        f"{name.capitalize()} is the {unit}. The bars are two standard errors. "
        f"Accuracy is lowest, {worst.right:.2%}, from {worst.low:,.0f} to {worst.high:,.0f}"
        + (
            ", which is more than chance explains: pictures of this kind are worth adding."
            if differs
            else "; the difference may be chance."
        )
    ]
    figure = evaluations.by_quantity(groups, float(right.mean()), f"{name}: {unit}")
    alt = ", ".join(f"{group.right:.1%} from {group.low:,.0f} to {group.high:,.0f}" for group in groups)
    yield Section(f"Accuracy by {name}", words, drawing(figure, f"Accuracy by {name}: {alt}"))


# ---- pictures ----


def labels(evaluation: "Evaluation", data: "Data", material: "Material") -> Iterator[Section]:
    """Yield the section on training pictures whose label may be wrong, if there are any."""
    doubts = findings.doubts(data, material, evaluation.temperature)
    if doubts is None or not doubts.pictures:
        return
    names, pictures = data.class_names, doubts.pictures
    if not doubts.are_credible:
        yield Section("Labels to check", [reason_for_none(doubts)])
        return
    words = [
        f"{count_of(len(pictures), 'picture')} of the {doubts.searched:,} {doubts.part} pictures may have a wrong "
        "label: the network gives another class, as surely as it usually gives the class to pictures that have "
        "it. The likeliest come first. A picture can also be hard, or show both; look before you change it."
    ]
    chosen = [doubt.picture for doubt in pictures[:SHOWN]]
    captions = []
    for doubt in pictures[:SHOWN]:
        label, answer = label_and_answer(names[doubt.label], names[doubt.answer])
        captions.append(f"{label}\n→ {answer}  {doubt.probability:.1%}")
    below = [data.train_name_of(i) for i in chosen]
    images = data.train_images[np.array(chosen)]
    wide, narrow = (plots.dense(plots.grid(images, captions, below, columns)) for columns in (6, 3))
    rows = [
        (data.train_name_of(doubt.picture), names[doubt.label], names[doubt.answer], f"{doubt.probability:.4f}")
        for doubt in pictures[:LISTED]
    ]
    table = Table(("picture", "label", "answer", "probability"), rows, align="<<<>")
    alt = f"{count_of(len(chosen), 'picture')}, each with its label and the answer"
    yield Section(
        "Labels to check", words, picture=wide, narrow=narrow, name="labels", alt=alt, table=table, more="As a list"
    )


def reason_for_none(doubts: findings.Doubts) -> str:
    """Return why no labels are named, although answers dispute some."""
    right = f"The network is right on {doubts.accuracy:.1%} of the {doubts.searched:,} {doubts.part} pictures"
    if doubts.accuracy < findings.LEAST_RIGHT:
        reason = f"{right}; below {findings.LEAST_RIGHT:.0%},"
    else:
        reason = (
            f"{right}, but {count_of(len(doubts.pictures), 'answer')} of the {doubts.sure:,} that are sure differ from "
            f"the label; above {findings.MOST_DISPUTED:.0%},"
        )
    return f"No labels are named. {reason} a sure answer that differs is likelier to be wrong than the label."


def copies(data: "Data", material: "Material") -> Iterator[Section]:
    """Yield the section on pictures that are in both parts, if there are any."""
    if not len(data.train_labels) or not len(data.test_labels):
        return
    pairs, tests, trains = findings.copies(data, material)
    if not pairs:
        return
    names = data.class_names
    others = sum(data.test_labels[pair.test] != data.train_labels[pair.train] for pair in pairs)
    words = [
        f"{count_of(len(pairs), 'test picture')} of {tests:,} (compared with {trains:,} training pictures) "
        f"nearly {'equals' if len(pairs) == 1 else 'equal'} a training picture: what is known by heart is no test."
        + (
            f" {count_of(others, 'pair')} of them {'has' if others == 1 else 'have'} different labels."
            if others
            else ""
        )
    ]
    shown = pairs[: SHOWN // 2]
    images = [
        image
        for pair in shown
        for image in (data.test_images[np.array([pair.test])][0], data.train_images[np.array([pair.train])][0])
    ]
    captions, below = [], []
    for pair in shown:
        captions += [
            f"test: {cut(names[data.test_labels[pair.test]], 16)}",
            f"training: {cut(names[data.train_labels[pair.train]], 14)}",
        ]
        below += [data.name_of(pair.test), data.train_name_of(pair.train)]
    wide, narrow = (plots.dense(plots.grid(np.stack(images), captions, below, columns)) for columns in (6, 2))
    rows = [
        (data.name_of(pair.test), data.train_name_of(pair.train), f"{pair.correlation:.4f}") for pair in pairs[:LISTED]
    ]
    table = Table(("test", "training", "correlation"), rows, align="<<>")
    alt = f"{count_of(len(shown), 'pair')} of a test picture and a training picture"
    yield Section(
        "Test pictures that are in the training part too",
        words,
        picture=wide,
        narrow=narrow,
        name="copies",
        alt=alt,
        table=table,
        more="As a list",
    )


def landscape(evaluation: "Evaluation", data: "Data", material: "Material") -> Iterator[Section]:
    """Yield the section with the map of the test pictures, if there is a network to make it."""
    result = findings.landscape(data, material)
    if result is None:
        return
    chosen, points = result
    words = [
        f"Each point is one of {len(chosen):,} test pictures, near others that are alike for the last layer "
        "(t-SNE of its features). Classes that lie apart are easy to tell; crosses in a cloud of another class are "
        "wrong answers. Distances between clouds mean little."
    ]
    right = evaluation.right[chosen]
    figure = evaluations.landscape(points, evaluation.labels[chosen], right, evaluation.class_names)
    alt = f"Map of {len(chosen):,} test pictures by their features; {int((~right).sum()):,} have a wrong answer"
    yield Section("A map of the test pictures", words, picture=plots.dense(figure), name="map", alt=alt)


def count_of(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
