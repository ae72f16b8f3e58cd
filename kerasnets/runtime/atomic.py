"""Files and folders that are written whole or not at all, even if the writer is killed."""

import contextlib
import errno
import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import filelock

CHUNK = 2**24  # bytes
ABANDONED = 3600  # seconds after which the part file of a killed writer is removed


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield the path of a part file beside `path`, which replaces `path` in one step when the block succeeds.

    If the block fails or the process is killed, `path` keeps its old content. Missing folders are made.

    Raises:
        OSError: The folder cannot be written, or the disk is full.
    """
    path = Path(path)
    with blaming(path):
        check_folder(path)
        sweep(path)
        part = make_part(path)
        try:
            yield part
            flush(part)
            part.chmod(0o666 & ~current_umask())  # mkstemp makes files that only their owner can read
            os.replace(part, path)
            sync_folder(path.parent)
        finally:
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Like `whole_file`, for a folder: yield an empty folder beside `path` to fill.

    An earlier folder at `path` is renamed, and removed once the new one is in place. Between these two renames there is
    no folder at `path`.
    """
    path = Path(path)
    with blaming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep_folders(path)
        part = Path(tempfile.mkdtemp(prefix=f".{path.name}-", suffix=".part", dir=path.parent))
        old = part.with_name(f"{part.name}-old")
        try:
            yield part
            for file in part.rglob("*"):
                if file.is_file():
                    flush(file)
            part.chmod(0o777 & ~current_umask())
            if path.exists():
                path.rename(old)
            part.rename(path)
            sync_folder(path.parent)
        finally:
            if old.exists() and not path.exists():  # stopped between the two renames
                old.rename(path)
            for folder in (part, old):
                shutil.rmtree(folder, ignore_errors=True)


def check_writable(path: str | Path) -> None:
    """Raise OSError if `path` cannot be written, before an hour's work rather than after it."""
    path = Path(path)
    with blaming(path):
        check_folder(path)
        make_part(path).unlink()


@contextlib.contextmanager
def one_at_a_time(path: str | Path) -> Iterator[None]:
    """Let one process at a time run the block for `path`; others wait. The lock is a hidden file beside `path`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(path.with_name(f".{path.name}.lock")):
        yield


def reserve(path: str | Path, size: int) -> None:
    """Raise OSError if the disk has no room for a file of `size` bytes; leave `path` empty.

    For libraries that may crash when a write fails, as HDF5 does.
    """
    with open(path, "wb") as file:
        for start in range(0, size, CHUNK):
            file.write(bytes(min(CHUNK, size - start)))
        file.flush()
        os.fsync(file.fileno())
        file.truncate(0)


def make_part(path: Path) -> Path:
    """Make an empty file with a unique name beside `path`."""
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=f".part{path.suffix}", dir=path.parent)
    os.close(handle)
    return Path(name)


@contextlib.contextmanager
def blaming(path: Path) -> Iterator[None]:
    """Make an OSError raised in the block name `path` instead of its part file."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            error.filename = str(path)
        raise


def check_folder(path: Path) -> None:
    """Make the folder of `path`; raise OSError if that fails or if `path` itself is a folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))


def sweep(path: Path) -> None:
    """Remove old part files of `path` that killed writers left."""
    for part in path.parent.glob(f"{glob.escape(f'.{path.stem}-')}*.part{glob.escape(path.suffix)}"):
        with contextlib.suppress(OSError):  # another process may have removed it
            if time.time() - part.stat().st_mtime > ABANDONED:
                part.unlink()


def sweep_folders(path: Path) -> None:
    """The same for a folder; also rename the earlier folder back if its writer was killed between the two renames."""
    name = glob.escape(f".{path.name}-")
    for old in path.parent.glob(f"{name}*.part-old"):
        if not path.exists():
            old.rename(path)
    for part in [*path.parent.glob(f"{name}*.part"), *path.parent.glob(f"{name}*.part-old")]:
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > ABANDONED:
                shutil.rmtree(part)


def current_umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def flush(path: Path) -> None:
    """Write a file's content through to the disk, so that it survives a power cut."""
    with path.open("rb+") as written:
        os.fsync(written.fileno())


def sync_folder(folder: Path) -> None:
    """Write a rename in `folder` through to the disk. Windows has no such call, and needs none."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
