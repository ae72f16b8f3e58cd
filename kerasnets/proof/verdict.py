"""The distances that were measured of a network, and whether they verify it."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

QUANTITIES = ("logits", "training_logits", "gradients", "steps")  # steps: the change by three steps of SGD

TOLERANCE = 1e-5  # of logits in float32, which rounds at 6e-8; or the yardstick's
TOLERANCE_OF_FLOAT64 = 1e-9  # of gradients and steps, in float64, which rounds at 1e-16
TIMES_THE_YARDSTICK = 4  # how much further than the float32 twin logits may be from the float64 twin
# Layers with weights. TensorFlow and JAX, which compile, would take minutes for each measurement of a deeper network:
DEEP = 30  # so they measure it in float32 alone, and `fit` without frozen layers
VERY_DEEP = 100  # so they measure it in one layout alone
# On TensorFlow and JAX, another network of the same blocks, only fewer, stands for the training of these:
SAME_BLOCKS = {
    **dict.fromkeys(("resnet101", "resnet152"), "resnet50"),
    **dict.fromkeys(("resnet32", "resnet44", "resnet56", "resnet110"), "resnet20"),
    **dict.fromkeys(("densenet161", "densenet169", "densenet201"), "densenet121"),
}
WELL_CONDITIONED = 1e-2  # the yardstick must be below it, or the comparison would show nothing


@dataclass(frozen=True)
class Proof:
    """The measurements of one network. A distance is the largest difference over the largest value, by quantity."""

    network: str
    input_shape: tuple[int, ...] = ()
    parameters: int = 0
    published: int | None = None
    full_size: float = math.nan  # distance of the logits of one image at full size, on torch
    pytorch: dict[str, float] = field(default_factory=dict)  # the yardstick: from the twin in float64 to float32
    keras: dict[str, dict[str, float]] = field(default_factory=dict)  # "backend layout" -> from the twin in float64
    pytorch_fit: dict[str, float] = field(default_factory=dict)  # the yardstick of the trainee, by quantity
    fit: dict[str, dict[str, float]] = field(default_factory=dict)  # backend -> {quantity: distance of the trainee}
    unmoved: dict[str, list[str]] = field(default_factory=dict)  # "backend layout" -> weights that a step did not move
    files: dict[str, float] = field(default_factory=dict)  # "saver to loader, format" -> distance of the logits
    automatic_names: list[str] = field(default_factory=list)  # of layers
    left_out: str = ""  # a measurement that was not made, and the reason
    broken: str = ""  # the error that stopped the measurements

    def worst(self, quantity: str) -> float:
        """Return the largest distance over the backends and layouts that measured it; NaN without a measurement."""
        return largest([distances[quantity] for distances in self.keras.values() if quantity in distances])

    @property
    def worst_of_fit(self) -> float:
        """The largest distance of the trainee, the network that `fit` trains; NaN if it was not measured."""
        return largest([distance for distances in self.fit.values() for distance in distances.values()])

    def tolerance_of_fit(self, quantity: str) -> float:
        own = self.pytorch_fit.get(quantity, math.nan)
        return max(TOLERANCE, TIMES_THE_YARDSTICK * own)

    @property
    def worst_file(self) -> float:
        return largest(list(self.files.values()))

    def tolerance_of(self, quantity: str) -> float:
        tolerance = TOLERANCE if "logits" in quantity else TOLERANCE_OF_FLOAT64
        return max(tolerance, TIMES_THE_YARDSTICK * self.pytorch.get(quantity, 0.0))

    @property
    def faults(self) -> list[str]:
        """All faults in words; a network is verified if there is none. A distance that is NaN is a fault."""
        if self.broken:
            return [self.broken]
        return [*self.faults_of_distances(), *self.other_faults()]

    def faults_of_distances(self) -> list[str]:
        faults = [
            f"{quantity} of {where} lie {distances[quantity]:.1e} apart; allowed are {self.tolerance_of(quantity):.1e}"
            for where, distances in self.keras.items()
            for quantity in distances
            if not distances[quantity] <= self.tolerance_of(quantity)
        ]
        faults += [
            f"fit on {backend}: {quantity} lies {d:.1e} apart; allowed are {self.tolerance_of_fit(quantity):.1e}"
            for backend, distances in self.fit.items()
            for quantity, d in distances.items()
            if not d <= self.tolerance_of_fit(quantity)
        ]
        faults += [
            f"PyTorch's own {quantity} lie {distance:.1e} apart: the case is ill-conditioned"
            for quantity, distance in [*self.pytorch.items(), *self.pytorch_fit.items()]
            if not distance <= WELL_CONDITIONED
        ]
        faults += self.missing()
        if not self.full_size <= TOLERANCE:
            faults.append(f"logits at full size lie {self.full_size:.1e} apart; allowed are {TOLERANCE:.1e}")
        allowed = self.tolerance_of("logits")
        return faults + [f"file {way} is {d:.1e} apart" for way, d in self.files.items() if not d <= allowed]

    def missing(self) -> list[str]:
        """Return what no number says: torch measures everything, another backend logits, and gradients in some way."""
        faults = []
        for where, distances in self.keras.items():
            needed = QUANTITIES if where.split()[0] == "torch" else QUANTITIES[:2]
            faults += [f"{quantity} of {where} were not measured" for quantity in needed if quantity not in distances]
        for backend in dict.fromkeys(where.split()[0] for where in self.keras):
            rows = [distances for where, distances in self.keras.items() if where.split()[0] == backend]
            fitted = self.fit.get(backend, {})
            elsewhere = self.network in SAME_BLOCKS and backend != "torch"
            if not fitted and not elsewhere and not any({*QUANTITIES} <= row.keys() for row in rows):
                faults.append(f"no gradient on {backend} was measured")
            faults += [
                f"fit on {backend}: {name} was not measured" for name in fitted and self.pytorch_fit.keys() - fitted
            ]
        return faults

    def other_faults(self) -> list[str]:
        faults = [f"one step on {where} left {', '.join(names)}" for where, names in self.unmoved.items() if names]
        if self.published not in (None, self.parameters):
            faults.append(f"{self.parameters:,} parameters; published are {self.published:,}")
        if self.automatic_names:
            faults.append(f"automatic layer names: {', '.join(self.automatic_names)}")
        return faults

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"faults": self.faults}


def largest(distances: Sequence[float]) -> float:
    """Return NaN if one of them is NaN, which Python's max would ignore, or if there is none."""
    return float(np.max(distances)) if distances else math.nan
