"""The options of `train` that change a recipe's settings."""

import argparse
import dataclasses
import math
from typing import Any

from kerasnets.cli import app
from kerasnets.cli.app import UsageError
from kerasnets.recipes import AUTO, BALANCED, EMA, OPTIMIZERS, Recipe
from kerasnets.runtime.workers import place

BY_STEPS = math.nan  # of --ema without a number: the steps decide it
FALL = 0.1  # factor of "steps"
CHANGES = ("shift", "crop", "flip", "none")  # of --augment
RISE = 0.3  # share of all steps in which "onecycle" rises: PyTorch's
# Options of a training that a search for its learning rate would ignore
OF_RUNS = (
    "seeds", "resume", "schedule", "warmup", "epochs", "patience", "accumulate", "ema", "tensorboard", "log",
    "checkpoint_minutes", "full_report", "head_epochs",
)  # fmt: skip
ADAMS = ("adam", "adamw")  # share a learning rate

# name on the command line -> a schedule in a recipe from (warm-up, epochs of the falls, all epochs)
SCHEDULES: dict[str, Any] = {
    "constant": lambda warmup, falls, epochs: ("constant", warmup) if warmup else (),
    "cosine": lambda warmup, falls, epochs: ("cosine", warmup),
    "linear": lambda warmup, falls, epochs: ("linear", warmup),
    "steps": lambda warmup, falls, epochs: ("epochs", FALL, falls or thirds(epochs), warmup),
    "onecycle": lambda warmup, falls, epochs: ("onecycle", min(warmup / epochs, 0.99) if warmup else RISE),
}


