"""DATASETS: the data sets, where their files may lie, and how they are read, checked and split.

Images stay uint8 (n, height, width, channels), 0..255, until they reach the network. Labels are int64 (n,).
"""

import contextlib
import errno
import gzip
import hashlib
import math
import os
import socket
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasnets import backends
from kerasnets.errors import BadInputError, shorten
from kerasnets.files import whole_file

DOWNLOAD_TIMEOUT = 20  # seconds without an answer
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS)


@dataclass(frozen=True)
class Dataset:
    """One row: what a data set holds, and where it comes from."""

    title: str
    class_names: tuple[str, ...]
    input_kind: str  # how a picture becomes one like those in the set: a name in pictures.KINDS
    image_shape: tuple[int, int, int]  # height, width, channels
    train: int  # pictures to train and validate on
    test: int
    folder: str = ""  # in torchvision's layout, below --data-dir or ./data
    archive: str = ""  # in Keras' cache, and its address
    archive_url: str = ""
    archive_sha256: str = ""
    content_sha256: tuple[str, ...] = ()  # of the arrays' bytes in the order of PARTS


DIGITS = tuple("0123456789")

DATASETS = {
    # The checksums belong to files whose MD5 is that of the published ones (6bbc9ace..., a25bea73..., 2646ac64...,
    # 27ae3e4e... unpacked), without their headers; the archive's stands in Keras' own keras.datasets.mnist.
    "mnist": Dataset(
        title="MNIST",
        class_names=DIGITS,
        input_kind="mnist",
        image_shape=(28, 28, 1),
        train=60_000,
        test=10_000,
        folder="MNIST/raw",
        archive="mnist.npz",
        archive_url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
        archive_sha256="731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
        content_sha256=(
            "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
            "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
            "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
            "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
        ),
    ),
    "digits": Dataset(
        title="scikit-learn's digits",
        class_names=DIGITS,
        input_kind="mnist",
        image_shape=(28, 28, 1),
        train=1437,
        test=360,
    ),
}

# The four arrays of a set: name of the IDX file, name in Keras' archive.
PARTS = (
    ("train-images-idx3-ubyte", "x_train"),
    ("train-labels-idx1-ubyte", "y_train"),
    ("t10k-images-idx3-ubyte", "x_test"),
    ("t10k-labels-idx1-ubyte", "y_test"),
)


