"""One table has the same cells as text, as Markdown and as HTML, and no cell can break it."""

import doctest
import io
import re

import pytest

from kerasnets.reports import tables
from kerasnets.reports.tables import Table

SCRIPT = "<script>alert(1)</script>"
TABLE = Table(
    ("layer", "parameters", "verdict"),
    [("c1", "156", "proven"), (SCRIPT, "1,234", "a | b"), ("[bold]:smile:", "5", "")],
    title="The [layers]",
    note="A note & more.",
    align="<><",
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_text_is_aligned_and_shows_every_cell_unchanged():
    assert TABLE.text().splitlines() == [
        "The [layers]",
        "A note & more.",
        "layer                      parameters  verdict",
        "c1                                156  proven",
        "<script>alert(1)</script>       1,234  a | b",
        "[bold]:smile:                       5",
    ]


def test_markdown_escapes_bars():
    assert TABLE.markdown().splitlines() == [
        "| layer | parameters | verdict |",
        "|---|---:|---|",
        "| c1 | 156 | proven |",
        "| <script>alert(1)</script> | 1,234 | a \\| b |",
        "| [bold]:smile: | 5 |  |",
    ]


def test_html_escapes_every_text():
    page = TABLE.html()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "A note &amp; more." in page
    assert re.findall("<t[hd][^>]*>(.*?)</t[hd]>", page)[:6] == [
        "layer",
        "parameters",
        "verdict",
        "c1",
        "156",
        "proven",
    ]


def test_columns_of_words_are_marked_in_html():
    assert '<td class="words">c1</td><td>156</td><td class="words">proven</td>' in TABLE.html()


@pytest.mark.parametrize("width", [45, 30])
def test_a_wide_table_loses_the_beginning_of_its_first_cells(width):
    first = [line.split("  ")[0] for line in TABLE.text(width).splitlines()[2:]]
    assert max(map(len, TABLE.text(width).splitlines()[2:])) == width
    assert first[2].startswith("...")
    assert first[2].endswith("</script>"[-5:])


def test_rows_printed_one_by_one_stay_aligned():
    head = Table(("network", "files"), [], align="<>", widths=(10, 8)).text()
    row = Table((), [("lenet5", "1e-07")], align="<>", widths=(10, 8)).text()
    assert (head, row) == ("network        files", "lenet5         1e-07")


def test_a_table_without_headings_has_rows_alone():
    assert Table((), [("a", "1"), ("bb", "2")]).text() == "a   1\nbb  2"
    assert "<th" not in Table((), [("a", "1")]).html()


def test_a_terminal_gets_bold_headings_and_the_same_columns():
    plain, terminal = io.StringIO(), Terminal()
    TABLE.print(plain)
    TABLE.print(terminal)
    assert plain.getvalue() == TABLE.text() + "\n"
    assert "\x1b[1m" in terminal.getvalue()
    lines = re.sub(r"\x1b\[\d+m", "", terminal.getvalue()).splitlines()
    assert [line.rstrip() for line in lines] == TABLE.text().splitlines()


def test_wide_characters_fill_two_cells_and_marks_none():
    table = Table(("name", "n"), [("\u6570\u5b57", "1"), ("e\u0301te\u0301", "10"), ("plain", "5")], align="<>")
    assert table.text().splitlines() == ["name    n", "\u6570\u5b57    1", "e\u0301te\u0301    10", "plain   5"]


def test_a_name_of_wide_characters_keeps_within_the_width():
    name, head = "\u6570\u5b57" * 10, ("name", "\u6570")
    lines = Table(head, [(name, "1"), ("a\x1b" * 10, "2"), ("c1", "3")]).text(20).splitlines()
    assert lines[1] == f"...{name[-6:]}   1"  # 3 + 12 of 16 cells, and the second column
    assert max(map(tables.cells, lines)) == 20
    assert lines[2].startswith("...")
    assert lines[3].startswith("c1 ")


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_title_and_note_reach_no_stream_raw(stream):
    output = stream()
    Table(("a",), [("b",)], title="x\x1b[2J", note="y\x1b[3J").print(output)
    assert "x\\x1b[2J" in output.getvalue()
    assert not {"x\x1b[2J", "y\x1b[3J"} & {output.getvalue()[i : i + 5] for i in range(len(output.getvalue()))}


def test_the_example_is_true():
    assert doctest.testmod(tables) == (0, 3)
