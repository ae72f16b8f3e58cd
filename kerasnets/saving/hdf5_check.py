"""HDF5 files: their arrays and attributes checked, and the checksum of an .h5 model file.

The checks read all that HDF5 interprets, so they belong into a process of limited time and memory: `keras_check`.
"""

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING

from kerasnets.errors import BadInputError
from kerasnets.runtime.digests import sha256, sha256_of_file
from kerasnets.saving.keras_config import MOST_CONFIG

if TYPE_CHECKING:
    import h5py

SEAL = b"\nkerasnets sha256 "  # follows the HDF5 content of an .h5; 64 hexadecimal digits follow it
SEALED = len(SEAL) + 64  # bytes

MOST_PARTS = 50_000  # groups and arrays, two or three for each array of weights
DEEPEST = 60  # groups in groups
FILTERS = (1, 2, 3)  # deflate, shuffle and fletcher32 (H5Zpublic.h), which h5py offers and every HDF5 can read
CHUNK = 2**20  # bytes that a chunk may have in any array; a larger one, no more than twice its array
AGAIN = "train or copy it again"


def count(file: "h5py.File", most: int) -> int:
    """Return how many numbers the arrays of an HDF5 file hold, after reading its attributes and chunks.

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
            read_chunks(part)
    return numbers


def check_attributes(part: "h5py.Group | h5py.Dataset") -> None:
    """Read all attributes; raise BadInputError if one declares a large size, which h5py would allocate at once."""
    for name in part.attrs:
        attribute = part.attrs.get_id(name)
        count = math.prod(attribute.shape or ())
        if count > MOST_PARTS or count * attribute.dtype.itemsize > MOST_CONFIG:
            raise BadInputError(f"has an attribute {name!r:.40} larger than in any model", remedy=AGAIN)
        value = part.attrs[name]
        if isinstance(value, (str, bytes)) and len(value) > MOST_CONFIG:
            raise BadInputError(f"has an attribute {name!r:.40} larger than in any model", remedy=AGAIN)


def check_array(array: object, name: str) -> None:
    """Raise BadInputError if a part of an HDF5 file is not an array of numbers that can be read in bounded memory."""
    import h5py

    if not isinstance(array, h5py.Dataset):
        raise BadInputError(f"has {name!r:.40}, which is no array", remedy=AGAIN)
    if array.external or array.is_virtual:
        raise BadInputError(f"has {name!r:.40} in another file", remedy="save the model with its weights inside")
    is_bfloat16 = array.dtype.kind == "V" and array.dtype.itemsize == 2 and array.dtype.names is None
    if (array.dtype.kind not in "fiub" and not is_bfloat16) or array.dtype.itemsize > 8 or array.shape is None:
        raise BadInputError(f"has {name!r:.40}, which is no array of numbers", remedy=AGAIN)
    if array.chunks is None:
        return  # it lies in the file as it is
    properties = array.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if not set(filters) <= set(FILTERS) or len(filters) > len(FILTERS):
        raise BadInputError(f"has {name!r:.40} packed in an unknown way", remedy="save it by Keras again")
    if math.prod(array.chunks) * array.dtype.itemsize > max(CHUNK, 2 * array.nbytes):
        raise BadInputError(f"has {name!r:.40} in chunks far larger than it is", remedy=AGAIN)


def read_chunks(array: "h5py.Dataset") -> None:
    """Read an array of chunks, which may inflate to any size; HDF5 raises, or ends the process, if they are damaged."""
    if array.chunks is not None and array.size:
        for place in array.iter_chunks():
            array[place]


# ---- the checksum of an .h5 ------------------------------------------------------------------------------------------


def seal(file: io.BytesIO) -> None:
    """Append a checksum to an .h5 file, after the end of its HDF5 content."""
    checksum = sha256(file.getbuffer())
    file.seek(0, io.SEEK_END)
    file.write(SEAL + checksum.encode())


def check_seal(path: Path) -> None:
    """Raise BadInputError if an .h5 file ends in a checksum of ours that differs.

    It notices flipped bits. It is no signature: anyone can compute it, so it exempts a file from no other check.
    """
    size = max(0, path.stat().st_size - SEALED)
    with path.open("rb") as file:
        file.seek(size)
        if file.read(len(SEAL)) != SEAL:
            return
        checksum = file.read()
    if sha256_of_file(path, size).encode() != checksum:
        raise BadInputError("is damaged: it is not what was saved", remedy=AGAIN)
