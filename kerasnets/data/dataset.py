"""A data set in memory, and what must be true of it before anything is trained on it."""

from dataclasses import dataclass

import numpy as np

from kerasnets.errors import BadInputError

ROWS = "row"  # the input kind of a table's rows


@dataclass(frozen=True)
class Data:
    """A data set in memory.

    Images: uint8 (n, height, width, 1 or 3), 0..255; or, of a table, float32 (n, columns). Labels: int64 (n,), each
    the place of its class in `class_names`.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    title: str = "these data"  # in messages, reports and model files
    class_names: tuple[str, ...] = ()  # "0", "1", ... where none are given
    input_kind: str = "picture"  # how a picture becomes one like those in the set: a name in pictures.KINDS
    test_files: tuple[str, ...] = ()  # the test pictures' own files, below the folder or zip; () where they have none

    def __post_init__(self):
        for part in ("train_labels", "test_labels"):
            labels = getattr(self, part)
            if is_whole(labels):
                object.__setattr__(self, part, labels.astype("int64", copy=False))
        if not self.class_names and is_whole(self.train_labels):
            names = tuple(str(label) for label in range(len(np.unique(self.train_labels))))
            object.__setattr__(self, "class_names", names)

    @property
    def image_shape(self):
        """(height, width, channels), or (columns,)."""
        return tuple(self.train_images.shape[1:])

    def name_of(self, index):
        """What a person finds the picture of the test part at `index` by: the name of its file, else that index."""
        return self.test_files[index].rpartition("/")[2] if self.test_files else f"test {index}"


def is_whole(labels):
    return isinstance(labels, np.ndarray) and labels.dtype.kind in "iu"


def check(data):
    """Raise BadInputError where `data` cannot be learned from: TypeError's and NaN's causes, before training."""
    for part in ("train", "test"):
        images, labels = getattr(data, f"{part}_images"), getattr(data, f"{part}_labels")
        reason = wrong_images(images) or wrong_labels(labels, len(images), len(data.class_names))
        if reason:
            raise BadInputError(f"{data.title}, {part} part: {reason}")
    if data.train_images.shape[1:] != data.test_images.shape[1:]:
        raise BadInputError(
            f"{data.title}: train pictures are {data.train_images.shape[1:]}, test pictures "
            f"{data.test_images.shape[1:]}; give both one shape"
        )
    counts = np.bincount(data.train_labels, minlength=len(data.class_names))
    if len(counts) < 2:
        raise BadInputError(f"{data.title} has one class alone; two at least are needed to tell apart")
    if not counts.all():
        missing = data.class_names[int(np.argmin(counts))]
        raise BadInputError(f"{data.title}, train part: no picture of class {missing!r}; add some, or leave it out")


def wrong_images(images):
    """Why an array cannot be a part of a data set, and what to do; None where it can."""
    if not isinstance(images, np.ndarray):
        return f"images are a {type(images).__name__}; give a NumPy array"
    if images.ndim == 3:
        return f"images are {images.shape}, without channels; add them by images[..., None]"
    if images.ndim not in (2, 4):
        return f"images are {images.shape}; give (n, height, width, channels), or (n, columns) of a table"
    if images.size == 0:
        return f"there are no images, or they are empty: {images.shape}; put some into it"
    if images.ndim == 2:
        if images.dtype.kind != "f":
            return f"a table's rows are {images.dtype}; give float32"
        return None if np.isfinite(images).all() else "a row holds NaN or infinity; leave such rows out"
    if images.shape[3] not in (1, 3):
        return f"images are {images.shape}; the last axis is for channels, 1 or 3"
    if images.dtype != np.uint8:
        return f"pixels are {images.dtype}; give uint8, 0..255: they are scaled in the network"
    return None


def wrong_labels(labels, count, num_classes):
    """Why an array cannot be the labels of `count` images, and what to do; None where it can."""
    if not isinstance(labels, np.ndarray):
        return f"labels are a {type(labels).__name__}; give a NumPy array"
    if labels.shape != (count,):
        return f"{count} images and labels of shape {labels.shape}; give one label an image"
    if labels.dtype.kind not in "iu":
        if labels.dtype.kind != "f" or not (labels == np.floor(labels)).all():  # NaN is not its own floor
            return f"labels are {labels.dtype} and not whole numbers; number the classes from 0"
        return f"labels are {labels.dtype}; give whole numbers, by labels.astype('int64')"
    if labels.min() < 0 or labels.max() >= num_classes:
        worst = labels.min() if labels.min() < 0 else labels.max()
        return (
            f"label {worst}, where the {num_classes} classes are numbered from 0 to {num_classes - 1}; number them so, "
            "without gaps"
        )
    return None
