"""The content of .keras and .h5 files, checked without Keras before Keras reads them.

A .keras file is a zip archive of a config in JSON and weights in HDF5, with a checksum for each. An .h5 file is HDF5
alone, without a checksum unless `hdf5_check.seal` appended ours. Files that Keras itself would refuse are refused here
too, because Keras reports them in many lines, and because its safe mode accepts some classes that read other files.

HDF5 can be made to run for ever, or to take any amount of memory, by a few changed bytes. So whoever made a file, and
whatever checksum is in it, a process of limited time and memory reads all of its HDF5 content before this one opens it.
"""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kerasnets.errors import BadInputError, in_one_line
from kerasnets.runtime import child
from kerasnets.runtime.archive import Archive
from kerasnets.saving import hdf5_check, keras_config
from kerasnets.saving.keras_config import MOST_CONFIG

if TYPE_CHECKING:
    import h5py

    Parts = tuple[str | None, str | bytes, h5py.File, str]  # card, config, weights, the version of Keras

CARD = "kerasnets.json"  # the zip entry, or the HDF5 attribute
CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"  # Keras' entries

UNPACKED = 4  # times the size of the file, plus SPARE: Keras packs nothing, and weights shrink little
SPARE = 2**24  # bytes
MEMORY = 2**28  # bytes that the process may take
SECONDS, SPEED = 1.5, 2**26  # of CPU time that it may take, plus the size of the file by bytes per second
PATIENCE = 40  # times as long by the clock: a good file takes 0.2 s, but the machine may be busy
AT_ONCE = threading.BoundedSemaphore(os.cpu_count() or 1)  # processes, however many threads load
AGAIN = "train or copy it again"


@dataclass(frozen=True)
class Content:
    """The content of a model file.

    Args:
        card: Text of the card; None in another program's file.
        config: The model's JSON: "class_name" and "config".
        input_shape: (height, width, channels) or (columns,); () if the file leaves one open.
        numbers: How many numbers all arrays in the file hold.
        version: Of the Keras that wrote the file, as it says: "2.15.0"; "" if it does not.
    """

    card: str | None
    config: dict[str, Any]
    input_shape: tuple[int, ...]
    numbers: int
    version: str = ""

    @property
    def is_keras_2(self) -> bool:
        return keras_config.is_keras_2(self.version)

    @property
    def name(self) -> str:
        """Name of the network."""
        return str(self.config["config"].get("name", ""))


def read(path: Path) -> Content:
    """Return the Content of a .keras or .h5 file, all of which a process of limited time and memory has read.

    Raises:
        BadInputError: Without a path. The file is damaged, holds code, links to other files or arrays that are not
            numbers, unpacks to more than its size explains, or takes too much time or memory.
    """
    with damage_as_bad_input():
        return content_of(**judge(path))


def read_weights(path: Path) -> bool:
    """Read a file of weights alone in a process of limited time and memory; return whether it has Keras 2's old form.

    Raises:
        BadInputError: As `read`.
    """
    return bool(judge(path, "weights")["is_old"])


