"""The comparison of an export with Keras, by each installed engine that reads it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from kerasnets import saving
from kerasnets.errors import BadInputError, DisagreementError, shorten
from kerasnets.export.quantization import MOST_TEST, Calibration
from kerasnets.prediction import engines

ALLOWED = 1e-4  # the largest difference of a probability from Keras'
BATCH = 64  # pictures at once


def judge(
    names: Sequence[str],
    part: Path,
    out: Path,
    by_keras: tuple[np.ndarray, np.ndarray],
    card: saving.Card,
    calibration: Calibration | None,
    tell: Callable[[str], object],
) -> tuple[dict[str, float], dict[str, float]]:
    """Return ({engine: largest difference from Keras}, {"keras" or engine: accuracy}); no accuracy without calibration.

    Args:
        names: Of the engines.
        part: The file.
        out: Its place in the end, for messages.
        by_keras: (pixels, the probabilities that Keras gives for them).
        card: Of the model.
        calibration: Of a file in 8 bits; the pixels are its test pictures.
        tell: Called with a line about an engine that cannot run a file in 8 bits.

    Raises:
        DisagreementError: No engine, or one of a file without calibration, can run it; or it differs by more than 1e-4.
    """
    pixels, expected = by_keras
    answers: dict[str, np.ndarray] = {}
    for name in names:
        try:
            answers[name] = answers_of(part, name, pixels, out, card.multi_label)
        except DisagreementError:
            if not calibration or (name == names[-1] and not answers):
                raise
            tell(f"note: {name} cannot run this file in 8 bits")
    differences = {name: float(abs(answer - expected).max()) for name, answer in answers.items()}
    if not calibration:
        check_close(differences, out)
        return differences, {}
    labels = calibration.test_labels[:MOST_TEST]
    every = {"keras": expected, **answers}
    return differences, {name: float((answer.argmax(-1) == labels).mean()) for name, answer in every.items()}


def answers_of(part: Path, judge: str, pixels: np.ndarray, out: Path, multi_label: bool) -> np.ndarray:
    """Return an engine's probabilities; raise DisagreementError if it cannot run the file."""
    try:
        engine = engines.load(part, judge, guest=saving.Guest(multi_label=multi_label))
        return np.concatenate([engine(pixels[start : start + BATCH]) for start in range(0, len(pixels), BATCH)])
    except BadInputError as error:
        raise DisagreementError(f"{judge} cannot run {shorten(out)}; the export is discarded ({error})") from error


def check_close(differences: Mapping[str, float], out: Path) -> None:
    """Raise DisagreementError if an engine's probabilities differ by more than 1e-4 from Keras'."""
    for judge, largest in differences.items():
        if not largest <= ALLOWED:  # also NaN
            raise DisagreementError(
                f"{judge} differs by {largest:.1e} from Keras on {shorten(out)}, where {ALLOWED:g} is allowed: the "
                "export is discarded; please report it"
            )


def examples(shape: tuple[int, ...]) -> np.ndarray:
    """Return the inputs of the comparison: float32 rows (8, columns), or uint8 pictures (8, height, width, channels).

    The pictures are four of scikit-learn's digits, noise, and three of one grey each: black, middle, white.
    """
    rng = np.random.default_rng(0)
    if len(shape) == 1:
        return rng.uniform(size=(8, *shape)).astype(np.float32)
    from sklearn.datasets import load_digits

    from kerasnets import pictures

    digits = [
        pictures.prepare(np.asarray(digit * 15.9375, np.uint8), "picture", shape) for digit in load_digits().images[:4]
    ]
    even = [np.full(shape, grey, np.uint8) for grey in (0, 128, 255)]
    return np.stack([*digits, rng.integers(0, 256, shape, np.uint8), *even])
