"""How far an answer can be trusted: a verdict and its reason."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.pictures import Sight
from kerasnets.prediction.rejection import are_digits
from kerasnets.reports.measures import logarithms, soften

SURE, UNSURE, NOT_ONE, NOTHING = "sure", "unsure", "not one digit", "nothing found"
# The least probability of a sure answer for a digit that was cut out of a photo, which training pictures have not been
# through: the mean with those of the same digit, cut out a little otherwise. In photos of tests/pictures/real_photos.py
# with seeds 100 to 108, one of 46 wrong answers has more, and 90 of 100 right ones.
CUT_OUT = 0.94


@dataclass(frozen=True)
class Verdict:
    """Whether an answer can be trusted.

    Attributes:
        name: "sure", "unsure" or "not one digit"; for a picture without an answer, "nothing found".
        reason: Why it is not sure; "" if it is.
    """

    name: str = SURE
    reason: str = ""

    @property
    def is_sure(self) -> bool:
        return self.name == SURE


TRUSTED = Verdict()


def judge(sight: Sight, probability: float, least: float, steady: float | None = None) -> Verdict:
    """Return the Verdict on an answer, before `reject`.

    Args:
        sight: What was seen on the picture.
        probability: Of the likeliest class, calibrated, as a fraction.
        least: The least probability of a sure answer, as the model's card says.
        steady: The mean probability of that class, if the digit is cut out a little otherwise; None if it is not.
    """
    if sight.digits > 1:
        return Verdict(NOT_ONE, f"{sight.digits} digits seen; --many reads them")
    if sight.doubt:
        return Verdict(NOT_ONE, sight.doubt)
    if probability < least:
        return Verdict(UNSURE, f"a probability below {least:g}")
    if steady is not None and steady < CUT_OUT:
        return Verdict(UNSURE, f"a probability below {CUT_OUT:g} if shifted or smaller")
    return TRUSTED


def part_of_sheet(sight: Sight | BadInputError, doubt: str = "") -> Sight | BadInputError:
    """Return what is seen in the box of a sheet: there, several digits could not be told apart.

    Args:
        sight: What is seen in the box alone.
        doubt: Why the ink of the sheet may be none.
    """
    if isinstance(sight, BadInputError):
        return sight
    if sight.digits == 1:
        return dataclasses.replace(sight, doubt=sight.doubt or doubt)
    return dataclasses.replace(sight, digits=1, doubt=f"{sight.digits} digits seen, too near to be read apart")


def reject(verdicts: Sequence[Verdict], sights: Sequence[Sight], engine: str = "opencv") -> list[Verdict]:
    """Return the verdicts on answers of a network for digits; NOT_ONE for a sure answer to what is no digit.

    Args:
        verdicts: As of `judge`.
        sights: What was seen on each picture.
        engine: As of `are_digits`.
    """
    result = list(verdicts)
    forms = {
        i: sight.form
        for i, (verdict, sight) in enumerate(zip(verdicts, sights, strict=True))
        if verdict.is_sure and sight.form is not None
    }
    if forms:
        for i, is_digit in zip(forms, are_digits(np.stack(list(forms.values())), engine), strict=True):
            result[i] = TRUSTED if is_digit else Verdict(NOT_ONE, "it does not look like a digit")
    return result


def calibrate(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities (n, num_classes) at a temperature, which keeps their order."""
    if temperature == 1:
        return probabilities
    return np.exp(soften(logarithms(probabilities), temperature))
