"""The results of the probes."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Weight:
    """One array of a layer.

    Attributes:
        name: The names of the layer and of the array: "c1/kernel".
        trainable: Whether training changes the array.
        values: float32, with Keras' order of axes.
    """

    name: str
    trainable: bool
    values: np.ndarray = field(repr=False, compare=False)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape


@dataclass(frozen=True)
class Activity:
    """The output of one layer, or of the activation that it contains.

    Attributes:
        name: The name of the layer.
        kind: The name of its class, or of the activation's function.
        output: float32 (n, height, width, channels) or (n, units).
        before: The input of an activation; None for other layers.
    """

    name: str
    kind: str
    output: np.ndarray = field(repr=False, compare=False)
    before: np.ndarray | None = field(repr=False, compare=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the output for one picture."""
        return self.output.shape[1:]

    @property
    def smallest(self) -> float:
        return float(self.output.min())

    @property
    def largest(self) -> float:
        return float(self.output.max())

    @property
    def zeros(self) -> float:
        """The share of the output that is exactly 0."""
        return share_of_zeros(self.output)

    @property
    def zeros_before(self) -> float | None:
        """The share of the input of an activation that is exactly 0; None for other layers."""
        return None if self.before is None else share_of_zeros(self.before)


@dataclass(frozen=True)
class Gradient:
    """The gradient of one trainable weight.

    Attributes:
        name: As in Weight.
        shape: The shape of the weight.
        before: The gradient stored on the weight before the backward pass; None if there is none.
        after: The gradient after the pass; None if the loss does not depend on the weight.
    """

    name: str
    shape: tuple[int, ...]
    before: np.ndarray | None = field(repr=False, compare=False)
    after: np.ndarray | None = field(repr=False, compare=False)


@dataclass(frozen=True)
class Step:
    """One step of an optimizer, evaluated on its own batch.

    Attributes:
        optimizer: The name of the optimizer's class.
        learning_rate: The size of the step.
        examples: The number of images in the batch.
        loss_before: The mean cross-entropy before the step, in nats.
        loss_after: The same after the step.
        right_before: The number of correctly classified images before the step.
        right_after: The same after the step.
    """

    optimizer: str
    learning_rate: float
    examples: int
    loss_before: float
    loss_after: float
    right_before: int
    right_after: int


def share_of_zeros(array: np.ndarray) -> float:
    return float((array == 0).mean())
