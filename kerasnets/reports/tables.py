"""One table for people, as text, Markdown or HTML."""

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from kerasnets.errors import shorten, visible

if TYPE_CHECKING:
    import rich.console
    import rich.table
    from markupsafe import Markup

GAP = 2  # spaces between two columns
BAR = r"\|"  # in a cell of Markdown
SHORTEST = 8  # characters that a first cell keeps in a table that is too wide for its limit
UNBOUNDED = 100_000  # characters: rich folds cells at the width of its console, and a table here is never folded


@dataclass(frozen=True)
class Table:
    """Rows of text under headings.

    Args:
        head: The headings; () for a table without headings.
        rows: The cells of each row.
        title: A line above the table, in text.
        note: A sentence between title and table, in text and HTML.
        align: "<" (left) or ">" (right, for numbers) for each column; the last sign also counts for all later columns.
        widths: The smallest width of each column in text. With it, rows that are printed one by one stay aligned.

    Example:
        >>> table = Table(("layer", "parameters"), [("c1", "156"), ("c3", "2,416")], align="<>")
        >>> print(table.text())
        layer  parameters
        c1            156
        c3          2,416
        >>> print(table.markdown())
        | layer | parameters |
        |---|---:|
        | c1 | 156 |
        | c3 | 2,416 |
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    note: str = ""
    align: str = "<"
    widths: Sequence[int] = ()

    @property
    def alignments(self) -> list[str]:
        """The sign of each column."""
        count = len(self.head) or max(map(len, self.rows), default=0)
        return list(self.align.ljust(count, self.align[-1]))

    def text(self, width: int | None = None) -> str:
        """Return title, note and aligned columns as plain text.

        Args:
            width: The most characters of a line; a longer one loses the beginning of its first cell.
        """
        stream = io.StringIO()
        console(stream).print(self.columns(width), soft_wrap=True)
        above = map(visible, filter(None, (self.title, self.note)))
        return "\n".join([*above, *(line.rstrip() for line in stream.getvalue().splitlines())])

    def print(self, stream: TextIO | None = None) -> None:
        """Print the table: with bold headings on a terminal, else as `text` returns it.

        Args:
            stream: Where to print; standard output by default.
        """
        stream = stream or sys.stdout
        if not stream.isatty():
            print(self.text(), file=stream)
            return
        terminal = console(stream, is_terminal=True)
        for line, style in ((self.title, "bold"), (self.note, "dim")):
            if line:
                terminal.print(visible(line), style=style, markup=False, highlight=False, soft_wrap=True)
        terminal.print(self.columns(), soft_wrap=True)

    def columns(self, width: int | None = None) -> "rich.table.Table":
        """Return the table for a console of rich; `width` as in `text`."""
        import rich.table
        from rich.text import Text

        grid = rich.table.Table(box=None, show_header=bool(self.head), pad_edge=False, padding=(0, GAP, 0, 0))
        for i, sign in enumerate(self.alignments):
            grid.add_column(
                Text(visible(self.head[i])) if self.head else "",
                justify="right" if sign == ">" else "left",
                min_width=self.widths[i] if i < len(self.widths) else None,
                no_wrap=True,
            )
        for first, *others in fit_to_width(self.head, self.rows, width):
            grid.add_row(*(Text(visible(cell)) for cell in (first, *others)))
        return grid

    def markdown(self) -> str:
        """Return the head and the rows as a table in Markdown, without title and note."""
        rules = {"<": "---", ">": "---:"}
        rule = f"|{'|'.join(rules[sign] for sign in self.alignments)}|"
        return "\n".join([markdown_row(self.head), rule, *map(markdown_row, self.rows)])

    def html(self) -> "Markup":
        """Return note and table as HTML, every cell escaped; the title is for the page to place."""
        from kerasnets.reports.pages import render

        return render("table.html", table=self)


def markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(visible(cell).replace('|', BAR) for cell in cells)} |"


def fit_to_width(head: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[list[str]]:
    """Return `rows`, the cells of the first column shortened so that no line is longer than `width` characters."""
    if width is None:
        return [list(row) for row in rows]
    columns = zip(*([head] if head else []), *rows, strict=True)
    _, *others = (max(map(len, column)) for column in columns)
    most = max(width - sum(others) - GAP * len(others), SHORTEST)
    return [[shorten(first, most), *cells] for first, *cells in rows]


def console(stream: TextIO, is_terminal: bool = False) -> "rich.console.Console":
    """Return a console of rich that folds nothing, in colour only on a terminal."""
    import rich.console

    return rich.console.Console(
        file=stream,
        width=UNBOUNDED,
        force_terminal=is_terminal,
        color_system="auto" if is_terminal else None,
        _environ={},
    )
