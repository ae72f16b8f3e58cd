"""Results as rows of a CSV file: one for each picture, or for each digit of a sheet."""

import csv
import io
from collections.abc import Iterable

from kerasnets.errors import BadInputError, visible
from kerasnets.prediction.answers import Prediction, Result, Sheet, as_dict

TRUST = ("verdict", "reason", "error")
PLACE = ("row", "x", "y", "width", "height")  # of a digit; row counts from 0, the others are pixels


def header(top: int = 1, *, many: bool = False) -> list[str]:
    """Return the names of the columns; with `top` above 1, further classes stand at the end."""
    more = [name for k in range(2, top + 1) for name in (f"label_{k}", f"probability_{k}")]
    return ["image", *(PLACE if many else ()), "label", "probability", *TRUST, *more]


def rows(name: str, result: Result, top: int = 1, *, many: bool = False) -> list[list[object]]:
    """Return the rows of one result, in the order of `header`; cells of another number of classes stay empty."""
    if isinstance(result, BadInputError):
        words = as_dict(result)
        error = [words.get("verdict", ""), words.get("reason", ""), words["error"]]
        return [[name, *[""] * (len(PLACE) if many else 0), "", "", *error, *[""] * (2 * top - 2)]]
    if isinstance(result, Sheet):
        return [[name, digit.row, *digit.box, *cells(each, top)] for digit, each in result.digits]
    return [[name, *cells(result, top)]]


def cells(prediction: Prediction, top: int) -> list[object]:
    more = [cell for pair in prediction.top(top)[1:] for cell in pair]
    trust = [prediction.verdict.name, prediction.verdict.reason, ""]
    return [prediction.label, prediction.probability, *trust, *more, *[""] * (2 * top - 2 - len(more))]


def as_csv(lines: Iterable[Iterable[object]]) -> str:
    """Return lines of CSV with a newline at each end (RFC 4180, but for its CRLF, which tools on Unix stumble over).

    Control characters in names are escaped, because a terminal would follow them.
    """
    text = io.StringIO()
    shown = ([visible(cell) if isinstance(cell, str) else cell for cell in line] for line in lines)
    csv.writer(text, lineterminator="\n").writerows(shown)
    return text.getvalue()
