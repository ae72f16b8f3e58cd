"""All that one training takes, made of what a person asks for and checked before anything is trained."""

from kerasnets.runtime.chosen import BACKEND as BACKEND

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from kerasnets import data, models, saving
from kerasnets.errors import nearest_first, shorten
from kerasnets.graph.weights import count
from kerasnets.recipes import PRECISIONS, RECIPES, Recipe
from kerasnets.runtime.atomic import check_writable

MODELS_SAVED = Path("models_saved")

USUAL = {name: getattr(Recipe, name) for name in ("precision", "compiled")}  # unnamed in earlier versions' checkpoints
LEFT_OPEN = ("published", "goal", "goal_on", "dataset")  # of a recipe, in which a run that goes on may differ


@dataclass(frozen=True)
class Job:
    """All that one training takes."""

    row: Recipe
    data: data.Data
    network: keras.Model  # in channels_last, to logits
    scaling: tuple | None  # None where `network` scales its pixels itself
    input_kind: str  # how a picture of another shape or kind is brought to the network's
    begun_with: str  # SHA-256 of the weights of the model file that it began with; "" of fresh ones
    weights: str | Path | None  # that file
    seed: int
    files: list[Path]
    resume: bool
    tensorboard: bool

    @property
    def folder(self):
        """Where the report and the checkpoints of this training lie."""
        return folder_of(self.files[0])

    @property
    def checkpoints(self):
        return self.folder / "checkpoints"

    @property
    def report(self):
        """What the training writes last."""
        return self.folder / "report.html"

    @property
    def frozen(self):
        """The names of the layers that are not trained."""
        return [layer.name for layer in self.network.layers if not layer.trainable]

    @property
    def parameters(self):
        """How many numbers are trained."""
        return count(self.network.trainable_weights)

    def settings(self):
        """What must be the same in two runs for one to go on where the other stopped, for a checkpoint to hold."""
        row = {name: value for name, value in dataclasses.asdict(self.row).items() if name not in LEFT_OPEN}
        row = {name: value for name, value in row.items() if name not in USUAL or value != USUAL[name]}
        if not (self.row.schedule and self.row.schedule[0] == "cosine"):
            del row["epochs"]  # more of them only go on
        sha = hashlib.sha256()
        for array in (self.data.train_images, self.data.train_labels):
            sha.update(np.ascontiguousarray(array))
        pixels = sha.hexdigest()[:16]
        return {**row, "seed": self.seed, "data": pixels, "frozen": self.frozen, "weights": self.begun_with}


def row_of(recipe):
    """The Recipe that is meant by a name, or a Recipe itself."""
    if isinstance(recipe, Recipe):
        return recipe
    if recipe not in RECIPES:
        raise ValueError(f"unknown recipe {recipe!r} (model-dataset); choose one of: {nearest_first(recipe, RECIPES)}")
    return RECIPES[recipe]


def check_request(row, epochs, batch_size, seed, weights, freeze, out):
    """Raise ValueError for what can be told to be wrong before any data are read."""
    models.check_name(row.model)
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be from 0 to 2**32 - 1, not {seed}")
    for name, value in (("epochs", epochs), ("batch size", batch_size)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    if freeze and weights is None:
        raise ValueError("freeze goes with weights: nothing is learned from layers that are frozen as drawn")
    for path in out:
        saving.check_suffix(path)


def check_row(row, found):
    """Raise ValueError for impossible settings, or such as do not go with these data."""
    if not row.learning_rate > 0:
        raise ValueError(f"the learning rate must be above 0, not {row.learning_rate}")
    if row.patience < 0:
        raise ValueError(f"patience must be at least 0, not {row.patience}")
    if row.patience and not (row.keep_best and row.validation):
        raise ValueError(f"{row.name} sets nothing apart for validation, by which patience would judge; leave it out")
    if row.precision not in PRECISIONS:
        raise ValueError(f"unknown precision {row.precision!r}; choose one of: {', '.join(PRECISIONS)}")
    if row.augmentation and len(found.image_shape) != 3:
        raise ValueError(f"{row.augmentation} changes pictures; {found.title} has rows of numbers")


def network_of(row, found, weights, freeze):
    """Return (network to logits, scaling for its pixels, input kind, SHA-256 of the weights that it begins with).

    Fresh, or with those of the model file `weights`.
    """
    num_classes = len(found.class_names)
    if weights is None:
        shape = row.image_shape or found.image_shape
        network = models.build(row.model, input_shape=shape, num_classes=num_classes, **row.options)
        return network, row.scaling if len(shape) == 3 else None, row.input_kind or found.input_kind, ""
    from kerasnets.transfer import with_classes

    model, card = saving.load(weights, logits=True)
    if card.model != row.model:
        raise ValueError(f"{shorten(weights)} is a {card.model}, not a {row.model}; name that by --model")
    return with_classes(model, num_classes, freeze), None, card.input_kind, card.weights_sha256


def load_data(row, fallback, data_dir, image_size, weights):
    """Return (row, Data) of `row`, or of the recipe `fallback` where the first's data are nowhere to be had.

    Own pictures are prepared as those that the model file `weights` has learned from.
    """
    if weights:
        if image_size:
            raise ValueError(f"an image size cannot be chosen: {shorten(weights)} takes pictures of its own size")
        return row, data.load_like(saving.load_card(weights), row.dataset, data_dir)
    try:
        return row, data.load_data(row.dataset, data_dir, image_size)
    except ConnectionError:
        if fallback not in RECIPES or data_dir:  # who names a folder wants what should be in it
            raise
    return RECIPES[fallback], data.load_data(RECIPES[fallback].dataset)


def fallback_line(wanted, row, path):
    wanted, found = data.DATASETS[wanted.dataset].title, data.DATASETS[row.dataset].title
    return (
        f"{wanted} is not here and cannot be downloaded: training on {found} instead, into {path}. "
        f"For {wanted}, go online, or name the folder that holds its files by --data-dir"
    )


def output_files(out, row, replaced):
    """The model files to write. One that was meant for another data set's model gets this one's into its name."""
    files = [Path(path) for path in out] or [MODELS_SAVED / f"{row.name}.keras"]
    if replaced:
        files = [f if f.stem.endswith(f"-{row.dataset}") else f.with_stem(f"{f.stem}-{row.dataset}") for f in files]
    for path in [*files, folder_of(files[0]) / "report.html"]:
        check_writable(path)
    return files


def folder_of(path):
    """The folder beside the model file `path` for all that a training leaves but the model."""
    return path.with_suffix("")
