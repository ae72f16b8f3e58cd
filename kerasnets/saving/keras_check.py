"""The content of .keras and .h5 files, checked without Keras before Keras reads them.

A .keras file is a zip archive of a config in JSON and weights in HDF5, with a checksum for each. An .h5 file is HDF5
alone, without a checksum unless `hdf5_check.seal` appended ours. Files that Keras itself would refuse are refused here
too, because Keras reports them in many lines, and because its safe mode accepts some classes that read other files.
"""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kerasnets.errors import BadInputError, in_one_line
from kerasnets.saving import hdf5_check, keras_config
from kerasnets.saving.keras_config import MOST_CONFIG

if TYPE_CHECKING:
    import zipfile

    import h5py

    Parts = tuple[str | None, str | bytes, h5py.File]  # the card, the config, the weights

CARD = "kerasnets.json"  # the zip entry, or the HDF5 attribute
CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"  # Keras' entries

UNPACKED = 4  # times the size of the file, plus SPARE: Keras packs nothing, and weights shrink little
SPARE = 2**26  # bytes
AGAIN = "train or copy it again"


@dataclass(frozen=True)
class Content:
    """The content of a model file.

    Args:
        card: Text of the card; None in another program's file.
        config: The model's JSON: "class_name" and "config".
        input_shape: (height, width, channels) or (columns,); () if the file leaves one open.
        numbers: How many numbers all arrays in the file hold.
    """

    card: str | None
    config: dict[str, Any]
    input_shape: tuple[int, ...]
    numbers: int

    @property
    def name(self) -> str:
        """Name of the network."""
        return str(self.config["config"].get("name", ""))


def read(path: Path) -> Content:
    """Return the Content of a .keras or .h5 file.

    Raises:
        BadInputError: Without a path. The file is damaged, holds code, links to other files or arrays that are not
            numbers, or unpacks to more than its size explains.
    """
    try:
        with (keras_parts if path.suffix == ".keras" else h5_parts)(path) as (card, text, weights):
            numbers = hdf5_check.count(weights, UNPACKED * path.stat().st_size + SPARE)
            config = keras_config.check(text)
            return Content(card, config, keras_config.input_shape(config["config"]), numbers)
    except (BadInputError, MemoryError):
        raise
    except Exception as error:  # zipfile, HDF5 and json raise many classes on damaged files
        problem = f"is damaged or not a model file ({in_one_line(error)})"
        raise BadInputError(problem, remedy=AGAIN) from error


@contextlib.contextmanager
def keras_parts(path: Path) -> Iterator["Parts"]:
    """Yield the parts of a .keras file after its names, sizes and checksums are checked."""
    import zipfile

    import h5py

    with zipfile.ZipFile(path) as archive:
        check_archive(archive, path.stat().st_size)
        names = archive.namelist()
        card = archive.read(CARD).decode() if CARD in names else None
        with open_weights(archive, path) as weights, h5py.File(weights, "r") as file:
            yield card, archive.read(CONFIG), file


def check_archive(archive: "zipfile.ZipFile", size: int) -> None:
    """Raise BadInputError if the zip archive of `size` bytes is not as Keras writes it, BadZipFile if it is damaged."""
    import zipfile

    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if not {CONFIG, WEIGHTS} <= set(names):
        raise BadInputError("is a zip archive without a Keras model in it", remedy="name the model's own file")
    strange = set(names) - {CARD, CONFIG, WEIGHTS, METADATA}
    if strange or len(names) > len(set(names)):
        what = repr(min(strange))[:40] if strange else "two parts of one name"
        raise BadInputError(f"holds {what}, which Keras does not write for such a model", remedy=AGAIN)
    if sum(entry.file_size for entry in entries) > UNPACKED * size + SPARE:
        raise BadInputError("unpacks to far more than its size, as no model does", remedy=AGAIN)
    if any(entry.file_size > MOST_CONFIG for entry in entries if entry.filename != WEIGHTS):
        raise BadInputError(f"has a config of more than {MOST_CONFIG:,} bytes, unlike any model", remedy=AGAIN)
    broken = archive.testzip()
    if broken:
        raise zipfile.BadZipFile(f"its part {broken} fails its checksum")


@contextlib.contextmanager
def open_weights(archive: "zipfile.ZipFile", path: Path) -> Iterator[IO[bytes]]:
    """Yield the HDF5 file in a .keras file; it is read in place, and unpacked into memory only if it is packed."""
    import zipfile

    entry = archive.getinfo(WEIGHTS)
    if entry.compress_type != zipfile.ZIP_STORED:
        yield io.BytesIO(archive.read(WEIGHTS))
        return
    with path.open("rb") as file:
        file.seek(entry.header_offset + 26)  # in the local header of 30 bytes (PKWARE's APPNOTE.TXT, section 4.3.7)
        name, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
        yield io.BufferedReader(Window(file, entry.header_offset + 30 + name + extra, entry.file_size))


class Window(io.RawIOBase):
    """`size` bytes of a file from `start` on, as a file."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        self.file, self.start, self.size, self.place = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        self.place = place + {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.size}[whence]
        return self.place

    def readinto(self, buffer: Any) -> int:
        self.file.seek(self.start + self.place)
        content = self.file.read(max(0, min(len(buffer), self.size - self.place)))
        buffer[: len(content)] = content
        self.place += len(content)
        return len(content)


@contextlib.contextmanager
def h5_parts(path: Path) -> Iterator["Parts"]:
    """Yield the parts of an .h5 file."""
    import h5py

    if not hdf5_check.is_sealed(path):
        hdf5_check.check_texts(path)
    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs or "model_weights" not in file:
            remedy = "save the whole model, not its weights"
            raise BadInputError("is an HDF5 file without a Keras model in it", remedy=remedy)
        hdf5_check.check_attributes(file)
        yield file.attrs.get(CARD), file.attrs["model_config"], file
