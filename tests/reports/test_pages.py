"""A page is one HTML file, written whole, in which every value is escaped."""

import jinja2
import pytest

from kerasnets.reports import pages
from kerasnets.reports.tables import Table

SCRIPT = "<script>alert(1)</script>"


def test_every_template_escapes_its_values(tmp_path):
    path = tmp_path / "page.html"
    pages.write_page(path, "page.html", title=SCRIPT)
    section = pages.render("permuted.html", accuracies=Table((SCRIPT,), [(SCRIPT,)]), source=SCRIPT)
    assert path.read_text().count("&lt;script&gt;") == 2  # the title in the head, and above the page
    assert section.count("&lt;script&gt;") == 3
    assert "<script" not in path.read_text() + section


def test_a_forgotten_value_is_an_error(tmp_path):
    with pytest.raises(jinja2.UndefinedError, match="title"):
        pages.write_page(tmp_path / "page.html", "page.html")
    assert not list(tmp_path.iterdir())


def test_a_page_must_be_html(tmp_path):
    with pytest.raises(ValueError, match=r"page\.txt must end in \.html"):
        pages.check_page(tmp_path / "page.txt")
    (tmp_path / "page.html").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        pages.check_page(tmp_path / "page.html")
