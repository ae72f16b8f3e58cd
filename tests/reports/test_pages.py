"""A page is one HTML file, written whole, in which every value is escaped."""

import shutil

import jinja2
import jinja2.meta
import pytest

from kerasnets.reports import pages
from kerasnets.reports.tables import Table

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
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


# ---- every template, judged by a browser ----

OWNED = "\"'><img src=x onerror=window.owned=1><script>window.owned=1</script>"


class Hostile(str):
    """A text that is HTML, in the place of any value: its attributes, parts and results are as hostile as it is."""

    def __getattribute__(self, name):
        return str.__getattribute__(self, name) if name.startswith("__") else Hostile(OWNED)

    def __getitem__(self, place):
        return Hostile(OWNED)

    def __call__(self, *_):
        return Hostile(OWNED)

    def __iter__(self):
        return iter([self])

    def __format__(self, form):
        return str(self)

    def __int__(self):
        return 7


def hostile_page(name):
    """A template with hostile values alone, inside the page that it extends or is placed on."""
    environment = pages.environment().overlay()
    hostile = Hostile(OWNED)
    environment.filters = {
        **environment.filters,  # shared with the environment of the pages
        "png": lambda figure: hostile,
        "img": lambda figure, words: pages.render("img.html", address=hostile, width=hostile, words=hostile),
    }
    values = set()
    for other in environment.list_templates(extensions=["html"]):
        source, _, _ = environment.loader.get_source(environment, other)
        values |= jinja2.meta.find_undeclared_variables(environment.parse(source))
    text = environment.get_template(name).render(dict.fromkeys(values, Hostile(OWNED)))
    assert "&lt;img src=x" in text  # the values are there
    return text if "<html" in text else f"<!doctype html>{text}"


def test_no_template_runs_what_it_shows(tmp_path):
    if CHROMIUM is None:
        pytest.skip("NO BROWSER, so the pages are NOT TESTED: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    names = pages.environment().list_templates(extensions=["html"])
    assert len(names) >= 6
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for name, text in [(name, hostile_page(name)) for name in names] + [("raw", f"<p>{OWNED}")]:
            (tmp_path / "page.html").write_text(text)
            page = browser.new_page()
            page.goto((tmp_path / "page.html").as_uri())
            page.wait_for_load_state()
            ran = page.evaluate("[Boolean(window.owned), document.querySelectorAll('img[src=x]').length > 0]")
            assert ran == ([True, True] if name == "raw" else [False, False]), name
            page.close()
        browser.close()


def test_a_page_runs_no_script_even_if_a_template_forgot_to_escape(tmp_path):
    if CHROMIUM is None:
        pytest.skip("NO BROWSER, so the pages are NOT TESTED: apt-get install chromium")
    from markupsafe import Markup
    from playwright.sync_api import sync_playwright

    pages.write_page(tmp_path / "page.html", "page.html", title=Markup(OWNED))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto((tmp_path / "page.html").as_uri())
        page.wait_for_load_state()
        assert page.evaluate("[Boolean(window.owned), document.querySelectorAll('img[src=x]').length > 0]") == [
            False,
            True,
        ]
        browser.close()
