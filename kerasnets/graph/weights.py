"""Weights of a network: counted, and not drawn if they are to be replaced."""

import math
from collections.abc import Iterable
from typing import Any

from kerasnets.graph.walk import drawing_nothing as drawing_nothing


def count(weights: Iterable[Any]) -> int:
    """Return how many numbers `weights`, variables or arrays, hold."""
    return sum(math.prod(weight.shape) for weight in weights)
