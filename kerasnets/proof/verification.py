"""The proof of networks: each backend, in both layouts, against the network's twin in plain PyTorch.

`prove` reads top-down. The reference values are the twin's, computed in float64. Logits are compared in float32,
gradients and steps in float64. The yardstick is the distance between the twin in float32 and in float64, which is large
in a deep network: Keras cannot be expected to be much nearer. Weights and images come from NumPy.

Each backend works in a process of its own. This process imports no framework: it names the functions that they run.
"""

import contextlib
import importlib
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

from kerasnets.models.registry import Form
from kerasnets.proof.case import Case, Reference
from kerasnets.proof.partial import Partial, path_of
from kerasnets.proof.report import Lines, Report
from kerasnets.proof.verdict import DEEP, SAME_BLOCKS, VERY_DEEP, Proof
from kerasnets.runtime import provenance
from kerasnets.runtime.atomic import check_writable
from kerasnets.runtime.backends import BACKENDS, LAYOUTS, is_installed
from kerasnets.runtime.processes import Worker

Workers = Mapping[str, Worker]  # backend -> its process
Versions = Mapping[str, Mapping[str, str]]  # backend -> package -> version

AT_A_TIME = 2  # networks, so that no process waits long for the others
FORMS_OF_A_PROCESS = 16  # TensorFlow keeps what it has compiled: its process came to 12 GB after 57 networks


def prove(
    forms: Sequence[Form], out: str | Path | None = None, stream: TextIO = sys.stdout, resume: bool = False
) -> Report:
    """Verify networks, with a line for each on `stream`, and return the Report.

    Args:
        forms: At least one network, as models.forms() gives them.
        out: The file for the table, as Markdown. An earlier one is kept to the end; until then, the proofs are in
            <name>-partial.json, and afterwards in <name>-proofs.json.
        stream: For the lines, and for a progress bar if it is a terminal.
        resume: Whether to go on with the proofs in these files that are of the same code and packages.

    Raises:
        OSError: The file cannot be written.
        ImportError: torch or torchvision is not installed.
    """
    started = time.monotonic()
    if out:
        check_writable(out)
    titles = [form.title for form in forms]
    earlier = Partial.load(path_of(out), titles) if out and resume else Partial()
    proofs = {proof.network: proof for proof in earlier.proofs}
    left = [form for form in forms if form.title not in proofs]
    versions: Versions = {}
    with Lines(forms, stream) as lines:
        for proof in earlier.proofs:
            lines.show(proof)
        for first in range(0, max(len(left), 1), FORMS_OF_A_PROCESS):  # without a network left, for the versions
            with running_workers() as workers:
                versions = versions_of(workers)
                for proof in verify(left[first : first + FORMS_OF_A_PROCESS], workers):
                    lines.show(proof)
                    proofs[proof.network] = proof
                    if out:
                        seconds = earlier.seconds + time.monotonic() - started
                        Partial(list(proofs.values()), seconds).save(path_of(out))
    in_order = [proofs[title] for title in titles]
    report = Report(in_order, versions, earlier.seconds + time.monotonic() - started)
    if out:
        report.save(out)
        path_of(out).unlink(missing_ok=True)
    return report


def verify(forms: Sequence[Form], workers: Workers, layouts: Sequence[str] = LAYOUTS) -> Iterator[Proof]:
    """Yield the Proof of each network, in order.

    Args:
        forms: Networks, as models.forms() gives them.
        workers: A process for each backend; the process of torch also computes the twins.
        layouts: The layouts in which each backend computes.
    """
    with tempfile.TemporaryDirectory(prefix="kerasnets-proof-", ignore_cleanup_errors=True) as folder:
        threads = ThreadPoolExecutor(AT_A_TIME)
        try:
            folders = [Path(folder) / str(number) for number in range(len(forms))]
            yield from threads.map(lambda form, folder: verify_one(form, folder, workers, layouts), forms, folders)
        finally:  # if the caller stops early, it also ends the processes that the threads wait for
            threads.shutdown(wait=False, cancel_futures=True)


