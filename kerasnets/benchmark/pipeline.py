"""How quickly pictures are made ready to be learned from: cropped after padding, half of them mirrored, normalized.

On one core. kerasnets gives the network uint8 pixels, which its first layer normalizes; here that is counted in.
"""

import os
import time

import numpy as np

from kerasnets.benchmark.figures import Figure
from kerasnets.recipes import RECIPES
from kerasnets.runtime import backends
from kerasnets.runtime.processes import alone

ROW = RECIPES["vgg_cifar-cifar10"]
NETWORKS = {"cifar10": (32, 32, 3)}  # what the pictures are like: (height, width, channels)
STEPS = 40  # of 128 pictures, a run
GOAL = 1e6 / 150_000  # microseconds


def measure(runs, networks=tuple(NETWORKS), tell=print):
    """Figures of one core's microseconds a picture: Batches, normalized and not, beside the tutorials' DataLoader."""
    if not backends.is_installed("torch"):
        raise ImportError(f"the tutorials' DataLoader needs torch: pip install {backends.PACKAGES['torch']}")
    figures = []
    for name in networks:
        for side, values in alone("torch", race, name, runs).items():
            each = tuple(1e6 * s / (STEPS * ROW.batch_size) for s in values)
            goal = GOAL if side == "kerasnets" else None
            figures.append(Figure(f"{name}, crop, flip and normalize", side, "µs a picture", each, goal))
            tell(figures[-1].line())
    return figures


# ---- run in the process of torch ----


def race(name, runs):
    """{side: [seconds, one for each run]}, in turn."""
    import torch

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
    torch.set_num_threads(1)
    shape = NETWORKS[name]
    pixels = np.random.default_rng(0).integers(0, 256, (STEPS * ROW.batch_size, *shape), np.uint8)
    seconds = {}
    for epoch in range(runs + 1):
        for side, batches in sides(pixels, epoch).items():
            begun = time.perf_counter()
            for images in batches:
                assert len(images)
            seconds.setdefault(side, []).append(time.perf_counter() - begun)
    return {side: values[1:] for side, values in seconds.items()}


def sides(pixels, epoch):
    """{side: the batches of images of one epoch}, each made ready when it is asked for."""
    import keras
    from torch.utils.data import DataLoader
    from torchvision import transforms

    from kerasnets.benchmark.torch_loops import Pictures
    from kerasnets.training.batches import Batches
    from kerasnets.training.fast import torch_layers

    labels = np.zeros(len(pixels), int)
    plan = Batches(pixels, labels, ROW.batch_size, epoch + 1, seed=0, first=epoch, augmentation=ROW.augmentation)
    entered = keras.Input(pixels.shape[1:], dtype="uint8")
    layer = keras.layers.Rescaling(*ROW.scaling)
    layer(entered)
    normalize = torch_layers.rescaling(layer)
    tutorial = transforms.Compose([
        transforms.RandomCrop(pixels.shape[1:3], padding=4), transforms.RandomHorizontalFlip(),
        transforms.ToTensor(), transforms.Normalize(ROW.mean, ROW.std),
    ])  # fmt: skip
    loader = DataLoader(Pictures(pixels, labels, tutorial), batch_size=ROW.batch_size, shuffle=True)
    return {
        "kerasnets, before it is normalized": (plan[i][0] for i in range(plan.steps_per_epoch)),
        "kerasnets": (normalize(True, keras.ops.convert_to_tensor(plan[i][0])) for i in range(plan.steps_per_epoch)),
        "tutorial (DataLoader, PIL)": (images for images, _ in loader),
    }
