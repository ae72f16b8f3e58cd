"""Whether what looks like one digit is a digit at all: a small network tells digits from letters and signs.

A network that knows ten digits alone is sure of most letters too. kerasnets/project/rejection.py trains this one.
"""

import functools
from pathlib import Path

import numpy as np

from kerasnets.prediction import engines
from kerasnets.prediction.engine import Engine

NETWORK = Path(__file__).with_name("rejection.onnx")
# The least probability of a digit that is not rejected. Of MNIST's training digits that the network was not trained on,
# one in 2,000 has less.
LEAST = 0.044


@functools.cache
def network(engine: str) -> Engine:
    reads_onnx = NETWORK.suffix in engines.ENGINES[engine].suffixes
    return engines.load(NETWORK, engine if reads_onnx else "opencv")


def are_digits(forms: np.ndarray, engine: str = "opencv") -> np.ndarray:
    """Return whether pictures show digits, bool (n,).

    Args:
        forms: uint8 (n, 28, 28, 1), in MNIST's form.
        engine: The name of the engine that computes it if it reads ONNX files; else OpenCV does.
    """
    return network(engine)(forms)[:, 0] >= LEAST
