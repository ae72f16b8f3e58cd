"""What a network is given to be proven: the same pictures for everybody."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

BATCH, STEPS = 8, 3  # pictures in a batch, batches
SCALING = (1 / 127.5, -1.0)  # of the pixels, as in a Rescaling layer


@dataclass(frozen=True)
class Case:
    """One network at the size at which it is proven."""

    name: str
    options: dict  # of kerasnets.build, input_shape among them
    folder: Path  # where weights and truth stand
    seed: int = 0

    def pixels(self):
        """A batch for each step: uint8 (STEPS, BATCH, *input_shape), 0..255."""
        rng = np.random.default_rng(self.seed)
        return rng.integers(0, 256, (STEPS, BATCH, *self.options["input_shape"]), np.uint8)

    def images(self):
        """The same as the network takes them: float32 from -1 to 1."""
        scale, offset = SCALING
        return (self.pixels() * scale + offset).astype("float32")

    def labels(self):
        """A class for each picture: int64 (STEPS, BATCH)."""
        return np.random.default_rng(self.seed).integers(0, self.options["num_classes"], (STEPS, BATCH))


def draw_weights(network, seed):
    """Weights from NumPy in their order, so that activations stay near 1: He normal, and no statistic trivial."""
    rng = np.random.default_rng(seed)
    return [draw(rng, weight.name, weight.shape) for weight in network.weights]


def draw(rng, name, shape):
    if name in ("gamma", "moving_variance"):
        return rng.uniform(0.5, 1.5, shape).astype("float32")
    deviation = (2 / math.prod(shape[:-1])) ** 0.5 if len(shape) > 1 else 0.1
    return rng.standard_normal(shape, "float32") * np.float32(deviation)
