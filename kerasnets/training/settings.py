"""The settings of a recipe: checked, compared between two runs, and written down."""

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasnets.recipes import BALANCED, OF_ALL_EPOCHS, OPTIMIZERS, PRECISIONS, SCHEDULES, Recipe

if TYPE_CHECKING:
    from kerasnets.data import Data

# Settings that a checkpoint leaves out at their defaults: checkpoints of earlier versions lack them.
LATER = (
    "precision", "compiled", "decay_norms", "mixup", "cutmix", "random_erasing", "trivial_augment",
    "class_weights", "gradient_clip", "accumulate", "ema", "progressive_size",
)  # fmt: skip
NOT_COMPARED = ("published", "goal", "goal_on", "dataset", "by_data")  # a resumed run may differ in these
NOT_USED = ("published", "goal", "goal_on", "by_data")  # in a training

# Setting -> (its least value, its largest value, whether that is allowed itself)
RANGES = {
    "learning_rate": (0.0, math.inf, False), "momentum": (0.0, 1.0, False), "weight_decay": (0.0, math.inf, False),
    "label_smoothing": (0.0, 1.0, False), "mixup": (0.0, math.inf, False), "cutmix": (0.0, math.inf, False),
    "random_erasing": (0.0, 1.0, True), "gradient_clip": (0.0, math.inf, False), "ema": (0.0, 1.0, False),
    "validation": (0.0, math.inf, False), "accumulate": (1, math.inf, False), "patience": (0, math.inf, False),
}  # fmt: skip
NAMED = {"optimizer": OPTIMIZERS, "precision": PRECISIONS, "class_weights": ("", BALANCED)}
LOSSES = {"squared_error": "squared error"}
OF_IMAGES = ("augmentation", "cutmix", "random_erasing", "trivial_augment")


def check_recipe(recipe: Recipe, examples: "Data") -> None:
    """Raise ValueError for impossible settings, or for settings that do not suit the data."""
    if not recipe.learning_rate > 0:
        raise ValueError(f"the learning rate must be above 0, not {recipe.learning_rate}")
    for name, (least, most, is_allowed) in RANGES.items():
        value, words = getattr(recipe, name), name.replace("_", " ")
        if not (least <= value < most or (is_allowed and value == most)):
            limit = f" and {'at most' if is_allowed else 'below'} {most:g}" if most < math.inf else ""
            raise ValueError(f"{words} must be at least {least:g}{limit}, not {value}")
    for name, choices in NAMED.items():
        value, words = getattr(recipe, name), name.replace("_", " ")
        if value not in choices:
            raise ValueError(f"unknown {words} {value!r}; choose one of: {', '.join(filter(None, choices))}")
    if recipe.schedule and recipe.schedule[0] not in SCHEDULES:
        raise ValueError(f"unknown schedule {recipe.schedule[0]!r}; choose one of: {', '.join(SCHEDULES)}")
    if recipe.label_smoothing and recipe.loss != "cross_entropy":
        raise ValueError(f"label smoothing goes with the cross-entropy; {recipe.name} has the {LOSSES[recipe.loss]}")
    if recipe.patience and not (recipe.keep_best and recipe.validation):
        raise ValueError(f"{recipe.name} holds out no validation data, which patience needs; leave patience out")
    for name in OF_IMAGES:
        if getattr(recipe, name) and len(examples.image_shape) != 3:
            what = recipe.augmentation if name == "augmentation" else name.replace("_", " ")
            raise ValueError(f"{what} changes images; {examples.title} has rows of numbers")


def check_accumulation(recipe: Recipe, steps_per_epoch: int) -> None:
    """Raise ValueError if all batches of a training are fewer than one step of the optimizer takes."""
    batches = recipe.epochs * steps_per_epoch
    if recipe.accumulate > batches:
        raise ValueError(f"a step of the optimizer takes {recipe.accumulate} batches, but the training has {batches}")


def without_effect(recipe: Recipe) -> list[str]:
    """Return a sentence on each setting that does nothing beside the others."""
    falls = recipe.schedule[2] if recipe.schedule[:1] == ("epochs",) else ()
    late = [str(epoch) for epoch in falls if epoch >= recipe.epochs]
    return [text for text, is_true in (
        (f"{recipe.optimizer} takes no momentum: that of {recipe.momentum:g} has no effect",
         recipe.momentum and recipe.optimizer != "sgd"),
        ("without weight decay, decay_norms=False has no effect", not (recipe.weight_decay or recipe.decay_norms)),
        (f"the learning rate would fall after epoch {' and '.join(late)}, and the training has {recipe.epochs}", late),
    ) if is_true]  # fmt: skip


def class_weights_of(recipe: Recipe, labels: np.ndarray, num_classes: int) -> list[float] | None:
    """Return how much an example of each class counts, 1 on average; None if all count the same.

    As in scikit-learn, the classes then have the same sum. A class without examples has the weight of one with one.
    """
    if not recipe.class_weights:
        return None
    counts = np.bincount(labels, minlength=num_classes)
    return (len(labels) / (num_classes * np.maximum(counts, 1))).tolist()


def compared(recipe: Recipe) -> dict[str, Any]:
    """Return the settings that a run must share with one that it resumes."""
    settings = {name: value for name, value in dataclasses.asdict(recipe).items() if name not in NOT_COMPARED}
    for name in LATER:
        if settings[name] == getattr(Recipe, name):
            del settings[name]
    if not ((recipe.schedule and recipe.schedule[0] in OF_ALL_EPOCHS) or len(recipe.progressive_size) == 2):
        del settings["epochs"]  # neither rate nor size depends on them: a run can resume with more
    return settings


def used(recipe: Recipe) -> dict[str, Any]:
    """Return all settings of a training, in values that JSON has."""
    return {name: value for name, value in dataclasses.asdict(recipe).items() if name not in NOT_USED}
