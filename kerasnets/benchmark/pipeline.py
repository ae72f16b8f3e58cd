"""The time to prepare a picture for training on one core.

cifar10: crop after padding, mirror half of them, normalize. kerasnets passes uint8 pixels to the network, whose first
layer normalizes them; that time is included.

photos: read and decode a JPEG of 500x375, crop a random part to 224x224, mirror half of them.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasnets.benchmark.figures import Figure, Tell
from kerasnets.recipes import RECIPES
from kerasnets.runtime import backends
from kerasnets.runtime.processes import alone

RECIPE = RECIPES["vgg_cifar-cifar10"]
SHAPE = 32, 32, 3  # (height, width, channels) of CIFAR-10's pictures
PHOTO, CROP = (375, 500), 224
PHOTOS_IN_BATCH = 64

Sides = dict[str, Iterable[Any]]  # {competitor: the batches of images of one epoch}, each prepared on demand


def measure(runs: int, networks: Sequence[str] | None = None, tell: Tell = print) -> list[Figure]:
    """Return microseconds a picture on one core: our Batches, and a DataLoader of torchvision's transforms.

    Raises:
        ImportError: torch, which has the DataLoader, is not installed.
    """
    if not backends.is_installed("torch"):
        raise ImportError(f"the tutorials' DataLoader needs torch: pip install {backends.PACKAGES['torch']}")
    figures = []
    for name in networks or NETWORKS:
        race_of = NETWORKS[name]
        for side, seconds in alone("torch", race, name, runs).items():
            values = tuple(1e6 * s / race_of.count for s in seconds)
            goal = 1e6 / race_of.goal if side == "kerasnets" else None
            figures.append(Figure(f"{name}, {race_of.what}", side, "µs a picture", values, goal))
            tell(figures[-1].line())
    return figures


# ---- in the process of torch ----


def race(name: str, runs: int) -> dict[str, list[float]]:
    """Return {competitor: seconds of each run}; competitors run in turn, after one run to warm up."""
    import torch

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
    torch.set_num_threads(1)
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        sides_of = NETWORKS[name].prepare(Path(folder), NETWORKS[name].count)
        for epoch in range(runs + 1):
            for side, batches in sides_of(epoch).items():
                begin = time.perf_counter()
                for images in batches:
                    assert len(images)
                seconds.setdefault(side, []).append(time.perf_counter() - begin)
    return {side: values[1:] for side, values in seconds.items()}


def cifar10(folder: Path, count: int) -> Callable[[int], Sides]:
    """Return the race for random pictures of CIFAR-10's size, as a function of the epoch."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, *SHAPE), np.uint8)
    return lambda epoch: sides(pixels, epoch)


def sides(pixels: np.ndarray, epoch: int) -> Sides:
    """Return the competitors for pictures in memory."""
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
        "kerasnets, without normalization": images_of(plan),
        "kerasnets": (normalize(True, keras.ops.convert_to_tensor(images)) for images in images_of(plan)),
        "tutorial (DataLoader, PIL)": (images for images, _ in loader),
    }


def photos(folder: Path, count: int) -> Callable[[int], Sides]:
    """Write JPEGs into class folders; return the race for them, as a function of the epoch."""
    from kerasnets.data.folders import Reading, read_classes

    write_photos(folder / "train", count)
    write_photos(folder / "test", 2)
    streamed = read_classes(folder, (CROP, CROP, 3), input_kind="crop", reading=Reading(native=True))
    return lambda epoch: sides_of_photos(streamed.train_images, folder / "train", epoch)


def sides_of_photos(images: Any, folder: Path, epoch: int) -> Sides:
    """Return the competitors for pictures in a folder."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    from kerasnets.training.batches import Batches

    shape = CROP, CROP, 3
    labels = np.zeros(len(images), int)
    plan = Batches(images, labels, PHOTOS_IN_BATCH, epoch + 1, seed=0, first=epoch, augmentation="photo", shape=shape)
    tutorial = transforms.Compose([
        transforms.RandomResizedCrop(CROP), transforms.RandomHorizontalFlip(), transforms.PILToTensor(),
    ])  # fmt: skip
    loader = DataLoader(datasets.ImageFolder(folder, tutorial), batch_size=PHOTOS_IN_BATCH, shuffle=True)
    return {"kerasnets": images_of(plan), "tutorial (DataLoader, PIL)": (images for images, _ in loader)}


def write_photos(folder: Path, count: int) -> None:
    """Write `count` JPEGs of some 90 kB, as large as ImageNet's are on average: smooth colours with some grain."""
    import cv2

    generator = np.random.default_rng(0)
    for i in range(count):
        height, width = PHOTO
        smooth = cv2.resize(generator.uniform(0, 255, (8, 10, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
        grain = cv2.GaussianBlur(generator.normal(0, 58, (height, width, 3)), (0, 0), 0.8)
        path = folder / "ab"[i % 2] / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.clip(smooth + grain, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])


def images_of(plan: Any) -> Iterator[Any]:
    """Yield the images of the batches of one epoch, none of them made ahead for the next."""
    return (plan.make(i)[0] for i in range(plan.steps_per_epoch))


@dataclass(frozen=True)
class Race:
    """What is raced: a name for it, the pictures in a run, the goal in pictures a second, and how it is prepared."""

    what: str
    count: int
    goal: float
    prepare: Callable[[Path, int], Callable[[int], Sides]]


NETWORKS = {
    "cifar10": Race("crop, flip and normalize", 40 * RECIPE.batch_size, 150_000, cifar10),
    "photos": Race("decode, crop and flip", 500, 600, photos),
}
