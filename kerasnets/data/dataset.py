"""A data set, and the checks before a training run on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasnets.data.streams import Pictures
from kerasnets.errors import BadInputError
from kerasnets.runtime.digests import sha256

if TYPE_CHECKING:
    from kerasnets.data.catalogue import Dataset

ROWS = "row"  # the input kind of rows of numbers


@dataclass(frozen=True)
class Data:
    """A data set in memory, or streamed from the disk.

    Args:
        train_images: uint8 (n, height, width, 1 or 3), 0..255; or rows of a table (n, columns), kept as float32. If the
            pictures are streamed, this is no NumPy array, but decodes pictures when it is indexed like one.
        train_labels: int64 (n,), each the index of its class in `class_names`.
        test_images: Like train_images, of the same shape.
        test_labels: Like train_labels.
        title: Name for messages, reports and model files.
        class_names: () is "0", "1", ...
        input_kind: How a picture is prepared to resemble the images of the set: a name in pictures.KINDS.
        test_files: The files of the test images, relative to the folder or zip; () if there are none.
        left_out: The pictures that could not be read, likewise.
        is_split: Whether kerasnets has split off the test part, which the data did not have.
        validation: int64, the training images that are given for validation; None if a training chooses them.
        content: SHA-256 of the files of the training images; "" if they come from no files of their own.
        train_files: The files of the training images, like test_files.
        test_sizes: int (n, 2), height and width of the test pictures in their files; None if they have no files.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    title: str = "these data"
    class_names: tuple[str, ...] = ()
    input_kind: str = "picture"
    test_files: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    is_split: bool = False
    validation: np.ndarray | None = None
    content: str = ""
    train_files: tuple[str, ...] = ()
    test_sizes: np.ndarray | None = None

    def __post_init__(self) -> None:
        for part in ("train_images", "test_images"):
            object.__setattr__(self, part, as_float32(getattr(self, part)))
        for part in ("train_labels", "test_labels"):
            labels = getattr(self, part)
            if is_whole(labels):
                object.__setattr__(self, part, labels.astype("int64", copy=False))
        if not self.class_names and is_whole(self.train_labels):
            names = tuple(str(label) for label in range(len(np.unique(self.train_labels))))
            object.__setattr__(self, "class_names", names)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(height, width, channels), or (columns,)."""
        return tuple(self.train_images.shape[1:])

    def name_of(self, index: int) -> str:
        """Return the name by which a person finds the test image at `index`: its file, or else "test <index>"."""
        return self.test_files[index].rpartition("/")[2] if self.test_files else f"test {index}"

    def train_name_of(self, index: int) -> str:
        """Return the name of a training image: its folder, which is its label, and file, or else "train <index>"."""
        return "/".join(self.train_files[index].split("/")[-2:]) if self.train_files else f"train {index}"


def make_data(
    dataset: "Dataset",
    train_images: np.ndarray,
    train_labels: np.ndarray,
    test_images: np.ndarray,
    test_labels: np.ndarray,
) -> Data:
    """Return a known data set as Data."""
    return Data(
        train_images,
        train_labels,
        test_images,
        test_labels,
        title=dataset.title,
        class_names=dataset.class_names,
        input_kind=dataset.input_kind,
    )


def count_of_classes(names: Sequence[str], others: Sequence[str]) -> str:
    """Return the number of classes and the first names, those before the rest that are not among `others`."""
    first = sorted(names, key=set(others).__contains__)[:2]
    count = "1 class" if len(names) == 1 else f"{len(names)} classes"
    return f"{count} ({', '.join(first)}{', ...' if len(names) > 2 else ''})"


def digest(data: Data) -> str:
    """Return the start of a SHA-256 of the training part of `data`.

    Own pictures have the same digest in memory and streamed: a run may be resumed on a machine with other memory.
    """
    images: Any = data.train_images
    return sha256(data.content or (images.digest if isinstance(images, Pictures) else images), data.train_labels)[:16]


def as_float32(rows: Any) -> Any:
    """Return the rows of a table as float32; NumPy makes float64 unless told otherwise. Anything else is unchanged."""
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.dtype.kind != "f":
        return rows
    with np.errstate(over="ignore"):  # `check` refuses the infinity that it becomes
        return rows.astype(np.float32, copy=False)


def is_whole(labels: Any) -> bool:
    return isinstance(labels, np.ndarray) and labels.dtype.kind in "iu"


def check(data: Data, parts: Sequence[str] = ("train", "test")) -> None:
    """Raise BadInputError if a training run on `data` would fail, or would learn nothing.

    Without "train" in `parts`, the data are for a test alone.
    """
    if len(set(data.class_names)) < len(data.class_names):
        twice = max(data.class_names, key=data.class_names.count)
        raise BadInputError(f"{data.title}: two classes have the name {twice!r:.40}", remedy="give each its own")
    for part in parts:
        images, labels = getattr(data, f"{part}_images"), getattr(data, f"{part}_labels")
        fault = fault_of_images(images) or fault_of_labels(labels, len(images), len(data.class_names))
        if fault:
            raise BadInputError(f"{data.title}, {part} part: {fault[0]}", remedy=fault[1])
    if data.train_images.shape[1:] != data.test_images.shape[1:]:
        raise BadInputError(
            f"{data.title}: train pictures are {data.train_images.shape[1:]}, test pictures "
            f"{data.test_images.shape[1:]}",
            remedy="give both one shape",
        )
    if "train" not in parts:
        return
    counts = np.bincount(data.train_labels, minlength=len(data.class_names))
    if len(counts) < 2:
        raise BadInputError(f"{data.title} has one class alone", remedy="give it two or more")
    if not counts.all():
        missing = data.class_names[int(np.argmin(counts))]
        raise BadInputError(
            f"{data.title}, train part: no picture of class {missing!r}", remedy="add some, or leave it out"
        )


Fault = tuple[str, str]  # problem and remedy


def fault_of_images(images: Any) -> Fault | None:
    """Return why an array cannot be the images of a data set; None if it can."""
    if not isinstance(images, (np.ndarray, Pictures)):
        return f"images are a {type(images).__name__}", "give a NumPy array"
    if images.ndim == 3:
        return f"images are {images.shape}, without channels", "add them by images[..., None]"
    if images.ndim not in (2, 4):
        return f"images are {images.shape}", "give (n, height, width, channels), or (n, columns) of a table"
    if images.size == 0:
        return f"there are no images, or they are empty: {images.shape}", "add some"
    if isinstance(images, np.ndarray) and images.ndim == 2:
        if images.dtype.kind != "f":
            return f"a table's rows are {images.dtype}", "give float32"
        if not np.isfinite(images).all():
            return "a row holds NaN, infinity or a number beyond float32", "leave such rows out"
        return None
    if images.shape[3] not in (1, 3):
        return f"images are {images.shape}", "the last axis is for channels, 1 or 3"
    if images.dtype != np.uint8:
        return f"pixels are {images.dtype}", "give uint8, 0..255: the network scales them"
    return None


def fault_of_labels(labels: Any, count: int, num_classes: int) -> Fault | None:
    """Return why an array cannot be the labels of `count` images; None if it can."""
    if not isinstance(labels, np.ndarray):
        return f"labels are a {type(labels).__name__}", "give a NumPy array"
    if labels.shape != (count,):
        return f"{count} images and labels of shape {labels.shape}", "give one label an image"
    if labels.dtype.kind not in "iu":
        if labels.dtype.kind != "f" or not (labels == np.floor(labels)).all():  # NaN is not its own floor
            return f"labels are {labels.dtype} and not whole numbers", "number the classes from 0"
        return f"labels are {labels.dtype}", "give whole numbers, by labels.astype('int64')"
    if labels.min() < 0 or labels.max() >= num_classes:
        worst = labels.min() if labels.min() < 0 else labels.max()
        classes = f"the {num_classes} classes are numbered from 0 to {num_classes - 1}"
        return f"label {worst}, where {classes}", "number them so, without gaps"
    return None