@dataclass(frozen=True)
class Data:
    """A data set in memory. Images: uint8 (n, height, width, channels), 0..255; labels: int64 (n,)."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def load_data(name, data_dir=None):
    """Return the Data called `name` (a key of DATASETS).

    Looks into `data_dir` or KERASNETS_DATA; ./data and Keras' cache; /usr/share/datasets; then downloads.
    Raises ValueError for an unknown name, BadInputError for data that is damaged or is not what it is called,
    ConnectionError where it is nowhere to be found and cannot be downloaded.
    """
    if name not in DATASETS:
        raise ValueError(f"unknown data set {name!r}; choose one of: {', '.join(DATASETS)}")
    if name == "digits":
        return load_digits()
    row = DATASETS[name]
    data_dir = data_dir or os.environ.get("KERASNETS_DATA")
    if data_dir and not Path(data_dir).is_dir():
        raise BadInputError(f"no folder {shorten(data_dir)}; it was to hold {row.title} (--data-dir or KERASNETS_DATA)")
    for place in places(row, data_dir):
        if place.is_file():
            return read_archive(place, row)
        if any(idx_file(place, part) for part, _ in PARTS):
            return read_idx_folder(place, row)
    return download(row, data_dir)


def held_out(name, indices, data_dir=None):
    """Return (images, captions) of the test part at `indices`; ValueError for one that lies outside of it."""
    arrays = load_data(name, data_dir)
    count = len(arrays.test_labels)
    for index in indices:
        if not 0 <= index < count:
            raise ValueError(f"{name} has test pictures 0 to {count - 1}; there is no {index}")
    names = DATASETS[name].class_names
    return (
        [arrays.test_images[index] for index in indices],
        [f"{name} test {index} (a {names[arrays.test_labels[index]]})" for index in indices],
    )


def split(labels, validation, seed):
    """Return (train, validation) indices into `labels`: shuffled, stratified by class, the same on every backend.

    validation: how many are set apart. seed: int; NumPy's legacy generator, whose stream never changes.
    """
    from sklearn.model_selection import train_test_split

    return train_test_split(np.arange(len(labels)), test_size=validation, random_state=seed, stratify=labels)


def places(row, data_dir):
    """Where the files of a data set may lie, in the order of search: folders of IDX files, and .npz archives."""
    if data_dir:
        yield from (Path(data_dir) / row.folder, Path(data_dir), Path(data_dir) / row.archive)
    yield Path("data") / row.folder
    yield keras_cache() / row.archive
    yield Path("/usr/share/datasets") / row.title.lower()


def keras_cache():
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets"


def idx_file(folder, part):
    """The file of `folder` that holds `part`, unpacked or as .gz; None where there is neither."""
    return next((path for path in (folder / part, folder / f"{part}.gz") if path.is_file()), None)


def read_idx_folder(folder, row):
    """Read the four IDX files of a folder and check that they are the data set."""
    paths = [idx_file(folder, part) for part, _ in PARTS]
    for path, (part, _) in zip(paths, PARTS, strict=True):
        if path is None:
            raise BadInputError(
                f"{shorten(folder)} lacks {part}.gz; put it there, or name another folder by --data-dir"
            )
    return checked(row, [read_idx(path) for path in paths], paths)


def read_idx(path):
    """Read one IDX file of bytes (yann.lecun.com/exdb/mnist), unpacked or .gz: uint8, its header's shape."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            magic = file.read(4)
            if magic[:3] != b"\0\0\x08" or magic[3:] not in (b"\1", b"\3"):
                raise damaged(path, f"it begins with {magic.hex()}, not with 000008 and 1 or 3")
            shape = np.frombuffer(file.read(4 * magic[3]), ">u4").tolist()
            size = math.prod(shape)
            content = file.read(size + 1) if size < 2**30 else b""  # a header may promise anything
    except (EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        if isinstance(error, BadInputError):
            raise
        raise damaged(path, error) from error
    if len(content) != size:
        raise damaged(path, f"its header promises {size} bytes, it holds {'more' if len(content) > size else 'fewer'}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def read_archive(path, row):
    """Read an .npz archive as Keras keeps it and check that it is the data set."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = [archive[key] for _, key in PARTS]
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise damaged(path, error) from error
    return checked(row, arrays, [path] * 4)


def checked(row, arrays, paths):
    """Return the arrays as Data; raise BadInputError, naming the file, where they are not what `row` says."""
    for i, (array, path) in enumerate(zip(arrays, paths, strict=True)):
        count = row.train if i < 2 else row.test
        shape = (count, *row.image_shape[:2]) if i % 2 == 0 else (count,)
        if array.shape != shape:
            raise damaged(path, f"{row.title} has {shape} there, this is {array.shape}")
        if i % 2 and array.max() >= len(row.class_names):
            raise damaged(path, f"label {array.max()}, where {row.title} has 0 to {len(row.class_names) - 1}")
        content = hashlib.sha256(np.ascontiguousarray(array)).hexdigest()
        if array.dtype != np.uint8 or content != row.content_sha256[i]:
            raise damaged(path, f"its content is not that of {row.title}, by SHA-256")
    train_images, train_labels, test_images, test_labels = arrays
    return Data(
        train_images[..., None], train_labels.astype("int64"), test_images[..., None], test_labels.astype("int64")
    )


def damaged(path, reason):
    return BadInputError(
        f"{shorten(path)} is damaged: {reason}; copy the data set again, or delete all its files to have it downloaded"
    )


def load_digits():
    """scikit-learn's 1,797 handwritten digits (8x8, 0..16; UCI's optdigits test set), in MNIST's form.

    The test part is a fifth, set apart by a seed of its own, so that it is the same in every run.
    """
    from sklearn.datasets import load_digits as bundled

    from kerasnets import pictures

    digits = bundled()
    images = np.stack([pictures.to_mnist_form(image) for image in (digits.images * (255 / 16)).astype("uint8")])
    train, test = split(digits.target, DATASETS["digits"].test, seed=0)
    labels = digits.target.astype("int64")
    return Data(images[train], labels[train], images[test], labels[test])


def download(row, data_dir):
    """Download `row` by torchvision under the torch backend, by Keras under the others; check it; keep it whole.

    torchvision stays out of the others: under TensorFlow its import kills the process.
    """
    if backends.choose() == "torch" and backends.is_installed("torchvision"):
        return download_by_torchvision(row, data_dir)
    return download_by_keras(row, data_dir)


def download_by_torchvision(row, data_dir):
    from torchvision import datasets

    target = Path(data_dir or "data") / row.folder
    with tempfile.TemporaryDirectory(dir=data_dir or ".", prefix=".download-") as folder:
        with network(row):
            getattr(datasets, row.title)(folder, download=True)
        fresh = Path(folder) / row.folder
        data = fresh_data(row, read_idx_folder, fresh)
        target.mkdir(parents=True, exist_ok=True)
        for path in fresh.iterdir():
            os.replace(path, target / path.name)
    return data


def download_by_keras(row, data_dir):
    import keras

    target = (Path(data_dir) if data_dir else keras_cache()) / row.archive
    with whole_file(target) as part:
        with network(row):
            keras.utils.get_file(
                part.name,
                row.archive_url,
                file_hash=row.archive_sha256,
                cache_dir=part.parent,
                cache_subdir="",
                force_download=True,
            )
        return fresh_data(row, read_archive, part)


def fresh_data(row, read, path):
    """Read what was downloaded; say so where it is not the data set, for its file is gone when this is read."""
    try:
        return read(path, row)
    except BadInputError as error:
        raise BadInputError(f"what was downloaded as {row.title} is damaged; try again, or use --data-dir") from error


@contextlib.contextmanager
def network(row):
    """Say in one way that `row` cannot be downloaded, whatever a library raises; end a wait without an answer."""
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        yield
    except Exception as error:  # RuntimeError from torchvision, plain Exception from Keras, OSError from either
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise
        raise ConnectionError(
            f"{row.title} is in no known folder and cannot be downloaded; name the folder that holds "
            f"{PARTS[0][0]}.gz and its like by --data-dir or KERASNETS_DATA"
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)
