"""The parts of other packages' classes that a plot needs."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class DataSet(Protocol):
    """A data.Data."""

    @property
    def train_images(self) -> np.ndarray: ...
    @property
    def train_labels(self) -> np.ndarray: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def title(self) -> str: ...


class Summary(Protocol):
    """A data.summary.Summary."""

    @property
    def image_shape(self) -> tuple[int, ...]: ...
    @property
    def counts(self) -> dict[str, np.ndarray]: ...
    @property
    def mean(self) -> tuple[float, ...]: ...
    @property
    def std(self) -> tuple[float, ...]: ...


class Verdict(Protocol):
    """A prediction.verdicts.Verdict."""

    @property
    def name(self) -> str: ...
    @property
    def is_sure(self) -> bool: ...


class Prediction(Protocol):
    """A prediction.Prediction."""

    @property
    def pixels(self) -> np.ndarray: ...
    @property
    def label(self) -> str: ...
    @property
    def probability(self) -> float: ...
    @property
    def verdict(self) -> Verdict: ...
    def top(self, count: int) -> Sequence[tuple[str, float]]: ...
