"""A claim on what a process writes: a second process that would write there too is refused at once."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from kerasnets.runtime.atomic import cut, left_out, name_target


@contextlib.contextmanager
def claim(paths: Iterable[str | Path], task: str) -> Iterator[None]:
    """Claim files or folders for the length of the block.

    Each claim is a locked, hidden file beside the path. The system drops the lock when the process ends, even by
    kill -9. Where the file system has no locks, nothing is refused; a note says so.

    Args:
        paths: They need not exist; their folders are made.
        task: What writes them, for the message: "training".

    Raises:
        OSError: Another process, or another thread, has claimed one of them.
    """
    real = {os.path.realpath(path): path for path in paths}
    with contextlib.ExitStack() as claims:
        for place in sorted(real):
            claims.enter_context(_claim(Path(place), real[place], task))
        yield


def is_claimed(path: str | Path) -> bool:
    """Whether another process, or thread, has claimed a file or folder."""
    place = Path(os.path.realpath(path))
    try:
        import fcntl

        handle = os.open(_lock_file(place), os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (ImportError, OSError):  # Windows; there is no such file
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there are no locks
        return False
    finally:
        os.close(handle)
    return False


def _lock_file(place: Path) -> Path:
    return place.with_name(f".{cut(place.name)}.lock")


@contextlib.contextmanager
def _claim(place: Path, path: str | Path, task: str) -> Iterator[None]:
    with name_target(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        file = _lock_file(place)
        handle = _lock(file, path, task)
    try:
        yield
    finally:
        if handle is not None:
            file.unlink(missing_ok=True)
            os.close(handle)


def _lock(file: Path, path: str | Path, task: str) -> int | None:
    """Return the handle of the locked file; None if there are no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if file.exists() and os.path.samestat(os.fstat(handle), file.stat()):
                os.truncate(handle, 0)
                os.write(handle, str(os.getpid()).encode())
                return handle
        except BlockingIOError:
            number = os.read(handle, 20).decode(errors="replace")
            process = f"process {number}" if number.isdecimal() else "its process"
            os.close(handle)
            raise OSError(
                f"another {task} writes {path} now; wait for {process}, or end it, or name another place"
            ) from None
        except OSError as error:
            os.close(handle)
            with left_out(f"a second {task} into the same files is not noticed", file.parent):
                raise error
            return None
        os.close(handle)  # the one that had the lock has removed the file since
