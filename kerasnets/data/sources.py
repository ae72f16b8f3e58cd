"""The data of a name: found on this disk, downloaded, or read from a person's own files."""

import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kerasnets import pictures
from kerasnets.data import builtin, cifar, downloads, folders, idx, own_code, python_forms
from kerasnets.data.arrays import as_images, as_labels
from kerasnets.data.catalogue import DATASETS, Dataset
from kerasnets.data.dataset import ROWS, Data, check
from kerasnets.data.parts import TEST, TRAIN, VALIDATION
from kerasnets.data.streams import Pictures
from kerasnets.errors import BadInputError, nearest_first, note

# form of the files -> function that reads a folder, and returns None if the folder has no file of the data set
READERS: dict[str, downloads.Reader] = {"idx": idx.read, "cifar": cifar.read}


class Card(Protocol):
    """The facts in a model's card (saving.Card) by which own pictures are prepared for it."""

    @property
    def model(self) -> str: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def input_shape(self) -> tuple[int, ...]: ...
    @property
    def input_kind(self) -> str: ...


def load_data(
    name: Any,
    data_dir: str | Path | None = None,
    image_size: tuple[int, ...] | None = None,
    input_kind: str = "picture",
    *,
    reading: folders.Reading = folders.BY_SIZE,
) -> Data:
    """Load a known data set or own data.

    kerasnets looks for a known data set in `data_dir` or the folder in the environment variable KERASNETS_DATA, in
    ./data, in Keras' cache, and in /usr/share/datasets. If it is in none of them, it is downloaded and checked.

    Args:
        name: A name in DATASETS, or the path of own data: a folder or zip with a folder of pictures for each class, or
            an .npz archive with the arrays x_train, y_train, x_test and y_test, in any form of Keras, PyTorch or
            scikit-learn: channels last or first, grey pictures without channels or as rows, labels in a column,
            one-hot or as text. Or a data set of Python: a pair of arrays (images, labels), a tf.data.Dataset, a PyTorch
            Dataset or DataLoader, a keras.utils.PyDataset, or a datasets.Dataset of Hugging Face, of which a fifth of
            each class becomes the test part; a pair of such, (train, test); or a mapping with "train" and "test". Or
            "file.py:function", a function of your own that returns one of these. Or a Data, which is returned.
        data_dir: Folder of the known data sets.
        image_size: (height, width) or (height, width, channels) in pixels, to which own pictures are resized. None if
            all have the same size.
        input_kind: How own pictures are resized: a name in pictures.KINDS.
        reading: How own pictures are read: held in memory or streamed, by their size unless it says so.

    Returns:
        The Data: train_images and test_images, uint8 (n, height, width, channels), 0..255, or float32 (n, columns) of a
        table; train_labels and test_labels, int64 (n,); class_names.

    Raises:
        ValueError: The name is unknown.
        BadInputError: A file is damaged, or its content is not that of the data set.
        ConnectionError: The data set is not on this disk and cannot be downloaded.

    Example:
        >>> digits = load_data("digits")
        >>> digits.train_images.shape, digits.test_labels.shape
        ((1437, 28, 28, 1), (360,))
    """
    if own_code.is_function(name):
        check_reading(name, reading)
        return python_forms.as_data(own_code.load(name)(), image_size, own_code.title_of(name), whole=reading.whole)
    if not isinstance(name, (str, Path)):
        check_read(name, image_size, reading)
        return name if isinstance(name, Data) else python_forms.as_data(name, image_size)
    if name not in DATASETS:
        return load_own(name, image_size, input_kind, reading)
    if image_size:
        raise ValueError(f"an image size goes with own pictures; {name} has its own")
    check_reading(name, reading)
    dataset = DATASETS[str(name)]
    note_own(name)
    if dataset.permuted:
        return permute(load_data(dataset.permuted, data_dir), dataset)
    data_dir = data_dir or os.environ.get("KERASNETS_DATA")
    present = load_present(str(name), data_dir)
    if present is not None:
        return present
    return downloads.download(dataset, READERS[dataset.form], data_dir, keras_cache())


def note_own(name: str | Path) -> None:
    """Print a note if `name` is a known set, and a person has own data of that name."""
    if name not in DATASETS:
        return
    own = next((path for path in (Path(name), Path(f"{name}.zip"), Path(f"{name}.npz")) if path.exists()), None)
    if own:
        place = os.path.join(".", own)
        note(f"{name} is {DATASETS[str(name)].title} here; for your own data, write {place}")


def load_present(name: str, data_dir: str | Path | None = None) -> Data | None:
    """Load a known data set like `load_data`, but return None if it needs a download."""
    dataset = DATASETS[name]
    if name in builtin.MAKERS:
        return builtin.MAKERS[name](dataset)
    if dataset.permuted:
        original = load_present(dataset.permuted, data_dir)
        return None if original is None else permute(original, dataset)
    data_dir = data_dir or os.environ.get("KERASNETS_DATA")
    if data_dir and not Path(data_dir).is_dir():
        raise BadInputError(
            "no folder {path}", path=data_dir, remedy=f"it was to hold {dataset.title} (--data-dir or KERASNETS_DATA)"
        )
    read = READERS[dataset.form]
    candidates = (read(place, dataset) for place in places(dataset, data_dir))
    return next((data for data in candidates if data is not None), None)


def permute(data: Data, dataset: Dataset) -> Data:
    """Return `data` as `dataset`, which has the same pixels in another order."""
    return dataclasses.replace(
        data,
        train_images=pictures.permute_pixels(data.train_images),
        test_images=pictures.permute_pixels(data.test_images),
        title=dataset.title,
        input_kind=dataset.input_kind,
    )


