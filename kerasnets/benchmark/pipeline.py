"""The time to prepare a picture for training on one core: crop after padding, mirror half of them, normalize.

kerasnets passes uint8 pixels to the network, whose first layer normalizes them; that time is included.
"""

import os
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kerasnets.benchmark.figures import Figure, Tell
from kerasnets.recipes import RECIPES
from kerasnets.runtime import backends
from kerasnets.runtime.processes import alone

RECIPE = RECIPES["vgg_cifar-cifar10"]
NETWORKS = {"cifar10": (32, 32, 3)}  # (height, width, channels) of the pictures
STEPS = 40  # batches of 128 pictures in a run
GOAL = 1e6 / 150_000  # microseconds: 150,000 pictures a second


def measure(runs: int, networks: Sequence[str] = tuple(NETWORKS), tell: Tell = print) -> list[Figure]:
    """Return microseconds a picture on one core: our Batches, with and without normalization, and a DataLoader.

    Raises:
        ImportError: torch, which has the DataLoader, is not installed.
    """
    if not backends.is_installed("torch"):
        raise ImportError(f"the tutorials' DataLoader needs torch: pip install {backends.PACKAGES['torch']}")
    figures = []
    for name in networks:
        for side, seconds in alone("torch", race, name, runs).items():
            values = tuple(1e6 * s / (STEPS * RECIPE.batch_size) for s in seconds)
            goal = GOAL if side == "kerasnets" else None
            figures.append(Figure(f"{name}, crop, flip and normalize", side, "µs a picture", values, goal))
            tell(figures[-1].line())
    return figures


# ---- in the process of torch ----


def race(name: str, runs: int) -> dict[str, list[float]]:
    """Return {competitor: seconds of each run}; competitors run in turn, after one run to warm up."""
    import torch

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
    torch.set_num_threads(1)
    shape = NETWORKS[name]
    pixels = np.random.default_rng(0).integers(0, 256, (STEPS * RECIPE.batch_size, *shape), np.uint8)
    seconds: dict[str, list[float]] = {}
    for epoch in range(runs + 1):
        for side, batches in sides(pixels, epoch).items():
            begin = time.perf_counter()
            for images in batches:
                assert len(images)
            seconds.setdefault(side, []).append(time.perf_counter() - begin)
    return {side: values[1:] for side, values in seconds.items()}


def sides(pixels: np.ndarray, epoch: int) -> dict[str, Iterable[Any]]:
    """Return {competitor: the batches of images of one epoch}, each prepared on demand."""
    import keras
    from torch.utils.data import DataLoader
    from torchvision import transforms

    from kerasnets.benchmark.torch_loops import Pictures
    from kerasnets.training.batches import Batches
    from kerasnets.training.fast import torch_layers

    labels = np.zeros(len(pixels), int)
    plan = Batches(pixels, labels, RECIPE.batch_size, epoch + 1, seed=0, first=epoch, augmentation=RECIPE.augmentation)
    inputs = keras.Input(pixels.shape[1:], dtype="uint8")
    layer = keras.layers.Rescaling(*RECIPE.scaling)
    layer(inputs)
    normalize = torch_layers.rescaling(layer)
    assert normalize is not None  # one scale and one offset for each channel
    tutorial = transforms.Compose([
        transforms.RandomCrop(pixels.shape[1:3], padding=4), transforms.RandomHorizontalFlip(),
        transforms.ToTensor(), transforms.Normalize(RECIPE.mean, RECIPE.std),
    ])  # fmt: skip
    loader = DataLoader(Pictures(pixels, labels, tutorial), batch_size=RECIPE.batch_size, shuffle=True)
    return {
        "kerasnets, without normalization": (plan[i][0] for i in range(plan.steps_per_epoch)),
        "kerasnets": (normalize(True, keras.ops.convert_to_tensor(plan[i][0])) for i in range(plan.steps_per_epoch)),
        "tutorial (DataLoader, PIL)": (images for images, _ in loader),
    }
