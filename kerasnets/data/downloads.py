"""Data sets from the network: by torchvision under the torch backend, by Keras under the others.

What comes is read and checked before it takes its place; nothing is left half-written. torchvision stays out of the
other backends: under TensorFlow its import kills the process.
"""

import contextlib
import errno
import os
import shutil
import socket
import sys
import tempfile
import time
import warnings
from pathlib import Path

from kerasnets.errors import BadInputError, in_one_line
from kerasnets.runtime import backends

TIMEOUT = 20  # seconds without an answer
PREFIX = ".kerasnets-download-"  # of the folder in which a download lies until it is whole
ABANDONED = 24 * 3600  # seconds after which the folder that a killed download left behind is swept away
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS)


def download(row, read, data_dir, cache):
    """Download the files of `row`, read them by `read(folder, row)`, keep them; return the Data.

    They come to lie in `data_dir`, or without one in ./data as torchvision does, in `cache` as Keras does.
    """
    if backends.choose() == "torch" and has_torchvision():
        return keep(row, read, by_torchvision, Path(data_dir or "data"), row.folder)
    if data_dir:
        return keep(row, read, by_keras, Path(data_dir), row.folder)
    return keep(row, read, by_keras, cache, row.keras_folder)


def has_torchvision():
    """Whether torchvision is there and goes with the installed torch; where not, Keras serves as well."""
    try:
        import torchvision  # noqa: F401
    except ModuleNotFoundError:
        return False
    except Exception as error:  # RuntimeError, AttributeError, ... where it was built for another torch
        print(f"note: torchvision cannot be imported ({in_one_line(error)}); Keras downloads instead",
              file=sys.stderr)  # fmt: skip
        return False
    return True


def keep(row, read, fetch, target, inside):
    """Fetch into a folder beside its place, read there what lies `inside` it, then move all into `target`."""
    beside = next(folder for folder in (target, *target.absolute().parents) if folder.is_dir())  # on the same disk
    sweep(beside)
    with tempfile.TemporaryDirectory(dir=beside, prefix=PREFIX) as folder:
        fresh = Path(folder)
        with network(row):
            fetch(row, fresh, inside)
        try:
            data = read(fresh / inside, row)
        except BadInputError as error:
            raise BadInputError(
                f"what was downloaded as {row.title} is damaged; try again, or use --data-dir"
            ) from error
        target.mkdir(parents=True, exist_ok=True)
        for path in sorted(fresh.iterdir()):
            move(path, target / path.name)
    return data


def move(path, place):
    """Move a file or folder to `place` in one step; where a folder is there already, join its content to that one's."""
    if path.is_dir() and place.is_dir():
        for entry in sorted(path.iterdir()):
            move(entry, place / entry.name)
    else:
        os.replace(path, place)


def sweep(folder):
    """Remove what downloads that were killed long ago left in `folder`."""
    for left in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another process may have swept it
            if time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left)


def by_torchvision(row, folder, inside):
    """Let torchvision fetch into `folder`, in its own layout, in which the files lie `inside` it."""
    from torchvision import datasets

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy 2.4.0 to 2.4.4 warn of CIFAR's pickles (numpy #31177)
        getattr(datasets, row.torchvision)(folder, download=True)


def by_keras(row, folder, inside):
    """Let Keras fetch the files of `row` to `inside` of `folder`."""
    import keras

    place = folder / inside
    place.mkdir(parents=True, exist_ok=True)
    for url, sha256 in row.urls:
        keras.utils.get_file(
            url.rsplit("/", 1)[1], url, file_hash=sha256, cache_dir=place, cache_subdir="", force_download=True
        )


@contextlib.contextmanager
def network(row):
    """Say in one way that `row` cannot be downloaded, whatever a library raises; end a wait without an answer."""
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    except Exception as error:  # RuntimeError from torchvision, plain Exception from Keras, OSError from either
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise
        raise ConnectionError(
            f"{row.title} is in no known folder and cannot be downloaded; name the folder that holds "
            f"{row.first_file} and its like by --data-dir or KERASNETS_DATA"
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)
