"""The time of training by kerasnets and by hand-written loops, an epoch of each in turn.

All train the same network from the same weights on the same batches, and compute loss and accuracy. The time of an
epoch is the time of its steps: compilation and checkpoints are left out, for all competitors.
"""

import dataclasses
import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasnets.benchmark.figures import Figure, Tell
from kerasnets.recipes import CIFAR_MEAN, CIFAR_STD, RECIPES, Recipe
from kerasnets.runtime import backends
from kerasnets.runtime.processes import alone

if TYPE_CHECKING:
    import keras

    from kerasnets.training.batches import Batches
    from kerasnets.training.callbacks import Figures

Learn = Callable[[np.ndarray], tuple[float, float]]  # order of the pictures -> (loss, accuracy) of one epoch

MNIST_SHAPE, CIFAR_SHAPE = (28, 28, 1), (32, 32, 3)
SMALL_STEM = {"small_stem": True}  # fits a ResNet of larger pictures to small ones


@dataclass(frozen=True)
class Race:
    """A training run to measure.

    Attributes:
        recipe: The network, optimizer, batch size and scaling.
        shape: (height, width, channels) of a picture.
        steps: The steps of an epoch.
    """

    recipe: Recipe
    shape: tuple[int, int, int]
    steps: int


def cifar(model: str, batch_size: int, **more: Any) -> Recipe:
    """Return a recipe without augmentation, which the competitors do not have."""
    return Recipe(
        model, "cifar10", mean=CIFAR_MEAN, std=CIFAR_STD, optimizer="sgd", learning_rate=0.1, momentum=0.9,
        batch_size=batch_size, epochs=1, validation=0, goal=None, **more,
    )  # fmt: skip


NETWORKS = {
    "mnist_cnn": Race(RECIPES["mnist_cnn-mnist"], MNIST_SHAPE, 60),
    "baseline_cnn": Race(dataclasses.replace(RECIPES["cifar_net-cifar10"], model="baseline_cnn"), CIFAR_SHAPE, 60),
    "lenet5": Race(RECIPES["lenet5-mnist"], MNIST_SHAPE, 60),
    "vgg_cifar": Race(dataclasses.replace(RECIPES["vgg_cifar-cifar10"], augmentation=""), CIFAR_SHAPE, 4),
    "resnet18": Race(cifar("resnet18", 64, options=SMALL_STEM), CIFAR_SHAPE, 4),
    "densenet_bc100": Race(cifar("densenet_bc100", 64), CIFAR_SHAPE, 4),
}
SHORT = ("mnist_cnn", "lenet5")  # for these the DataLoader takes as long as the network
# The largest ratio to the best loop on tensors in memory; to the tutorials' loop, for networks in SHORT
GOALS = {"torch": 1.0, "tensorflow": 1.0, "jax": 1.0, "tutorial": 0.6}


def measure(
    runs: int,
    networks: Sequence[str] = tuple(NETWORKS),
    tell: Tell = print,
    chosen: Sequence[str] | None = None,
) -> list[Figure]:
    """Return the times of all competitors, and kerasnets' time divided by each competitor's.

    A ratio of 0.5 means that kerasnets is twice as fast. The goal is set for the fastest competitor on tensors in
    memory.

    Args:
        runs: Epochs of each competitor, after one to warm up.
        networks: Names in NETWORKS.
        tell: Is called with a line for each figure.
        chosen: The backends; all installed ones by default.

    Raises:
        ImportError: A backend is not installed.
    """
    chosen = chosen or [backend for backend in backends.BACKENDS if backends.is_installed(backend)]
    for backend in chosen or backends.BACKENDS[:1]:
        backends.check_installed(backend)
    figures = []
    for backend in chosen:
        for name in networks:
            measured = figures_of(name, backend, alone(backend, race, name, runs))
            for figure in measured:
                tell(figure.line())
            figures += measured
    return figures


