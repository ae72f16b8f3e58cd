"""Own pictures by kerasnets and by a loop in plain PyTorch: the same network, settings and pictures.

    python -m kerasnets.project.own_pictures FOLDER --loop
    KERAS_BACKEND=jax python -m kerasnets.project.own_pictures FOLDER --stream

The pictures are drawn here, into FOLDER: textures and shapes of five classes, at many sizes, turned and noisy. The
network is trained from scratch, and fine-tuned from one that has learned five other classes. With `--loop`, PyTorch's
loop trains; otherwise kerasnets does, on its backend, from memory or streamed, alone or as the workers that torchrun
has started. Each case is one line: its accuracies, their mean and its standard error. PyTorch's running variance is
unbiased and Keras' is not, which is the only difference.
"""

from kerasnets.runtime.chosen import BACKEND as BACKEND

import argparse
import contextlib
import dataclasses
import functools
import io
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np

from kerasnets import data, recipes, saving
from kerasnets.runtime.atomic import whole_folder
from kerasnets.training.train import train

SIDE, TESTS, EPOCHS = 32, 1000, 60
FILTERS = (16, 32, 64)
COUNTS = (60, 200, 600)  # pictures to train on
OTHERS = "others"  # the folder of the five other classes
NAMES = ("stripes", "checks", "dots", "ring", "triangle"), ("square", "waves", "cross", "spiral", "zigzag")
RECIPE = recipes.with_changes(
    recipes.own("small", "drawn"), batch_size=32, epochs=EPOCHS, validation=0.0, keep_best=False,
    schedule=("cosine", 1), label_smoothing=0.1, augmentation="crop_flip",
)  # fmt: skip
RATES = {"scratch": 0.002, "finetune": 0.001}


# ---- pictures --------------------------------------------------------------------------------------------------------

# class -> whether points (u, v), turned and scaled, lie on the figure
FIGURES: dict[str, Callable[..., np.ndarray]] = {
    "stripes": lambda u, v: np.sin(4 * u) > 0,
    "checks": lambda u, v: np.sin(3 * u) * np.sin(3 * v) > 0,
    "dots": lambda u, v: np.cos(3 * u) + np.cos(3 * v) > 0.7,
    "ring": lambda u, v: abs(np.hypot(u, v) - 1) < 0.3,
    "triangle": lambda u, v: np.maximum(-v, abs(u) * 0.87 + v * 0.5) < 0.6,
    "square": lambda u, v: np.maximum(abs(u), abs(v)) < 0.9,
    "waves": lambda u, v: np.sin(4 * u + 1.5 * np.sin(3 * v)) > 0,
    "cross": lambda u, v: (np.minimum(abs(u), abs(v)) < 0.3) & (np.maximum(abs(u), abs(v)) < 1.1),
    "spiral": lambda u, v: np.sin(6 * np.hypot(u, v) + np.arctan2(v, u)) > 0,
    "zigzag": lambda u, v: np.sin(4 * u + 2 * abs((v % 2) - 1)) > 0,
}


