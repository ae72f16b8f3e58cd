"""Lessons: Python files of prose and code that run as scripts, open as notebooks, and are written as pages.

A lesson, docs/lessons/NN_short_name.py, is in Jupytext's percent format: "# %% [markdown]" starts a cell of comments,
"# %%" a cell of code. A lesson prints its results, shows its figures by `plt.show()`, and asserts its claims. Its first
cell is a heading and a paragraph on its subject, which the list of lessons repeats.
"""

import contextlib
import io
import re
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasnets.errors import BadInputError, DisagreementError, nearest_first
from kerasnets.reports.tables import Table
from kerasnets.runtime.atomic import whole_file, whole_folder
from kerasnets.runtime.provenance import CHECKOUT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LESSONS = CHECKOUT / "docs/lessons"
BEGIN, END = "<!-- lessons: written by scripts/write_lessons.py -->", "<!-- end of lessons -->"
MARK = re.compile(r"# %%( \[markdown\])?")
OUTPUT = re.compile(r"```text\n.*?\n```\n\n|!\[[^\]]*\]\(\w+_files/\d+\.svg\)\n\n", re.S)  # of a code cell in a page
SEED = "lesson"  # of the names inside a drawing, which then are the same in each run


@dataclass(frozen=True)
class Cell:
    """A part of a lesson."""

    kind: str  # "markdown" or "code"
    text: str
    line: int  # the first line of the text in its file, from 1


@dataclass(frozen=True)
class Picture:
    """A figure that a cell showed."""

    title: str
    svg: bytes = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """The output of a cell: printed text and shown figures."""

    text: str = ""
    pictures: tuple[Picture, ...] = ()


def find(names: Sequence[str] = ()) -> list[Path]:
    """Return the paths of the lessons called `names` ("02" or "02_convolution_by_hand"), or of all, in order.

    Raises:
        ValueError: There is no lesson of a name.
    """
    paths = sorted(LESSONS.glob("[0-9][0-9]_*.py"))
    known = {path.stem: path for path in paths} | {path.stem[:2]: path for path in paths}
    for name in names:
        if name not in known:
            raise ValueError(f"no lesson {name!r}; choose one of: {nearest_first(name, [p.stem for p in paths])}")
    return [known[name] for name in names] or paths


def cells(path: Path) -> list[Cell]:
    """Return the cells of a lesson. Raises BadInputError if it is not in the percent format."""
    every_cell: list[Cell] = []
    kind: str | None = None
    start, lines = 1, []
    for number, line in enumerate([*Path(path).read_text(encoding="utf-8").splitlines(), "# %%"], start=1):
        mark = MARK.fullmatch(line)
        if mark is None:
            lines.append(line)
            continue
        text = prose(path, lines, start) if kind == "markdown" else "\n".join(lines)
        if text.strip():
            if kind is None:
                raise BadInputError('must begin with "# %% [markdown]"', path=Path(path).name)
            every_cell.append(Cell(kind, text.strip("\n"), start + len(text) - len(text.lstrip("\n"))))
        kind, start, lines = "markdown" if mark[1] else "code", number + 1, []
    return every_cell


def prose(path: Path, lines: list[str], start: int) -> str:
    """Return the text of a markdown cell: its comments without "# "."""
    while lines and not lines[-1]:
        lines = lines[:-1]
    for number, line in enumerate(lines, start):
        if line != "#" and not line.startswith("# "):
            raise BadInputError(f"{Path(path).name}, line {number}: in a markdown cell each line begins with '# '")
    return "\n".join(line[2:] for line in lines)


def run(path: Path) -> list[Outcome]:
    """Run a lesson cell by cell, and return an Outcome for each.

    Raises:
        DisagreementError: A claim of the lesson does not hold.
        Exception: Any error that the lesson raises.
    """
    scope: dict[str, Any] = {"__name__": "__main__", "__file__": str(path)}
    outcomes = []
    for cell in cells(path):
        outcomes.append(run_cell(cell, path, scope) if cell.kind == "code" else Outcome())
    return outcomes


