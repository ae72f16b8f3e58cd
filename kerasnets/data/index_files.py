"""The index of streamed pictures: their names, sizes and checksums, kept in one file beside the run that made it.

Names, bytes and times of a million files are listed anew for each run, in seconds. What only decoding tells (the size
in pixels, whether the picture can be read) is taken over from an earlier index for each file that has not changed.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasnets.runtime.archive import DAMAGE, Archive
from kerasnets.runtime.atomic import whole_file
from kerasnets.runtime.digests import sha256

NAME = "index.npz"
FORM = 1  # of the file; another is not read
COLUMNS = {"marks": "int64", "checksums": "uint32", "heights": "int32", "widths": "int32", "coloured": "bool"}


@dataclass(frozen=True)
class Index:
    """What is known of n pictures.

    Args:
        names: Relative paths.
        marks: int64 (n, 2): the bytes of each file, and a time or a checksum that tells whether it has changed.
        checksums: uint32 (n,), the CRC-32 of each file that has been decoded.
        heights: int32 (n,), in pixels, upright; 0 if the picture has not been decoded, or cannot be.
        widths: int32 (n,), likewise.
        coloured: bool (n,), whether channels differ after the preparation, as far as that had to be known: one such
            picture makes all others RGB.
        shape: (height, width, channels) of the preparation.
        kind: Of the preparation: a name in pictures.KINDS.
    """

    names: list[str]
    marks: np.ndarray
    checksums: np.ndarray
    heights: np.ndarray
    widths: np.ndarray
    coloured: np.ndarray
    shape: tuple[int, ...]
    kind: str

    @classmethod
    def of(cls, names: list[str], marks: np.ndarray, shape: tuple[int, ...], kind: str) -> "Index":
        """Return the Index of pictures that have not been decoded."""
        empty = {name: np.zeros(len(names), dtype) for name, dtype in COLUMNS.items() if name != "marks"}
        return cls(names, marks, **empty, shape=tuple(shape), kind=kind)

    def take_over(self, earlier: "Index") -> None:
        """Take what an earlier index knows of files that have not changed since, if it prepared them alike."""
        if (earlier.shape, earlier.kind) != (self.shape, self.kind):
            return
        place_of = dict(zip(earlier.names, range(len(earlier.names)), strict=True))
        places = np.fromiter((place_of.get(name, -1) for name in self.names), "int64", len(self.names))
        here = np.flatnonzero(places >= 0)
        here = here[(earlier.marks[places[here]] == self.marks[here]).all(axis=1)]
        for name in ("checksums", "heights", "widths", "coloured"):
            getattr(self, name)[here] = getattr(earlier, name)[places[here]]
        if earlier.coloured.any() and not self.coloured.any():
            self.heights[:] = 0  # the picture that made all others RGB is gone: check them all again

    def sizes_of(self, chosen: np.ndarray) -> set[tuple[int, ...]]:
        """Return the different (height, width) of some pictures."""
        pairs = np.stack([self.heights[chosen], self.widths[chosen]], axis=1)
        return set(map(tuple, np.unique(pairs, axis=0).tolist()))

    def digest(self, chosen: np.ndarray) -> str:
        """Return the SHA-256 of the names and contents of some pictures, and of their preparation.

        It is the same for a folder, its copy on another machine, and a zip of it.
        """
        names = "\0".join([self.names[i] for i in chosen.tolist()])
        content = names.encode(errors="surrogateescape")
        return sha256(content, self.checksums[chosen], f"{self.shape} {self.kind}")


def save(index: Index, path: Path) -> None:
    """Write `index` to `path`, whole."""
    texts = {"names": "\0".join(index.names), "kind": index.kind}
    arrays = {name: np.frombuffer(text.encode(errors="surrogateescape"), np.uint8) for name, text in texts.items()}
    columns = {name: getattr(index, name) for name in COLUMNS}
    with whole_file(path) as part, part.open("wb") as file:
        np.savez(file, form=FORM, shape=index.shape, **arrays, **columns)  # type: ignore[arg-type]  # NumPy's allow_pickle


def load(path: Path) -> Index | None:
    """Return the Index in a file; None if there is none, or if it is damaged: it can be made anew."""
    from kerasnets.data.idx import array_of  # which imports Data, and that this module

    if not path.is_file():
        return None
    try:
        with Archive(path, path.stat().st_size, len(COLUMNS) + 4) as file:
            arrays = {name: array_of(file.read(f"{name}.npy")) for name in ("form", "shape", "names", "kind", *COLUMNS)}
        form, shape = int(arrays.pop("form")), tuple(map(int, arrays.pop("shape")))
        text, kind = (arrays.pop(name).tobytes().decode(errors="surrogateescape") for name in ("names", "kind"))
    except DAMAGE:
        return None
    names = text.split("\0")
    are_whole = all(
        column.dtype == COLUMNS[name] and column.shape == ((len(names), 2) if name == "marks" else (len(names),))
        for name, column in arrays.items()
    )
    return Index(names, **arrays, shape=shape, kind=kind) if are_whole and form == FORM else None
