"""Where own pictures are read from: a folder, or a zip that is not unpacked on disk."""

import contextlib
import io
import os
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kerasnets import pictures
from kerasnets.data import zip_names
from kerasnets.errors import BadInputError, in_one_line, note
from kerasnets.runtime.archive import Archive, LargeTableError

Value = TypeVar("Value")

# Pixels of all pictures: for each byte of their files, plus SPARE. A photo as JPEG has 4 in a byte, a scan of text 50.
PIXELS, SPARE = 100, 100_000_000
LARGE = 8_000_000  # pixels of a picture
MOST_ENTRIES = 500_000  # in a zip; each takes about a kilobyte of memory
DOS = 0  # the system that an entry of a zip was made on; PowerShell separates folders by backslashes there
STATUSES = 1000  # files that a thread asks about at once


class FolderSource:
    """The pictures below a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_file():
            remedy = "name a folder or zip of class folders, an .npz archive, or a known set, as mnist"
            raise BadInputError("is no data set", path=path, remedy=remedy)
        if not path.is_dir():
            raise BadInputError("no folder or zip {path}", path=path, remedy="check the name")

    def paths(self) -> list[str]:
        """Return all files and folders as relative paths; a folder's path ends in a slash."""
        found = []
        for folder, folders, files in self.walk():
            above = "".join(f"{part}/" for part in folder.relative_to(self.path).parts)
            found += [f"{above}{name}/" for name in folders]
            found += [above + name for name in files]
        return found

    def content(self, name: str) -> bytes:
        return pictures.read_file(self.path / name)

    def label(self, name: str) -> str | Path:
        return self.path / name

    def marks(self, names: Sequence[str]) -> np.ndarray:
        """Return int64 (n, 2): the bytes of each file, and when it was written; (-1, -1) if it is gone.

        Several threads ask, because a network's disk answers late.
        """
        root = f"{self.path}/"

        def of_some(names: Sequence[str]) -> list[tuple[int, int]]:
            found = []
            for name in names:
                try:
                    status = os.stat(root + name)
                    found.append((status.st_size, status.st_mtime_ns))
                except OSError:
                    found.append((-1, -1))
            return found

        parts = [names[start : start + STATUSES] for start in range(0, len(names), STATUSES)]
        with ThreadPoolExecutor(8) as threads:
            return np.array([pair for found in threads.map(of_some, parts) for pair in found], "int64").reshape(-1, 2)

    def walk(self) -> Iterator[tuple[Path, list[str], list[str]]]:
        """Like os.walk through links, but each real folder once; print a note on links to a folder passed before."""
        root = self.path.resolve()
        seen, left_out = {identity(folder) for folder in (root, *root.parents)}, []
        for folder, folders, files in os.walk(self.path, followlinks=True):
            folders.sort()
            for name in [*folders]:
                if (known := identity(Path(folder, name))) in seen:
                    folders.remove(name)
                    left_out.append(Path(folder, name).relative_to(self.path))
                seen.add(known)
            yield Path(folder), folders, files
        if left_out:
            more = f" and {len(left_out) - 1} more" if left_out[1:] else ""
            what = f"{left_out[0]}{more}"
            note(f"left out of {self.path.name}, because it leads to a folder that is read already: {what}")


def identity(folder: Path) -> tuple[int, int]:
    """Return what is the same for all names of one folder."""
    status = folder.stat()
    return status.st_dev, status.st_ino


