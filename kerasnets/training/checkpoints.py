"""Checkpoint files: everything that a training run needs to go on as if it had never stopped, on any backend.

One .npz for each epoch, written whole or not at all: weights, moving statistics and dropout states by layer, the
optimizer's variables by name, the figures so far, and the settings, which a resumed run must share.
"""

import json
import shutil
import sys
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasnets.errors import BadInputError, in_one_line, shorten
from kerasnets.runtime.atomic import whole_file

KEPT = 2  # the last one, and the one before it in case the last is damaged

# Errors that zipfile, NumPy and json raise for a damaged file. RuntimeError: a flipped bit marks it as encrypted.
DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile, zlib.error)

# Words for a setting whose value would tell a person nothing.
IN_WORDS = {"data": "other training data", "weights": "other initial weights", "frozen": "other frozen layers"}
RENAMED = {"deviation": "std"}  # settings in checkpoints of earlier versions


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training run after `epoch` epochs."""

    epoch: int
    settings: Mapping[str, Any]  # of the run: jobs.TrainingJob.settings
    arrays: Mapping[str, np.ndarray]

    def part(self, name: str) -> dict[str, np.ndarray]:
        """Return the arrays whose names start with "<name>/", without that start."""
        return {key.removeprefix(f"{name}/"): array for key, array in self.arrays.items() if key.startswith(f"{name}/")}


def save(folder: str | Path, checkpoint: Checkpoint, alone: bool = False) -> None:
    """Write `checkpoint` into `folder` and remove all but the last two; with `alone`, remove all others."""
    path = Path(folder) / f"epoch-{checkpoint.epoch:05d}.npz"
    meta = json.dumps({"epoch": checkpoint.epoch, "settings": checkpoint.settings})
    with whole_file(path) as part, part.open("wb") as file:
        np.savez(file, meta=np.array(meta), **checkpoint.arrays)  # type: ignore[arg-type]  # NumPy's allow_pickle
    old = [file for file in files(folder) if file != path] if alone else files(folder)[:-KEPT]
    for left in [*old, *Path(folder).glob(".epoch-*.part.npz")]:  # part files are of killed runs
        left.unlink(missing_ok=True)


def files(folder: str | Path) -> list[Path]:
    """Return the checkpoint files in `folder`, the last epoch last."""
    return sorted(Path(folder).glob("epoch-*.npz"))


def load(folder: str | Path, settings: Mapping[str, Any]) -> Checkpoint | None:
    """Return the last undamaged Checkpoint in `folder`; None if there is no file. Damaged files are named on stderr.

    Raises:
        BadInputError: All files are damaged, or the checkpoint was made with other `settings`.
    """
    found = files(folder)
    for path in reversed(found):
        try:
            checkpoint = read(path)
        except DAMAGE as error:
            print(f"note: checkpoint {shorten(path)} is damaged ({in_one_line(error)})", file=sys.stderr)
            continue
        check_settings(checkpoint.settings, settings, path)
        return checkpoint
    if found:
        raise BadInputError("all checkpoints in {path} are damaged", path=folder, remedy="start anew, without --resume")
    return None


def are_unfinished(folder: Path, last_written: Path) -> bool:
    """Whether `folder` has checkpoints of a run that stopped before it wrote the file `last_written`."""
    found = files(folder)
    if not found or not last_written.is_file():
        return bool(found)
    return found[-1].stat().st_mtime > last_written.stat().st_mtime


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


def read(path: Path) -> Checkpoint:
    """Return the Checkpoint in a file. Every byte is checked by the zip's checksums."""
    with zipfile.ZipFile(path) as archive:  # NumPy reads only as far as an array's header says, which may be damaged
        damaged = archive.testzip()
        if damaged:
            raise zipfile.BadZipFile(f"its part {damaged} fails its checksum")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    meta = json.loads(str(arrays.pop("meta")))
    settings: dict[str, Any] = dict(meta["settings"])
    settings = {RENAMED.get(name, name): value for name, value in settings.items()}
    return Checkpoint(int(meta["epoch"]), settings, arrays)


def check_settings(made_with: Mapping[str, Any], settings: Mapping[str, Any], path: Path) -> None:
    """Raise BadInputError if the checkpoint at `path` belongs to another run."""
    wanted = json.loads(json.dumps(settings))  # tuples become lists, like in the file
    both = made_with.keys() & wanted.keys()
    for name in [*sorted(both), *sorted((made_with.keys() | wanted.keys()) - both)]:
        if made_with.get(name) != wanted.get(name):
            how = f"{name} {in_words(made_with.get(name))}, not {in_words(wanted.get(name))}"
            raise BadInputError(
                f"the checkpoint {shorten(path, 40)} was made with {IN_WORDS.get(name, how)}",
                remedy="resume with the same settings, or start anew without --resume",
            )


def in_words(setting: Any) -> Any:
    return setting if setting or isinstance(setting, int) else "none"