def draw(name: str, random: np.random.Generator) -> np.ndarray:
    """Return one picture of a class, uint8 (SIDE, SIDE, 3)."""
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    angle, size = random.uniform(0, 2 * np.pi), random.uniform(0.3, 0.7)
    x, y = x - random.uniform(-0.4, 0.4), y - random.uniform(-0.4, 0.4)
    u, v = (x * np.cos(angle) - y * np.sin(angle)) / size, (x * np.sin(angle) + y * np.cos(angle)) / size
    figure = FIGURES[name](u, v)[..., None]
    back, shift = random.uniform(60, 190, 3), random.normal(0, 1, 3)
    front = back + shift / np.linalg.norm(shift) * random.uniform(80, 200)
    light = 1 + random.uniform(-0.4, 0.4) * x[..., None] + random.uniform(-0.4, 0.4) * y[..., None]
    pixels = np.where(figure, front, back) * light + random.normal(0, 10, (SIDE, SIDE, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def examples(names: tuple[str, ...], count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (pictures, labels) of as many of each class."""
    labels = np.arange(count) % len(names)
    random = np.random.default_rng(seed)
    return np.stack([draw(names[label], random) for label in labels]), labels


def write(folder: Path, names: tuple[str, ...], count: int, seed: int) -> None:
    """Write `count` training pictures and TESTS test pictures as PNG files, a folder for each class."""
    for part, total, each in (("train", count, seed), ("test", TESTS, seed + 1)):
        for i, (picture, label) in enumerate(zip(*examples(names, total, each), strict=True)):
            path = folder / part / names[label] / f"{i:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), picture[..., ::-1])


# ---- kerasnets -------------------------------------------------------------------------------------------------------


def network(shape: tuple[int, ...], num_classes: int) -> keras.Model:
    """Build convolutions with batch normalization, each followed by a pooling, and a dense layer of the mean."""
    inputs = x = keras.Input(shape, name="input")
    for i, filters in enumerate(FILTERS):
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv{i}")(x)
        x = keras.layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=f"norm{i}")(x)
        x = keras.layers.MaxPooling2D(2, name=f"pool{i}")(keras.layers.ReLU(name=f"relu{i}")(x))
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes, name="logits")(x), name="small")


def by_kerasnets(
    folder: Path, rate: float, seed: int, weights: Path | None, out: Path, *, stream: bool = False
) -> float:
    """Train on a folder of pictures; return the accuracy on its test pictures."""
    recipe = dataclasses.replace(RECIPE, learning_rate=rate)
    own: dict[str, Any] = {"weights": weights} if weights else {"network": network}
    with contextlib.redirect_stdout(io.StringIO()):
        return train(recipe, arrays=folder, stream=stream, seed=seed, out=out, overwrite=True, **own).test_accuracy


# ---- plain PyTorch ---------------------------------------------------------------------------------------------------


def by_loop(folder: Path, rate: float, seed: int, weights: Path | None) -> float:
    """Train as a person would write it; `weights` is a file of `network`."""
    import torch
    from torch.nn import functional

    torch.manual_seed(seed)
    content = data.load_data(folder)
    module = pytorch_network(len(content.class_names))
    if weights:
        copy(weights, module)

    def scaled(images: np.ndarray) -> Any:
        return torch.tensor(images).permute(0, 3, 1, 2).float() / 127.5 - 1

    images, labels = scaled(content.train_images), torch.tensor(content.train_labels)
    count, size = len(labels), RECIPE.batch_size
    steps = -(-count // size)
    optimizer = torch.optim.Adam(module.parameters(), rate, eps=1e-7)  # as Keras has it
    warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / steps, 1, steps)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, (EPOCHS - 1) * steps)
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [warm_up, fall], [steps])
    for _ in range(EPOCHS):
        for chosen in torch.randperm(count).split(size):
            padded = functional.pad(images[chosen], (4, 4, 4, 4), value=-1.0)
            places = torch.randint(0, 9, (len(chosen), 2)).tolist()
            parts = zip(padded, places, strict=True)
            batch = torch.stack([image[:, y : y + SIDE, x : x + SIDE] for image, (y, x) in parts])
            batch = torch.where((torch.rand(len(chosen)) < 0.5)[:, None, None, None], batch.flip(3), batch)
            optimizer.zero_grad()
            functional.cross_entropy(module(batch), labels[chosen], label_smoothing=0.1).backward()
            optimizer.step()
            schedule.step()
    module.eval()
    with torch.no_grad():
        answers = module(scaled(content.test_images)).argmax(1).numpy()
    return float((answers == content.test_labels).mean())


def pytorch_network(num_classes: int) -> Any:
    """Return `network` as a person writes it in PyTorch, with initial weights like Keras'."""
    from torch import nn

    layers, channels = list[nn.Module](), 3
    for filters in FILTERS:
        conv = nn.Conv2d(channels, filters, 3, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(filters), nn.ReLU(), nn.MaxPool2d(2)]
        channels = filters
    head = nn.Linear(channels, num_classes)
    module = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    for layer in module:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(head.bias)
    return module


def copy(weights: Path, module: Any) -> None:
    """Copy a file's convolutions and normalizations into `pytorch_network`."""
    import torch

    model = saving.load(weights)[0]
    with torch.no_grad():
        for i in range(len(FILTERS)):
            conv, norm = module[4 * i], module[4 * i + 1]
            [kernel] = model.get_layer(f"conv{i}").get_weights()
            conv.weight.copy_(torch.tensor(kernel.transpose(3, 2, 0, 1)))
            values = map(torch.tensor, model.get_layer(f"norm{i}").get_weights())
            for tensor, value in zip(
                (norm.weight, norm.bias, norm.running_mean, norm.running_var), values, strict=True
            ):
                tensor.copy_(value)


# ---- all cases -------------------------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> None:
    """Run all cases by one way and print them."""
    parser = argparse.ArgumentParser(description="Compare trainings on own pictures with a loop in plain PyTorch.")
    parser.add_argument("folder", type=Path, help="where pictures and model files are written")
    parser.add_argument("--loop", action="store_true", help="train by the loop instead of kerasnets")
    parser.add_argument("--stream", action="store_true", help="read the pictures from the disk batch by batch")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="how many seeds (default: 3)")
    options = parser.parse_args(argv)
    if options.loop and options.stream:
        parser.error("--loop reads the pictures into memory; leave out --stream")
    folder: Path = options.folder
    leads = os.environ.get("RANK", "0") == "0"
    for name, names, count, seed in ((OTHERS, NAMES[1], 600, 3), *((str(n), NAMES[0], n, 1) for n in COUNTS)):
        if leads and not (folder / name).is_dir():
            with whole_folder(folder / name) as part:
                write(part, names, count, seed)
        while not (folder / name).is_dir():  # until worker 0 has drawn them
            time.sleep(0.1)
    first, out = folder / "first.keras", folder / "out.keras"
    if not first.is_file():
        by_kerasnets(folder / OTHERS, RATES["scratch"], 0, None, first)
    by = by_loop if options.loop else functools.partial(by_kerasnets, out=out, stream=options.stream)
    title = "PyTorch loop" if options.loop else f"kerasnets on {keras.backend.backend()}"
    for count in COUNTS:
        for case, rate in RATES.items():
            weights = first if case == "finetune" else None
            accuracies = [by(folder / str(count), rate, seed, weights) for seed in range(options.seeds)]
            error = np.std(accuracies, ddof=1) / np.sqrt(options.seeds)
            each = " ".join(f"{accuracy:.3f}" for accuracy in accuracies)
            if leads:
                mean = f"mean {np.mean(accuracies):.4f} +- {error:.4f}"
                print(f"{title}: {count} pictures, {case}: {each}, {mean}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