def verify_one(form: Form, folder: Path, workers: Workers, layouts: Sequence[str]) -> Proof:
    """Judge, measure on each backend, exchange files, and return the Proof; an error on the way is its only fault."""
    try:
        reference: Reference = result_of("judge", call_in(workers["torch"], "reference.judge", form, folder))
        case, depth = reference.case, reference.depth
        measuring = {
            f"{backend} {layout}": call_in(worker, "distances.measure", case, layout, trains)
            for backend, worker in workers.items()
            for layout, trains in layouts_on(backend, depth, layouts, bool(case.recipes)).items()
        }
        fitting = {
            backend: call_in(worker, "fit_distances.measure", case)
            for backend, worker in workers.items()
            if backend == "torch" or form.name not in SAME_BLOCKS
        }
        saving = {backend: call_in(worker, "distances.save_files", case) for backend, worker in workers.items()}
        measured = {where: result_of(where, future) for where, future in measuring.items()}
        return Proof(
            network=form.title,
            input_shape=case.options["input_shape"],
            parameters=reference.parameters,
            full_size=reference.full_size,
            published=form.parameters,
            pytorch=reference.yardstick,
            keras={where: distances for where, (distances, _) in measured.items()},
            unmoved={where: names for where, (_, names) in measured.items()},
            fit={backend: result_of(f"fit on {backend}", future) for backend, future in fitting.items()},
            pytorch_fit=reference.of_fit,
            files=read_by_the_next(saving, case, workers),
            automatic_names=reference.automatic_names,
            left_out=left_out(form.name, depth, layouts, bool(case.recipes)) if len(workers) > 1 else "",
        )
    except Exception as error:
        return Proof(form.title, broken=" ".join((str(error) or repr(error)).split()))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def layouts_on(backend: str, depth: int, layouts: Sequence[str], is_fitted: bool = True) -> dict[str, bool]:
    """Return {layout in which a backend measures a network: whether it measures gradients and steps in float64}.

    Args:
        backend: Torch measures everything, because it does not compile.
        depth: Layers with weights.
        layouts: All layouts; float64 is for the first.
        is_fitted: Whether `fit` is measured too, in float32. A network of several heads has no other gradients.
    """
    if backend == "torch":
        return dict.fromkeys(layouts, True)
    measured = layouts[:1] if depth > VERY_DEEP else layouts
    return {layout: layout == layouts[0] and (depth <= DEEP or not is_fitted) for layout in measured}


def left_out(name: str, depth: int, layouts: Sequence[str], is_fitted: bool = True) -> str:
    """Return what is measured on torch alone, because TensorFlow and JAX would take minutes to compile it."""
    one_layout = depth > VERY_DEEP and len(layouts) > 1
    left = ["float64"] * (depth > DEEP and is_fitted) + [layouts[-1]] * one_layout
    words = [f"{' and '.join(left)} on torch alone"] * bool(left)
    if name in SAME_BLOCKS:
        words.append(f"as trained on torch alone, elsewhere {SAME_BLOCKS[name]}, of the same blocks")
    return "; ".join(words)


def read_by_the_next(saving: Mapping[str, Future[list[Path]]], case: Case, workers: Workers) -> dict[str, float]:
    """Let each backend load the files of the one before it: {"saver to loader, format": distance of the logits}."""
    savers = list(saving)
    loading = {
        f"{saver} to {loader}": call_in(workers[loader], "distances.load_files", saving[saver].result(), case)
        for saver, loader in zip(savers, savers[1:] + savers[:1], strict=True)
    }
    return {f"{way}, {suffix}": d for way, future in loading.items() for suffix, d in future.result().items()}


# ---- the processes ----


@contextlib.contextmanager
def running_workers() -> Iterator[Workers]:
    """Start a Worker for each installed backend, and end them on leaving."""
    workers = {backend: Worker(backend, silence_tensorflow) for backend in installed_backends()}
    try:
        yield workers
    except BaseException:  # Ctrl-C among them: the measurements under way would take minutes
        for worker in workers.values():
            worker.kill()
        raise
    for worker in workers.values():
        worker.close()


def installed_backends() -> tuple[str, ...]:
    """Return the installed backends. Raise ImportError without torch and torchvision, which the twins need."""
    for package in ("torch", "torchvision"):
        if not is_installed(package):
            raise ImportError(f"{package}, which the proof needs, is not installed: pip install torch torchvision")
    return tuple(backend for backend in BACKENDS if is_installed(backend))


def silence_tensorflow() -> None:
    """Drop TensorFlow's warning, for each network, that it compiles again."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def call_in(worker: Worker, function: str, *args: object) -> Future[Any]:
    """Start "module.function" of this package in a process of its own: its module imports a framework.

    If the process has ended, the Future has its error.
    """
    try:
        return worker.submit(call, function, *args)
    except Exception as error:
        failed: Future[Any] = Future()
        failed.set_exception(error)
        return failed


def call(function: str, *args: object) -> Any:
    module, name = function.split(".")
    return getattr(importlib.import_module(f"kerasnets.proof.{module}"), name)(*args)


def result_of(where: str, future: Future[Any]) -> Any:
    """Return the result of `future`; an Exception says where it was raised."""
    try:
        return future.result()
    except Exception as error:
        raise RuntimeError(f"{where}: {error!r}") from error


def versions_of(workers: Workers) -> Versions:
    """Return backend -> package -> version; torchvision, of which some twins are, is among the packages of torch."""
    versions = {backend: worker(provenance.versions) for backend, worker in workers.items()}
    versions["torch"] |= {"torchvision": metadata.version("torchvision")}
    return versions
