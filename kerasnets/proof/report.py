"""What a verification found, for people: lines as it goes, a table at the end."""

import contextlib
import datetime
import json
import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from kerasnets.proof.parameter_counts import PUBLISHED
from kerasnets.proof.verification import (
    DEPTH_TO_COMPILE_TWICE,
    QUANTITIES,
    STEPS_IN_WORDS,
    TIMES_THE_YARDSTICK,
    TOLERANCE,
    TOLERANCE_OF_FLOAT64,
    WELL_CONDITIONED,
    Proof,
    largest,
    running_workers,
    verify,
    versions,
)
from kerasnets.runtime.atomic import check_writable, whole_file

ROWS_OF_A_PROCESS = 16  # TensorFlow keeps what it has compiled: its process came to 12 GB after 57 networks

# quantity -> heading of its column
HEADINGS = {"logits": "logits", "training_logits": "in training", "gradients": "gradients", "steps": STEPS_IN_WORDS}


def prove(rows, out=None, stream=sys.stdout):
    """Prove `rows` of PUBLISHED, a line for each on `stream`; return the Report, in `out` as Markdown too.

    While it grows, the table stands beside `out` as <name>-partial.<suffix>; an earlier `out` is kept to the end.
    Raises OSError where a file cannot be written.
    """
    started = time.monotonic()
    partial = out and Path(out).with_stem(f"{Path(out).stem}-partial")
    if out:
        check_writable(out)
    proofs = []
    with Lines(rows, stream) as lines, contextlib.closing(proofs_of(rows)) as found:
        for proof, package_versions in found:
            lines.show(proof)
            proofs.append(proof)
            report = Report(proofs, package_versions, time.monotonic() - started)
            if out:
                report.save(partial)
    if out:
        os.replace(partial, out)
    return report


def proofs_of(rows):
    """Yield (Proof, versions by backend) of each row, from processes that are begun anew now and then."""
    for first in range(0, len(rows), ROWS_OF_A_PROCESS):
        with running_workers() as workers:
            package_versions = versions(workers)
            for proof in verify(rows[first : first + ROWS_OF_A_PROCESS], workers):
                yield proof, package_versions


class Lines:
    """A line for each proof as it comes, and a bar below where a person looks on."""

    def __init__(self, rows, stream):
        self.width = max(len(row.title) for row in rows)
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=Console(file=stream), transient=True, disable=not stream.isatty(),
        )  # fmt: skip
        self.task = self.bar.add_task("proving", total=len(rows))

    def __enter__(self):
        headings = [f"{heading:>18}" for heading in HEADINGS.values()]
        self.print(f"{'network':{self.width}}{''.join(headings)}{'files':>9}{'full size':>11}")
        self.bar.start()
        return self

    def __exit__(self, *error):
        self.bar.stop()

    def print(self, line):
        self.bar.console.print(line, markup=False, highlight=False, soft_wrap=True)  # above the bar

    def show(self, proof):
        cells = [f"{measured(proof, quantity):>18}" for quantity in QUANTITIES]
        verdict = "proven" if not proof.faults else "FAULTY"
        self.print(
            f"{proof.network:{self.width}}{''.join(cells)}{proof.worst_file:>9.0e}{proof.full_size:>11.0e}  {verdict}"
        )
        for line in filter(None, [*proof.faults, proof.left_out]):
            self.print(f"  {line}")
        self.bar.advance(self.task)


def measured(proof, quantity):
    """The worst of all backends and layouts; PyTorch's own in brackets."""
    own = f" ({proof.pytorch[quantity]:.1e})" if quantity in proof.pytorch else ""
    return f"{proof.worst(quantity):.1e}{own}"


