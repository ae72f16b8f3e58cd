"""The answers of a Classifier: a Prediction for one picture, a Sheet for a picture of several digits."""

import collections
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasnets.errors import BadInputError, visible
from kerasnets.pictures import Digit, NothingSeenError
from kerasnets.prediction.verdicts import NOTHING, TRUSTED, Verdict

DOUBTFUL = "?"  # after the label of a digit that is not sure
Ranking = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Prediction:
    """The answer for one picture.

    Attributes:
        ranking: (label, probability as a fraction) of every class, the most probable first.
        pixels: uint8 (height, width, channels), the network's input.
        verdict: How far the answer can be trusted.
    """

    ranking: Ranking
    pixels: np.ndarray = dataclasses.field(repr=False, compare=False)
    verdict: Verdict = TRUSTED

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.ranking[0][0]

    @property
    def probability(self) -> float:
        """The probability of `label`, as a fraction."""
        return self.ranking[0][1]

    def top(self, k: int) -> Ranking:
        """Return the `k` most probable classes."""
        return self.ranking[:k]

    def line(self, name: str, top: int = 1) -> str:
        """Return the answer as one greppable line."""
        line = f"{name}: " + ", ".join(f"{label} {probability:.4f}" for label, probability in self.top(top))
        if not self.verdict.is_sure:
            line += f"  ({self.verdict.name}: {self.verdict.reason})"
        return visible(line)

    def as_dict(self, top: int = 1) -> dict[str, Any]:
        """Return the answer for a program to read."""
        classes = [{"label": label, "probability": probability} for label, probability in self.top(top)]
        return {"label": self.label, "probability": self.probability, **as_words(self.verdict), "top": classes}


@dataclass(frozen=True)
class Sheet:
    """The digits of one picture.

    Attributes:
        rows: The (Digit, Prediction) pairs of each row, in reading order.
    """

    rows: tuple[tuple[tuple[Digit, Prediction], ...], ...]

    @property
    def digits(self) -> list[tuple[Digit, Prediction]]:
        """The pairs of all rows, in reading order."""
        return [pair for row in self.rows for pair in row]

    @property
    def text(self) -> str:
        """The labels of a row next to each other, with a space between rows."""
        return " ".join("".join(prediction.label for _, prediction in row) for row in self.rows)

    @property
    def marked(self) -> str:
        """The text with DOUBTFUL after each label that is not sure, and what these are, counted."""
        rows = [[each.label + (DOUBTFUL * (not each.verdict.is_sure)) for _, each in row] for row in self.rows]
        names = collections.Counter(each.verdict.name for _, each in self.digits if not each.verdict.is_sure)
        words = ", ".join(f"{count} {name}" for name, count in sorted(names.items(), reverse=True))
        return " ".join(map("".join, rows)) + (f"  ({DOUBTFUL}: {words})" if words else "")

    def line(self, name: str, top: int = 1) -> str:
        """Return the marked text as one greppable line; with `top` above 1, a line for each digit below it."""
        lines = [visible(f"{name}: {self.marked}")]
        if top > 1:
            for i, (digit, prediction) in enumerate(self.digits, start=1):
                lines.append("  " + prediction.line(f"{name} digit {i} at {','.join(map(str, digit.box))}", top))
        return "\n".join(lines)

    def as_dict(self, top: int = 1) -> dict[str, Any]:
        """Return the digits for a program to read."""
        return {"text": self.text, "digits": [{"box": digit.box, **each.as_dict(top)} for digit, each in self.digits]}


Result = Prediction | Sheet | BadInputError


def as_json(names: Sequence[str], results: Sequence[Result], top: int = 1) -> str:
    """Return the results for images called `names` as a JSON list, one object for each image."""
    import json

    pairs = zip(names, results, strict=True)
    return json.dumps([{"image": name, **as_dict(result, top)} for name, result in pairs], indent=1)


def as_dict(result: Result, top: int = 1) -> dict[str, Any]:
    """Return a result for a program to read."""
    if isinstance(result, NothingSeenError):
        return {"error": str(result), **as_words(Verdict(NOTHING, result.problem))}
    return {"error": str(result)} if isinstance(result, BadInputError) else result.as_dict(top)


def as_words(verdict: Verdict) -> dict[str, str]:
    return {"verdict": verdict.name, "reason": verdict.reason}
