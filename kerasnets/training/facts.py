"""How a model was made, as the table at the end of a training's report."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kerasnets.recipes import Recipe
from kerasnets.reports.tables import Table

if TYPE_CHECKING:
    from kerasnets.training.jobs import TrainingJob
    from kerasnets.training.run import Run

MOST_NAMED = 3  # frozen layers whose names are listed

# Name in a recipe -> words for the page
AUGMENTATIONS = {
    "": "",
    "crop_flip": "shifted by up to 4 pixels, half of the pictures mirrored",
    "crop_flip_cutout": "shifted by up to 4 pixels, half of the pictures mirrored, a square of 16 pixels greyed out",
    "shift": "shifted by up to 2 pixels",
    "shift_flip": "shifted by up to 2 pixels, half of the pictures mirrored",
    "crop": "shifted by up to 4 pixels",
    "flip": "half of the pictures mirrored",
    "photo": "a part of 8 to 100 % of the photo, half of them mirrored",
    "photo_colour": "a part of 8 to 100 % of the photo, half of them mirrored, in other colours",
    "photo_upright": "a part of 8 to 100 % of the photo",
    "photo_colour_upright": "a part of 8 to 100 % of the photo, in other colours",
}
LOSSES = {"cross_entropy": "cross-entropy", "squared_error": "squared error of the probabilities"}
SCHEDULES: dict[str, Callable[..., str]] = {
    "steps": lambda factor, steps: f", times {factor:g} from step {' and '.join(f'{step:,}' for step in steps)} on",
    "cosine": lambda warmup: f", reached in {warmup:g} epochs" * (warmup > 0) + ", falling to 0 in half a cosine",
    "linear": lambda warmup: f", reached in {warmup:g} epochs" * (warmup > 0) + ", falling to 0 in a line",
    "constant": lambda warmup: f", reached in {warmup:g} epochs" * (warmup > 0),
    "epochs": lambda factor, epochs, warmup=0: (
        f", reached in {warmup:g} epochs" * (warmup > 0)
        + f", times {factor:g} after epoch {' and '.join(map(str, epochs))}"
    ),
    "onecycle": lambda rise: f", reached after {rise:.0%} of all steps, then falling to almost 0",
}


def table_of_settings(job: "TrainingJob", run: "Run", train_count: int) -> Table:
    """Return how the model was made; `train_count` is the number of training examples without validation."""
    left_out = job.data.left_out
    shape, examples = "x".join(map(str, job.network.input_shape[1:])), len(job.data.train_labels)
    kept = f", the weights are from epoch {run.best_epoch}" if run.best_epoch < run.epochs else ""
    settings = {
        "recipe": run.recipe,
        "data": run.dataset,
        "examples": f"{train_count:,} for training, {examples - train_count:,} for validation, "
                    f"{len(job.data.test_labels):,} for the test",
        "left out": f"{len(left_out)} pictures that cannot be read: {name_some(left_out, 'pictures')}" * bool(left_out),
        "network": f"{job.recipe.model} for {shape}, {job.parameters:,} trained parameters",
        "options": ", ".join(f"{name} {value}" for name, value in job.recipe.options.items()),
        "first weights": str(job.weights or ""),
        "frozen layers": name_some(job.frozen),
        "scaling": scaling_of(job),
        **settings_of(job.recipe),
        "epochs": f"{run.epochs} in {run.seconds:,.0f} s{kept}",
        "seed": str(run.seed),
        "backend": run.backend,
        "machine": run.machine,
        "versions": ", ".join(f"{name} {version}" for name, version in run.versions.items()),
        "commit": run.commit,
        "model": ", ".join(run.files),
        "figures": "epochs.csv and batches.csv in the same folder",
    }  # fmt: skip
    return Table((), [(name, value) for name, value in settings.items() if value])


def settings_of(recipe: Recipe) -> dict[str, str]:
    """Return {name: words} of a recipe's settings of the training; "" for an unused one."""
    momentum = f", momentum {recipe.momentum:g}" if recipe.momentum and recipe.optimizer == "sgd" else ""
    schedule = SCHEDULES[recipe.schedule[0]](*recipe.schedule[1:]) if recipe.schedule else ""
    spared = "" if recipe.decay_norms else ", without biases and normalizations"
    words = {
        "augmentation": AUGMENTATIONS[recipe.augmentation],
        "progressive size": growth_of(recipe),
        "batch size": str(recipe.batch_size or "all examples at once"),
        "optimizer": f"{recipe.optimizer}{momentum}",
        "learning rate": f"{recipe.learning_rate:g}{schedule}",
        "precision": f"{recipe.precision}; evaluated in float32" if recipe.precision != "float32" else "",
        "compiled": "each step as one program" if recipe.compiled else "",
        "loss": LOSSES[recipe.loss],
        "weight decay": f"{recipe.weight_decay:g}{spared}",
        "label smoothing": f"{recipe.label_smoothing:g}",
        "mixup": f"alpha {recipe.mixup:g}",
        "cutmix": f"alpha {recipe.cutmix:g}",
        "random erasing": f"a box in {recipe.random_erasing:.0%} of the pictures",
        "trivial augment": "one change out of fourteen to each picture",
        "class weights": recipe.class_weights,
        "gradient clip": f"norm of at most {recipe.gradient_clip:g}",
        "accumulate": f"{recipe.accumulate} batches for one step of the optimizer",
        "ema": f"average of the weights, momentum {recipe.ema:g} by batch; tested and saved",
        "patience": f"{recipe.patience} epochs without a better one",
    }
    defaults = {field.name: field.default for field in dataclasses.fields(Recipe)}

    def is_unused(name: str) -> bool:
        field = name.replace(" ", "_")
        return field != "loss" and field in defaults and getattr(recipe, field) == defaults[field]

    return {name: "" if is_unused(name) else text for name, text in words.items()}


def growth_of(recipe: Recipe) -> str:
    """Return how the photos of a training grow; "" if they do not."""
    if not recipe.growth:
        return ""
    first, last, start, end = recipe.growth
    if first == last:
        return f"photos of {first} pixels in all epochs"
    return f"photos of {first} pixels in epoch {start + 1} grow to {last} in epoch {end + 1}"


def scaling_of(job: "TrainingJob") -> str:
    """Return how pixels were scaled; "" for rows of numbers, which are not scaled."""
    if job.scaling:
        return f"mean {job.recipe.mean}, std {job.recipe.std} of pixels / 255"
    return "as in the model file of the first weights" if job.weights else ""


def name_some(names: Sequence[str], things: str = "layers") -> str:
    """Return the first names of some things, and their number if there are more."""
    return ", ".join(names[:MOST_NAMED]) + (f", ... ({len(names)} {things})" if len(names) > MOST_NAMED else "")
