"""Checkpoint files: everything that a training run needs to go on as if it had never stopped, on any backend.

One .npz for each epoch, written whole or not at all: weights, moving statistics and dropout states by layer, the
optimizer's variables by name, the figures so far, and the settings, which a resumed run must share. A file is judged as
if a stranger had made it: its checksums say nothing about who wrote it.
"""

import contextlib
import errno
import io
import json
import math
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasnets.errors import BadInputError, in_one_line, note, shorten
from kerasnets.runtime import signals
from kerasnets.runtime.archive import DAMAGE, Archive
from kerasnets.runtime.atomic import whole_file
from kerasnets.runtime.digests import sha256

NAME = re.compile(r"epoch-(\d{5,9})(?:-step-(\d{7,12}))?\.npz")
MOST_THREADS = 1024
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MOST_PARTS = 20_000  # arrays; DenseNet-201 with its optimizer has 4,000
MOST_HEADER = 2**14  # bytes of an array's header, of which NumPy reads 10,000
FOLDER = "checkpoints"  # in the folder of a run
KEPT = 2  # the last one, and the one before it in case the last is damaged

# Words for a setting whose value would tell a person nothing.
DIFFERENCES = {
    "data": "other training data", "weights": "other initial weights", "frozen": "other frozen layers",
    "shapes of own weights": "another network, whose weights have other shapes",
}  # fmt: skip
RENAMED = {"deviation": "std"}  # settings in checkpoints of earlier versions


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training run after `epoch` epochs, and `step` steps of the next one."""

    epoch: int
    settings: Mapping[str, Any]  # of the run: jobs.TrainingJob.settings
    arrays: Mapping[str, np.ndarray]
    threads: int = 0  # that computed: the last digits depend on their number; 0 if an earlier version did not keep it
    step: int = 0  # of the epoch that has begun

    def part(self, name: str) -> dict[str, np.ndarray]:
        """Return the arrays whose names start with "<name>/", without that start."""
        return {key.removeprefix(f"{name}/"): array for key, array in self.arrays.items() if key.startswith(f"{name}/")}


def save(folder: str | Path, checkpoint: Checkpoint, alone: bool = False) -> None:
    """Write `checkpoint` into `folder` and remove all but the last two; with `alone`, remove all others."""
    step = f"-step-{checkpoint.step:07d}" if checkpoint.step else ""
    path = Path(folder) / f"epoch-{checkpoint.epoch:05d}{step}.npz"
    facts = {name: getattr(checkpoint, name) for name in ("epoch", "step", "settings", "threads")}
    meta = json.dumps(facts)
    with whole_file(path) as part, part.open("wb") as file:
        np.savez(file, meta=np.array(meta), **checkpoint.arrays)  # type: ignore[arg-type]  # NumPy's allow_pickle
    old = [file for file in files(folder) if file != path] if alone else files(folder)[:-KEPT]
    for left in [*old, *Path(folder).glob(".epoch-*.part.npz")]:  # part files are of killed runs
        left.unlink(missing_ok=True)


def files(folder: str | Path) -> list[Path]:
    """Return the checkpoint files in `folder`, the last moment last."""
    return sorted((path for path in Path(folder).glob("epoch-*.npz") if NAME.fullmatch(path.name)), key=moment_of)


def moment_of(path: Path) -> tuple[int, int]:
    """Return (epochs, steps of the next one) that a checkpoint's name tells."""
    found = NAME.fullmatch(path.name)
    return (int(found[1]), int(found[2] or 0)) if found else (-1, 0)


def load(
    folder: str | Path, settings: Mapping[str, Any], judge: Callable[[Checkpoint], Checkpoint] = lambda found: found
) -> Checkpoint | None:
    """Return the last undamaged Checkpoint in `folder`; None if there is no file. Damaged files are named on stderr.

    Args:
        folder: Of the checkpoints.
        settings: Of the run that resumes.
        judge: Returns a checkpoint as the run takes it up; raises BadInputError if the run cannot have written it.

    Raises:
        BadInputError: All files are damaged, or the checkpoint was made with other `settings`.
    """
    paths = files(folder)
    for path in reversed(paths):
        try:
            checkpoint = read(path)
        except DAMAGE as error:
            note_damage(path, error)
            continue
        check_settings(checkpoint.settings, settings, path)
        try:
            return judge(checkpoint)
        except BadInputError as error:
            note_damage(path, error)
    if paths:
        raise BadInputError("all checkpoints in {path} are damaged", path=folder, remedy="start anew, without --resume")
    return None


def note_damage(path: Path, error: Exception) -> None:
    note(f"checkpoint {shorten(path)} is damaged ({in_one_line(error)})")


def are_unfinished(folder: Path, report: Path) -> bool:
    """Whether `folder` has checkpoints of a run that stopped before it wrote its report, with `mark_of(folder)` in it.

    The report of an earlier version has no mark; then the clock decides.
    """
    paths = files(folder)
    if not paths or not report.is_file():
        return bool(paths)
    mark = re.search(rb"<!-- checkpoints: (\w*) -->", report.read_bytes())
    if mark:
        return mark[1].decode() != mark_of(folder)
    return paths[-1].stat().st_mtime > report.stat().st_mtime


def are_of(paths: Sequence[Path], settings: Mapping[str, Any], *, partly: bool = False) -> bool:
    """Whether the last undamaged checkpoint in `paths` was made with `settings`; `partly`: with these among others."""
    wanted = json.loads(json.dumps(settings))
    for path in reversed(paths):
        with contextlib.suppress(*DAMAGE), Archive(regular(path), sys.maxsize, MOST_PARTS) as archive:
            made_with = meta_in(array_in(archive.read("meta.npy"), "meta"))["settings"]
            return bool(({name: made_with.get(name) for name in wanted} if partly else made_with) == wanted)
    return False


