"""TrainingJob: everything that one training needs, made from a person's request. All checks are here."""

from kerasnets.runtime.chosen import BACKEND as BACKEND

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import keras

from kerasnets import data, models, saving
from kerasnets.data import index_files
from kerasnets.errors import nearest_first, note, shorten, visible
from kerasnets.graph import Scaling, count
from kerasnets.recipes import FINETUNED, LOGGERS, RECIPES, Recipe, with_changes
from kerasnets.runtime.atomic import check_writable
from kerasnets.runtime.digests import sha256
from kerasnets.runtime.workers import place
from kerasnets.training import defaults, loggers, own_networks, places, sizes
from kerasnets.training.augmentation import suit
from kerasnets.training.checkpoints import folder_beside
from kerasnets.training.photos import PHOTOS
from kerasnets.training.remarks import size_note
from kerasnets.training.request import Request
from kerasnets.training.settings import check_recipe, compared, without_effect
from kerasnets.training.state import without_number

MODELS_SAVED = Path("models_saved")
CROP = "crop"  # begins the input kinds that take the middle of a picture


@dataclass(frozen=True)
class TrainingJob:
    """Everything that one training needs, checked."""

    recipe: Recipe
    data: data.Data
    network: keras.Model  # channels_last, from images to logits, with its initial weights
    scaling: Scaling | None  # of the Rescaling layer; None if `network` scales its pixels itself
    input_kind: str  # how an image of another shape or kind is prepared for the network
    initial_sha256: str  # of the initial weights if they come from a model file; else ""
    weights: str | Path | None  # that model file
    seed: int
    files: list[Path]  # to write
    resume: bool
    log: tuple[str, ...]  # names in recipes.LOGGERS
    callbacks: list[keras.callbacks.Callback] = dataclasses.field(default_factory=list)
    own: bool = False  # whether the network is a person's own
    checkpoint_minutes: float | None = None  # between two checkpoints within an epoch; None writes none
    worker_statistics: bool = False  # whether each worker normalizes batches by its own part

    @property
    def folder(self) -> Path:
        """The folder of the report and the checkpoints."""
        return places.folder_of(self.files[0])

    @property
    def checkpoints(self) -> Path:
        return folder_beside(self.files[0])

    @property
    def report(self) -> Path:
        """The file that the training writes last."""
        return self.folder / places.REPORT

    @property
    def frozen(self) -> list[str]:
        """The names of the layers that are not trained."""
        return [layer.name for layer in self.network.layers if not layer.trainable]

    @property
    def parameters(self) -> int:
        """The number of trained parameters."""
        return count(self.network.trainable_weights)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Everything that two runs must share so that one can resume from the other's checkpoints."""
        return {
            **compared(self.recipe), "seed": self.seed, "data": data.digest(self.data),
            "frozen": [*map(without_number, self.frozen)] if self.own else self.frozen, "weights": self.initial_sha256,
            **({"shapes of own weights": [list(each.shape) for each in self.network.weights]} if self.own else {}),
            **({"batch statistics": f"of each of {place().count} workers"} if self.worker_statistics else {}),
        }  # fmt: skip


class InitialNetwork(NamedTuple):
    network: keras.Model
    scaling: Scaling | None
    input_kind: str
    sha256: str


def prepare(request: Request) -> TrainingJob:
    """Check the request, load its data and build its network. Nothing is trained or written.

    Prints the network's summary, and a note on stderr if the fallback recipe takes the place of the recipe.
    Raises the errors that `train` documents.
    """
    request = own_networks.as_named(request)
    first_choice = find_recipe(request.recipe)
    check_request(request, first_choice)
    recipe, examples = load_data(request, first_choice)
    data.check(examples)
    recipe = suit(defaults.choose(recipe_of(request, recipe), examples, is_fresh=not request.weights), examples)
    check_recipe(recipe, examples)
    for text in without_effect(recipe):
        note(text)
    keras.utils.set_random_seed(request.seed)
    initial = build_network(recipe, examples, request)
    sizes.check(recipe, initial.network)
    is_fallback = recipe.dataset != first_choice.dataset
    files = output_files(request.files, recipe, is_fallback)
    job = TrainingJob(
        recipe=recipe,
        data=examples,
        network=initial.network,
        scaling=initial.scaling,
        input_kind=initial.input_kind,
        initial_sha256=initial.sha256,
        weights=request.weights,
        seed=request.seed,
        files=files,
        resume=request.resume,
        log=request.loggers,
        callbacks=list(request.callbacks),
        own=request.network is not None,
        checkpoint_minutes=request.checkpoint_minutes,
        worker_statistics=request.worker_statistics and place().count > 1,
    )
    job = with_place(job, request.overwrite)
    if is_fallback:
        print(visible(fallback_line(first_choice, recipe, job.files[0])), file=sys.stderr)
    initial.network.summary()
    is_fresh = not request.weights and not (job.own and own_networks.has_learned(initial.network))
    if size := size_note(job.parameters, len(examples.train_labels), is_fresh=is_fresh):
        note(f"{recipe.model} {size}")
    return job


