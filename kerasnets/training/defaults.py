"""What suits own pictures by their number and sizes, where nobody has said otherwise: one table for every training.

docs/own-pictures.md has the measurement.
"""

import statistics
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kerasnets import models
from kerasnets.data import DATASETS, layout, own_code, picture_sources, survey
from kerasnets.errors import note
from kerasnets.recipes import BY_DATA, Recipe, with_changes

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
SAMPLE = 500  # pictures of which the sizes are read
ANY_SIDE = 224  # pixels at most, for a network whose usual size is unknown


def plan_for(count: int) -> Plan:
    """Return the plan for so many training pictures."""
    return next((plan for most, plan in PLANS.items() if count <= most), MOST)


def choose(recipe: Recipe, examples: "Data", *, is_fresh: bool) -> Recipe:
    """Return a recipe in which the number of own pictures decides the settings that nobody has named; a note says so.

    Args:
        recipe: Of recipes.own, perhaps with changes.
        examples: Its data.
        is_fresh: Whether the network starts from random weights.
    """
    if not recipe.by_data or recipe.dataset in DATASETS or len(examples.image_shape) != 3:
        return recipe
    count = len(examples.train_labels)
    plan = plan_for(count)
    values = {"epochs": plan.epochs if is_fresh else plan.tuned_epochs, "batch_size": plan.batch_size,
              "validation": plan.validation}  # fmt: skip
    # A recipe of dataclasses.replace still lists what was changed in it
    chosen = {name: values[name] for name in recipe.by_data if getattr(recipe, name) == BY_DATA[name]}
    if examples.validation is not None and len(examples.validation):
        chosen.pop("validation", None)
    words = {"epochs": "{} epochs", "batch_size": "batches of {}", "validation": "{:.0%} for validation"}
    if chosen:
        what = ", ".join(words[name].format(value) for name, value in chosen.items())
        how = ", ".join(OPTIONS[name] for name in chosen)
        note(f"{count:,} pictures to train on; chosen: {what}; change by {how}")
    return with_changes(recipe, **chosen, by_data=())


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
    note(f"the pictures of {title} have several sizes; chosen: {side}x{side} pixels; change by --image-size")
    return side, side


def within(model: str, side: int) -> int:
    """Return the side nearest to `side` that a network takes, and not more than it usually gets."""
    form = next((form for form in models.FORMS if form.name == model), None)
    if form is None or len(form.input_shape) != 3:
        return min(side, ANY_SIDE)
    return int(np.clip(side, form.smallest, max(form.input_shape[0], form.smallest)))
