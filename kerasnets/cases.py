"""What a network is given to be proven: the same pictures for everybody."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

BATCH, STEPS = 8, 3  # pictures in a batch, batches


@dataclass(frozen=True)
class Case:
    """One network at the size at which it is proven."""

    name: str
    options: dict  # of kerasnets.build, input_shape among them
    folder: Path  # where weights and truth stand
    seed: int = 0

    def images(self, dtype="float32"):
        """A batch for each step: (STEPS, BATCH, *input_shape), float32 of N(0, 1) or uint8 0..255."""
        rng = np.random.default_rng(self.seed)
        shape = (STEPS, BATCH, *self.options["input_shape"])
        return rng.integers(0, 256, shape, np.uint8) if dtype == "uint8" else rng.standard_normal(shape, dtype)

    def labels(self):
        """A class for each picture: int64 (STEPS, BATCH)."""
        return np.random.default_rng(self.seed).integers(0, self.options["num_classes"], (STEPS, BATCH))