@dataclass(frozen=True)
class Report:
    """All proofs of one verification."""

    proofs: list[Proof]
    versions: dict[str, dict[str, str]]  # backend -> package -> version
    seconds: float

    @property
    def proven(self):
        return sum(not proof.faults for proof in self.proofs)

    def line(self):
        """The result as one greppable line."""
        return (
            f"result networks={len(self.proofs)} proven={self.proven} faulty={len(self.proofs) - self.proven} "
            f"backends={','.join(self.versions)} seconds={self.seconds:.0f}"
        )

    def json(self):
        """A list of the proofs; what is no finite number, as the distance of what could not be measured, is null."""
        text = json.dumps([proof.as_dict() for proof in self.proofs])
        return json.dumps(json.loads(text, parse_constant=lambda constant: None), indent=1)

    def save(self, path):
        """Write the table as Markdown. Raises OSError where the file cannot be written."""
        with whole_file(path) as part:
            part.write_text(self.markdown(), encoding="utf-8")

    def markdown(self):
        proven = {proof.network for proof in self.proofs}
        others = [row.title for row in PUBLISHED if row.title not in proven]
        return "\n".join(
            [
                "# The proof",
                "",
                f"Generated by `python scripts/verify.py` on {datetime.date.today()}; not written by hand.",
                "",
                EXPLANATION,
                f"Machine: {machine()}. Versions: {'; '.join(map(said, self.versions.values()))}. "
                f"{self.proven} of {len(self.proofs)} proven, in {self.seconds / 60:.0f} minutes."
                + (f" Not run: {', '.join(others)}." if others else ""),
                "",
                *self.table(),
                "",
                "The worst of all networks, by backend and layout:",
                "",
                *self.table_of_backends(),
                "",
            ]
        )

    def table(self):
        """Markdown rows, one for each network."""
        yield "| network | input | parameters | " + " | ".join(HEADINGS.values()) + " | files | full size | verdict |"
        yield "|---" * (len(HEADINGS) + 6) + "|"
        for proof in self.proofs:
            cells = [measured(proof, quantity) for quantity in QUANTITIES]
            counted = f"{proof.parameters:,}" + " = published" * (proof.parameters == proof.published)
            shape, last = "x".join(map(str, proof.input_shape)), f"{proof.worst_file:.0e} | {proof.full_size:.0e}"
            verdict = "; ".join(proof.faults) or "proven" + f" ({proof.left_out})" * bool(proof.left_out)
            yield f"| `{proof.network}` | {shape} | {counted} | {' | '.join(cells)} | {last} | {verdict} |"

    def table_of_backends(self):
        yield "| backend and layout | " + " | ".join(HEADINGS.values()) + " |"
        yield "|---" * (len(HEADINGS) + 1) + "|"
        for where in dict.fromkeys(where for proof in self.proofs for where in proof.keras):
            there = [proof.keras[where] for proof in self.proofs if where in proof.keras]
            worst = [largest([distances[quantity] for distances in there]) for quantity in QUANTITIES]
            yield f"| {where} | {' | '.join(f'{distance:.1e}' for distance in worst)} |"


def said(package_versions):
    return ", ".join(f"{name} {version}" for name, version in package_versions.items())


def machine():
    """The kind of machine, without its name."""
    return f"{os.cpu_count()} CPU cores, {platform.machine()}, {platform.system()}"


EXPLANATION = f"""\
Each network is compared with its twin: the same network in plain PyTorch. The twin is torchvision's model if there is
one, else a module in `kerasnets/proof/twins`, written from the paper or the tutorial. Network and twin get the same
weights, drawn by NumPy. The network is built on each backend and in both memory layouts. One exception: a network of
more than {DEPTH_TO_COMPILE_TWICE} layers with weights is built in channels_first on torch only, because TensorFlow and
JAX compile it for minutes; its row says so.

The reference is the twin in float64. Each number in the table is the largest difference from the reference, divided by
the largest value: the worst of all backends and layouts. The number in brackets is the same distance for the twin in
float32, in the worse of PyTorch's two memory formats.

| column | content | limit |
|---|---|---|
| parameters | the trainable ones, at full size; "published": those of the paper, torchvision or the tutorial | |
| logits | in inference, in float32 | {TOLERANCE:.0e} |
| in training | the logits in training mode, where batch norm uses the statistics of the batch; dropout is off | \
{TIMES_THE_YARDSTICK} times PyTorch's own distance, which must be at most {WELL_CONDITIONED:.0e} |
| gradients | the worst tensor, in float64 | {TOLERANCE_OF_FLOAT64:.0e}, or {TIMES_THE_YARDSTICK} times PyTorch's own \
distance |
| {STEPS_IN_WORDS} | the change of each weight and moving statistic by SGD with momentum; the worst tensor, in \
float64 | as for gradients |
| files | the logits after each backend has saved `.keras` and `.h5` and the next backend has loaded them | \
{TOLERANCE:.0e} |
| full size | the logits of one picture, at the network's own input and number of classes, on torch, in float32 | \
{TOLERANCE:.0e} |

In float64, PyTorch's own distance is the distance between two runs of the twin, with the pictures of the batch in
another order. Gradients are not compared in float32: rounding moves some ReLU inputs across 0, and the gradient jumps,
in PyTorch too. For gradients and steps, Keras' rule for the type of a product is replaced, because with that rule a
dense layer of float64 multiplies in float32 on torch and JAX.

Two more facts are proven. One step moves every trainable weight, except biases that a following batch norm cancels. And
no layer has an automatic name.

Except in the column "full size", a network has the input in the table, 10 classes and narrow dense layers.
`resnet_cifar_wide` and the VGGs, except `vgg_cifar`, also have an eighth of the filters, so that two cores can do it.

`kerasnets verify lenet5 resnet18` repeats the proof of some networks. It needs torch and torchvision; TensorFlow and
JAX take part if they are installed.
"""
