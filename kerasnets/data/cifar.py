"""CIFAR-10 and CIFAR-100: the batches of their makers, unpacked or in their .tar.gz, or pictures in a zip.

A batch is a pickle, which could run anything when it is read: each is compared with its published MD5 before.
"""

import hashlib
import pickle
import tarfile
import warnings

import numpy as np

from kerasnets.data.dataset import Data
from kerasnets.data.folders import read_classes
from kerasnets.data.idx import damaged


def read(folder, row):
    """The Data that `folder` holds as `row` says; None where it holds nothing of the kind."""
    names = list(row.batches)
    if any((folder / name).is_file() for name in names):
        return read_batches({name: (folder / name, content_of(folder / name)) for name in names}, row)
    archive = folder / row.archive
    if archive.is_file():
        return read_batches(unpacked(archive, row), row)
    if row.pictures and (folder / row.pictures).is_file():
        return read_pictures(folder / row.pictures, row)
    return None


def content_of(path):
    """The bytes of a batch; none where it is missing, which its checksum tells."""
    return path.read_bytes() if path.is_file() else b""


def unpacked(archive, row):
    """batch -> (archive, bytes) of a .tar.gz, read without unpacking it on disk."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            return {name: (archive, tar.extractfile(f"{row.folder}/{name}").read()) for name in row.batches}
    except Exception as error:  # OSError, EOFError, KeyError, TarError, zlib.error, ... by where it is damaged
        raise damaged(archive, error) from error


def read_batches(contents, row):
    """Data of the batches: {name: (file to blame, bytes)}."""
    images, labels = [], []
    for name, (path, content) in contents.items():
        if hashlib.md5(content).hexdigest() != row.batches[name]:
            raise damaged(path, f"batch {name} is missing or not that of {row.title}, by MD5")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy 2.4.0 to 2.4.4 warn of Python 2's pickles (numpy #31177)
            batch = pickle.loads(content, encoding="latin1")
        pixels = np.asarray(batch["data"], np.uint8)
        images.append(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        labels.append(batch["labels"] if "labels" in batch else batch["fine_labels"])
    return Data(
        np.concatenate(images[:-1]),
        np.concatenate(labels[:-1]).astype("int64"),
        np.ascontiguousarray(images[-1]),
        np.asarray(labels[-1], "int64"),
        title=row.title,
        class_names=row.class_names,
        input_kind=row.input_kind,
    )


def read_pictures(path, row):
    """Data of a zip with a folder of pictures for each class, whose JPEGs are near to the original's pixels."""
    data = read_classes(path, row.image_shape, title=f"{row.title} (JPEG)")
    counts = (len(data.train_images), len(data.test_images))
    if data.class_names != row.class_names or counts != (row.train, row.test):
        raise damaged(path, f"it holds {counts} pictures of {len(data.class_names)} classes, not {row.title}")
    return data