def figures_of(name: str, backend: str, seconds: Mapping[str, Sequence[float]]) -> list[Figure]:
    """Return the figures of one race, {competitor: seconds of each epoch}."""
    steps, ours = NETWORKS[name].steps, seconds["kerasnets"]
    what = f"{name} on {backend}, time of a step"
    figures = [Figure(what, "kerasnets", "ms", tuple(1000 * s / steps for s in ours))]
    others = {competitor: values for competitor, values in seconds.items() if competitor != "kerasnets"}
    in_memory = [competitor for competitor in others if not competitor.startswith("tutorial")]
    best = min(in_memory, key=lambda competitor: float(np.median(others[competitor])))
    goals = {best: GOALS[backend]}
    if name in SHORT:
        goals |= {competitor: GOALS["tutorial"] for competitor in others if competitor not in in_memory}
    for competitor, theirs in others.items():
        ratios = tuple(our / their for our, their in zip(ours, theirs, strict=True))
        ratio = f"{name} on {backend}, kerasnets / {competitor}"
        figures.append(Figure(what, competitor, "ms", tuple(1000 * s / steps for s in theirs)))
        figures.append(Figure(ratio, competitor, "ratio", ratios, goals.get(competitor)))
    return figures


# ---- in the process of a backend ----


def race(name: str, runs: int) -> dict[str, list[float]]:
    """Return {competitor: seconds of each epoch} on this process's backend; the first epoch warms up."""
    import keras

    epochs = runs + 1
    plan, model, others = competitors(name, epochs)
    seconds: dict[str, list[float]] = {competitor: [] for competitor in ("kerasnets", *others)}

    epoch_begin = 0.0

    def note_time(epoch: int, logs: object) -> None:
        nonlocal epoch_begin
        epoch_begin = time.perf_counter()

    def train_others(epoch: int, logs: object) -> None:
        seconds["kerasnets"].append(time.perf_counter() - epoch_begin)
        order, _ = plan.plan(epoch)
        for competitor, train in others.items():
            begin = time.perf_counter()
            train(order)
            seconds[competitor].append(time.perf_counter() - begin)

    fit(model, plan, epochs, keras.callbacks.LambdaCallback(on_epoch_begin=note_time, on_epoch_end=train_others))
    return {competitor: values[1:] for competitor, values in seconds.items()}


def competitors(name: str, epochs: int) -> "tuple[Batches, keras.Model, dict[str, Learn]]":
    """Return (the batches, kerasnets' compiled network, {competitor: function that trains one epoch})."""
    import keras

    from kerasnets import models
    from kerasnets.training.batches import Batches, on_accelerator
    from kerasnets.training.trainee import trainee_of

    entry = NETWORKS[name]
    recipe = dataclasses.replace(entry.recipe, epochs=epochs)
    rng = np.random.default_rng(0)
    count = entry.steps * recipe.batch_size
    pixels = rng.integers(0, 256, (count, *entry.shape), np.uint8)
    labels = rng.integers(0, 10, count)
    keras.utils.set_random_seed(0)
    network = models.build(recipe.model, input_shape=entry.shape, num_classes=10, **recipe.options)
    plan = Batches(on_accelerator(pixels), labels, recipe.batch_size, epochs, seed=0)
    model = trainee_of(network, recipe, recipe.scaling, plan.steps_per_epoch)
    loops = importlib.import_module(f"kerasnets.benchmark.{keras.backend.backend()}_loops")
    return plan, model, loops.competitors(network, recipe, pixels, labels)


def fit(model: "keras.Model", plan: "Batches", epochs: int, *callbacks: "keras.callbacks.Callback") -> "Figures":
    """Train as `training.train` does, but without validation, checkpoints and output."""
    import keras

    from kerasnets.training.batches import as_fit_takes
    from kerasnets.training.callbacks import Figures, StopWhenAsked

    figures = Figures(plan, keep_best=False, patience=0, save=lambda epoch, arrays: None)
    model.fit(
        as_fit_takes(plan),
        steps_per_epoch=plan.steps_per_epoch,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[*callbacks, keras.callbacks.TerminateOnNaN(), StopWhenAsked(), figures],
    )
    return figures
