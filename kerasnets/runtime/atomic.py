"""Files that are written whole or not at all, whatever stops the writer."""

import contextlib
import errno
import glob
import os
import shutil
import tempfile
import time
from pathlib import Path

CHUNK = 2**24  # bytes
ABANDONED = 3600  # seconds after which a part that a killed writer left behind is swept away


@contextlib.contextmanager
def whole_file(path):
    """Yield a path beside `path` to write to; when the block ends well, it takes the place of `path` in one step.

    Where the block fails, or the process is killed, `path` is what it was. Folders are made as needed.
    Raises OSError where the folder cannot be written or the disk is full.
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
def whole_folder(path):
    """As `whole_file`, of a folder: yield one beside `path` to fill.

    An earlier folder steps aside and is removed when the new one stands, so that one of them is there at any moment but
    between two renames.
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
            if old.exists() and not path.exists():  # stopped between the two
                old.rename(path)
            for folder in (part, old):
                shutil.rmtree(folder, ignore_errors=True)


def check_writable(path):
    """Raise OSError now rather than after an hour's work, where `path` cannot be written."""
    path = Path(path)
    with blaming(path):
        check_folder(path)
        make_part(path).unlink()


@contextlib.contextmanager
def one_at_a_time(folder):
    """Let the block wait for those of other processes that hold `folder`, which is made as needed.

    Windows has no such lock: there it does nothing.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if os.name != "posix":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # which gives the lock back, as the end of a killed process does


def reserve(path, size):
    """Raise OSError where there is no room for a file of `size` bytes; leave `path` empty.

    For those libraries that do not survive a write that fails, as HDF5 does not always.
    """
    with open(path, "wb") as file:
        for start in range(0, size, CHUNK):
            file.write(bytes(min(CHUNK, size - start)))
        file.flush()
        os.fsync(file.fileno())
        file.truncate(0)


def make_part(path):
    """Make an empty file beside `path`, of a name that no one else has."""
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=f".part{path.suffix}", dir=path.parent)
    os.close(handle)
    return Path(name)


@contextlib.contextmanager
def blaming(path):
    """Let an error of the operating system name `path`, rather than a part of it that no one has heard of."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            error.filename = str(path)
        raise


def check_folder(path):
    """Make the folder of `path`; raise OSError where that fails or `path` is itself a folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))


def sweep(path):
    """Remove parts of `path` that a killed writer left long ago."""
    for part in path.parent.glob(f"{glob.escape(f'.{path.stem}-')}*.part{glob.escape(path.suffix)}"):
        with contextlib.suppress(OSError):  # another process may have swept it
            if time.time() - part.stat().st_mtime > ABANDONED:
                part.unlink()


def sweep_folders(path):
    """The same of a folder; one that had stepped aside for a writer that was killed takes its place again."""
    name = glob.escape(f".{path.name}-")
    for old in path.parent.glob(f"{name}*.part-old"):
        if not path.exists():
            old.rename(path)
    for part in [*path.parent.glob(f"{name}*.part"), *path.parent.glob(f"{name}*.part-old")]:
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > ABANDONED:
                shutil.rmtree(part)


def current_umask():
    umask = os.umask(0)
    os.umask(umask)
    return umask


def flush(path):
    """Make what was written to a file survive a power cut."""
    with path.open("rb+") as written:
        os.fsync(written.fileno())


def sync_folder(folder):
    """Make a rename in `folder` survive a power cut. Windows has no such call, and needs none."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