def run_cell(cell: Cell, path: Path, scope: dict[str, Any]) -> Outcome:
    code = compile("\n" * (cell.line - 1) + cell.text, str(path), "exec")  # errors then have the file's line numbers
    printed = io.StringIO()
    with collect_pictures() as pictures, contextlib.redirect_stdout(printed):
        try:
            exec(code, scope)
        except AssertionError as error:
            place = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)][-1]
            words = f"{Path(path).name}, line {place.lineno}: this does not hold: {place.line}"
            raise DisagreementError(words) from error
    return Outcome(printed.getvalue().rstrip("\n"), tuple(pictures))


@contextlib.contextmanager
def collect_pictures() -> Iterator[list[Picture]]:
    """Make pyplot's `show` add figures to the list that is yielded, instead of opening a window."""
    import matplotlib
    from matplotlib import pyplot

    matplotlib.use("agg")
    pictures: list[Picture] = []
    original, pyplot.show = pyplot.show, lambda: pictures.extend(map(picture_of, close_all(pyplot)))  # type: ignore[assignment]
    try:
        yield pictures
    finally:
        pyplot.show = original
        pyplot.close("all")


def close_all(pyplot: Any) -> "list[Figure]":
    """Close all open figures and return them."""
    figures = [pyplot.figure(number) for number in pyplot.get_fignums()]
    pyplot.close("all")
    return figures


def picture_of(figure: "Figure") -> Picture:
    import matplotlib

    titles = [figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)]
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": SEED}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return Picture(next(filter(None, titles), "a picture").replace("\n", " "), buffer.getvalue())


def write(path: Path) -> Path:
    """Run a lesson and write its page and its figures beside it; return the path of the page.

    Raises as `run`, and OSError if a file cannot be written.
    """
    path = Path(path)
    parts = cells(path)
    outcomes = run(path)
    pictures = [picture for outcome in outcomes for picture in outcome.pictures]
    with whole_folder(folder_of(path)) as folder:
        for number, picture in enumerate(pictures, start=1):
            (folder / f"{number}.svg").write_bytes(picture.svg)
    with whole_file(path.with_suffix(".md")) as part:
        part.write_text(page(path, parts, outcomes), encoding="utf-8")
    return path.with_suffix(".md")


def page(path: Path, parts: Sequence[Cell], outcomes: Sequence[Outcome]) -> str:
    """Return the page of a lesson in Markdown: its cells, each cell of code followed by its output."""
    blocks, number = [f"<!-- written by scripts/write_lessons.py from {path.name} -->"], 0
    for cell, outcome in zip(parts, outcomes, strict=True):
        blocks.append(f"```python\n{cell.text}\n```" if cell.kind == "code" else cell.text)
        if outcome.text:
            blocks.append(f"```text\n{outcome.text}\n```")
        for picture in outcome.pictures:
            number += 1
            blocks.append(f"![{picture.title}]({folder_of(path).name}/{number}.svg)")
    blocks.append(f"*This page is [{path.name}]({path.name}) with its printed output and figures.*")
    return "\n\n".join(blocks) + "\n"


def without_outputs(text: str) -> str:
    """Return a page without the output of its cells: the part that depends on the lesson's text alone."""
    return OUTPUT.sub("", text)


def folder_of(path: Path) -> Path:
    """Return the folder of a lesson's figures."""
    return path.with_name(f"{path.stem}_files")


def write_list() -> None:
    """Write the table of all lessons into their README, between its marks."""
    readme = LESSONS / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    with whole_file(readme) as part:
        part.write_text(f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def table() -> str:
    """Return a Markdown table of all lessons, with the heading and the first paragraph of each."""
    rows = []
    for path in find():
        heading, paragraph = cells(path)[0].text.split("\n\n")[:2]
        rows.append((f"[{heading.removeprefix('# ')}]({path.stem}.md)", " ".join(paragraph.split())))
    return Table(("lesson", "what it shows"), rows).markdown()
