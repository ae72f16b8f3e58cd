"""Data sets of Python programs: arrays, and the data sets of TensorFlow, PyTorch, Keras and Hugging Face.

Their methods tell them apart, so that no framework is imported. They are read once, into arrays in memory.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kerasnets import pictures
from kerasnets.data import folders
from kerasnets.data.arrays import CHANNELS, as_bytes, as_images, as_labels, one_each
from kerasnets.data.dataset import ROWS, Data, check
from kerasnets.data.layout import split_off_test
from kerasnets.data.parts import PART_OF, TEST, TRAIN, VALIDATION
from kerasnets.errors import BadInputError
from kerasnets.pictures import pillow

IMAGES = ("image", "img", "images", "picture", "pixels", "pixel_values", "x")  # names of columns, lower case
LABELS = ("label", "labels", "fine_label", "class", "target", "y")
AGAIN = "give pairs of a picture and its label"
Pair = tuple[np.ndarray, Any]
Size = tuple[int, ...] | None


class Part(NamedTuple):
    """The examples of one part."""

    images: np.ndarray
    labels: np.ndarray  # one for each image
    names: tuple[str, ...]  # of the classes; () if they are not known


def as_data(source: Any, image_size: Size = None, title: str = "own", *, whole: bool = False) -> Data:
    """Return a data set of a Python program as Data.

    Args:
        source: One part, of which a fifth of each class is then split off for the test; a pair (train, test); or a
            mapping with "train", perhaps "validation", and "test". A part is a pair of arrays (images, labels), a
            mapping of both by name, a tf.data.Dataset, a PyTorch Dataset or DataLoader, a keras.utils.PyDataset, or a
            datasets.Dataset.
        image_size: (height, width) to which pictures are resized; None if all have the same size.
        title: Of the data.
        whole: Whether data without a test part are all for the test, instead of a fifth of each class.

    Raises:
        BadInputError: It is none of these, its pictures have different sizes, or it exceeds half of the memory.
    """
    parts = {name: read(part, image_size) for name, part in parts_of(source).items()}
    names = next(filter(None, (part.names for part in parts.values())), ())
    train, validation, test = parts[TRAIN], parts.get(VALIDATION), parts.get(TEST)
    if validation is not None:
        train = joined(train, validation)
    labels, test_labels, from_text = as_labels(train.labels, (train if test is None else test).labels)
    result = Data(
        train.images, labels, (train if test is None else test).images, test_labels, title, names or from_text,
        ROWS if train.images.ndim == 2 else "picture",
        validation=None if validation is None else np.arange(len(labels) - len(validation.labels), len(labels)),
    )  # fmt: skip
    check(result)
    if test is not None:
        return result
    return without_training_part(result) if whole else with_test_part(result)


def with_test_part(examples: Data) -> Data:
    """Return data with a fifth of each class as the test part."""
    rest, chosen = split_off_test(examples.train_labels, examples.class_names, Path(examples.title))
    images, labels = examples.train_images, examples.train_labels
    return dataclasses.replace(
        examples, train_images=images[rest], train_labels=labels[rest], test_images=images[chosen],
        test_labels=labels[chosen], is_split=True,
    )  # fmt: skip


def without_training_part(examples: Data) -> Data:
    """Return data whose examples are all for the test."""
    images, labels = examples.train_images[:0], examples.train_labels[:0]
    return dataclasses.replace(examples, train_images=images, train_labels=labels)


def joined(train: Part, validation: Part) -> Part:
    """Return both parts as one."""
    shapes = train.images.shape, validation.images.shape
    if min(map(len, shapes)) < 2 or shapes[0][1:] != shapes[1][1:]:
        problem = f"train pictures are {shapes[0][1:]}, validation pictures {shapes[1][1:]}"
        raise BadInputError(problem, remedy="give both one shape")
    if train.labels.ndim != 1 or validation.labels.ndim != 1:
        raise BadInputError("labels are not one for each picture", remedy="give one label an image")
    images, labels = (np.concatenate(both) for both in zip(train[:2], validation[:2], strict=True))
    return Part(images, labels, train.names)


def parts_of(source: Any) -> dict[str, Any]:
    """Return {TRAIN, perhaps VALIDATION and TEST: part}."""
    if isinstance(source, Mapping) and not is_arrays(source):
        named = {PART_OF.get(str(name).lower(), str(name)): part for name, part in source.items()}
        if TRAIN not in named or not set(named) <= {TRAIN, VALIDATION, TEST}:
            have = ", ".join(map(str, source))
            raise BadInputError(f"the data have the parts {have:.80}", remedy='name them "train" and "test"')
        if TEST not in named and VALIDATION in named:  # as in a folder
            named[TEST] = named.pop(VALIDATION)
        return named
    if isinstance(source, (tuple, list)) and len(source) == 2 and not is_array(source[0]):
        return dict(zip((TRAIN, TEST), source, strict=True))
    return {TRAIN: source}


def is_arrays(part: Any) -> bool:
    """Whether a part is a mapping of columns."""
    return isinstance(part, Mapping) and bool(part) and all(map(is_array, part.values()))


def is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype") and len(value.shape) > 0


def read(part: Any, image_size: Size) -> Part:
    """Return the examples of one part."""
    if is_arrays(part):
        part = tuple(part[name] for name in columns_of(part, part))
    if isinstance(part, (tuple, list)) and len(part) == 2 and is_array(part[0]):
        images, labels = as_array(part[0]), as_array(part[1])
        if image_size:
            images = gather(((image, 0) for image in images), image_size)[0]
    else:
        images, labels = gather(pairs_of(part), image_size)
    return Part(as_images(images), one_each(labels), names_of(part))


def gather(pairs: Iterator[Pair], image_size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Return (pictures, labels) of pairs as arrays in memory.

    Raises:
        BadInputError: There are none, their shapes differ, or they exceed half of the memory.
    """
    images, labels, size, most = [], [], 0, min(folders.MOST_BYTES, folders.memory() / 2)
    for image, label in pairs:
        image = resized(image, image_size) if image_size else image
        size += image.nbytes
        if size > most:
            problem = f"the data take more than {most / 1e9:.1f} GB of memory"
            raise BadInputError(problem, remedy="give a folder of pictures, which is read batch by batch")
        images.append(image)
        labels.append(label)
    if not images:
        raise BadInputError("the data are empty", remedy=AGAIN)
    if {image.shape[2:] for image in images} in ({(), (3,)}, {(1,), (3,)}):  # grey pictures and coloured ones
        images = [pictures.to_rgb(image) for image in images]
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        two = " and ".join(map(str, sorted(shapes)[:2]))
        raise BadInputError(f"pictures have different shapes, such as {two}", remedy="give image_size=(height, width)")
    return np.stack(images), np.array(labels)


