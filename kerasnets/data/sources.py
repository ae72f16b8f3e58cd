"""DATASETS: the data sets, and where their files may lie. Each file of this package reads one form of them.

Images stay uint8 (n, height, width, channels), 0..255, until they reach the network. Labels are int64 (n,).
"""

import dataclasses
import os
from pathlib import Path

from kerasnets import pictures
from kerasnets.data import builtin, cifar, downloads, folders, idx
from kerasnets.data.catalogue import DATASETS, Dataset
from kerasnets.data.dataset import ROWS, Data, check
from kerasnets.data.splits import split
from kerasnets.errors import BadInputError, nearest_first, shorten

__all__ = ["DATASETS", "Data", "Dataset", "check", "held_out", "is_path", "load_data", "load_like", "load_present",
           "split"]  # fmt: skip


# form -> function (folder, row) -> Data, or None where the folder holds nothing of the kind
READERS = {"idx": idx.read, "cifar": cifar.read}


def load_data(name, data_dir=None, image_size=None, input_kind="picture"):
    """Return the Data called `name`: a key of DATASETS, or the path of own data.

    A known set is sought in `data_dir` or KERASNETS_DATA; ./data and Keras' cache; /usr/share/datasets; then
    downloaded. Own data are a folder, or a zip, with a folder of pictures for each class (see `data.folders`), or an
    .npz archive of the arrays x_train, y_train, x_test and y_test.
    image_size: (height, width[, channels]) to which own pictures are brought, in the manner of `input_kind`; where
        None, they must have one size.
    Raises ValueError for an unknown name, BadInputError for data that are damaged or are not what they are called,
    ConnectionError where they are nowhere to be found and cannot be downloaded.
    """
    if name not in DATASETS:
        return load_own(name, image_size, input_kind)
    if image_size:
        raise ValueError(f"an image size goes with own pictures; {name} has its own")
    row = DATASETS[name]
    if row.permuted:
        return permute(load_data(row.permuted, data_dir), row)
    data_dir = data_dir or os.environ.get("KERASNETS_DATA")
    found = load_present(name, data_dir)
    return downloads.download(row, READERS[row.form], data_dir, keras_cache()) if found is None else found


def load_present(name, data_dir=None):
    """The Data of a key of DATASETS where it needs no download, as `load_data` finds it; else None."""
    row = DATASETS[name]
    if name in builtin.MAKERS:
        return builtin.MAKERS[name](row)
    if row.permuted:
        found = load_present(row.permuted, data_dir)
        return None if found is None else permute(found, row)
    data_dir = data_dir or os.environ.get("KERASNETS_DATA")
    if data_dir and not Path(data_dir).is_dir():
        raise BadInputError(f"no folder {shorten(data_dir)}; it was to hold {row.title} (--data-dir or KERASNETS_DATA)")
    read = READERS[row.form]
    found = (read(place, row) for place in places(row, data_dir))
    return next((data for data in found if data is not None), None)


def permute(data, row):
    """`data` with its pixels in the order that `row` stands for."""
    return dataclasses.replace(
        data,
        train_images=pictures.permute_pixels(data.train_images),
        test_images=pictures.permute_pixels(data.test_images),
        title=row.title,
        input_kind=row.input_kind,
    )


def load_like(card, name, data_dir=None):
    """The Data called `name`, own pictures prepared as those that the model with `card` has learned from."""
    if name in DATASETS or Path(name).suffix.lower() == ".npz":
        return load_data(name, data_dir)
    if len(card.input_shape) != 3:
        raise BadInputError(f"{shorten(name)} holds pictures, and a {card.model} takes rows of numbers; name an .npz")
    return load_data(name, data_dir, card.input_shape, card.input_kind)


def load_own(path, image_size, input_kind):
    """The Data of a path: class folders, a zip of them, or an .npz archive."""
    if not is_path(path):
        raise ValueError(
            f"unknown data set {str(path)!r}; choose one of: {nearest_first(path, DATASETS)}, a folder, zip or .npz"
        )
    path = Path(path)
    if path.suffix.lower() == ".npz":
        if not path.is_file():
            raise BadInputError(f"no file {shorten(path)}; check the name")
        if image_size:
            raise ValueError(f"an image size goes with folders of pictures; the arrays in {path.name} have their own")
        arrays = idx.arrays_of(
            path, f"make it by np.savez({path.name!r}, x_train=..., y_train=..., x_test=..., y_test=...)"
        )
        data = Data(*arrays, title=path.stem, input_kind=ROWS if arrays[0].ndim == 2 else "picture")
    else:
        data = folders.read_classes(path, image_size, input_kind=input_kind)
    check(data)
    return data


def is_path(name):
    """Whether the name of a data set means own data on the disk."""
    path = Path(name)
    return path.exists() or not {"/", os.sep}.isdisjoint(str(name)) or path.suffix.lower() in (".zip", ".npz")


def held_out(name, indices, data_dir=None, card=None):
    """Return (images, captions) of the test part at `indices`; ValueError for one that lies outside of it.

    card: of the model that will judge them, as in `load_like`.
    """
    data = load_like(card, name, data_dir) if card and card.class_names else load_data(name, data_dir)
    count = len(data.test_labels)
    for index in indices:
        if not 0 <= index < count:
            raise ValueError(f"{name} has test pictures 0 to {count - 1}; there is no {index}")
    return (
        [data.test_images[index] for index in indices],
        [f"{name} test {index} (a {data.class_names[data.test_labels[index]]})" for index in indices],
    )


def places(row, data_dir):
    """The folders in which the files of a data set may lie, in the order of search."""
    for root in ([data_dir] if data_dir else []) + ["data"]:
        yield from (Path(root) / row.folder, Path(root))
    yield from (keras_cache() / row.keras_folder, keras_cache())
    yield Path("/usr/share/datasets") / row.title.lower()


def keras_cache():
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets"
