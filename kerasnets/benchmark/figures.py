"""How long kerasnets takes, and how much memory, beside what a person would write by hand.

What is compared runs in turn, so that a machine that grows slow or quick does so to all. Medians are quoted, with the
smallest and the largest.
"""

import dataclasses
import datetime
import importlib
import json
import statistics
from dataclasses import dataclass

from kerasnets.errors import shorten
from kerasnets.runtime import provenance
from kerasnets.runtime.atomic import check_writable, whole_file

# what is measured -> (title of its page, what was done, in words)
PAGES = {
    "predict": ("How fast a prediction is", "Medians of several processes, engines in turn."),
    "train": (
        "How fast a training is",
        "Medians of epochs that each side trained in turn, in one process, on the same batches from the same weights; "
        "a ratio is kerasnets' time by the other's in the same turn: below 1, kerasnets is faster. Batch size and "
        "optimizer are those of each network's recipe, in NETWORKS of kerasnets/benchmark/train.py; the pixels are "
        "random. A wide spread tells of other work on the machine.",
    ),
    "pipeline": (
        "How fast pictures are made ready",
        "Medians of epochs of random pictures on one core, in turn, in one process.",
    ),
    "memory": (
        "How much memory a training takes",
        "Medians of the peaks of several processes, less what is resident after the imports.",
    ),
}


def run(what, runs, networks=None, out=None, tell=print, **options):
    """Measure `what`, a name in PAGES; return the Figures, and write the page `out`.

    networks: names, or None for all that are known; tell: is told a line for each figure; options: of the topic.
    Raises ValueError for an unknown network, OSError where `out` cannot be written: before anything is measured.
    """
    topic = importlib.import_module(f"kerasnets.benchmark.{what}")
    named = {"networks": networks, "backends": options.get("chosen")}
    said = "".join(f" --{option} {' '.join(names)}" for option, names in named.items() if names)
    networks = topic.NETWORKS if networks is None else networks
    for name in networks:
        check_name(name, what, topic)
    if out:
        check_writable(out)
    figures = topic.measure(runs, networks, tell, **options)
    if out:
        write_page(figures, out, what, f"{what} --runs {runs}{said}")
    return figures


def check_name(name, what, topic):
    """Raise ValueError for a network that the topic does not measure; predictions are measured of any."""
    if what == "predict":
        from kerasnets import models

        models.check_name(name)
    elif name not in topic.NETWORKS:
        raise ValueError(f"bench.py {what} does not measure {name!r}; choose from: {', '.join(topic.NETWORKS)}")


@dataclass(frozen=True)
class Figure:
    """What was measured: `values` in `unit`, one a run. goal: what the median is to be at most; None without one."""

    what: str
    by: str
    unit: str
    values: tuple[float, ...]
    goal: float | None = None

    @property
    def median(self):
        return statistics.median(self.values)

    def line(self):
        """The figure as one greppable line."""
        goal = "" if self.goal is None else f" goal={self.goal:g}"
        return (
            f"{self.what}: by={self.by} {self.unit}={self.median:.4g} "
            f"({min(self.values):.4g} to {max(self.values):.4g}){goal}"
        )

    def row(self):
        """The figure as a line of a table in Markdown."""
        goal = (
            ""
            if self.goal is None
            else f"{self.goal:g} {self.unit}: {'reached' if self.median <= self.goal else 'missed'}"
        )
        spread = f"{min(self.values):.3g} to {max(self.values):.3g}"
        return f"| {self.what} | {self.by} | {self.median:.3g} {self.unit} | {spread} | {goal} |"


def in_turn(runs, jobs, measure):
    """{name: [measure(*arguments), one for each run]} of {name: arguments}, A B C A B C ..."""
    found = {name: [] for name in jobs}
    for _ in range(runs):
        for name, arguments in jobs.items():
            found[name].append(measure(*arguments))
    return found


def last_line(text):
    return text.strip().rpartition("\n")[2]


# ---- told ----


def as_json(figures):
    return json.dumps([{**dataclasses.asdict(f), "median": f.median} for f in figures], indent=1)


def write_page(figures, path, what, command):
    """Write the figures of bench.py's `command` as a page of Markdown, with machine, versions and date."""
    title, how = PAGES[what]
    versions = ", ".join(f"{package} {version}" for package, version in provenance.installed().items())
    lines = [
        f"# {title}",
        "",
        f"Written by `python scripts/bench.py {command} --out {shorten(path)}`. {how}",
        "",
        f"{provenance.machine()}, {datetime.date.today().isoformat()}; {versions}.",
        "",
        "| what | by | median | spread | goal |",
        "|---|---|---|---|---|",
        *(figure.row() for figure in figures),
    ]
    with whole_file(path) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