def resized(image: np.ndarray, image_size: tuple[int, ...]) -> np.ndarray:
    """Return a picture resized to (height, width), or (height, width, channels), in its own channels; uint8."""
    if image.ndim not in (2, 3):
        raise BadInputError("an image size goes with pictures; the data are none", remedy="leave it out")
    if image.ndim == 3 and image.shape[0] in CHANNELS and image.shape[2] not in CHANNELS:
        image = image.transpose(1, 2, 0)
    image = np.ascontiguousarray(as_bytes(image))
    channels = 1 if image.ndim == 2 or image.shape[2] == 1 else 3
    return pictures.prepare(image, "picture", (*image_size, channels)[:3])


# ---- one example after another ---------------------------------------------------------------------------------------


def pairs_of(part: Any) -> Iterator[Pair]:
    """Yield (picture, label) of each example of a part, which may give them in batches."""
    for element in elements_of(part):
        image, label = two_of(element, part)
        image = as_array(image)
        label = label if isinstance(label, str) else as_array(label)
        if isinstance(label, str) or not is_batch(image, label):
            yield image, label
        elif len(image) != len(label):
            raise BadInputError(f"a batch has {len(image)} pictures and {len(label)} labels", remedy=AGAIN)
        else:
            yield from zip(image, label, strict=True)


