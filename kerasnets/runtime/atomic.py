"""Files and folders that are written whole or not at all, even if the writer is killed.

A link stays a link: the file that it leads to is replaced. A replaced file keeps its permissions. What a file system
cannot do (set permissions, flush a folder) is left out, with a note.
"""

import contextlib
import errno
import glob
import os
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

CHUNK = 2**24  # bytes
ABANDONED = 3600  # seconds after which the part file of a killed writer is removed
LONGEST = 160  # bytes of a name that its part file repeats: a name has at most 255
# What file systems answer that lack a call: SMB, FUSE, 9p, mounted cloud storage
LACKING = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EACCES, errno.ENOLCK}

_noted: set[str] = set()


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield the path of a part file, which replaces `path` in one step when the block succeeds.

    If the block fails or the process is killed, `path` keeps its old content. Missing folders are made. The part file
    has the suffix of `path`, and is in its folder; for a link, in the folder of the file that the link leads to.

    Raises:
        OSError: The folder cannot be written, the disk is full, or `path` is a device or pipe.
    """
    path = Path(path)
    with name_target(path):
        target = target_of(path)
        sweep(target, path.suffix)
        part = make_part(target, path.suffix)
        try:
            yield part
            flush(part)
            keep_mode(part, target)
            replace(part, target)
        finally:
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Like `whole_file`, for a folder: yield an empty folder beside `path` to fill.

    An earlier folder at `path` is renamed, and removed once the new one is in place. Between these two renames there is
    no folder at `path`.
    """
    path = Path(path)
    with name_target(path):
        target = follow_links(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep_folders(target)
        part = part_path(target, cut(target.name), "")
        part.mkdir()
        old = part.with_name(f"{part.name}-old")
        try:
            yield part
            for file in part.rglob("*"):
                if file.is_file():
                    flush(file)
            keep_mode(part, target)
            if target.exists():
                target.rename(old)
            part.rename(target)
            try:
                sync_folder(target.parent)
            except OSError:
                target.rename(part)
                raise
        finally:
            if old.exists() and not target.exists():  # stopped between the two renames, or the disk fails
                old.rename(target)
            for folder in (part, old):
                shutil.rmtree(folder, ignore_errors=True)


def replace(part: Path, target: Path) -> None:
    """Rename `part` to `target`, through to the disk. If that fails, the old file is back, or there is none.

    Until then the old file has a second name, if the file system can give it one.
    """
    old, is_new = part.with_name(part.name.replace(".part", "-old.part")), not target.exists()
    with contextlib.suppress(OSError):
        os.link(target, old)
    try:
        os.replace(part, target)
        sync_folder(target.parent)
    except OSError:
        if old.exists():
            os.replace(old, target)
        elif is_new:
            target.unlink(missing_ok=True)
        raise
    finally:
        old.unlink(missing_ok=True)


@contextlib.contextmanager
def backup(path: Path) -> Iterator[None]:
    """Put the file at `path` back if the block fails; it has a second name until then, if the file system can."""
    target = follow_links(path)
    old, is_new = target.with_name(f".{target.name}-before"), not target.exists()
    with contextlib.suppress(OSError):
        old.unlink(missing_ok=True)
        os.link(target, old)
    try:
        yield
    except BaseException:
        if is_new:
            target.unlink(missing_ok=True)
        elif old.exists() and not (target.exists() and target.samefile(old)):
            try:
                os.replace(old, target)
            except OSError:  # nothing can be renamed here, which may be why the block failed
                shutil.copyfile(old, target)
        raise
    finally:
        old.unlink(missing_ok=True)


def write_all(path: str | Path, content: memoryview) -> None:
    """Write `content` into the file at `path`, and read it back from there.

    For libraries that do not notice a failed write, as HDF5: let them write into memory.

    Raises:
        OSError: A write failed, or the file has another content afterwards.
    """
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    with open(path, "rb") as file:
        for start in range(0, len(content), CHUNK):
            if file.read(CHUNK) != content[start : start + CHUNK]:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        if file.read(1):
            raise OSError(errno.EIO, os.strerror(errno.EIO))


def check_writable(path: str | Path) -> None:
    """Raise OSError if `path` cannot be written, before an hour's work rather than after it."""
    path = Path(path)
    with name_target(path):
        make_part(target_of(path), path.suffix).unlink()


@contextlib.contextmanager
def one_at_a_time(path: str | Path) -> Iterator[None]:
    """Let one process at a time run the block for `path`; others wait. The lock is a hidden file beside `path`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    import filelock  # with ctypes and logging, a tenth of the time that a prediction takes

    with filelock.FileLock(path.with_name(f".{path.name}.lock")):
        yield


def reserve(path: str | Path, size: int) -> None:
    """Raise OSError if the disk has no room for a file of `size` bytes; leave `path` empty.

    For libraries that do not say why a write failed.
    """
    with open(path, "wb") as file:
        for start in range(0, size, CHUNK):
            file.write(bytes(min(CHUNK, size - start)))
        file.flush()
        os.fsync(file.fileno())
        file.truncate(0)


# ---- the names of files ----------------------------------------------------------------------------------------------


def target_of(path: Path) -> Path:
    """Make the folder of the file to replace, and return the file: `path`, or what it leads to.

    Raises:
        OSError: The folder cannot be made, or no regular file is there.
    """
    target = follow_links(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if target.exists() and not target.is_file():
        raise OSError(f"{path} is no regular file; name another place")
    return target


def follow_links(path: Path) -> Path:
    """Return the path that a link leads to in the end, or `path` itself if it is no link."""
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return target


def make_part(target: Path, suffix: str) -> Path:
    """Make an empty file with a unique name beside `target`, which nobody may read who may not read `target`."""
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666
    while True:
        part = part_path(target, cut(target.stem), suffix)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode & 0o666 | stat.S_IRUSR | stat.S_IWUSR))
            return part


def part_path(target: Path, start: str, suffix: str) -> Path:
    return target.with_name(f".{start}-{os.urandom(4).hex()}.part{suffix}")


def cut(name: str) -> str:
    """Return the beginning of a name that is short enough for a longer name."""
    return os.fsencode(name)[:LONGEST].decode(sys.getfilesystemencoding(), "ignore")


@contextlib.contextmanager
def name_target(path: Path) -> Iterator[None]:
    """Make an OSError raised in the block name `path` instead of its part file."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            error.filename = str(path)
        raise


def sweep(target: Path, suffix: str) -> None:
    """Remove old part files of `target` that killed writers left."""
    for part in target.parent.glob(f"{glob.escape(f'.{cut(target.stem)}-')}*.part{glob.escape(suffix)}"):
        with contextlib.suppress(OSError):  # another process may have removed it
            if time.time() - part.stat().st_mtime > ABANDONED:
                part.unlink()


def sweep_folders(target: Path) -> None:
    """The same for a folder; also rename the earlier folder back if its writer was killed between the two renames."""
    name = glob.escape(f".{cut(target.name)}-")
    for old in target.parent.glob(f"{name}*.part-old"):
        if not target.exists():
            old.rename(target)
    for part in [*target.parent.glob(f"{name}*.part"), *target.parent.glob(f"{name}*.part-old")]:
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > ABANDONED:
                shutil.rmtree(part)


# ---- what some file systems lack -------------------------------------------------------------------------------------


def keep_mode(part: Path, target: Path) -> None:
    """Give `part` the permissions of `target`, if that exists; a new file has those that the umask leaves."""
    if target.exists():
        old, new = target.stat(), part.stat()
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            with contextlib.suppress(OSError):  # only root may give a file away
                os.chown(part, old.st_uid, old.st_gid)
        if stat.S_IMODE(new.st_mode) != stat.S_IMODE(old.st_mode):
            with left_out("files do not keep their permissions", target):
                part.chmod(stat.S_IMODE(old.st_mode))


def flush(path: Path) -> None:
    """Write a file's content through to the disk, so that it survives a power cut."""
    with path.open("rb+") as written:
        os.fsync(written.fileno())


def sync_folder(folder: Path) -> None:
    """Write a rename in `folder` through to the disk. Windows has no such call, and needs none."""
    if os.name == "posix":
        with left_out("a power cut may undo the newest changes", folder):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


@contextlib.contextmanager
def left_out(loss: str, path: Path) -> Iterator[None]:
    """Go on after a call that the file system lacks; a note on stderr, once in a process, says what is lost."""
    try:
        yield
    except OSError as error:
        if error.errno not in LACKING:
            raise
        if loss not in _noted:
            _noted.add(loss)
            print(f"note: on the file system of {path}, {loss} ({error.strerror})", file=sys.stderr)
