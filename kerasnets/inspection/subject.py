"""The subject of an inspection: a network from the registry or a file, one picture, and a batch with its labels."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasnets import data, models, pictures, recipes, saving
from kerasnets.data import fitting
from kerasnets.data.dataset import count_of_classes
from kerasnets.errors import BadInputError, nearest_first, shorten
from kerasnets.graph import rebuild

BATCH = 64  # pictures
DIGITS = data.DATASETS["digits"].class_names


@dataclass(frozen=True)
class Examples:
    """Inputs of a network.

    Attributes:
        images: uint8 (n, height, width, channels), or float32 rows (n, columns).
        labels: int64 (n,); None if they are unknown.
        words: What the examples are, for a person.
    """

    images: np.ndarray
    labels: np.ndarray | None
    words: str


@dataclass(frozen=True)
class Subject:
    """A network that takes raw pixels 0..255, and the examples that it is inspected with.

    Attributes:
        network: The network.
        card: Its card; for a fresh network, the card that its model file would have.
        words: What the network is, for a person.
        picture: One example.
        batch: The examples of the gradients and the step.
        original: The picture file as it was read, uint8 (height, width[, 3]); None without a picture file.
    """

    network: keras.Model
    card: saving.Card
    words: str
    picture: Examples
    batch: Examples
    original: np.ndarray | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """A name for each logit; its number if the card has no names."""
        return tuple(self.card.class_names) or tuple(map(str, range(self.network.output_shape[-1])))


def subject_of(
    network: str | Path,
    image: str | Path | None = None,
    *,
    label: str | None = None,
    dataset: str | Path | None = None,
    data_dir: str | Path | None = None,
    seed: int = 0,
    guest: saving.Guest | None = None,
) -> Subject:
    """Return the Subject for the arguments of `inspect_network`, which explains them.

    Raises:
        BadInputError: A file is missing or damaged, or the data set does not fit the network.
        ValueError: The name of the network or of the label is unknown.
    """
    is_file = Path(network).suffix in saving.SUFFIXES
    parts = of_file(network, dataset, data_dir, guest) if is_file else of_name(str(network), dataset, data_dir, seed)
    model, card, words, source = parts
    if source:
        check_classes(card, model, source)
    else:
        source = own_data(card, data_dir)
    picture, original = picture_of(source, card, image, seed)
    if label is not None:
        names = Subject(model, card, words, picture, picture).class_names
        if label not in names:
            raise ValueError(f"no class {label!r}; choose one of: {nearest_first(label, names)}")
        picture = dataclasses.replace(picture, labels=np.array([names.index(label)]))
    return Subject(model, card, words, picture, batch_of(source, card, seed) or picture, original)


Parts = tuple[
    keras.Model, saving.Card, str, data.Data | None
]  # network, its card, words for it, the data set asked for


def of_file(
    path: str | Path, dataset: str | Path | None, data_dir: str | Path | None, guest: saving.Guest | None
) -> Parts:
    """Return the parts for a model file."""
    model, card, scale_words = saving.load_with_scale(path, guest or saving.UNKNOWN)
    saving.check_size(card, path)
    source = data.load_like(card, dataset, data_dir) if dataset else None
    noun = "rows" if len(card.input_shape) == 1 else "pixels"
    return model, card, f"{card.model} from {shorten(path)}{scale_words and f', {noun} {scale_words}'}", source


def of_name(name: str, dataset: str | Path | None, data_dir: str | Path | None, seed: int) -> Parts:
    """Return the parts for a network of the registry with fresh weights; its recipe scales the pixels."""
    models.check_name(name)
    shape = models.options_of(name)["input_shape"].default
    source = data.load_like(saving.Card(name, (), shape), dataset, data_dir) if dataset else None
    keras.utils.set_random_seed(seed)
    options: dict[str, Any] = {"num_classes": len(source.class_names)} if source else {}
    network = models.build(name, **options)
    recipe = recipe_of(name, dataset, shape, network.output_shape[-1])
    known = source or data.DATASETS.get(recipe.dataset)
    kind = "row" if len(shape) == 1 else "picture"
    if known and known.image_shape == (recipe.image_shape or shape):
        kind = recipe.input_kind or known.input_kind
    card = saving.Card(name, known.class_names if known else (), shape, kind, dataset=known.title if known else "")
    if len(shape) == 3:
        network = rebuild(network, scaling=recipe.scaling)
    return network, card, f"{name} with fresh weights of seed {seed}", source


def recipe_of(name: str, dataset: str | Path | None, shape: tuple[int, ...], classes: int) -> recipes.Recipe:
    """Return the recipe to train a network on `dataset`; without one, a recipe that fits its shape and classes."""
    if dataset:
        return recipes.own(name, str(dataset))
    for recipe in recipes.RECIPES.values():
        known = data.DATASETS[recipe.dataset]
        if (recipe.model, recipe.image_shape or known.image_shape, len(known.class_names)) == (name, shape, classes):
            return recipe
    return recipes.own(name, "pictures")


def check_classes(card: saving.Card, model: keras.Model, source: data.Data) -> None:
    """Raise BadInputError if the classes of a data set are not the network's."""
    names, classes = card.class_names, model.output_shape[-1]
    if len(source.class_names) != classes or (names and tuple(names) != tuple(source.class_names)):
        theirs = count_of_classes(source.class_names, names)
        ours = count_of_classes(names, source.class_names) if names else f"{classes} classes"
        raise BadInputError(
            f"{card.model} has {ours}, {source.title} has {theirs}", remedy="name a data set with the same classes"
        )


