"""Data sets from the network: by torchvision on the torch backend, by Keras on the others.

A download is read and checked in a temporary folder before it is moved to its place, so that half a download is never
found there. torchvision is not imported on the other backends: on TensorFlow its import kills the process.
"""

import contextlib
import errno
import os
import shutil
import socket
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from kerasnets.data.catalogue import Dataset
from kerasnets.data.dataset import Data
from kerasnets.errors import BadInputError, in_one_line, note
from kerasnets.runtime import backends

TIMEOUT = 20  # seconds without an answer
PREFIX = ".kerasnets-download-"  # of the temporary folders
ABANDONED = 24 * 3600  # seconds after which the temporary folder of a killed download is removed
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS)

Reader = Callable[[Path, Dataset], Data | None]
Fetch = Callable[[Dataset, Path, str], None]  # downloads into a folder, so that the files are in a subfolder of it


def download(dataset: Dataset, read: Reader, data_dir: str | Path | None, cache: Path) -> Data:
    """Download the files of a data set, read and check them, keep them, and return the Data.

    They are kept in `data_dir`; without it, torchvision's in ./data and Keras' in `cache`, each in its own layout.

    Raises:
        ConnectionError: The files cannot be downloaded.
        BadInputError: The files are damaged.
    """
    if backends.choose() == "torch" and has_torchvision():
        return keep(dataset, read, by_torchvision, Path(data_dir or "data"), dataset.folder)
    if data_dir:
        return keep(dataset, read, by_keras, Path(data_dir), dataset.folder)
    return keep(dataset, read, by_keras, cache, dataset.keras_folder)


def has_torchvision() -> bool:
    """Whether torchvision can be imported with the installed torch; if not, Keras downloads."""
    try:
        import torchvision  # noqa: F401
    except ModuleNotFoundError:
        return False
    except Exception as error:  # RuntimeError, AttributeError, ... if it was built for another torch
        note(f"torchvision cannot be imported ({in_one_line(error)}); Keras downloads instead")
        return False
    return True


def keep(dataset: Dataset, read: Reader, fetch: Fetch, target: Path, inside: str) -> Data:
    """Fetch into a temporary folder, read the data set in its subfolder `inside`, and move all files into `target`."""
    beside = next(folder for folder in (target, *target.absolute().parents) if folder.is_dir())  # on the same disk
    sweep(beside)
    with tempfile.TemporaryDirectory(dir=beside, prefix=PREFIX) as folder:
        fresh = Path(folder)
        with errors_in_one_form(dataset):
            fetch(dataset, fresh, inside)
        try:
            data = read(fresh / inside, dataset)
        except BadInputError as error:
            raise damage_error(dataset) from error
        if data is None:
            raise damage_error(dataset)
        target.mkdir(parents=True, exist_ok=True)
        for path in sorted(fresh.iterdir()):
            move(path, target / path.name)
    return data


def by_torchvision(dataset: Dataset, folder: Path, inside: str) -> None:
    """Let torchvision fetch into `folder`; in its own layout the files are in the subfolder `inside`."""
    from torchvision import datasets

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy 2.4.0 to 2.4.4 warn about CIFAR's pickles (numpy #31177)
        getattr(datasets, dataset.torchvision)(folder, download=True)


def by_keras(dataset: Dataset, folder: Path, inside: str) -> None:
    """Let Keras fetch into the subfolder `inside` of `folder`."""
    import keras

    place = folder / inside
    place.mkdir(parents=True, exist_ok=True)
    for url, sha256 in dataset.urls:
        keras.utils.get_file(
            url.rsplit("/", 1)[1], url, file_hash=sha256, cache_dir=place, cache_subdir="", force_download=True
        )


@contextlib.contextmanager
def errors_in_one_form(dataset: Dataset) -> Iterator[None]:
    """Turn every error of a library into the same ConnectionError, and limit the wait for an answer."""
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    except Exception as error:  # RuntimeError from torchvision, plain Exception from Keras, OSError from either
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise
        raise ConnectionError(
            f"{dataset.title} is in no known folder and cannot be downloaded; name the folder that holds "
            f"{dataset.first_file} and its like by --data-dir or KERASNETS_DATA"
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)


def damage_error(dataset: Dataset) -> BadInputError:
    return BadInputError(f"the download of {dataset.title} is damaged", remedy="try again, or use --data-dir")


def move(path: Path, place: Path) -> None:
    """Move a file or folder to `place` in one step; the content of a folder joins that of an earlier folder."""
    if path.is_dir() and place.is_dir():
        for entry in sorted(path.iterdir()):
            move(entry, place / entry.name)
    else:
        os.replace(path, place)


def sweep(folder: Path) -> None:
    """Remove the temporary folders in `folder` of downloads that were killed long ago."""
    for left in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another process may have removed it
            if time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left)
