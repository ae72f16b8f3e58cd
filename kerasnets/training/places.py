"""Where a training writes: names that no earlier run has, and the run that `resume` goes on with.

A run owns its model files, and the folder beside the first of them for its report and checkpoints. The second run of
one name is numbered, so that it replaces nothing: a.keras and a/, then a-2.keras and a-2/.
"""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasnets.errors import note, shorten
from kerasnets.runtime.claims import is_claimed
from kerasnets.runtime.workers import Place, place
from kerasnets.training import checkpoints

REPORT = "report.html"
HEAD = "head"  # in the folder of a run with --pretrained, without its suffix: the model of its first part
LAUNCH = "launch.txt"  # tells the workers that a launcher starts again which run is theirs
STARTS = (b"PK", b"\x89HDF")  # of a model file: a zip, or HDF5

Files = list[Path]
Settings = Mapping[str, Any]


def folder_of(path: Path) -> Path:
    """Return the folder for everything that a training run writes besides the model file `path`."""
    return path.with_suffix("")


def numbered(files: Sequence[Path], number: int) -> Files:
    """Return the model files of the run with a number; the first run has the names as they are."""
    return [file if number == 1 else file.with_stem(f"{file.stem}-{number}") for file in files]


def holds_run(files: Sequence[Path]) -> bool:
    """Whether an earlier run has left a model, a report or checkpoints there."""
    folder, head = folder_of(files[0]), [head_of(files)]
    has_head = is_model(head[0]) or bool(checkpoints_of(head))
    is_there = any(path.exists() and not path.is_dir() for path in [*files, folder / REPORT])  # of any kind
    return is_there or has_head or bool(checkpoints_of(files))


def head_of(files: Sequence[Path]) -> Path:
    """Return the model file of the head that a run with --pretrained trains first."""
    return folder_of(files[0]) / f"{HEAD}{files[0].suffix}"


def is_model(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4).startswith(STARTS)
    except OSError:
        return False


def checkpoints_of(files: Sequence[Path]) -> Files:
    """Return the checkpoints of the run that writes `files`, also those that were set aside."""
    folder = checkpoints.folder_beside(files[0])
    return checkpoints.files(folder) or checkpoints.files(checkpoints.aside(folder))


def runs_of(files: Sequence[Path]) -> list[Files]:
    """Return the files of all runs of the name of `files`, by their numbers."""
    pattern = re.compile(rf"{re.escape(files[0].stem)}(?:-([2-9]|[1-9]\d+))?(?:{re.escape(files[0].suffix)})?")
    parent = files[0].parent
    found = (pattern.fullmatch(path.name) for path in (parent.iterdir() if parent.is_dir() else ()))
    numbers = sorted({int(match[1] or 1) for match in found if match})
    return [run for run in (numbered(files, number) for number in numbers) if holds_run(run)]


def free_name(path: Path, beside: Sequence[str] = ()) -> Path:
    """Return `path`, or the first numbered name that neither it nor a file of the suffixes `beside` has."""
    names = (numbered([path], number)[0] for number in itertools.count(1))
    return next(name for name in names if not any(map(Path.exists, [name, *map(name.with_suffix, beside)])))


def choose(files: Sequence[Path], *, overwrite: bool) -> Files:
    """Return the files for a new run: `files`, or numbered ones if an earlier run is there; a note says so."""
    runs = (numbered(files, number) for number in itertools.count(1))
    chosen = next(run for run in runs if overwrite or not (holds_run(run) or is_taken(run)))
    if chosen != list(files):
        note(f"{reason(files)}: this run writes {shorten(chosen[0])}")
    return chosen


def is_taken(files: Sequence[Path]) -> bool:
    """Whether another process trains into these files now."""
    return is_claimed(folder_of(files[0])) or is_claimed(folder_of(head_of(files)))


def reason(files: Sequence[Path]) -> str:
    """Return why a new run takes another name than `files`."""
    folder = folder_of(files[0])
    if is_taken(files):
        return f"another training writes {shorten(files[0])} now"
    head = [head_of(files)]
    if checkpoints.are_unfinished(folder / checkpoints.FOLDER, folder / REPORT) or (
        not is_model(files[0]) and checkpoints_of(head)
    ):
        return f"an unfinished run is in {shorten(folder)} (--resume goes on with it)"
    return f"{shorten(files[0])} is there already (--overwrite replaces it)"


def choose_to_resume(files: Sequence[Path], settings: Callable[[], Settings], *, overwrite: bool) -> Files:
    """Return the files of the run to go on with: the last one of the same settings, an unfinished one first.

    Without such a run it is the last one, whose settings the error will name; without checkpoints, a new run. The
    settings are worked out only if there is a choice.
    """
    runs = [run for run in runs_of(files) if checkpoints_of(run)]
    if not runs:
        return choose(files, overwrite=overwrite)
    if len(runs) == 1:
        return runs[0]
    wanted = settings()
    same = [run for run in runs if checkpoints.are_of(checkpoints_of(run), wanted)]
    return max(same or runs, key=lambda run: (bool(same) and is_unfinished(run), last_written(run)))


def choose_with_head(files: Sequence[Path], settings: Settings, *, resume: bool, overwrite: bool) -> Files:
    """Return the files of a run with --pretrained: new ones, or if it resumes, those of a run with such a head.

    `settings` are some of the head's.
    """
    if not place().leads:  # worker 0 chooses
        return list(files)
    runs = [run for run in runs_of(files) if checkpoints_of([head_of(run)])]
    again = next((run for run in runs if run_of_launch([head_of(run)], place())), None)
    if again or not (resume and runs):
        return again or choose(files, overwrite=overwrite)
    same = [run for run in runs if checkpoints.are_of(checkpoints_of([head_of(run)]), settings, partly=True)]
    return max(same or runs, key=lambda run: (bool(same) and is_unfinished(run), last_written([head_of(run)])))


def run_of_launch(files: Sequence[Path], launched: Place) -> Files | None:
    """Return the files of the run that the launcher of these workers has started before; None if it has not."""
    text = launched.launch.encode()
    runs = runs_of(files) if launched.restarts else []
    marks = [(run, folder_of(run[0]) / LAUNCH) for run in runs]
    return next((run for run, mark in marks if mark.is_file() and mark.read_bytes() == text), None)


def is_unfinished(files: Sequence[Path]) -> bool:
    folder = folder_of(files[0])
    return not is_model(files[0]) or checkpoints.are_unfinished(folder / checkpoints.FOLDER, folder / REPORT)


def last_written(files: Sequence[Path]) -> float:
    return max(path.stat().st_mtime for path in checkpoints_of(files))


def last_run(files: Sequence[Path]) -> Files:
    """Return the files of the run of this name that has written the last checkpoint; `files` if there is none."""
    return max((run for run in runs_of(files) if checkpoints_of(run)), key=last_written, default=list(files))


def last_model(file: Path) -> Path:
    """Return the model file of the last run of the name of `file`, which may end in another run's number."""
    base = file.with_stem(re.sub(r"-\d+$", "", file.stem))
    models = [run[0] for run in runs_of([base]) if is_model(run[0])]
    return max(models, key=lambda path: path.stat().st_mtime, default=base)
