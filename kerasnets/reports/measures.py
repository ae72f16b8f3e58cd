"""How good the answers of a classifier are, and how far their probabilities can be trusted, in NumPy and SciPy."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

BINS = 15  # of equal width, as Guo et al. have them
SPREAD = 1.0  # the deviation of a temperature's logarithm that is expected before any picture is seen
RANGE = (0.1, 20.0)  # of a temperature
ENOUGH = 20_000  # pictures at most from which a temperature is computed
AT_ONCE = 2_000_000  # probabilities that are computed at once


class Bins(NamedTuple):
    """Answers by the probability that they claim, one entry for each bin of equal width.

    Args:
        counts: int64, answers.
        claimed: float64, the mean of their probabilities; 0 without answers.
        right: float64, the share of right ones; 0 without answers.
    """

    counts: np.ndarray
    claimed: np.ndarray
    right: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error: the mean distance of `claimed` and `right`, weighted by `counts`.

        Source: Naeini et al., AAAI 2015; Guo et al., ICML 2017, arXiv:1706.04599, equation 3.
        """
        return float((self.counts * np.abs(self.claimed - self.right)).sum() / max(self.counts.sum(), 1))


class Group(NamedTuple):
    """Answers for pictures that have something in common: its range, their number, the share of right ones."""

    low: float
    high: float
    size: int
    right: float


def logarithms(probabilities: np.ndarray) -> np.ndarray:
    """Return the natural logarithms of float32 probabilities, float64; those of 0 are finite."""
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny, dtype="float64"))


def soften(log_probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return log-probabilities at a temperature: those of the softmax of the logits divided by it.

    Args:
        log_probabilities: float (n, classes), natural logarithms: logits minus a constant.
        temperature: Above 0; 1 changes nothing.

    Returns:
        float64 (n, classes), so that probabilities that differ stay apart and keep their order.

    Source: Guo et al., section 4.2.
    """
    if temperature == 1:
        return log_probabilities
    scores = np.asarray(log_probabilities, "float64") / temperature
    scores = scores - scores.max(axis=1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def sureness(log_probabilities: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return float64 (n,), the probability of each likeliest class at a temperature."""
    if temperature == 1:
        return np.exp(log_probabilities.max(axis=1))
    parts = [np.exp(soften(part, temperature).max(axis=1)) for part in blocks(log_probabilities)]
    return np.concatenate(parts) if parts else np.zeros(0)


def blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows in parts of at most AT_ONCE numbers."""
    size = max(AT_ONCE // max(rows.shape[1], 1), 1)
    yield from (rows[start : start + size] for start in range(0, len(rows), size))


def best_temperature(log_probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature at which the labels of held-out pictures are likeliest, in RANGE.

    Args:
        log_probabilities: float (n, classes), natural logarithms.
        labels: int (n,).

    Source: Guo et al., section 4.2. Departure: its logarithm has a normal prior with deviation SPREAD, which weighs as
    much as one or two pictures, so that a few pictures that are all answered right claim no certainty.
    """
    from scipy.optimize import minimize_scalar

    chosen = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), ENOUGH)).astype(int))
    scores, places = np.asarray(log_probabilities[chosen], "float64"), labels[chosen]

    def loss(logarithm: float) -> float:
        temperature, start, total = np.exp(logarithm), 0, 0.5 * (logarithm / SPREAD) ** 2
        for part in blocks(scores):
            right = places[start : start + len(part)]
            total -= soften(part, temperature)[np.arange(len(part)), right].sum()
            start += len(part)
        return float(total)

    result = minimize_scalar(loss, bounds=np.log(RANGE), method="bounded", options={"xatol": 1e-4})
    return round(float(np.exp(result.x)), 4)


def reliability(sureness: np.ndarray, right: np.ndarray, count: int = BINS) -> Bins:
    """Return how often answers are right by the probability that they claim.

    Args:
        sureness: float (n,), the probability of each answer.
        right: bool (n,), whether it is right.
        count: The number of bins of equal width, each with its upper end.
    """
    places = np.clip(np.ceil(np.asarray(sureness, "float64") * count).astype(int) - 1, 0, count - 1)
    counts = np.bincount(places, minlength=count)
    claimed, hits = (np.bincount(places, values, count) / np.maximum(counts, 1) for values in (sureness, right))
    return Bins(counts, claimed, hits)


def top_accuracy(log_probabilities: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Return the share of pictures whose class is among the `k` likeliest; of equal ones, the first count."""
    own = log_probabilities[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(log_probabilities.shape[1]) < np.asarray(labels)[:, None]
    ahead = (log_probabilities > own) | ((log_probabilities == own) & earlier)
    return float((ahead.sum(axis=1) < k).mean())


def by_quantity(values: np.ndarray, right: np.ndarray, count: int = 5) -> list[Group]:
    """Return the accuracy of pictures in up to `count` groups of about equal size, by growing `values`.

    Pictures of equal value are in one group. There are no groups if most values are equal.

    Args:
        values: float (n,).
        right: bool (n,), whether the answer for each picture is right.
        count: The most groups.
    """
    starts = np.unique(np.quantile(values, np.arange(count) / count, method="lower"))
    if len(starts) < 2:
        return []
    places = np.searchsorted(starts, values, side="right") - 1
    members = [np.flatnonzero(places == place) for place in range(len(starts))]
    return [Group(float(values[each].min()), float(values[each].max()), len(each), float(np.mean(right[each])))
            for each in members]  # fmt: skip


def deviation(share: float, count: int) -> float:
    """Return the standard error of a share of `count` pictures (Wilson's, which is not 0 for 0 % and 100 %)."""
    return float(np.sqrt(share * (1 - share) / count + 0.25 / count**2) / (1 + 1 / count))


def doubtful_labels(log_probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the indices of pictures whose label is likely wrong, the likeliest first.

    Args:
        log_probabilities: float (n, classes), natural logarithms.
        labels: int (n,).

    A picture is doubtful if it is as likely of another class as pictures with that class's label usually are, and if
    that class is the answer.

    Source: Northcutt et al., Confident Learning, JAIR 2021, arXiv:1911.00068, equations 1 and 2; ranked by the
    difference of both probabilities (their normalized margin).
    """
    own = np.exp(log_probabilities[np.arange(len(labels)), labels])
    doubtful = np.flatnonzero((log_probabilities.argmax(axis=1) != labels) & sure_answers(log_probabilities, labels))
    margins = own[doubtful] - sureness(log_probabilities[doubtful])
    return doubtful[np.argsort(margins, kind="stable")]


def sure_answers(log_probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return bool (n,): whether the answer is as likely as it is on average for pictures with that label.

    Source: as `doubtful_labels`, equation 2; a class without pictures has no sure answers.
    """
    count = log_probabilities.shape[1]
    own = np.exp(log_probabilities[np.arange(len(labels)), labels])
    sizes = np.bincount(labels, minlength=count)
    usual = np.where(sizes > 0, np.bincount(labels, own, count) / np.maximum(sizes, 1), np.inf)
    return sureness(log_probabilities) >= usual[log_probabilities.argmax(axis=1)]


def standard_error(accuracy: float, count: int) -> float:
    """Return the binomial standard error of an accuracy on so many pictures."""
    return math.sqrt(max(accuracy * (1 - accuracy), 0) / count) if count else 0.0