def mark_of(folder: Path) -> str:
    """Return what tells the last checkpoint in `folder` from all others: a digest of its name and checksums."""
    paths = files(folder)
    try:
        with Archive(regular(paths[-1]), sys.maxsize, MOST_PARTS) as archive:
            return sha256(paths[-1].name, *(f"{name} {entry.CRC} " for name, entry in archive.entries.items()))
    except (IndexError, *DAMAGE):
        return ""


def folder_beside(model_file: Path) -> Path:
    """Return the folder of the checkpoints of the training run that writes `model_file`."""
    return model_file.with_suffix("") / FOLDER


def aside(folder: str | Path) -> Path:
    """Return the folder that keeps the checkpoints of `folder` while another run uses `folder`."""
    return Path(folder).with_name(f"{Path(folder).name}-before")


def set_aside(folder: str | Path) -> Path:
    """Rename `folder` to `aside(folder)`, which is replaced; return the new path.

    The rename is one step: after a kill -9 the checkpoints are in one of the two folders.
    """
    place = aside(folder)
    if place.exists():
        shutil.rmtree(place)
    Path(folder).rename(place)
    return place


def take_back(folder: Path) -> bool:
    """Undo `set_aside` if `folder` has no checkpoints by now; return whether it was undone."""
    place = aside(folder)
    if files(folder) or not files(place):
        return False
    if Path(folder).exists():
        shutil.rmtree(folder)  # it may hold a part file of a killed run
    place.rename(folder)
    return True


@contextlib.contextmanager
def name_resume(folder: Path) -> Iterator[None]:
    """If the block is stopped or the disk is full, and there are checkpoints, add to the error how to go on with them.

    The block may load a framework, build a network or write a report: the epochs themselves have a note of their own.
    """
    earlier = mark_of(folder)
    try:
        yield
    except (signals.Stopped, OSError) as error:
        is_interruption = isinstance(error, signals.Stopped) or error.errno in FULL_DISK
        place = folder if files(folder) else aside(folder)
        if is_interruption and not getattr(error, "note", "") and files(place):
            note = f"the checkpoints in {shorten(place)} are kept; --resume goes on with them"
            if earlier and mark_of(place) == earlier:
                note += ", if they are of the same settings: no epoch was finished now"
            error.note = note  # type: ignore[union-attr]  # printed by the command line
        raise


def read(path: Path) -> Checkpoint:
    """Return the Checkpoint in a file; raise one of DAMAGE if it is damaged, or large for its size."""
    with Archive(regular(path), sys.maxsize, MOST_PARTS) as archive:
        if any(map(archive.is_packed, archive.names)):
            raise ValueError("its parts are packed, as a checkpoint's never are")
        arrays = {name.removesuffix(".npy"): array_in(archive.read(name), name) for name in archive.names}
    meta = meta_in(arrays.pop("meta"))
    if not all(array.dtype.kind in "fiub" for array in arrays.values()):
        raise ValueError("it has arrays of other things than numbers")
    settings: dict[str, Any] = meta["settings"]
    epoch, step, threads = meta["epoch"], meta.get("step", 0), meta.get("threads", 0)
    if type(epoch) is not int or type(step) is not int or (epoch, step) != moment_of(path):
        raise ValueError("it is of another epoch than its name says")
    if type(threads) is not int or not 0 <= threads <= MOST_THREADS:
        raise ValueError(f"it was made by {threads!r:.20} threads")
    return Checkpoint(epoch, settings, arrays, threads, step)


def meta_in(array: np.ndarray) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads(str(array))
    meta["settings"] = {RENAMED.get(name, name): value for name, value in dict(meta["settings"]).items()}
    return meta


def regular(path: Path) -> Path:
    """Return `path`; raise ValueError if it is a folder, or a pipe that would never end."""
    if not path.is_file():
        raise ValueError("it is no file")
    return path


def array_in(content: bytearray, name: str) -> np.ndarray:
    """Return the array in a part whose size is the one that its header says: NumPy would allocate any."""
    npy, file = np.lib.format, io.BytesIO(content[:MOST_HEADER])
    read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[npy.read_magic(file)]
    shape, is_fortran, dtype = read_header(file)
    start = file.tell()
    if dtype.hasobject:
        raise ValueError(f"its part {name} holds objects, not numbers")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(content) - start:
        raise ValueError(f"its part {name} has another size than its header says")
    return np.ndarray(shape, dtype, content, start, order="F" if is_fortran else "C")


def check_settings(made_with: Mapping[str, Any], settings: Mapping[str, Any], path: Path) -> None:
    """Raise BadInputError if the checkpoint at `path` belongs to another run."""
    current = json.loads(json.dumps(settings))  # tuples become lists, like in the file
    both = made_with.keys() & current.keys()
    for name in [*sorted(both), *sorted((made_with.keys() | current.keys()) - both)]:
        if made_with.get(name) != current.get(name):
            how = f"{name} {setting_text(made_with.get(name))}, not {setting_text(current.get(name))}"
            raise BadInputError(
                f"the checkpoint {shorten(path, 40)} was made with {DIFFERENCES.get(name, how)}",
                remedy="resume with the same settings, or start anew without --resume",
            )


def setting_text(setting: Any) -> Any:
    return setting if setting or isinstance(setting, int) else "none"
