"""The proof of the engines that a person chooses: in bfloat16, and compiled. No framework is imported.

They train what `verification` proves in float32, and are judged by the same twin in float64. A compiled step, in
float32, may be as far from it as the usual one. A step in bfloat16 is measured beside PyTorch's autocast, which rounds
the same products to the same 8 bits: two such computations make errors of one size, so that over all weights of a
network and over many steps their distances must agree, up to the other places where they round.
"""

import datetime
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from kerasnets.errors import visible
from kerasnets.models.registry import Form
from kerasnets.proof.case import Reference, title_of
from kerasnets.proof.digest import ENGINES, digest
from kerasnets.proof.report import list_versions
from kerasnets.proof.verdict import TIMES_THE_YARDSTICK, TOLERANCE
from kerasnets.proof.verification import Versions, Workers, call_in, running_workers, versions_of
from kerasnets.reports.tables import Table
from kerasnets.runtime import provenance
from kerasnets.runtime.atomic import check_writable, whole_file
from kerasnets.runtime.backends import BACKENDS

BFLOAT16, COMPILED = "bfloat16", "compiled"
TIMES_AUTOCAST = 1.5  # how much further than PyTorch's autocast all weights together may be, in bfloat16
TELLING = 0.5  # PyTorch's own distance must be at most it: the weights of a network that does not learn are 1 away
DRAWS = 6  # of pictures and labels, in bfloat16
ENGINE_NAMES = (BFLOAT16, COMPILED)
COMPILERS = ("torch", "tensorflow")  # JAX compiles what `verification` measures
FORMS_OF_A_PROCESS = 4  # TensorFlow and inductor keep what they have compiled

Distances = Mapping[str, Sequence[float]]  # recipe -> distance of all weights together, and perhaps of each


@dataclass(frozen=True)
class EngineProof:
    """The distances of one network's steps by one engine."""

    network: str
    engine: str  # BFLOAT16 or COMPILED
    yardstick: Distances = field(default_factory=dict)  # PyTorch's own distances
    distances: Mapping[str, Distances] = field(default_factory=dict)  # by backend
    errors: Sequence[str] = ()  # that stopped measurements

    def limits_of(self, recipe: str) -> list[float]:
        """Return the largest distance that is allowed of all weights together, and of each."""
        whole, *each = self.yardstick[recipe]
        if self.engine == COMPILED:
            return [max(TOLERANCE, TIMES_THE_YARDSTICK * whole)]
        return [TIMES_AUTOCAST * whole, *(TIMES_THE_YARDSTICK * max(whole, own) for own in each)]

    @property
    def faults(self) -> list[str]:
        """All faults in words; a distance that is NaN, or that was not measured, is one."""
        faults = list(self.errors)
        for recipe, own in self.yardstick.items():
            if not own[0] <= TELLING:
                faults.append(f"PyTorch's own {recipe} lies {own[0]:.1e} apart: the case is ill-conditioned")
            for backend, distances in self.distances.items():
                faults += [f"{backend}: {words}" for words in self.faults_of(recipe, distances.get(recipe, ()))]
        return faults or ["nothing was measured"] * (not self.yardstick or not self.distances)

    def faults_of(self, recipe: str, distances: Sequence[float]) -> list[str]:
        limits = self.limits_of(recipe)
        if len(distances) != len(limits):
            return [f"{recipe} was not measured"]
        pairs = list(zip(distances, limits, strict=True))
        if not pairs[0][0] <= pairs[0][1]:
            return [f"{recipe} lies {pairs[0][0]:.1e} apart; allowed are {pairs[0][1]:.1e}"]
        beyond = [f"{far:.1e} apart; allowed are {limit:.1e}" for far, limit in pairs[1:] if not far <= limit]
        return [f"one weight by {recipe} lies {beyond[0]}"] if beyond else []

    def cells(self) -> tuple[str, ...]:
        """Return the row of this proof: network, engine, PyTorch's own distance, that of each backend, verdict."""
        cells = [f"{worst(self.distances[name]):.1e}" if name in self.distances else "" for name in BACKENDS]
        own = f"{worst(self.yardstick):.1e}" if self.yardstick else ""
        return self.network, self.engine, own, *cells, "; ".join(self.faults) or "verified"


def worst(distances: Distances) -> float:
    """Return the largest distance of all weights together; NaN without one."""
    return float(np.max([each[0] for each in distances.values()])) if distances else float("nan")


HEAD = ("network", "engine", "PyTorch's own", *BACKENDS, "verdict")


@dataclass(frozen=True)
class EngineReport:
    """All proofs of the engines."""

    proofs: Sequence[EngineProof]
    versions: Versions
    seconds: float

    @property
    def faulty(self) -> int:
        return sum(bool(proof.faults) for proof in self.proofs)

    def line(self) -> str:
        """Return the result as one greppable line."""
        verified = len(self.proofs) - self.faulty
        return f"result engines={len(self.proofs)} proven={verified} faulty={self.faulty} seconds={self.seconds:.0f}"

    def save(self, path: str | Path) -> None:
        """Write the page as Markdown. Raises OSError if the file cannot be written."""
        with whole_file(path) as part:
            part.write_text(self.markdown(), encoding="utf-8")

    def markdown(self) -> str:
        versions = "; ".join(map(list_versions, self.versions.values()))
        rows = [(f"`{network}`", *cells) for network, *cells in (proof.cells() for proof in self.proofs)]
        return "\n".join(
            [
                "# Verification of the engines",
                "",
                f"Generated by `kerasnets verify --engines` on {datetime.date.today()}; not written by hand. "
                f"Of code `{digest(ENGINES)}`.",
                "",
                EXPLANATION,
                f"Machine: {provenance.machine()}. Versions: {versions}. {len(rows) - self.faulty} of {len(rows)} rows "
                f"verified; minutes: {self.seconds / 60:.0f}.",
                "",
                Table(HEAD, rows).markdown(),
                "",
            ]
        )


