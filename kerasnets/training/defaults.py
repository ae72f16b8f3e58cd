"""What suits own pictures by their number and sizes, where nobody has said otherwise: one table for every training.

docs/own-pictures.md has the measurement.
"""

import dataclasses
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kerasnets import models
from kerasnets.data import DATASETS, layout, own_code, picture_sources, survey
from kerasnets.errors import note
from kerasnets.recipes import BY_DATA, Recipe, with_changes
from kerasnets.training.photos import PHOTOS

if TYPE_CHECKING:
    from kerasnets.data import Data


class Plan(NamedTuple):
    """The settings for a number of pictures."""

    epochs: int  # from scratch
    batch_size: int  # likewise
    validation: float  # the share that is held out to choose the best epoch
    head_epochs: int  # with --pretrained: of the head alone
    tuned_epochs: int  # from weights: of all layers


PLANS = {  # up to this number of training pictures
    300: Plan(60, 16, 0.2, 10, 30),
    3_000: Plan(40, 32, 0.1, 5, 15),
    30_000: Plan(20, 64, 0.1, 3, 10),
}
MOST = Plan(10, 64, 0.1, 1, 5)  # of more pictures
OPTIONS = {"epochs": "--epochs", "batch_size": "--batch-size", "validation": "--validation"}
AVERAGED = 0.1  # of all steps: what an average of the weights is over
MOMENTA = (0.5, 0.999)  # of such an average
SAMPLE = 500  # pictures of which the sizes are read
ANY_SIDE = 224  # pixels at most, for a network whose usual size is unknown


def plan_for(count: int) -> Plan:
    """Return the plan for so many training pictures."""
    return next((plan for most, plan in PLANS.items() if count <= most), MOST)


def choose(recipe: Recipe, examples: "Data", *, is_fresh: bool) -> Recipe:
    """Return a recipe in which the data decide the settings that nobody has named; notes say so.

    Args:
        recipe: Of recipes.own, perhaps with changes.
        examples: Its data.
        is_fresh: Whether the network starts from random weights.
    """
    if recipe.dataset not in DATASETS:
        recipe = with_own_validation(recipe, examples)
    if not {*recipe.by_data}.isdisjoint(BY_DATA) and recipe.dataset not in DATASETS and len(examples.image_shape) == 3:
        recipe = by_number(recipe, number_of(examples), is_fresh=is_fresh)
    return with_average(recipe, examples)


def with_own_validation(recipe: Recipe, examples: "Data") -> Recipe:
    """Return a recipe whose validation part is the one that comes with own data, if there is one."""
    count = 0 if examples.validation is None else len(examples.validation)
    if not count:
        return recipe
    usual = {plan.validation for plan in (*PLANS.values(), MOST)} | {0.0, float(count)}
    if "validation" not in recipe.by_data and recipe.validation not in usual:
        note(f"{count} pictures for validation come with the data: a validation of {recipe.validation:g} has no effect")
    return with_changes(recipe, validation=float(count))


def number_of(examples: "Data") -> int:
    """Return the number of training pictures, without those that come for validation."""
    return len(examples.train_labels) - (0 if examples.validation is None else len(examples.validation))


def trained_on(recipe: Recipe, examples: "Data") -> int:
    """Return about how many examples are trained on, those for validation left out."""
    count, held_out = len(examples.train_labels), recipe.validation
    return count - round(held_out * count if held_out < 1 else held_out)


def with_average(recipe: Recipe, examples: "Data") -> Recipe:
    """Return a recipe whose average of the weights is over the last tenth of the steps, if nobody has named one."""
    if "ema" not in recipe.by_data or not recipe.ema:
        return recipe
    count = max(trained_on(recipe, examples), 1)
    steps = recipe.epochs * -(-count // (recipe.batch_size or count))
    momentum = round(float(np.clip(1 - 1 / (AVERAGED * steps), *MOMENTA)), 4)
    note(f"{steps:,} steps; chosen: an average over about the last {1 / (1 - momentum):.0f}, --ema {momentum:g}")
    return dataclasses.replace(recipe, ema=momentum, by_data=tuple(name for name in recipe.by_data if name != "ema"))


def by_number(recipe: Recipe, count: int, *, is_fresh: bool) -> Recipe:
    """Return a recipe in which the number of training pictures decides the settings that nobody has named."""
    plan = plan_for(count)
    values = {"epochs": plan.epochs if is_fresh else plan.tuned_epochs, "batch_size": plan.batch_size,
              "validation": plan.validation}  # fmt: skip
    # A recipe of dataclasses.replace still lists what was changed in it
    told = {name for name in recipe.by_data if getattr(recipe, name) != BY_DATA.get(name)}
    chosen = {name: values[name] for name in recipe.by_data if name not in told}
    words = {"epochs": "{} epochs", "batch_size": "batches of {}", "validation": "{:.0%} of them for validation"}
    if chosen:
        what = ", ".join(words[name].format(value) for name, value in chosen.items())
        how = ", ".join(OPTIONS[name] for name in chosen)
        note(f"{count:,} training pictures; chosen: {what}; change by {how}")
    return with_changes(recipe, **chosen, by_data=tuple(name for name in recipe.by_data if name not in BY_DATA))


def size_for(recipe: Recipe, source: str | Path) -> tuple[int, int] | None:
    """Return (height, width) that own pictures of several sizes get; None if all have one size. A note says it.

    It is the median of their shorter sides, within what the network takes and what it usually gets.
    """
    if own_code.is_function(source) or Path(source).suffix.lower() == ".npz":
        return None
    files = picture_sources.open_source(Path(source))
    names = layout.sort_out(files)[0]
    step = max(1, len(names) // SAMPLE)
    sizes = survey.sizes(files, names[::step])
    if len(set(sizes)) < 2:
        return None
    side = within(recipe.model, round(statistics.median(map(min, sizes))))
    title = Path(source).resolve().name
    is_squashed = recipe.augmentation not in PHOTOS and any(height != width for height, width in sizes)
    how = ", to which they are squashed (--augment-photos crops them)" if is_squashed else ""
    note(f"the pictures of {title} have several sizes; chosen: {side}x{side} pixels{how}; change by --image-size")
    return side, side


def within(model: str, side: int) -> int:
    """Return the side nearest to `side` that a network takes, and not more than it usually gets."""
    form = next((form for form in models.FORMS if form.name == model), None)
    if form is None or len(form.input_shape) != 3:
        return min(side, ANY_SIDE)
    return int(np.clip(side, form.smallest, max(form.input_shape[0], form.smallest)))