def add_settings(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group(
        "settings of the training", "instead of the recipe's; the report and the card of the model file have them all"
    ).add_argument
    add("--optimizer", choices=OPTIMIZERS, help="sgd or rmsprop takes a --learning-rate too")
    add("--learning-rate", type=float, metavar="RATE", help="without a recipe the default is 0.001, with Adam")
    add("--momentum", type=float, metavar="X", help="of sgd")
    text = "added to the gradients as PyTorch does; with adamw the weights shrink apart from the gradient"
    add("--weight-decay", type=float, metavar="X", help=text)
    add("--spare-norms", action="store_true", help="biases and the weights of normalizations do not decay")
    text = (
        f"{', '.join(SCHEDULES)}; steps falls to a tenth after each EPOCH named, or after one and two thirds of all "
        "epochs; the others but constant fall to 0"
    )
    add("--schedule", nargs="+", metavar=("NAME", "EPOCH"), help=text)
    add("--warmup", type=float, metavar="EPOCHS", help="raise the learning rate linearly at first")
    add("--label-smoothing", type=float, metavar="X", help="spread this share of each label over all classes")
    text = "mix each picture with another, by shares of the distribution Beta(ALPHA, ALPHA) (default ALPHA: 0.2)"
    add("--mixup", type=float, nargs="?", const=0.2, metavar="ALPHA", help=text)
    text = "paste a box of another picture, likewise (default ALPHA: 1); with both, one of them by chance"
    add("--cutmix", type=float, nargs="?", const=1.0, metavar="ALPHA", help=text)
    text = "fill a box of this share of the pictures with the mean colour (default: 0.25)"
    add("--random-erasing", type=float, nargs="?", const=0.25, metavar="SHARE", help=text)
    text = "make one of fourteen changes to each picture: move, turn, colours, contrast, sharpness, ..."
    add("--trivial-augment", action="store_true", help=text)
    text = (
        "photos of FIRST pixels that grow to LAST, in all epochs or from epoch START to END, counted from 0; the test "
        "takes those of LAST, or of --image-size"
    )
    add("--progressive-size", metavar="FIRST:LAST[:START:END]", help=text)
    text = "training pictures that are held out to choose the best epoch: their number, or their share if below 1"
    add("--validation", type=float, metavar="X", help=text)
    text = "test and save an average of the weights over many batches (default: over the last tenth of all)"
    add("--ema", type=float, nargs="?", const=BY_STEPS, metavar="MOMENTUM", help=text)
    add("--class-weights", choices=[BALANCED], help="examples of rare classes count more")
    add("--gradient-clip", type=float, metavar="NORM", help="the largest norm of all gradients together")
    text = "average the gradients of N batches for each step of the optimizer"
    add("--accumulate", type=int, metavar="N", help=text)
    text = "instead of training: STEPS batches at growing rates (default: 100) show which rate to use, in a picture too"
    add("--find-learning-rate", type=int, nargs="?", const=100, metavar="STEPS", help=text)


def changes_of(args: argparse.Namespace, recipe: Recipe) -> dict[str, Any]:
    """Return {field of Recipe: value of its option, None without the option}."""
    optimizers = {args.optimizer or recipe.optimizer, recipe.optimizer}
    if len(optimizers) > 1 and not optimizers.issubset(ADAMS) and args.learning_rate is None:
        raise UsageError(
            f"--optimizer {args.optimizer} needs a --learning-rate: {recipe.learning_rate:g} is for {recipe.optimizer}"
        )
    return {
        "optimizer": args.optimizer,
        "learning_rate": args.learning_rate,
        "momentum": momentum_of(args, recipe),
        "weight_decay": args.weight_decay,
        "decay_norms": False if args.spare_norms else None,
        "schedule": schedule_of(args, recipe),
        "label_smoothing": args.label_smoothing,
        "mixup": args.mixup,
        "cutmix": args.cutmix,
        "random_erasing": args.random_erasing,
        "progressive_size": progressive_size_of(args),
        "trivial_augment": args.trivial_augment or None,
        "validation": args.validation,
        "ema": None if args.ema is BY_STEPS else args.ema,
        "class_weights": args.class_weights,
        "gradient_clip": args.gradient_clip,
        "accumulate": args.accumulate,
    }


def with_average(args: argparse.Namespace, recipe: Recipe) -> Recipe:
    """Return the recipe with an average of the weights if --ema has no momentum: the number of steps decides it."""
    return dataclasses.replace(recipe, ema=EMA, by_data=(*recipe.by_data, "ema")) if args.ema is BY_STEPS else recipe


def momentum_of(args: argparse.Namespace, recipe: Recipe) -> float | None:
    """Return the momentum; of a recipe with SGD none is left for another optimizer."""
    is_left = args.momentum is None and recipe.momentum and args.optimizer not in (None, "sgd")
    return 0.0 if is_left else args.momentum


def check_pairs(args: argparse.Namespace, recipe: Recipe) -> None:
    """Refuse options that would have no effect beside others, or with the recipe as they change it."""
    from kerasnets.data import DATASETS

    photos = "--augment-colours" if args.augment_colours else "--augment-photos" if args.augment_photos else ""
    if photos and args.augment is not None:
        raise UsageError(f"--augment and {photos} both say how pictures are changed; leave one out")
    if args.momentum and recipe.optimizer != "sgd":
        raise UsageError(f"--momentum goes with --optimizer sgd; {recipe.optimizer} takes none")
    if args.spare_norms and not recipe.weight_decay:
        raise UsageError("--spare-norms goes with --weight-decay: nothing decays without it")
    late = [number for number in (args.schedule or ())[1:] if int(number) >= recipe.epochs]
    if late and (args.epochs or args.recipe):  # else the pictures decide the epochs
        raise UsageError(f"--schedule steps {late[0]} never comes: the training has {recipe.epochs} epochs")
    if args.worker_statistics and place().count == 1:
        app.tell_on_stderr("note: --worker-statistics has no effect in one process")
    if args.data_dir and recipe.dataset not in DATASETS:
        app.tell_on_stderr(f"note: --data-dir has no effect: {recipe.dataset} is no known data set")
    if args.find_learning_rate is None:
        return
    told = [f"--{name.replace('_', '-')}" for name in OF_RUNS if getattr(args, name) not in (None, False, (), [])]
    if told:
        raise UsageError(f"--find-learning-rate trains no model; leave out {', '.join(told)}")


def schedule_of(args: argparse.Namespace, recipe: Recipe) -> tuple[Any, ...] | None:
    """Return the schedule of --schedule and --warmup for a recipe; None without them."""
    if args.schedule is None and args.warmup is None:
        return None
    before, *options = recipe.schedule or ("constant", 0)
    name, *numbers = args.schedule or [before]
    if not args.schedule and before == "steps":
        raise UsageError(f"--warmup needs a --schedule: that of {recipe.name} has none")
    if not args.schedule and before == "epochs":
        return (*recipe.schedule[:3], args.warmup)
    if name not in SCHEDULES:
        raise UsageError(f"unknown schedule {name!r}; choose one of: {', '.join(SCHEDULES)}")
    if numbers and name != "steps":
        raise UsageError(f"epochs go with --schedule steps, not with {name}")
    epochs = args.epochs or recipe.epochs
    falls = tuple(int(number) for number in numbers if number.isdecimal())
    if len(falls) < len(numbers) or any(late <= early for early, late in zip((0, *falls), falls, strict=False)):
        raise UsageError(f"--schedule steps takes whole, rising numbers of epochs, not {' '.join(numbers)!r}")
    own = options[0] if before in ("constant", "cosine", "linear") else 0
    warmup = own if args.warmup is None else args.warmup
    if not 0 <= warmup <= epochs:
        raise UsageError(f"--warmup must be from 0 to the {epochs} epochs, not {warmup:g}")
    return tuple(SCHEDULES[name](int(warmup) if warmup == int(warmup) else warmup, falls, epochs))


def progressive_size_of(args: argparse.Namespace) -> tuple[int, ...] | None:
    """Return the numbers of --progressive-size; None without it."""
    if args.progressive_size is None:
        return None
    numbers = args.progressive_size.split(":")
    if len(numbers) not in (2, 4) or not all(number.isdecimal() for number in numbers):
        raise UsageError(f"--progressive-size takes FIRST:LAST or FIRST:LAST:START:END, not {args.progressive_size!r}")
    return tuple(map(int, numbers))


def thirds(epochs: int) -> tuple[int, ...]:
    """Return the epochs after one and two thirds of all, without 0."""
    return tuple(sorted({round(epochs / 3), round(2 * epochs / 3)} - {0}))


def augmentation_of(args: argparse.Namespace) -> str | None:
    """Return the name of the augmentation that --augment asks for; None without the option."""
    if args.augment is None:
        return None
    if not args.augment:
        return AUTO
    chosen = set(args.augment)
    if chosen - set(CHANGES) or chosen >= {"shift", "crop"} or ("none" in chosen and len(chosen) > 1):
        raise UsageError(
            f"--augment takes shift, crop, flip, shift flip, crop flip or none, not {' '.join(args.augment)}"
        )
    return "_".join(change for change in CHANGES if change in chosen).replace("none", "")
