"""The runs of other programs that a training has begun, kept beside its checkpoints; `resume` goes on with them."""

import json
from pathlib import Path

from kerasnets.runtime.atomic import whole_file

NAME = "logged.json"


def read(folder: Path) -> dict[str, str]:
    """Return {program: run} of the training that writes into a folder; {} if the file of them cannot be read."""
    try:
        runs = json.loads((folder / NAME).read_text(encoding="utf-8"))
        return {name: run for name, run in runs.items() if isinstance(run, str)}
    except (OSError, ValueError, AttributeError):
        return {}


def write(folder: Path, runs: dict[str, str]) -> None:
    """Keep {program: run} of the training that writes into a folder."""
    if runs != read(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / NAME) as part:
            part.write_text(json.dumps(runs), encoding="utf-8")
