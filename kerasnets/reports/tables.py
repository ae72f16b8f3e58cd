"""One table for people, as text, Markdown or HTML."""

import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from kerasnets.errors import visible

if TYPE_CHECKING:
    from markupsafe import Markup

GAP = 2  # spaces between two columns
BAR = r"\|"  # in a cell of Markdown
SHORTEST = 8  # characters that a first cell keeps in a table that is too wide for its limit
ELLIPSIS = "..."
BOLD, DIM, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"  # of a terminal


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
            width: The most cells of a terminal that a line fills; a longer one loses the beginning of its first cell.
        """
        return "\n".join([*map(visible, filter(None, (self.title, self.note))), *self.lines(width)])

    def print(self, stream: TextIO | None = None) -> None:
        """Print the table: with bold headings on a terminal, else as `text` returns it.

        Args:
            stream: Where to print; standard output by default.
        """
        stream = stream or sys.stdout
        above, lines = [visible(self.title), visible(self.note)], self.lines()
        if stream.isatty():
            head = lines[: bool(self.head)]
            styled = zip((BOLD, DIM, BOLD), (*above, *head), strict=False)
            above, lines = [line and f"{style}{line}{PLAIN}" for style, line in styled], lines[len(head) :]
        print(*filter(None, above), *lines, sep="\n", file=stream)

    def lines(self, width: int | None = None) -> list[str]:
        """Return the heads and rows as aligned lines; `width` as in `text`."""
        table = [self.head] if self.head else []
        rows = fit_to_width([[*map(visible, row)] for row in (*table, *self.rows)], width, len(table))
        signs, least = self.alignments, [*self.widths, *[0] * len(self.alignments)]
        sizes = [max(least[i], *(cells(row[i]) for row in rows)) for i in range(len(signs))] if rows else []
        lines = []
        for row in rows:
            pads = [" " * (size - cells(cell)) for size, cell in zip(sizes, row, strict=True)]
            parts = [
                pad + cell if sign == ">" else cell + pad for sign, pad, cell in zip(signs, pads, row, strict=True)
            ]
            lines.append((" " * GAP).join(parts).rstrip())
        return lines

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


def fit_to_width(rows: list[list[str]], width: int | None, heads: int) -> list[list[str]]:
    """Return `rows`, the first cells below the `heads` shortened so that no line fills more than `width` cells."""
    if width is None or not rows:
        return rows
    _, *others = (max(map(cells, column)) for column in zip(*rows, strict=True))
    most = max(width - sum(others) - GAP * len(others), SHORTEST)
    return [*rows[:heads], *([end_of(first, most), *rest] for first, *rest in rows[heads:])]


def end_of(text: str, most: int) -> str:
    """Return the end of a text, which fills at most `most` cells of a terminal."""
    if cells(text) <= most:
        return text
    while cells(text) > most - len(ELLIPSIS):
        text = text[1:]
    return ELLIPSIS + text


def cells(text: str) -> int:
    """Return the cells of a terminal that a text fills: two for a Chinese character, none for a mark above another."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)
