"""What is looked into: the network of a name or a file, one picture, and a batch with its labels."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from kerasnets import data, models, pictures, recipes, saving
from kerasnets.data import fitting
from kerasnets.errors import BadInputError, nearest_first, shorten
from kerasnets.graph import rebuild

BATCH = 64  # pictures
DIGITS = data.DATASETS["digits"].class_names


@dataclass(frozen=True)
class Examples:
    """Pictures as a network takes them, uint8 (n, height, width, channels), or float32 rows (n, columns).

    labels: int64 (n,), None where nobody knows them. words: what they are, for a person.
    """

    images: np.ndarray
    labels: np.ndarray | None
    words: str


@dataclass(frozen=True)
class Subject:
    """A network from raw pixels 0..255, and what it is looked into with."""

    network: keras.Model
    card: saving.Card  # of a fresh network: what a model file of it would say
    words: str  # what network it is, for a person
    picture: Examples  # one
    batch: Examples
    original: np.ndarray | None = None  # uint8 (height, width[, 3]): the picture file, before it was prepared

    @property
    def class_names(self):
        """One for each logit; their numbers where nobody named them."""
        return self.card.class_names or tuple(str(i) for i in range(self.network.output_shape[-1]))


def subject_of(network, image=None, label=None, dataset=None, data_dir=None, seed=0):
    """The Subject of what a person names.

    network: a model file, or a name of the registry, whose weights are drawn by `seed`. image: a picture file; without
    it, the first test picture of the data. label: the name of its class. dataset: where the batch comes from, as in
    load_data. Without it: the data of the model's card or recipe where they are on this disk, scikit-learn's digits for
    a network that reads digits, else nothing but the picture; and without that, noise.
    Raises BadInputError for a bad file, ValueError for an unknown name.
    """
    is_file = Path(network).suffix in saving.SUFFIXES
    made = of_file(network, dataset, data_dir) if is_file else fresh(network, dataset, data_dir, seed)
    model, card, words, found = made
    if dataset:
        check_classes(card, model, found)
    else:
        found = own_data(card, data_dir)
    picture, original = picture_of(found, card, image, seed)
    if label is not None:
        names = card.class_names or tuple(map(str, range(model.output_shape[-1])))
        if label not in names:
            raise ValueError(f"no class {label!r}; choose one of: {nearest_first(label, names)}")
        picture = dataclasses.replace(picture, labels=np.array([names.index(label)]))
    return Subject(model, card, words, picture, batch_of(found, card, seed) or picture, original)


def of_file(path, dataset, data_dir):
    """(network, Card, words, the data.Data called `dataset` or None) of a model file."""
    model, card = saving.load(path)
    takes_pixels = model.input.dtype == "uint8" or len(model.input_shape) == 2
    if not takes_pixels and not any(layer.name == "rescaling" for layer in model.layers):
        model = rebuild(model, scaling=(1 / 255, 0.0))  # another program's; as prediction.Classifier takes it
    found = data.load_like(card, dataset, data_dir) if dataset else None
    return model, card, f"{card.model} from {shorten(path)}", found


def fresh(name, dataset, data_dir, seed):
    """The same of a network of the registry with first weights; its pixels are scaled as train.py scales them."""
    models.check_name(name)
    shape = models.options_of(name)["input_shape"].default
    found = data.load_like(saving.Card(name, (), shape), dataset, data_dir) if dataset else None
    keras.utils.set_random_seed(seed)
    network = models.build(name, **({"num_classes": len(found.class_names)} if found else {}))
    row = recipe_of(name, dataset, shape, network.output_shape[-1])
    known = found or data.DATASETS.get(row.dataset)
    kind = "row" if len(shape) == 1 else "picture"
    if known and known.image_shape == (row.image_shape or shape):
        kind = row.input_kind or known.input_kind
    card = saving.Card(name, known.class_names if known else (), shape, kind, dataset=known.title if known else "")
    if len(shape) == 3:
        network = rebuild(network, scaling=row.scaling)
    return network, card, f"{name} with fresh weights of seed {seed}", found


def recipe_of(name, dataset, shape, classes):
    """The recipes.Recipe by which the network as it is built would learn `dataset`, or else any data."""
    if dataset:
        return recipes.own(name, dataset)
    for row in recipes.RECIPES.values():
        known = data.DATASETS[row.dataset]
        if (row.model, row.image_shape or known.image_shape, len(known.class_names)) == (name, shape, classes):
            return row
    return recipes.own(name, "pictures")


def check_classes(card, model, found):
    """Raise BadInputError where the labels of a data.Data mean other classes than the network's."""
    named, classes = card.class_names, model.output_shape[-1]
    if len(found.class_names) != classes or (named and tuple(named) != tuple(found.class_names)):
        theirs = f"{len(found.class_names)} ({', '.join(found.class_names[:2])}, ...)"
        ours = f"{classes} classes ({', '.join(named[:2])}, ...)" if named else f"{classes} classes"
        raise BadInputError(f"{card.model} tells {ours} apart, {found.title} has {theirs}; name data of its classes")


def own_data(card, data_dir):
    """The data.Data that the card names, where they are on this disk; for digits, scikit-learn's; else None."""
    title = card.dataset.split(" (")[0]  # "CIFAR-10 (JPEG)"
    own = next((name for name, row in data.DATASETS.items() if row.title == title), None)
    found = data.load_present(own, data_dir) if own else None
    reads_digits = card.class_names == DIGITS and card.input_kind.startswith("mnist")
    return data.load_present("digits") if found is None and reads_digits else found


def picture_of(found, card, image, seed):
    """(Examples of one picture, the picture file before it was prepared or None)."""
    shape = tuple(card.input_shape)
    if image is not None:
        original = pictures.read(image)
        pixels = pictures.prepare(original, card.input_kind, shape, image)
        return Examples(pixels[None], None, shorten(image)), original
    if found is not None:
        label = found.test_labels[:1]
        words = f"{found.name_of(0)} of {found.title}, labelled {found.class_names[label[0]]}"
        return Examples(as_taken(found.test_images[:1], found, card), label, words), None
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (1, *shape), np.uint8) if len(shape) == 3 else rng.random((1, *shape), np.float32)
    return Examples(noise, None, "random noise, since no picture was named and no data of its own are here"), None


def batch_of(found, card, seed):
    """Examples of BATCH training pictures drawn by `seed`; None without data."""
    if found is None:
        return None
    count = len(found.train_labels)
    chosen = np.sort(np.random.default_rng(seed).permutation(count)[:BATCH])
    images = as_taken(found.train_images[chosen], found, card)
    return Examples(images, found.train_labels[chosen], f"{len(chosen)} training pictures of {found.title}")


def as_taken(images, found, card):
    """Images of a data.Data as the network of `card` takes them."""
    if images.ndim != len(card.input_shape) + 1:
        kinds = ("rows of numbers", "pictures") if images.ndim == 4 else ("pictures", "rows of numbers")
        raise BadInputError(f"{card.model} takes {kinds[0]}, {found.title} has {kinds[1]}; name data of its own kind")
    images, prepare = fitting.fitted(images, found.input_kind, card.input_kind, card.input_shape)
    return prepare(images) if prepare else images
