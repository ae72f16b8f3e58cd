"""HDF5 files: their arrays and attributes checked, and the checksum of an .h5 model file."""

import contextlib
import io
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kerasnets.errors import BadInputError
from kerasnets.runtime.backends import environment
from kerasnets.runtime.digests import sha256, sha256_of_file
from kerasnets.saving.keras_config import MOST_CONFIG

if TYPE_CHECKING:
    import h5py

SEAL = b"\nkerasnets sha256 "  # follows the HDF5 content of an .h5; 64 hexadecimal digits follow it
SEALED = len(SEAL) + 64  # bytes

MOST_PARTS = 50_000  # groups and arrays, two or three for each array of weights
DEEPEST = 60  # groups in groups
TEXTS, THREAD = 2**28, 2**25  # bytes for all texts of an .h5, and for each thread that NumPy may keep waiting
AGAIN = "train or copy it again"


def count(file: "h5py.File", most: int) -> int:
    """Return how many numbers the arrays of an HDF5 file hold.

    Raises:
        BadInputError: The file has links, has data in other files, or unpacks to more than `most` bytes.
    """
    import h5py

    waiting: list[tuple[h5py.Group, int]] = [(file, 0)]
    seen: set[int] = set()
    numbers = size = 0
    check_attributes(file)
    while waiting:
        group, depth = waiting.pop()
        if len(group) + len(seen) > MOST_PARTS or depth > DEEPEST:
            raise BadInputError("has more parts, or deeper ones, than any model", remedy=AGAIN)
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                remedy = "save the model with its weights inside"
                raise BadInputError(f"has a link instead of {name!r:.40}", remedy=remedy)
            part = group[name]
            address = h5py.h5o.get_info(part.id).addr
            if address in seen:
                raise BadInputError(f"has {name!r:.40} in it twice", remedy=AGAIN)
            seen.add(address)
            check_attributes(part)
            if isinstance(part, h5py.Group):
                waiting.append((part, depth + 1))
                continue
            check_array(part, name)
            numbers += part.size
            size += part.nbytes
            if size > most:
                raise BadInputError("unpacks to far more than its size, as no model does", remedy=AGAIN)
    return numbers


def check_attributes(part: "h5py.Group | h5py.Dataset") -> None:
    """Raise BadInputError if an attribute declares a large size: h5py allocates it before it looks for the data."""
    for name in part.attrs:
        attribute = part.attrs.get_id(name)
        count = math.prod(attribute.shape or ())
        if count > MOST_PARTS or count * attribute.dtype.itemsize > MOST_CONFIG:
            raise BadInputError(f"has an attribute {name!r:.40} larger than in any model", remedy=AGAIN)


def check_array(array: object, name: str) -> None:
    import h5py

    if not isinstance(array, h5py.Dataset) or array.external or array.is_virtual:
        raise BadInputError(f"has {name!r:.40} in another file", remedy="save the model with its weights inside")
    if array.dtype.kind not in "fiub" or array.shape is None:
        raise BadInputError(f"has {name!r:.40}, which is no array of numbers", remedy=AGAIN)


# ---- texts -----------------------------------------------------------------------------------------------------------


def check_texts(path: Path) -> None:
    """Raise BadInputError if the texts of an .h5 file take too much memory: HDF5 allocates any length that is declared.

    They are read in a process of limited memory.
    """
    import subprocess

    code = "from kerasnets.saving.hdf5_check import read_texts; read_texts()"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], env=environment(), capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[2] or "HDF5 fails on it"
        raise RuntimeError(reason)  # which `keras_check.read` words as any other damage


def read_texts() -> None:
    """Read every attribute of the .h5 file that the command line names, within TEXTS bytes if the system can limit."""
    import h5py

    with contextlib.suppress(ImportError):  # Windows
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        memory = used + TEXTS + THREAD * (os.cpu_count() or 1)
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    with h5py.File(sys.argv[1], "r") as file:
        parts = [file]
        file.visititems(lambda name, part: parts.append(part))
        for part in parts:
            dict(part.attrs)


# ---- the checksum of an .h5 ------------------------------------------------------------------------------------------


def seal(file: io.BytesIO) -> None:
    """Append a checksum to an .h5 file, after the end of its HDF5 content."""
    checksum = sha256(file.getbuffer())
    file.seek(0, io.SEEK_END)
    file.write(SEAL + checksum.encode())


def is_sealed(path: Path) -> bool:
    """Whether an .h5 file ends in our checksum; older files and other programs' have none.

    Raises:
        BadInputError: The checksum differs.
    """
    size = max(0, path.stat().st_size - SEALED)
    with path.open("rb") as file:
        file.seek(size)
        if file.read(len(SEAL)) != SEAL:
            return False
        checksum = file.read()
    if sha256_of_file(path, size).encode() != checksum:
        raise BadInputError("is damaged: it is not what was saved", remedy=AGAIN)
    return True
