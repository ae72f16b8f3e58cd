"""CIFAR-10 and CIFAR-100: the original batches, unpacked or in their .tar.gz, or a zip of pictures.

A batch is a pickle, and a pickle can run code when it is read: each is compared with its published MD5 first.
"""

import hashlib
import pickle
import tarfile
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kerasnets.data.catalogue import Dataset
from kerasnets.data.dataset import Data, make_data
from kerasnets.data.folders import read_classes
from kerasnets.data.idx import damage_error

Batches = Mapping[str, tuple[Path, bytes]]  # name -> (file that error messages name, content)


def read(folder: Path, dataset: Dataset) -> Data | None:
    """Return the data set in `folder`; None if it has no file of it."""
    names = list(dataset.batches)
    if any((folder / name).is_file() for name in names):
        return read_batches({name: (folder / name, content_of(folder / name)) for name in names}, dataset)
    archive = folder / dataset.archive
    if archive.is_file():
        return read_batches(unpack(archive, dataset), dataset)
    for name, title in dataset.pictures.items():
        if (folder / name).is_file():
            return read_pictures(folder / name, dataset, title)
    return None


def content_of(path: Path) -> bytes:
    """Return the content of a batch; empty if the file is missing, so that its checksum differs."""
    return path.read_bytes() if path.is_file() else b""


def unpack(archive: Path, dataset: Dataset) -> Batches:
    """Read the batches from a .tar.gz without unpacking it on disk."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            files = {name: tar.extractfile(f"{dataset.folder}/{name}") for name in dataset.batches}
            return {name: (archive, file.read() if file else b"") for name, file in files.items()}
    except Exception as error:  # OSError, EOFError, KeyError, TarError, zlib.error, ..., depending on the damage
        raise damage_error(archive, error) from error


def read_batches(contents: Batches, dataset: Dataset) -> Data:
    """Check the batches by MD5 and read them."""
    images, labels = [], []
    for name, (path, content) in contents.items():
        if hashlib.md5(content).hexdigest() != dataset.batches[name]:
            raise damage_error(path, f"batch {name} is missing or not that of {dataset.title}, by MD5")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy 2.4.0 to 2.4.4 warn about Python 2's pickles (numpy #31177)
            batch = pickle.loads(content, encoding="latin1")
        pixels = np.asarray(batch["data"], np.uint8)
        images.append(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        labels.append(batch["labels"] if "labels" in batch else batch["fine_labels"])
    return make_data(
        dataset,
        np.concatenate(images[:-1]),
        np.concatenate(labels[:-1]).astype("int64"),
        np.ascontiguousarray(images[-1]),
        np.asarray(labels[-1], "int64"),
    )


def read_pictures(path: Path, dataset: Dataset, title: str) -> Data:
    """Read a zip with a folder of pictures for each class. No checksum says that they are the original's pixels."""
    data = read_classes(path, dataset.image_shape, title=title)
    counts = (len(data.train_images), len(data.test_images))
    if data.class_names != dataset.class_names or counts != (dataset.train, dataset.test):
        raise damage_error(path, f"it holds {counts} pictures of {len(data.class_names)} classes, not {dataset.title}")
    return data
