"""MNIST and Fashion-MNIST: IDX files as torchvision keeps them, or an .npz archive as Keras does."""

import gzip
import io
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerasnets.data.dataset import Data, make_data
from kerasnets.errors import BadInputError, in_one_line, note
from kerasnets.runtime.archive import Archive
from kerasnets.runtime.digests import sha256

if TYPE_CHECKING:
    from kerasnets.data.catalogue import Dataset

# An .npz archive, of all its members: bytes of all, unpacked, as times the size of the file, plus SPARE; their number
INFLATED, SPARE, MOST_MEMBERS = 20, 2**27, 100
LONGEST_NAME = 200  # characters of a class name
MOST_HEADER = 2**14  # bytes of an array's header, of which NumPy reads 10,000

# (name of the IDX file, name in Keras' archive) of the four arrays
PARTS = (
    ("train-images-idx3-ubyte", "x_train"),
    ("train-labels-idx1-ubyte", "y_train"),
    ("t10k-images-idx3-ubyte", "x_test"),
    ("t10k-labels-idx1-ubyte", "y_test"),
)
VALIDATION = ("x_val", "y_val")  # beside Keras' names, which an archive may lack
MEDMNIST = ("train_images", "train_labels", "test_images", "test_labels")
MEDMNIST_VALIDATION = ("val_images", "val_labels")


def read(folder: Path, dataset: "Dataset") -> Data | None:
    """Return the data set in `folder`; None if it has no file of it."""
    if dataset.archive and (folder / dataset.archive).is_file():
        path = folder / dataset.archive
        return check_arrays(dataset, arrays_of(path), [path] * 4)
    if any(idx_file(folder, part) for part, _ in PARTS):
        return read_idx_folder(folder, dataset)
    return None


def idx_file(folder: Path, part: str) -> Path | None:
    """Return the file of `part`, unpacked or .gz; None if there is neither."""
    return next((path for path in (folder / part, folder / f"{part}.gz") if path.is_file()), None)


def read_idx_folder(folder: Path, dataset: "Dataset") -> Data:
    """Read the four IDX files of a folder and check that they are the data set."""
    paths = []
    for part, _ in PARTS:
        path = idx_file(folder, part)
        if path is None:
            remedy = "put it there, or name another folder by --data-dir"
            raise BadInputError(f"lacks {part}.gz", path=folder, remedy=remedy)
        paths.append(path)
    return check_arrays(dataset, [read_idx(path) for path in paths], paths)


def read_idx(path: Path) -> np.ndarray:
    """Read one IDX file of bytes (yann.lecun.com/exdb/mnist), unpacked or .gz: uint8 with the header's shape."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            magic = file.read(4)
            if magic[:3] != b"\0\0\x08" or magic[3:] not in (b"\1", b"\3"):
                raise damage_error(path, f"it begins with {magic.hex()}, not with 000008 and 1 or 3")
            shape = np.frombuffer(file.read(4 * magic[3]), ">u4").tolist()
            size = math.prod(shape)
            content = file.read(size + 1) if size < 2**30 else b""  # a damaged header may promise anything
    except (EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        if isinstance(error, BadInputError):
            raise
        raise damage_error(path, error) from error
    if len(content) != size:
        raise damage_error(
            path, f"its header promises {size} bytes, it holds {'more' if len(content) > size else 'fewer'}"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def arrays_of(path: Path, remedy: str = "", *, own: bool = False) -> list[np.ndarray]:
    """Return the arrays of an .npz archive with Keras' names: images and labels of the training, those of the test.

    Args:
        path: The archive.
        remedy: As in `damage_error`.
        own: Whether labels may be text and names MedMNIST's, whose arrays for validation come last.
    """
    most = INFLATED * path.stat().st_size + SPARE
    try:
        with Archive(path, most, MOST_MEMBERS) as archive:
            names = [name for _, name in PARTS]
            if own:
                names = names_in(archive.names, path)
            arrays = [array_of(archive.read(f"{name}.npy"), own and is_of_labels(name)) for name in names]
        for name, array in zip(names, arrays, strict=True):
            if not array.ndim:
                raise ValueError(f"{name} is a number, not an array")
        return arrays
    except KeyError as error:
        raise damage_error(path, f"it has no array {error.args[0].removesuffix('.npy')}", remedy) from error
    except (MemoryError, FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # NumPy and zipfile raise many kinds of errors, depending on the damage
        raise damage_error(path, error, remedy) from error


def names_in(members: Sequence[str], path: Path) -> list[str]:
    """Return the names of the arrays to read from an archive of one's own, those for validation last; note others."""
    is_medmnist = "train_images.npy" in members
    names: list[str] = [*MEDMNIST] if is_medmnist else [name for _, name in PARTS]
    validation = MEDMNIST_VALIDATION if is_medmnist else VALIDATION
    if any(f"{name}.npy" in members for name in validation):
        names += validation
    others = [name for member in members if (name := member.removesuffix(".npy")) not in names]
    if others and f"{names[0]}.npy" in members:
        more = f" and {len(others) - 3} more" * (len(others) > 3)
        note(f"left out of {path.name}, because no part of the data is called so: {', '.join(others[:3])}{more}")
    return names