def own_data(card: saving.Card, data_dir: str | Path | None) -> data.Data | None:
    """Return the data set of the card if it is on this disk; else scikit-learn's digits for a reader of digits."""
    title = card.dataset.split(" (")[0]  # "CIFAR-10 (JPEG)"
    own = next((name for name, dataset in data.DATASETS.items() if dataset.title == title), None)
    source = data.load_present(own, data_dir) if own else None
    reads_digits = card.class_names == DIGITS and card.input_kind.startswith("mnist")
    return data.load_present("digits") if source is None and reads_digits else source


def picture_of(
    source: data.Data | None, card: saving.Card, image: str | Path | None, seed: int
) -> tuple[Examples, np.ndarray | None]:
    """Return one example, and the picture file as it was read; None without a picture file."""
    shape = tuple(card.input_shape)
    if image is not None:
        original = pictures.read(image)
        pixels = pictures.prepare(original, card.input_kind, shape, image)
        return Examples(pixels[None], None, shorten(image)), original
    if source is not None:
        label = source.test_labels[:1]
        words = f"{source.name_of(0)} of {source.title}, labelled {source.class_names[label[0]]}"
        return Examples(prepare_for(source.test_images[:1], source, card), label, words), None
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (1, *shape), np.uint8) if len(shape) == 3 else rng.random((1, *shape), np.float32)
    return Examples(noise, None, "random noise, because no picture was named and the network's data are not here"), None


def batch_of(source: data.Data | None, card: saving.Card, seed: int) -> Examples | None:
    """Return BATCH random training pictures; None without data."""
    if source is None:
        return None
    count = len(source.train_labels)
    chosen = np.sort(np.random.default_rng(seed).permutation(count)[:BATCH])
    images = prepare_for(source.train_images[chosen], source, card)
    return Examples(images, source.train_labels[chosen], f"{len(chosen)} training pictures of {source.title}")


def prepare_for(images: np.ndarray, source: data.Data, card: saving.Card) -> np.ndarray:
    """Return images of a data set in the shape and kind that the network of `card` takes."""
    if images.ndim != len(card.input_shape) + 1:
        ours, theirs = ("rows of numbers", "pictures") if images.ndim == 4 else ("pictures", "rows of numbers")
        raise BadInputError(f"{card.model} takes {ours}, {source.title} has {theirs}", remedy="name another data set")
    images, prepare = fitting.fit_to_network(images, source.input_kind, card.input_kind, card.input_shape)
    return prepare(images) if prepare else images