class ZipSource:
    """The pictures in a zip."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.archive = Archive(path, sys.maxsize, MOST_ENTRIES)
        except FileNotFoundError as error:
            raise BadInputError("no folder or zip {path}", path=path, remedy="check the name") from error
        except LargeTableError as error:
            remedy = "unpack it: a folder has no such limit"
            raise BadInputError(f"is too large for a zip ({error})", path=path, remedy=remedy) from error
        except (OSError, zipfile.BadZipFile) as error:
            problem = f"is damaged or no zip ({in_one_line(error)})"
            raise BadInputError(problem, path=path, remedy="copy or make it again") from error

        names = zip_names.names_of(self.archive.entries, path.name)  # before a backslash within a character counts
        is_of_windows = not any("/" in name for name in names.values())
        self.entries = {  # path with slashes -> name in the archive
            names[name].replace("\\", "/") if is_of_windows or entry.create_system == DOS else names[name]: name
            for name, entry in self.archive.entries.items()
        }

    def paths(self) -> list[str]:
        return list(self.entries)

    def label(self, name: str) -> str | Path:
        return name

    def marks(self, names: Sequence[str]) -> np.ndarray:
        """Return int64 (n, 2): the bytes of each entry, and its checksum."""
        entries = (self.archive.entries[self.entries[name]] for name in names)
        pairs = ((entry.file_size, entry.CRC) for entry in entries)
        return np.fromiter((number for pair in pairs for number in pair), "int64", 2 * len(names)).reshape(-1, 2)

    def content(self, name: str) -> bytes:
        entry = self.entries[name]
        if self.archive.size(entry) > pictures.MAX_BYTES:
            problem = f"is larger than a picture may be, {pictures.MAX_BYTES / 1e6:.0f} MB"
            raise BadInputError(problem, path=name, remedy="leave it out")
        try:
            return bytes(self.archive.read(entry))
        except (OSError, zipfile.BadZipFile) as error:
            raise BadInputError(f"cannot be unpacked: {error}", path=name, remedy="make the zip again") from error


class HeldSource:
    """Another source, each file of which is read once and held in memory."""

    def __init__(self, source: FolderSource | ZipSource) -> None:
        self.source, self.path = source, source.path
        self.contents: dict[str, bytes] = {}
        self.paths, self.label, self.marks = source.paths, source.label, source.marks

    def content(self, name: str) -> bytes:
        if name not in self.contents:
            self.contents[name] = self.source.content(name)
        return self.contents[name]


Source = FolderSource | ZipSource | HeldSource


class Ration:
    """The pixels of many pictures, bounded together and at any one time: a small file may hold millions of each."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.bytes = self.pixels = self.at_once = 0
        self.thread = ThreadPoolExecutor(1)  # for large ones: each thread that frees memory keeps some of it

    @contextlib.contextmanager
    def picture(self, source: Source, name: str) -> Iterator[np.ndarray]:
        """Yield a picture of `source`; wait while others are in use if it is large.

        Raises:
            TooManyPixelsError: All pictures together have more pixels than any files of their size do.
        """
        with self.decoded(source.content(name), source.label(name)) as picture:
            yield picture

    @contextlib.contextmanager
    def decoded(self, content: bytes, path: str | Path) -> Iterator[np.ndarray]:
        """Like `picture`, from the content of a file."""
        pixels = pixels_in(content)
        with self.condition:
            self.bytes, self.pixels = self.bytes + len(content), self.pixels + pixels
            if self.pixels > SPARE + PIXELS * self.bytes:
                raise TooManyPixelsError
        with self.hold(pixels):
            yield self.call(pixels, pictures.decode, content, path)

    def call(self, pixels: int, function: Callable[..., Value], *args: Any) -> Value:
        """Return function(*args), which decodes a picture of so many pixels; large ones are left to one thread."""
        if pixels < LARGE:
            return function(*args)
        return self.thread.submit(function, *args).result()

    @contextlib.contextmanager
    def hold(self, pixels: int) -> Iterator[None]:
        """Run the block, which needs `pixels` in memory, when those of other threads leave room for them."""
        with self.condition:
            self.condition.wait_for(lambda: not self.at_once or self.at_once + pixels <= pictures.MAX_PIXELS)
            self.at_once += pixels
        try:
            yield
        finally:
            with self.condition:
                self.at_once -= pixels
                self.condition.notify_all()


class TooManyPixelsError(Exception):
    """Pictures together have more pixels than any files of their size do."""


def pixels_in(content: bytes) -> int:
    """Return how many pixels a picture declares, at most what a picture may have; that many if it does not say."""
    if content.startswith(b"\x89PNG"):
        width, height = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    else:
        from PIL import Image

        try:
            with Image.open(io.BytesIO(content)) as image:  # reads no more than the header
                width, height = image.size
        except Exception:  # Pillow raises many classes; decoding words the fault
            return 0
    return min(width * height, pictures.MAX_PIXELS)


def open_source(path: Path) -> FolderSource | ZipSource:
    """Return the source of pictures at `path`; raise BadInputError if there is none."""
    return ZipSource(path) if path.suffix.lower() == ".zip" else FolderSource(path)
