"""Tables for a person: text and HTML from the same rows."""

import html
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """title and note are sentences for a person; head and rows are text."""

    title: str
    note: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    words: int = 1  # columns that hold words, and begin at the left; the others hold numbers

    def text(self):
        cells = [self.head, *self.rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [self.title, *([self.note] if self.note else [])]
        for row in cells:
            left = (cell.ljust(width) for cell, width in zip(row[: self.words], widths, strict=False))
            right = (cell.rjust(width) for cell, width in zip(row[self.words :], widths[self.words :], strict=True))
            lines.append("  ".join((*left, *right)).rstrip())
        return "\n".join(lines)

    def html(self):
        def cells(tag, row):
            classes = [" class=words" if i < self.words else "" for i in range(len(row))]
            return "".join(f"<{tag}{c}>{html.escape(cell)}</{tag}>" for c, cell in zip(classes, row, strict=True))

        rows = "".join(f"<tr>{cells('td', row)}</tr>" for row in self.rows)
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        return f"{note}<table><tr>{cells('th', self.head)}</tr>{rows}</table>"