def prove(forms: Sequence[Form], out: str | Path | None = None, stream: TextIO = sys.stdout) -> EngineReport:
    """Verify the engines of networks, with a line for each on `stream`, and return the report.

    Args:
        forms: Networks, as models.forms() gives them. One of several heads, which `fit` does not train, is left out.
        out: The file for the table, as Markdown; it grows with each network.
        stream: For the lines.

    Raises:
        ValueError: `fit` trains none of the networks.
        OSError: The file cannot be written.
        ImportError: torch or torchvision is not installed.
    """
    started = time.monotonic()
    if out:
        check_writable(out)
    widths = [max(len(form.title) for form in forms), 8, 13, *[10] * len(BACKENDS), 8]
    print(visible(Table(HEAD, (), widths=widths).text()), file=stream, flush=True)
    report, left_out = EngineReport((), {}, 0.0), []
    for first in range(0, len(forms), FORMS_OF_A_PROCESS):
        with running_workers() as workers:
            versions = versions_of(workers)
            for form in forms[first : first + FORMS_OF_A_PROCESS]:
                proofs = list(verify(form, workers))
                left_out += [form.title] * (not proofs)
                for proof in proofs:
                    print(visible(Table((), [proof.cells()], widths=widths).text()), file=stream, flush=True)
                seconds = time.monotonic() - started
                report = EngineReport((*report.proofs, *proofs), versions, seconds)
                if out:
                    report.save(out)
    if left_out:
        print(visible(f"not trained by fit: {', '.join(left_out)}"), file=stream, flush=True)
    if not report.proofs:
        raise ValueError(f"fit does not train {' or '.join(left_out)}, which have several heads: nothing to verify")
    return report


def verify(form: Form, workers: Workers) -> Iterator[EngineProof]:
    """Yield the EngineProof of each engine. A network of several heads, which `fit` does not train, has none."""
    with tempfile.TemporaryDirectory(prefix="kerasnets-engines-", ignore_cleanup_errors=True) as folder:
        judging = call_in(workers["torch"], "engine_reference.judge", form, Path(folder) / "case")
        if error := judging.exception():
            yield from (EngineProof(form.title, engine, errors=[f"judge: {words(error)}"]) for engine in ENGINE_NAMES)
            return
        reference, bfloat16 = judging.result()
        if not reference.case.recipes:
            return
        float32 = {title: [reference.of_fit[title]] for title in map(title_of, reference.case.recipes)}
        compiling = {name: worker for name, worker in workers.items() if name in COMPILERS}
        yield measure_on(workers, form.title, BFLOAT16, bfloat16, reference)
        yield measure_on(compiling, form.title, COMPILED, float32, reference)


def measure_on(workers: Workers, network: str, engine: str, yardstick: Distances, reference: Reference) -> EngineProof:
    """Measure an engine on each backend; return its proof."""
    function = f"engine_distances.measure_{engine}"
    futures: dict[str, Future[Any]] = {
        backend: call_in(worker, function, reference.case) for backend, worker in workers.items()
    }
    raised = {backend: error for backend, future in futures.items() if (error := future.exception())}
    distances = {backend: future.result() for backend, future in futures.items() if backend not in raised}
    return EngineProof(
        network, engine, yardstick, distances, [f"{backend}: {words(error)}" for backend, error in raised.items()]
    )


def words(error: BaseException) -> str:
    return " ".join((str(error) or repr(error)).split())


EXPLANATION = f"""\
`--precision mixed_bfloat16` and `--compile` train by other engines than those of the [verification](proof.md). This
page verifies them for networks that `fit` trains: three steps from the same weights, with the optimizer and the loss of
each recipe, against the twin in plain PyTorch in float64. A number is the worst of all recipes of the network.

| engine | number | limit |
|---|---|---|
| bfloat16 | the Euclidean distance of the change of all trained weights together, over the norm of the change: the \
median of three steps for each of {DRAWS} draws of pictures and labels | \
{TIMES_AUTOCAST:g} times that of PyTorch's autocast, which must be at most {TELLING:g}; a single weight may be \
{TIMES_THE_YARDSTICK} times as far as it or as all in PyTorch |
| compiled | as in the column "as trained" of the verification: the worst tensor, in float32 | {TOLERANCE:.0e}, or \
{TIMES_THE_YARDSTICK} times PyTorch's own distance, not compiled |

A step in bfloat16 has 8 bits: inputs of ReLUs move across 0, and gradients jump, in PyTorch as here. Two computations
that round the same products make errors of one size, so over all weights and many steps their distances agree. Of one
step they are a matter of chance: an input of a ReLU that moves across 0 takes a small network a hundred times as far.
JAX compiles in any case, which the verification covers.
"""
