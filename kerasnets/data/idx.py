"""MNIST and Fashion-MNIST: IDX files as torchvision keeps them, or an .npz archive as Keras does."""

import gzip
import hashlib
import math
import zlib

import numpy as np

from kerasnets.data.dataset import Data
from kerasnets.errors import BadInputError, shorten

# The four arrays of a set: name of the IDX file, name in Keras' archive.
PARTS = (
    ("train-images-idx3-ubyte", "x_train"),
    ("train-labels-idx1-ubyte", "y_train"),
    ("t10k-images-idx3-ubyte", "x_test"),
    ("t10k-labels-idx1-ubyte", "y_test"),
)


def read(folder, row):
    """The Data that `folder` holds as `row` says; None where it holds nothing of the kind."""
    if row.archive and (folder / row.archive).is_file():
        return read_archive(folder / row.archive, row)
    if any(idx_file(folder, part) for part, _ in PARTS):
        return read_idx_folder(folder, row)
    return None


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
    return checked(row, arrays_of(path), [path] * 4)


def arrays_of(path, remedy=None):
    """The four arrays of an .npz archive, by Keras' names; `remedy` as in `damaged`."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return [archive[key] for _, key in PARTS]
    except Exception as error:  # NumPy, zipfile and zlib raise OSError, ValueError, BadZipFile, ... by the damage
        raise damaged(path, error, remedy) from error


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
        if array.dtype != np.uint8 or content != row.checksums[i]:
            raise damaged(path, f"its content is not that of {row.title}, by SHA-256")
    train_images, train_labels, test_images, test_labels = arrays
    return Data(
        train_images[..., None],
        train_labels.astype("int64"),
        test_images[..., None],
        test_labels.astype("int64"),
        title=row.title,
        class_names=row.class_names,
        input_kind=row.input_kind,
    )


def damaged(path, reason, remedy=None):
    """The error of a file at `path`; `remedy` says what to do, unless the file is one of a known data set."""
    remedy = remedy or "copy the data set again, or delete all its files to have it downloaded"
    return BadInputError(f"{shorten(path)} is damaged: {reason}; {remedy}")
