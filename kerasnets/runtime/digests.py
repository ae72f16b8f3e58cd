"""SHA-256 of text, bytes, arrays and files."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

CHUNK = 2**20  # bytes that are read of a file at once


def sha256(*parts: "str | bytes | memoryview | np.ndarray") -> str:
    """Return the hexadecimal SHA-256 of all parts, one after the other; text counts as UTF-8."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            part = part.encode()
        elif not isinstance(part, (bytes, memoryview)):  # an array
            import numpy as np

            part = np.ascontiguousarray(part).data
        sha.update(part)
    return sha.hexdigest()


def sha256_of_file(path: str | Path, size: int | None = None) -> str:
    """Return the hexadecimal SHA-256 of a file, or of its first `size` bytes."""
    sha = hashlib.sha256()
    for chunk in chunks(path, size):
        sha.update(chunk)
    return sha.hexdigest()


def chunks(path: str | Path, size: int | None = None) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK if size is None else min(CHUNK, size)):
            yield chunk
            size = None if size is None else size - len(chunk)
