"""The size at which a network is verified; its images, labels and weights, from NumPy, the same on every backend."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasnets.recipes import Recipe

if TYPE_CHECKING:
    import keras

BATCH, STEPS = 8, 3  # images in a batch, batches
BRANCH = np.float32(0.25)  # of the gammas at the end of a residual branch
SCALING = (1 / 127.5, -1.0)  # of the pixels, as in a Rescaling layer


@dataclass(frozen=True)
class Case:
    """One network at the size at which it is verified."""

    name: str
    options: Mapping[str, Any]  # of kerasnets.build, input_shape and num_classes among them
    folder: Path  # of the weights and of the reference values
    seed: int = 0
    recipes: tuple[Recipe, ...] = ()  # that `fit` is tried with, each by itself
    freezes: bool = False  # whether `fit` is also tried with a frozen layer

    def pixels(self) -> np.ndarray:
        """Return a batch for each step: uint8 (STEPS, BATCH, *input_shape), 0..255."""
        rng = np.random.default_rng(self.seed)
        return rng.integers(0, 256, (STEPS, BATCH, *self.options["input_shape"]), np.uint8)

    def images(self) -> np.ndarray:
        """Return the same, scaled for the network: float32 from -1 to 1."""
        scale, offset = SCALING
        return (self.pixels() * scale + offset).astype("float32")

    def labels(self) -> np.ndarray:
        """Return a class for each image: int64 (STEPS, BATCH)."""
        return np.random.default_rng(self.seed).integers(0, self.options["num_classes"], (STEPS, BATCH))


@dataclass(frozen=True)
class Reference:
    """The result of the judge, a network's twin in plain PyTorch. The reference values are in the case's folder."""

    case: Case
    yardstick: dict[str, float]  # quantity -> distance of the twin from itself, by rounding alone
    automatic_names: list[str]  # of layers
    full_size: float  # distance of the logits of one image, at the published input shape and number of classes
    parameters: int  # that train, at full size
    depth: int  # layers with weights
    of_fit: dict[str, float]  # quantity of the trainee -> distance of the twin in float32


def title_of(recipe: Recipe) -> str:
    """Return the settings of a recipe that decide a step, in words."""
    words = [recipe.optimizer]
    if recipe.optimizer == "sgd" and recipe.momentum:
        words.append(f"momentum {recipe.momentum:g}")
    if recipe.weight_decay:
        words.append(f"decay {recipe.weight_decay:g}" + " of kernels" * (not recipe.decay_norms))
    if recipe.label_smoothing:
        words.append(f"smoothing {recipe.label_smoothing:g}")
    return ", ".join(words + ["squared error"] * (recipe.loss == "squared_error"))


def draw_weights(network: "keras.Model", seed: int) -> list[np.ndarray]:
    """Draw weights in the order of `network.weights`: He normal, so that activations stay near 1.

    The last normalization of a residual branch is scaled by BRANCH, as one that starts at 0 (Goyal et al., 2017) keeps
    a deep network near its shortcuts. With gammas around 1, float32 took a step of ResNet-152 0.39 away in PyTorch.
    """
    rng = np.random.default_rng(seed)
    ends = {id(layer.gamma) for layer in ends_of_branches(network)}
    drawn = [(weight, draw(rng, weight.name, weight.shape)) for weight in network.weights]
    return [value * BRANCH if id(weight) in ends else value for weight, value in drawn]


def ends_of_branches(network: "keras.Model") -> list[Any]:
    """Return the batch normalizations that end a residual branch; a shortcut's, which is named so, is none."""
    from keras import layers

    from kerasnets.graph import node_of, nodes

    sums = [node for node in nodes(network) if isinstance(node.operation, layers.Add)]
    added = [node_of(tensor).operation for node in sums for tensor in node.input_tensors]
    return [layer for layer in added if isinstance(layer, layers.BatchNormalization) and "shortcut" not in layer.name]


def draw(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name in ("gamma", "moving_variance"):
        return rng.uniform(0.5, 1.5, shape).astype("float32")
    std = (2 / math.prod(shape[:-1])) ** 0.5 if len(shape) > 1 else 0.1
    return rng.standard_normal(shape, "float32") * np.float32(std)
