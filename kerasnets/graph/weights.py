"""The number of weights of a network."""

import math
from collections.abc import Iterable
from typing import Any


def count(weights: Iterable[Any]) -> int:
    """Return how many numbers `weights`, variables or arrays, hold."""
    return sum(math.prod(weight.shape) for weight in weights)
