"""The figures of a benchmark, and the page that lists them.

Competitors run in turn, so that a change in the machine's speed affects all of them. A figure is the median of its
runs, shown with the smallest and the largest value.
"""

import dataclasses
import datetime
import importlib
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from kerasnets.errors import shorten
from kerasnets.reports.tables import Table
from kerasnets.runtime import provenance
from kerasnets.runtime.atomic import check_writable, whole_file

Value = TypeVar("Value")
Tell = Callable[[str], object]  # is called with a line for each figure

# topic -> (title of its page, a sentence on how it is measured)
PAGES = {
    "predict": (
        "How fast a prediction is",
        "Each figure is the median of several processes; the engines run in turn.",
    ),
    "train": (
        "How fast training is",
        "Each figure is the median of several epochs. The competitors take turns in one process, on the same batches "
        "and from the same weights. A ratio is kerasnets' time divided by the competitor's in the same turn; below 1, "
        "kerasnets is faster. A goal is compared with the median before rounding. Batch size and optimizer are those "
        "of a recipe for the network or for a similar one (NETWORKS in kerasnets/benchmark/train.py); the pixels are "
        "random. A wide spread means that the machine was busy.",
    ),
    "pipeline": (
        "How fast pictures are prepared",
        "Each figure is the median of several epochs, in turn, in one process on one core. Pictures are random; "
        "photos are JPEG files of 90 kB.",
    ),
    "memory": (
        "How much memory training takes",
        "Each figure is the median over several processes: peak memory less the memory in use after the imports.",
    ),
}


def run(
    topic: str,
    runs: int,
    networks: Sequence[str] | None = None,
    out: str | Path | None = None,
    tell: Tell = print,
    **options: Any,
) -> list["Figure"]:
    """Measure a topic and return its figures.

    Args:
        topic: A name in PAGES.
        runs: Runs of each competitor.
        networks: The networks to measure; all known ones by default.
        out: A page of Markdown to write.
        tell: Is called with a line for each figure as it comes.
        options: Options of the topic's `measure`.

    Raises:
        ValueError: A network is unknown.
        OSError: `out` cannot be written. Both errors come before anything is measured.
    """
    module = importlib.import_module(f"kerasnets.benchmark.{topic}")
    lists = {"networks": networks, "backends": options.get("chosen")}
    arguments = "".join(f" --{option} {' '.join(names)}" for option, names in lists.items() if names)
    networks = tuple(module.NETWORKS) if networks is None else networks
    for name in networks:
        check_name(name, topic, module)
    if out:
        check_writable(out)
    figures: list[Figure] = module.measure(runs, networks, tell, **options)
    if out:
        write_page(figures, out, topic, f"{topic} --runs {runs}{arguments}")
    return figures


def check_name(name: str, topic: str, module: ModuleType) -> None:
    """Raise ValueError for a network that the topic cannot measure; predictions are measured for any network."""
    if topic == "predict":
        from kerasnets import models

        models.check_name(name)
    elif name not in module.NETWORKS:
        raise ValueError(
            f"kerasnets bench {topic} does not measure {name!r}; choose from: {', '.join(module.NETWORKS)}"
        )


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Attributes:
        what: The measured quantity.
        by: The competitor.
        unit: The unit of the values.
        values: A value for each run.
        goal: The largest median that reaches the goal; None without a goal.
    """

    what: str
    by: str
    unit: str
    values: tuple[float, ...]
    goal: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def line(self) -> str:
        """Return the figure as one greppable line."""
        goal = "" if self.goal is None else f" goal={self.goal:g}"
        return (
            f"{self.what}: by={self.by} {self.unit}={self.median:.4g} "
            f"({min(self.values):.4g} to {max(self.values):.4g}){goal}"
        )

    def cells(self) -> tuple[str, ...]:
        """Return the figure as a row of the page's table."""
        goal = ""
        if self.goal is not None:
            goal = f"{self.with_unit(self.goal)}: {'reached' if self.median <= self.goal else 'missed'}"
        spread = f"{round_to_three(min(self.values))} to {round_to_three(max(self.values))}"
        return self.what, self.by, self.with_unit(self.median), spread, goal

    def with_unit(self, value: float) -> str:
        return round_to_three(value) if self.unit == "ratio" else f"{round_to_three(value)} {self.unit}"


def round_to_three(value: float) -> str:
    """Return a value with three significant digits and without an exponent: "0.968", "15,000"."""
    return f"{float(f'{value:.3g}'):,.10g}"


def in_turn(runs: int, jobs: Mapping[str, tuple[Any, ...]], measure: Callable[..., Value]) -> dict[str, list[Value]]:
    """Call `measure` with the arguments of each job in turn, A B C A B C ...; return {name: a value for each run}."""
    values: dict[str, list[Value]] = {name: [] for name in jobs}
    for _ in range(runs):
        for name, arguments in jobs.items():
            values[name].append(measure(*arguments))
    return values


def last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def as_json(figures: Sequence[Figure]) -> str:
    return json.dumps([{**dataclasses.asdict(figure), "median": figure.median} for figure in figures], indent=1)


def table(figures: Sequence[Figure]) -> Table:
    """Return a row for each figure; of a topic with ratios, a row for each network on each backend."""
    if any(figure.unit == "ratio" for figure in figures):
        return table_of_ratios(figures)
    return Table(("what", "by", "median", "spread", "goal"), [figure.cells() for figure in figures], align="<<>><")


def table_of_ratios(figures: Sequence[Figure]) -> Table:
    """Return, for each network on each backend, the time of a step and its ratios to the competitors' times."""
    groups: dict[str, list[Figure]] = {}
    for figure in figures:
        groups.setdefault(figure.what.partition(",")[0], []).append(figure)
    rows = []
    for name, group in groups.items():
        ratios = [figure for figure in group if figure.unit == "ratio"]
        words = []
        for _, by, median, spread, goal in (figure.cells() for figure in ratios):
            words.append(f"{by} {median} ({spread})" + (f", goal {goal}" if goal else ""))
        [step] = [figure for figure in group if figure.by == "kerasnets" and figure.unit != "ratio"]
        rows.append((name, step.cells()[2], "; ".join(words)))
    return Table(("network", "a step", "relative to the step of"), rows, align="<><")


def write_page(figures: Sequence[Figure], path: str | Path, topic: str, command: str) -> None:
    """Write the figures of `kerasnets bench COMMAND` as a page of Markdown, with machine, date and versions.

    A picture of them is written beside it, with the suffix .svg.
    """
    from kerasnets.benchmark.drawing import draw
    from kerasnets.reports.plots import save_figure

    title, method = PAGES[topic]
    picture = Path(path).with_suffix(".svg")
    save_figure(draw(figures), picture)
    versions = ", ".join(f"{package} {version}" for package, version in provenance.installed_versions().items())
    parts = (
        f"# {title}",
        f"Written by `kerasnets bench {command} --out {shorten(path)}`. {method}",
        f"{provenance.machine()}, {datetime.date.today().isoformat()}; {versions}.",
        f"![{title}: the figures below, drawn]({picture.name})",
        table(figures).markdown(),
    )
    with whole_file(path) as part:
        part.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
