"""The code and the commands in README and in the pages of the site can be pasted, and the facts there are true."""

import itertools
import os
import re
import subprocess
import sys

import pytest

from kerasnets.project import results, tables
from kerasnets.project.tables import networks_table
from kerasnets.recipes import RECIPES
from tests.conftest import ROOT
from tests.docs.pages import DOCS, PAGES, README, WITHOUT_LESSONS, blocks, commands, text


def test_ci_runs_the_readmes_command_for_the_tests():
    [command] = [line for line in commands(README) if line.endswith("&& pytest")]
    assert command in (ROOT / ".ci/run").read_text().splitlines()


def test_readme_is_read_in_one_sitting():
    assert len(text(README).splitlines()) <= 120


def test_the_source_page_names_every_package_and_module_and_no_other():
    """Below them, the site lists the modules of each package: tests/docs/test_site.py."""
    package = ROOT / "kerasnets"
    modules = {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}
    packages = {path.parent.name for path in package.glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)` \|", text(DOCS / "source.md"), re.M)) == packages | modules


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, id=f"{page.name}: {block[:40]}", marks=[pytest.mark.whole_registry] * ("train(" in block))
        for page in WITHOUT_LESSONS
        if page.name != "porting.md"  # tests/docs/test_porting.py runs its code
        for block in blocks(page, "python")
    ],
)
def test_the_python_that_stands_here_runs(tmp_path, block):
    (tmp_path / "models_saved").mkdir()
    for folder in ("docs", "models_saved/pretrained"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    process = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr


def test_the_table_of_networks_is_that_of_the_registry():
    assert f"\n{networks_table()}\n" in text(DOCS / "networks.md")


def test_the_tables_of_results_are_those_of_the_runs_that_are_listed():
    rows = results.read(results.RESULTS)
    for page, table in (("README.md", tables.summary_table(rows, tables.HIGHLIGHTS)),
                        ("docs/results.md", tables.summary_table(rows)),
                        ("models_saved/README.md", tables.full_table(rows))):  # fmt: skip
        assert f"\n{table}\n" in text(page)
    lines = text("docs/results.md").splitlines()
    for (recipe, backend), group in itertools.groupby(rows, lambda row: (row["recipe"], row["backend"])):
        runs = {}
        for row in group:
            figure = float(row[f"{RECIPES[recipe].goal_on}_accuracy"])
            runs.setdefault((row["dataset"], row["precision"]), []).append(figure)
        [line] = [line for line in lines if line.startswith(f"| `{recipe}` |")]
        cell = line.split("|")[3 + ("torch", "tensorflow", "jax").index(backend)]
        shown = [float(part.split()[0]) for part in cell.split(";")]
        assert shown == pytest.approx([sum(figures) / len(figures) for figures in runs.values()], abs=1e-4)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_files_that_are_named_exist(page):
    prose = re.sub(r"^```.*?^```", "", text(page), flags=re.M | re.S)
    for target in re.findall(r"\]\((?!https?:)([^)#]+)|<img src=\"([^\"]+)", prose):
        assert (page.parent / "".join(target)).exists(), target
    for path in re.findall(r"(?:docs|models_saved/pretrained|scripts|tests)/[\w./-]+\.(?:jpg|png|keras|h5|py)", prose):
        assert (ROOT / path).exists(), path