def judge(path: Path, *words: str) -> dict[str, Any]:
    """Return what the limited process tells about a file, without a path in what is raised."""
    size = path.stat().st_size
    seconds = PATIENCE * (SECONDS + size / SPEED)
    try:
        with AT_ONCE:
            process = child.run("kerasnets.saving.keras_check", str(path.absolute()), *words, seconds=seconds)
        answer: dict[str, Any] = json.loads(process.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:  # it was killed, or ended in HDF5
        if child.is_tight(memory_for(size)):
            raise MemoryError("too little memory to read a model file") from error
        problem = "is damaged: to read it takes more time or memory than any good file does"
        raise BadInputError(problem, remedy=AGAIN) from error
    if "problem" in answer:
        raise BadInputError(answer["problem"], remedy=answer["remedy"])
    return answer


def memory_for(size: int) -> int:
    """Return the bytes that the process may take for a file of `size` bytes."""
    return MEMORY + UNPACKED * size + SPARE


def read_head(path: Path) -> Content:
    """Like `read`, but do not look at the weights of a .keras file, which takes a thirtieth of the time."""
    if path.suffix != ".keras":
        return read(path)
    with damage_as_bad_input(), open_archive(path) as archive:
        card, text = texts_in(archive)
        return content_of(card, text, 0, version_in(archive))


@contextlib.contextmanager
def damage_as_bad_input() -> Iterator[None]:
    try:
        yield
    except (BadInputError, MemoryError):
        raise
    except Exception as error:  # zipfile, HDF5 and json raise many classes on damaged files
        problem = f"is damaged or not a model file ({in_one_line(error)})"
        raise BadInputError(problem, remedy=AGAIN) from error


def content_of(card: str | None, config: str | bytes, numbers: int, version: str = "") -> Content:
    """Return the Content of a file; raise BadInputError if its config names code that this program does not know."""
    try:
        checked = keras_config.check(config, version)
    except BadInputError as error:
        if keras_config.is_keras_2(version):
            error.problem = f"was written by Keras {version} and {error.problem}"
        raise
    return Content(card, checked, keras_config.input_shape(checked["config"]), numbers, version)


# ---- in the limited process ------------------------------------------------------------------------------------------


def main() -> None:
    """Print what the file that the command line names holds, or the problem with it, as JSON.

    Of a model file, {card, config, numbers, version}; of weights alone, {is_old}.
    """
    child.end_with_parent()
    path = Path(sys.argv[1])
    size = path.stat().st_size
    child.limit(memory_for(size), SECONDS + size / SPEED)
    if hasattr(signal, "setitimer"):  # not on Windows; SIGPROF ends this process, a second before the limit does
        signal.setitimer(signal.ITIMER_PROF, SECONDS + size / SPEED)
    answer: dict[str, Any]
    try:
        with damage_as_bad_input():
            answer = (facts_of_weights if sys.argv[2:] else facts)(path, UNPACKED * size + SPARE)
    except BadInputError as error:
        answer = {"problem": error.problem, "remedy": error.remedy}
    print(json.dumps(answer))


def facts(path: Path, most: int) -> dict[str, Any]:
    with parts(path) as (card, config, weights, version):
        numbers = hdf5_check.count(weights, most)
        text = str(config, "utf-8") if isinstance(config, bytes) else config
        return {"card": card, "config": text, "numbers": numbers, "version": version}


def facts_of_weights(path: Path, most: int) -> dict[str, Any]:
    import h5py

    with h5py.File(path, "r") as file:
        hdf5_check.count(file, most)
        return {"is_old": "layer_names" in file.attrs or "model_weights" in file}


def parts(path: Path) -> "contextlib.AbstractContextManager[Parts]":
    """Return the parts of a model file, for a `with` block."""
    return (keras_parts if path.suffix == ".keras" else h5_parts)(path)


@contextlib.contextmanager
def keras_parts(path: Path) -> Iterator["Parts"]:
    """Yield the parts of a .keras file after its names, sizes and checksums are checked."""
    with open_archive(path) as archive:
        archive.check()
        card, text = texts_in(archive)
        import h5py

        with open_weights(archive) as weights, h5py.File(weights, "r") as file:
            yield card, text, file, version_in(archive)


def open_archive(path: Path) -> Archive:
    """Return a .keras file as an archive; raise BadInputError if it has not the entries that Keras writes."""
    archive = Archive(path, UNPACKED * path.stat().st_size + SPARE, 100)
    names = set(archive.names)
    if not {CONFIG, WEIGHTS} <= names:
        raise BadInputError("is a zip archive without a Keras model in it", remedy="name the model's own file")
    strange = names - {CARD, CONFIG, WEIGHTS, METADATA}
    if strange:
        problem = f"holds {min(strange)!r:.40}, which Keras does not write for such a model"
        raise BadInputError(problem, remedy=AGAIN)
    if any(archive.size(name) > MOST_CONFIG for name in names - {WEIGHTS}):
        raise BadInputError(f"has a config of more than {MOST_CONFIG:,} bytes, unlike any model", remedy=AGAIN)
    return archive


def texts_in(archive: Archive) -> tuple[str | None, bytes]:
    """Return the card, if there is one, and the config in an archive."""
    card = archive.read(CARD).decode() if CARD in archive.names else None
    return card, bytes(archive.read(CONFIG))


def version_in(archive: Archive) -> str:
    """Return the version of Keras in the metadata of an archive; "" if there is none."""
    if METADATA not in archive.names:
        return ""
    metadata = json.loads(bytes(archive.read(METADATA)))
    return keras_config.version(metadata.get("keras_version", "") if isinstance(metadata, dict) else "")


@contextlib.contextmanager
def open_weights(archive: Archive) -> Iterator[IO[bytes]]:
    """Yield the HDF5 file in a .keras file; it is read in place, and unpacked into memory only if it is packed."""
    if archive.is_packed(WEIGHTS):
        yield io.BytesIO(archive.read(WEIGHTS))
    else:
        yield io.BufferedReader(Window(archive.file, archive.start(WEIGHTS), archive.size(WEIGHTS)))


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

    hdf5_check.check_seal(path)
    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs or "model_weights" not in file:
            remedy = "save the whole model, or adopt it with the --network of these weights"
            raise BadInputError("is an HDF5 file without a Keras model in it", remedy=remedy)
        hdf5_check.check_attributes(file)
        version = keras_config.version(file.attrs.get("keras_version", ""))
        yield file.attrs.get(CARD), file.attrs["model_config"], file, version


if __name__ == "__main__":
    main()