def elements_of(part: Any) -> Iterator[Any]:
    """Return the elements of a part in their order, each once; BadInputError if they never end."""
    if hasattr(part, "cardinality") and int(part.cardinality()) == -1:  # tf.data.INFINITE_CARDINALITY
        raise BadInputError("the data never end", remedy="leave out repeat()")
    if hasattr(part, "as_numpy_iterator"):
        return iter(part.as_numpy_iterator())
    if hasattr(part, "__getitem__") and hasattr(part, "__len__"):  # also PyDatasets, whose iterators may never end
        return (part[i] for i in range(len(part)))
    if hasattr(part, "__iter__"):
        return iter(part)
    forms = "arrays, a tf.data.Dataset, a PyTorch Dataset or DataLoader, or a datasets.Dataset"
    raise BadInputError(f"the data are of the type {type(part).__name__}", remedy=f"give {forms}")


def two_of(element: Any, part: Any) -> tuple[Any, Any]:
    """Return the picture and the label in an element: a pair, or a row of named columns."""
    if isinstance(element, Mapping):
        image, label = columns_of(element, part)
        return element[image], element[label]
    if isinstance(element, (tuple, list)) and len(element) == 2:
        return element[0], element[1]
    is_sequence = isinstance(element, (tuple, list))
    problem = f"has {len(element)} values" if is_sequence else f"is of the type {type(element).__name__}"
    raise BadInputError(f"an example of the data {problem}", remedy=AGAIN)


def columns_of(row: Mapping[str, Any], part: Any) -> tuple[str, str]:
    """Return the names of the columns of pictures and of labels."""
    features = getattr(part, "features", None) or {}
    kinds = {name: type(features[name]).__name__ if name in features else "" for name in row}
    columns = []
    for kind, usual in (("Image", IMAGES), ("ClassLabel", LABELS)):
        names = [name for name in row if kinds[name] == kind] or [name for name in row if name.lower() in usual]
        if len(names) != 1:
            words = f"{len(names)} columns of {'pictures' if kind == 'Image' else 'labels'} in {', '.join(row)}"
            raise BadInputError(f"the data have {words:.100}", remedy='call them "image" and "label", and drop others')
        columns += names
    return columns[0], columns[1]


def is_batch(image: np.ndarray, label: np.ndarray) -> bool:
    """Whether an element is a batch of examples."""
    if label.ndim == 0 or image.ndim in (0, 1):
        return False
    if image.ndim == 2:
        return len(image) == len(label)  # rows, not one grey picture with a one-hot label
    if image.ndim != 3:
        return True
    return len(image) == len(label) and image.shape[2] not in CHANNELS  # grey pictures, not one of (h, w, channels)


def as_array(value: Any) -> np.ndarray:
    """Return an array, a tensor on any device, or a picture of Pillow as a NumPy array."""
    if hasattr(value, "getbands"):
        return of_pillow(value)
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.asarray(value)


def of_pillow(picture: Any) -> np.ndarray:
    """Return a picture of Pillow as uint8: grey, or RGB."""
    if picture.mode in ("L", "RGB"):
        return np.asarray(picture)
    return np.asarray(picture.convert("L")) if picture.mode == "1" else pillow.to_rgb8(picture)


def names_of(part: Any) -> tuple[str, ...]:
    """Return the class names that a data set, or the one inside it, knows; () if none does."""
    for _ in range(5):  # a DataLoader of a Subset of a data set
        features = getattr(part, "features", None)
        if isinstance(features, Mapping):
            labels = [feature for feature in features.values() if hasattr(feature, "int2str")]
            return tuple(map(str, labels[0].names)) if len(labels) == 1 else ()
        names = getattr(part, "class_names", None) or getattr(part, "classes", None)
        if isinstance(names, (list, tuple)):
            return tuple(map(str, names))
        if not hasattr(part, "dataset"):
            break
        part = part.dataset
    return ()
