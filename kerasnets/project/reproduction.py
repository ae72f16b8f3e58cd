"""Recipes run over seeds and backends. A finished run is not run again, and a stopped one goes on after its last epoch.

The lines of the results are in docs/results.csv (`results`), the learning curves in docs/curves.csv (`curves`). The
tables in README.md, README.zh-CN.md, docs/results.md and models_saved/README.md show them (`tables`), and so do the
pictures of docs/results.md (`results_figures`).
"""

import datetime
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasnets.errors import nearest_first
from kerasnets.project import curves
from kerasnets.project.results import COLUMNS, MARKS, RESULTS, append, key_of, model_file, read
from kerasnets.recipes import RECIPES
from kerasnets.runtime import backends, child
from kerasnets.runtime.provenance import CHECKOUT

RUNS = Path("models_saved/runs")
CHECKPOINT_MINUTES = "10"  # between two checkpoints: an epoch may take an hour


@dataclass(frozen=True)
class Job:
    """One run of a recipe; its fields are columns of the results."""

    recipe: str
    backend: str
    seed: int
    precision: str
    compiled: bool

    def __str__(self) -> str:
        mark = MARKS[self.precision]
        return f"{self.recipe} on {self.backend}, seed {self.seed}{', ' if mark else ''}{mark}"


def reproduce(
    names: Sequence[str],
    wanted_backends: Sequence[str],
    seeds: Iterable[int],
    *,
    data_dir: str | None = None,
    anew: bool = False,
    precision: str | None = None,
    compiled: bool = False,
    results: Path = RESULTS,
    runs: Path = RUNS,
    tell: Callable[[str], object] = print,
) -> int:
    """Run the recipes that have no line in `results`, each in a process of its own; return the number of failures.

    The output of a training run goes to stderr. After each run its line is added to `results`.

    Args:
        names: Recipes.
        wanted_backends: Backends to run each recipe on.
        seeds: Seeds to run each recipe with.
        data_dir: Folder of the data sets.
        anew: Whether to run also recipes that have a line, from the first epoch; the line is replaced.
        precision: In place of the recipes': one of recipes.PRECISIONS.
        compiled: Whether to compile each step, also if the recipe does not.
        results: The file of the results.
        runs: The folder for model files and reports.
        tell: Called with a line at the start and end of each run.

    Raises:
        ValueError: A recipe or backend is unknown.
        ImportError: A backend is not installed.
    """
    check_names(names, wanted_backends)
    present = {key_of(line) for line in read(results)}
    jobs = [
        Job(name, backend, seed, precision or RECIPES[name].precision, compiled or RECIPES[name].compiled)
        for name in names
        for seed in seeds
        for backend in wanted_backends
    ]
    jobs = [job for job in jobs if anew or key_of(vars(job)) not in present]
    failed = 0
    for i, job in enumerate(jobs, start=1):
        tell(f"{i} of {len(jobs)}: {job}")
        result = run(job, data_dir, anew, runs)
        if result is None:
            failed += 1
            tell(f"{job} failed; its last line says why")
            continue
        line = line_of(result)
        append(results, line)
        curves.append(results.with_name(curves.CURVES.name), result)
        tell(f"{job}: test {line['test_accuracy']:.4f} in {line['seconds']} s")
    return failed


def check_names(names: Sequence[str], wanted_backends: Sequence[str]) -> None:
    for backend in wanted_backends:
        if backend not in backends.BACKENDS:
            raise ValueError(f"unknown backend {backend!r}; choose from: {', '.join(backends.BACKENDS)}")
        backends.check_installed(backend)
    for name in names:
        if name not in RECIPES:
            raise ValueError(f"unknown recipe {name!r}; choose one of: {nearest_first(name, RECIPES)}")


def run(job: Job, data_dir: str | None, anew: bool, runs: Path) -> dict[str, Any] | None:
    """Train one recipe by scripts/train.py; return the training.Run as a dict, None if it failed.

    Only a stopped run is resumed: the checkpoints of a finished one may be of an earlier version of the code.
    """
    out = model_file(vars(job), runs)
    is_stopped = out.with_suffix("").is_dir() and not out.exists()
    command = [
        sys.executable, str(CHECKOUT / "scripts/train.py"), job.recipe, "--json", "--seed", str(job.seed),
        "--out", str(out), "--precision", job.precision, "--checkpoint-minutes", CHECKPOINT_MINUTES,
    ]  # fmt: skip
    command += ["--compile"] if job.compiled else []
    command += ["--data-dir", data_dir] if data_dir else []
    command += ["--resume"] if is_stopped and not anew else ["--overwrite"]
    process = subprocess.Popen(
        command,
        env=child.variables(KERAS_BACKEND=job.backend),
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
        text=True,
        start_new_session=True,  # a terminal's Ctrl-C reaches this process alone
    )
    try:
        printed = process.communicate()[0]
    except BaseException:  # Ctrl-C and SIGTERM: let it end after its current step
        process.terminate()
        process.wait()
        raise
    return json.loads(printed.splitlines()[-1]) if process.returncode == 0 else None


def line_of(run: dict[str, Any]) -> dict[str, Any]:
    """Return the line of the results for a training.Run as JSON."""
    best = run["best_epoch"] - 1
    return {column: run.get(column, "") for column in COLUMNS} | {
        "compiled": "compiled" if run["compiled"] else "",
        "val_accuracy": run["val_accuracy"][best] if run["val_accuracy"] else "",
        "train_accuracy": run["accuracy"][best],
        "versions": " ".join(f"{package} {version}" for package, version in run["versions"].items()),
        "date": datetime.date.today().isoformat(),
    }