def with_place(job: TrainingJob, overwrite: bool) -> TrainingJob:
    """Return the job with files that replace no earlier run's, or with those of the run that it resumes.

    Raises OSError if a file cannot be written.
    """
    if not place().leads:  # worker 0 chooses
        return job
    if again := places.run_of_launch(job.files, place()):
        files = again
    elif job.resume:
        files = places.choose_to_resume(job.files, lambda: job.settings, overwrite=overwrite)
    else:
        files = places.choose(job.files, overwrite=overwrite)
    job = dataclasses.replace(job, files=files)
    for path in [*files, job.report]:
        check_writable(path)
    return job


def find_recipe(recipe: Any) -> Recipe:
    """Return the Recipe with a name, or a Recipe itself."""
    if isinstance(recipe, Recipe):
        return recipe
    if recipe not in RECIPES:
        raise ValueError(f"unknown recipe {recipe!r} (model-dataset); choose one of: {nearest_first(recipe, RECIPES)}")
    return RECIPES[recipe]


def check_request(request: Request, recipe: Recipe) -> None:
    """Raise ValueError for impossible values, before any data are loaded."""
    if request.network is not None and request.weights is not None:
        raise ValueError("a network of your own has its weights; leave out the file of weights")
    if request.weights is None and request.network is None:
        models.check_name(recipe.model)
    if not 0 <= request.seed < 2**32:
        raise ValueError(f"seed must be from 0 to 2**32 - 1, not {request.seed}")
    numbers = ("epochs", request.epochs, 1), ("batch size", request.batch_size, 1)
    for name, value, least in (*numbers, ("minutes between checkpoints", request.checkpoint_minutes, 1e-4)):
        if value is not None and not value >= least:
            raise ValueError(f"{name} must be at least {least:g}, not {value}")
    if request.freeze and request.weights is None:
        raise ValueError("freeze goes with weights: nothing is learned from layers that keep random weights")
    for path in request.files:
        saving.check_suffix(path)
    own_networks.check_callbacks(request.callbacks)
    if unknown := sorted(set(request.loggers) - set(LOGGERS)):
        raise ValueError(f"unknown logger {unknown[0]!r}; choose one of: {', '.join(LOGGERS)}")
    loggers.check(request.loggers)
    if request.skip_broken < 0:
        raise ValueError(f"the number of broken pictures to skip must be at least 0, not {request.skip_broken}")


def build_network(recipe: Recipe, examples: data.Data, request: Request) -> InitialNetwork:
    """Build the network to train: with random weights, from a model file, or a person's own."""
    num_classes, weights, guest = len(examples.class_names), request.weights, request.guest
    shape = recipe.image_shape or examples.image_shape
    input_kind = recipe.input_kind or examples.input_kind
    if request.network is not None:
        own_shape = (shape, examples.class_names, recipe.scaling)
        return InitialNetwork(*own_networks.build(request.network, recipe.model, *own_shape), input_kind, "")
    if weights is None:
        network = models.build(recipe.model, input_shape=shape, num_classes=num_classes, **recipe.options)
        return InitialNetwork(network, recipe.scaling if len(shape) == 3 else None, input_kind, "")
    from kerasnets.transfer import with_classes

    model, card, scale_words = saving.load_with_scale(weights, guest, logits=True)
    if card.weights_sha256 and card.model != recipe.model:  # a guest need not have a name that says anything
        raise ValueError(f"{shorten(weights)} is a {card.model}, not a {recipe.model}; name that by --model")
    if scale_words:
        note(saving.note_on(weights, card.input_shape, guest, scale_words))
    if request.keep_head and card.class_names != tuple(examples.class_names):
        raise ValueError(f"the head of {shorten(weights)} is of other classes than {examples.title}")
    network = with_classes(model, num_classes, request.freeze, keep_head=request.keep_head)
    input_kind = examples.input_kind if is_photo(recipe) else card.input_kind
    return InitialNetwork(network, None, input_kind, card.weights_sha256 or sha256(*model.get_weights()))


