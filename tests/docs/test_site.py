"""The documentation site: mkdocs builds it without a warning, it has every public name, and fetches nothing."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

import kerasnets
from tests.conftest import ROOT
from tests.docs.pages import DOCS

LESSONS = sorted((DOCS / "lessons").glob("[0-9][0-9]_*.py"))
# tag -> the attribute of a file that the browser loads by itself
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}


class Page(HTMLParser):
    """The names of the places in a page, its links, and the files that it loads."""

    def __init__(self, text):
        super().__init__()
        self.places, self.links, self.loaded = set(), set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.places |= {attributes[name] for name in ("id", "name") if attributes.get(name)}
        if tag == "a" and attributes.get("href"):
            self.links.add(attributes["href"])
        if attributes.get(LOADED.get(tag)):
            self.loaded.add(attributes[LOADED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, f"{process.stdout}{process.stderr}"
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def test_each_page_of_docs_is_a_page_of_the_site(site):
    for page in DOCS.rglob("*.md"):
        built = page.relative_to(DOCS).with_suffix(".html")
        assert (site / str(built).replace("README", "index")).is_file(), page


def test_every_link_inside_the_site_leads_to_a_place(site, pages):
    for path, page in pages.items():
        if path.name == "404.html":  # its links start at the root of a server
            continue
        for link in page.links | page.loaded:
            if re.match(r"https?:|mailto:|data:", link):
                continue
            file, _, place = unquote(link).partition("#")
            target = (path.parent / file).resolve() if file else path
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{path.relative_to(site)}: {link}"
            assert not place or target not in pages or place in pages[target].places, f"{path.name}: {link}"


def test_no_page_loads_anything_from_the_internet(site, pages):
    for path, page in pages.items():
        assert not [link for link in page.loaded if re.match("(https?:)?//", link)], path
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_the_reference_has_every_public_name(site):
    text = (site / "reference.html").read_text(encoding="utf-8")
    shown = set(re.findall(r"<h3[^>]*>\s*(?:<[^>]+>\s*)*kerasnets\.(\w+)", text))
    assert shown == set(kerasnets.__all__)


def test_each_lesson_is_offered_as_a_notebook_with_the_same_code(site):
    import jupytext
    import nbformat

    for lesson in LESSONS:
        path = site / f"lessons/{lesson.stem}.ipynb"
        notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        nbformat.validate(notebook)
        code = [cell.source for cell in jupytext.read(lesson).cells if cell.cell_type == "code"]
        assert [cell.source for cell in notebook.cells if cell.cell_type == "code"] == code
        assert json.loads(path.read_text(encoding="utf-8"))["metadata"]["kernelspec"]["name"] == "python3"
        assert f'href="{path.name}"' in (site / f"lessons/{lesson.stem}.html").read_text(encoding="utf-8")


def test_the_source_page_lists_each_module_with_a_line_of_its_docstring(site):
    text = (site / "source.html").read_text(encoding="utf-8")
    modules = [path.relative_to(ROOT) for path in (ROOT / "kerasnets").rglob("*.py")]
    listed = re.findall(r"<h3 id=\"[^\"]*\">(kerasnets[\w/]*)|<td><code>(\w+\.py)</code></td>\s*<td>(.*?)</td>", text)
    result, folder = {}, ""
    for heading, name, summary in listed:
        folder = heading or folder
        if name:
            result[f"{folder}/{name}"] = summary
    assert sorted(result) == sorted(map(str, modules))
    assert not [name for name, summary in result.items() if not summary.strip() and name.count("/") < 3]