def is_of_labels(name: str) -> bool:
    """Whether an array of an archive has labels."""
    return name.startswith("y") or name.endswith("labels")


def array_of(content: bytearray, with_text: bool = False) -> np.ndarray:
    """Return the array in the content of an .npy file, without a copy; raise ValueError if it holds no numbers."""
    file = io.BytesIO(content[:MOST_HEADER])
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read_header:
        raise ValueError(f"an array of NumPy's format {version}")
    shape, is_fortran, dtype = read_header[version](file)
    is_text = with_text and dtype.kind == "U" and 0 < dtype.itemsize <= 4 * LONGEST_NAME
    if not is_text and (dtype.kind not in "biuf" or dtype.itemsize > 8):
        raise ValueError(f"an array of {dtype!s:.40}, not of numbers")
    start, size = file.tell(), math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or len(content) - start != size:
        raise ValueError(f"an array of {dtype} {shape!s:.40} in {len(content) - start} bytes")
    array = np.ndarray(shape, dtype, content, start, order="F" if is_fortran else "C")
    if is_text:
        np.vectorize(lambda name: name.encode(), otypes=[object])(array)  # raises UnicodeError, a ValueError
    return array


def check_arrays(dataset: "Dataset", arrays: Sequence[np.ndarray], paths: Sequence[Path]) -> Data:
    """Return the arrays as Data; raise BadInputError, with the file's name, if they are not the data set's."""
    for i, (array, path) in enumerate(zip(arrays, paths, strict=True)):
        count = dataset.train if i < 2 else dataset.test
        shape = (count, *dataset.image_shape[:2]) if i % 2 == 0 else (count,)
        if array.shape != shape:
            raise damage_error(path, f"{dataset.title} has {shape} there, this is {array.shape}")
        if i % 2 and array.max() >= len(dataset.class_names):
            raise damage_error(
                path, f"label {array.max()}, where {dataset.title} has 0 to {len(dataset.class_names) - 1}"
            )
        if array.dtype != np.uint8 or sha256(array) != dataset.checksums[i]:
            raise damage_error(path, f"its content is not that of {dataset.title}, by SHA-256")
    train_images, train_labels, test_images, test_labels = arrays
    return make_data(
        dataset,
        train_images[..., None],
        train_labels.astype("int64"),
        test_images[..., None],
        test_labels.astype("int64"),
    )


def damage_error(path: Path, reason: object, remedy: str = "") -> BadInputError:
    """Return the error for a damaged file; without `remedy`, for a file of a known data set."""
    remedy = remedy or "copy the data set again, or delete all its files to have it downloaded"
    return BadInputError(f"is damaged: {in_one_line(reason, 100)}", path=path, remedy=remedy)