def load_like(
    card: Card, name: str | Path, data_dir: str | Path | None = None, *, reading: folders.Reading = folders.BY_SIZE
) -> Data:
    """Load like `load_data`, with own pictures prepared like the images that the model with `card` was trained on."""
    if name in DATASETS or Path(name).suffix.lower() == ".npz":
        return load_data(name, data_dir, reading=reading)
    if len(card.input_shape) != 3:
        if own_code.is_function(name):
            return load_data(name, reading=reading)
        raise BadInputError(
            f"holds pictures, and a {card.model} takes rows of numbers", path=name, remedy="name an .npz"
        )
    return load_data(name, data_dir, card.input_shape, card.input_kind, reading=reading)


def check_reading(name: str | Path, reading: folders.Reading) -> None:
    """Raise ValueError if `reading` asks for what only folders and zips of pictures allow."""
    if reading.stream or reading.skip_broken or reading.synsets:
        others = "leaving out broken pictures" if reading.skip_broken else "a synset file"
        option = "streaming" if reading.stream else others
        raise ValueError(f"{option} goes with a folder or zip of pictures; {name} is none")


def check_read(source: Any, image_size: tuple[int, ...] | None, reading: folders.Reading) -> None:
    """Raise ValueError if data of a Python program are to be read in a way in which they are not."""
    streams = isinstance(source, Data) and isinstance(source.train_images, Pictures)
    kind = f"a {type(source).__name__} of Python"
    if image_size and isinstance(source, Data):
        raise ValueError(f"an image size goes with pictures of several sizes; {kind} has its own")
    if streams and reading.stream is False:
        raise ValueError("the pictures of these data are streamed; load them with Reading(stream=False)")
    check_reading(kind, dataclasses.replace(reading, stream=None) if streams else reading)


def load_own(path: str | Path, image_size: tuple[int, ...] | None, input_kind: str, reading: folders.Reading) -> Data:
    """Load own data: class folders, a zip of them, or an .npz archive."""
    check_name(path)
    path = Path(path)
    if path.suffix.lower() == ".npz":
        check_reading(path, reading)
        data = load_archive(path, image_size)
    else:
        data = folders.read_classes(path, image_size, input_kind=input_kind, reading=reading)
    check(data, ("train", "test") if len(data.train_labels) or not reading.whole else ("test",))
    return data


def load_archive(path: Path, image_size: tuple[int, ...] | None) -> Data:
    if image_size:
        raise ValueError(f"an image size goes with folders of pictures; the arrays in {path.name} have their own")
    remedy = f"make it by np.savez({path.name!r}, x_train=..., y_train=..., x_test=..., y_test=...)"
    x_train, y_train, x_test, y_test, *validation = idx.arrays_of(path, remedy, own=True)
    if validation:
        parts = {TRAIN: (x_train, y_train), VALIDATION: tuple(validation), TEST: (x_test, y_test)}
        return python_forms.as_data(parts, title=path.stem)
    x_train, x_test = as_images(x_train), as_images(x_test)
    y_train, y_test, names = as_labels(y_train, y_test)
    input_kind = ROWS if x_train.ndim == 2 else "picture"
    return Data(x_train, y_train, x_test, y_test, title=path.stem, class_names=names, input_kind=input_kind)


def check_name(name: str | Path) -> None:
    """Raise ValueError if `name` is neither a data set nor a path, and BadInputError if nothing is at the path."""
    if name in DATASETS:
        return
    if own_code.is_function(name):
        own_code.check(name)
        return
    if not is_path(name):
        known = nearest_first(name, DATASETS)
        raise ValueError(f"unknown data set {str(name)!r}; choose one of: {known}, a folder, zip or .npz")
    is_archive = Path(name).suffix.lower() == ".npz"
    if not (Path(name).is_file() if is_archive else Path(name).exists()):
        kind = "file" if is_archive else "folder or zip"
        raise BadInputError(f"no {kind} {{path}}", path=name, remedy="check the name")


def is_path(name: str | Path) -> bool:
    """Whether the name of a data set is a path of own data."""
    path = Path(name)
    return (
        own_code.is_function(name)
        or path.exists()
        or not {"/", os.sep}.isdisjoint(str(name))
        or path.suffix.lower() in (".zip", ".npz")
    )


def load_test_images(
    name: str, indices: Iterable[int], data_dir: str | Path | None = None, card: Card | None = None
) -> tuple[list[np.ndarray], list[str]]:
    """Return (images, captions) of the test part at `indices`; own pictures are prepared for the model with `card`.

    Raises:
        ValueError: An index is outside the test part.
    """
    indices = list(indices)
    data = load_like(card, name, data_dir) if card and card.class_names else load_data(name, data_dir)
    count = len(data.test_labels)
    for index in indices:
        if not 0 <= index < count:
            raise ValueError(f"{name} has test pictures 0 to {count - 1}; there is no {index}")
    return (
        [data.test_images[index] for index in indices],
        [f"{name} test {index} (a {data.class_names[data.test_labels[index]]})" for index in indices],
    )


def places(dataset: Dataset, data_dir: str | Path | None) -> Iterator[Path]:
    """Yield the folders that may have the files of a data set, in the order of search."""
    for root in ([data_dir] if data_dir else []) + ["data"]:
        yield from (Path(root) / dataset.folder, Path(root))
    yield from (keras_cache() / dataset.keras_folder, keras_cache())
    yield Path("/usr/share/datasets") / dataset.title.lower()


def keras_cache() -> Path:
    """Return the folder where Keras keeps data sets; without a home folder, as in a container, Keras takes /tmp."""
    home = os.path.expanduser("~")
    if not os.access(home, os.W_OK):
        home = "/tmp"
    return Path(os.environ.get("KERAS_HOME") or os.path.join(home, ".keras")) / "datasets"
