"""Training by kerasnets beside loops that a person would write by hand, an epoch each in turn.

All train the same network from the same weights on the same batches, and tell loss and accuracy. An epoch's time is
that of its steps: what comes once, as compiling and checkpoints, is left out, on both sides.
"""

import dataclasses
import importlib
import time
from dataclasses import dataclass

import numpy as np

from kerasnets.benchmark.figures import Figure
from kerasnets.recipes import CIFAR_MEAN, CIFAR_STD, RECIPES, Recipe
from kerasnets.runtime import backends
from kerasnets.runtime.processes import alone

MNIST_SHAPE, CIFAR_SHAPE = (28, 28, 1), (32, 32, 3)
AS_IMAGENET = {"small_stem": True}  # of a ResNet for larger pictures, on small ones


@dataclass(frozen=True)
class Race:
    """What is trained. shape: (height, width, channels) of a picture; steps: of an epoch."""

    row: Recipe
    shape: tuple[int, int, int]
    steps: int


def cifar(model, batch_size, **more):
    """A recipe without augmentation: the rivals have none."""
    return Recipe(
        model, "cifar10", mean=CIFAR_MEAN, std=CIFAR_STD, optimizer="sgd", learning_rate=0.1, momentum=0.9,
        batch_size=batch_size, epochs=1, validation=0, goal=None, **more,
    )  # fmt: skip


NETWORKS = {
    "mnist_cnn": Race(RECIPES["mnist_cnn-mnist"], MNIST_SHAPE, 60),
    "baseline_cnn": Race(dataclasses.replace(RECIPES["cifar_net-cifar10"], model="baseline_cnn"), CIFAR_SHAPE, 60),
    "lenet5": Race(RECIPES["lenet5-mnist"], MNIST_SHAPE, 60),
    "vgg_cifar": Race(dataclasses.replace(RECIPES["vgg_cifar-cifar10"], augmentation=""), CIFAR_SHAPE, 4),
    "resnet18": Race(cifar("resnet18", 64, options=AS_IMAGENET), CIFAR_SHAPE, 4),
    "densenet_bc100": Race(cifar("densenet_bc100", 64), CIFAR_SHAPE, 4),
}
SHORT = ("mnist_cnn", "lenet5")  # whose pictures a tutorial's DataLoader takes as long to fetch as the network to learn
# Of the ratio, at most: to the best loop on tensors in memory, to the tutorials' loop on the short ones
GOALS = {"torch": 1.0, "tensorflow": 1.0, "jax": 1.0, "tutorial": 0.6}


def measure(runs, networks=tuple(NETWORKS), tell=print, chosen=None):
    """Race each of the `networks` on each backend of those `chosen`, or that are installed; return the Figures.

    runs: epochs of each side, after one that warms up. Of kerasnets' time by a rival's, 1.0 is as fast, 0.5 twice as
    fast; the goal stands at the fastest of the rivals on tensors in memory.
    Raises ImportError for a backend that is not installed.
    """
    chosen = chosen or [backend for backend in backends.BACKENDS if backends.is_installed(backend)]
    for backend in chosen or backends.BACKENDS[:1]:
        backends.check_installed(backend)
    figures = []
    for backend in chosen:
        for name in networks:
            found = figures_of(name, backend, alone(backend, race, name, runs))
            for figure in found:
                tell(figure.line())
            figures += found
    return figures


def figures_of(name, backend, seconds):
    """The Figures of {side: [seconds of an epoch]}."""
    steps = NETWORKS[name].steps
    ours = seconds["kerasnets"]
    figures = [Figure(f"{name} on {backend}, a step", "kerasnets", "ms", tuple(1000 * s / steps for s in ours))]
    rivals = {side: values for side, values in seconds.items() if side != "kerasnets"}
    in_memory = [side for side in rivals if not side.startswith("tutorial")]
    best = min(in_memory, key=lambda side: np.median(rivals[side]))
    for side, values in rivals.items():
        ratios = tuple(mine / theirs for mine, theirs in zip(ours, values, strict=True))
        goal = (
            GOALS[backend] if side == best else GOALS["tutorial"] if side not in in_memory and name in SHORT else None
        )
        figures.append(Figure(f"{name} on {backend}, a step", side, "ms", tuple(1000 * s / steps for s in values)))
        figures.append(Figure(f"{name} on {backend}, kerasnets by {side}", side, "ratio", ratios, goal))
    return figures


# ---- run in the process of a backend ----


def race(name, runs):
    """{side: [seconds of an epoch, one for each run]}, of kerasnets and of the rivals of this process' backend."""
    import keras

    epochs = runs + 1
    plan, trainee, rivals = sides(name, epochs)
    seconds = {side: [] for side in ("kerasnets", *rivals)}

    class TakeTurns(keras.callbacks.Callback):
        """Lets the rivals train the same epoch after ours."""

        def on_epoch_begin(self, epoch, logs=None):
            self.begun = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            seconds["kerasnets"].append(time.perf_counter() - self.begun)
            order, _ = plan.plan(epoch)
            for side, train in rivals.items():
                begun = time.perf_counter()
                train(order)
                seconds[side].append(time.perf_counter() - begun)

    fit(trainee, plan, epochs, TakeTurns())
    return {side: values[1:] for side, values in seconds.items()}


def sides(name, epochs):
    """(Batches, kerasnets' compiled network, {name of a rival: function that trains an epoch in an order})."""
    import keras

    from kerasnets import models
    from kerasnets.training import batches, train

    entry = NETWORKS[name]
    row = dataclasses.replace(entry.row, epochs=epochs)
    rng = np.random.default_rng(0)
    count = entry.steps * row.batch_size
    pixels = rng.integers(0, 256, (count, *entry.shape), np.uint8)
    labels = rng.integers(0, 10, count)
    keras.utils.set_random_seed(0)
    network = models.build(row.model, input_shape=entry.shape, num_classes=10, **row.options)
    plan = batches.Batches(batches.on_accelerator(pixels), labels, row.batch_size, epochs, seed=0)
    trainee = train.trainee_of(network, row, row.scaling, plan.steps_per_epoch)
    loops = importlib.import_module(f"kerasnets.benchmark.{keras.backend.backend()}_loops")
    return plan, trainee, loops.rivals(network, row, pixels, labels)


def fit(trainee, plan, epochs, *taking_turns):
    """As training.fit does, but for validation, checkpoints and what is printed."""
    import keras

    from kerasnets.training import batches
    from kerasnets.training.callbacks import Figures, StopWhenAsked

    figures = Figures(plan, keep_best=False, patience=0, save=lambda epoch, arrays: None)
    trainee.fit(
        batches.as_fit_takes(plan),
        steps_per_epoch=plan.steps_per_epoch,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[*taking_turns, keras.callbacks.TerminateOnNaN(), StopWhenAsked(), figures],
    )
    return figures