def load_data(request: Request, recipe: Recipe) -> tuple[Recipe, data.Data]:
    """Return (recipe, its data), or (the fallback recipe, its data) if the recipe's data cannot be had.

    If the request names a model file, own images are prepared like the images that its model was trained on.
    """
    reading = reading_of(request, recipe)
    if request.arrays is not None:
        size = size_of(request, recipe, request.arrays)
        kind = CROP if is_photo(recipe) else "picture"
        examples = data.load_data(request.arrays, image_size=size, input_kind=kind, reading=reading)
        return recipe, dataclasses.replace(examples, content="")  # a person may have changed them
    if request.weights:
        if request.image_size:
            raise ValueError(f"an image size cannot be chosen: {shorten(request.weights)} takes images of its own size")
        card = saving.load_card(request.weights, request.guest)
        if is_photo(recipe) and not card.input_kind.startswith(CROP):
            card = dataclasses.replace(card, input_kind=CROP)
        return recipe, data.load_like(card, recipe.dataset, request.data_dir, reading=reading)
    fallback = RECIPES.get(request.fallback or "")
    try:
        kind = CROP if is_photo(recipe) else "picture"
        size = size_of(request, recipe, recipe.dataset)
        return recipe, data.load_data(recipe.dataset, request.data_dir, size, kind, reading=reading)
    except ConnectionError:
        if fallback is None or request.data_dir:  # a person who names a folder wants its data
            raise
    return fallback, data.load_data(fallback.dataset)


def size_of(request: Request, recipe: Recipe, source: Any) -> tuple[int, ...] | None:
    """Return the size that pictures of `source` get; None if they have one. Pictures that grow get the last one."""
    is_own = isinstance(source, (str, Path)) and source not in data.DATASETS and Path(source).suffix.lower() != ".npz"
    if request.image_size or not is_own:
        return request.image_size
    return recipe.image_shape or recipe.progressive_size[1:2] * 2 or defaults.size_for(recipe, source)


def is_photo(recipe: Recipe) -> bool:
    """Whether training crops the pictures at their own size, so that a test takes their middle."""
    return recipe.augmentation in PHOTOS


def reading_of(request: Request, recipe: Recipe) -> data.Reading:
    """Return how own pictures are read for a training."""
    first = first_file(request.files, recipe_of(request, recipe))
    index = places.folder_of(places.last_run([first])[0]) / index_files.NAME
    is_known = request.arrays is None and recipe.dataset in data.DATASETS
    synsets = None if request.synsets is None else Path(request.synsets)
    is_native = is_photo(recipe) and not is_known
    return data.Reading(request.stream, is_native, request.skip_broken, index, synsets=synsets)


def recipe_of(request: Request, recipe: Recipe) -> Recipe:
    """Return `recipe` with the changes of the request."""
    variant = FINETUNED if request.weights else None
    return with_changes(recipe, epochs=request.epochs, batch_size=request.batch_size, variant=variant)


def fallback_line(first_choice: Recipe, recipe: Recipe, path: Path) -> str:
    absent, present = data.DATASETS[first_choice.dataset].title, data.DATASETS[recipe.dataset].title
    return (
        f"{absent} is not here and cannot be downloaded: training on {present} instead, into {path}. "
        f"For {absent}, go online, or name the folder that holds its files by --data-dir"
    )


def output_files(out: Sequence[str | Path], recipe: Recipe, is_fallback: bool) -> list[Path]:
    """Return the model files to write; a fallback's get the name of its data set, unless they have it."""
    files = [first_file(out, recipe), *map(Path, out[1:])]
    if is_fallback:
        ending = f"-{recipe.dataset}"
        files = [file if file.stem.endswith(ending) else file.with_stem(file.stem + ending) for file in files]
    return files


def first_file(out: Sequence[str | Path], recipe: Recipe) -> Path:
    return Path(out[0]) if out else MODELS_SAVED / f"{recipe.name}.keras"
