"""What README says can be pasted, and is what is there."""

import itertools
import os
import re
import subprocess
import sys

import pytest

from kerasnets.models.registry import NETWORKS
from kerasnets.project import reproduction
from kerasnets.recipes import RECIPES
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def commands():
    """The lines of README's bash blocks."""
    return [line for block in re.findall(r"```bash\n(.*?)```", README, re.S) for line in block.splitlines()]


def test_ci_runs_the_readmes_command_for_the_tests():
    [command] = [line for line in commands() if line.endswith("&& pytest")]
    assert command in (ROOT / ".ci/run").read_text().splitlines()


def test_the_tree_names_every_module_and_no_other():
    """The lessons stand in a list of their own, docs/lessons/README.md."""
    tree = README.split("## The tree")[1]
    named = set(re.findall(r"[\w/]+\.py", tree))
    paths = [path for folder in ("kerasnets", "scripts", "docs") for path in (ROOT / folder).rglob("*.py")]
    assert named == {path.name for path in paths if path.parent.name != "lessons"}


@pytest.mark.parametrize("block", [
    pytest.param(block, id=block[:40], marks=[pytest.mark.whole_registry] * ("train(" in block))
    for block in re.findall(r"```python\n(.*?)```", README, re.S)
])  # fmt: skip
def test_the_python_that_stands_here_runs(tmp_path, block):
    (tmp_path / "models_saved").mkdir()
    for folder in ("docs", "models_saved/pretrained"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_network_stands_in_the_table_with_its_parameters():
    for name, form in NETWORKS.items():
        [line] = [line for line in README.splitlines() if line.startswith(f"| `{name}` |")]
        assert line.endswith(f"| {'x'.join(map(str, form.input_shape))} | {form.parameters:,} |")


def test_the_tables_of_results_are_those_of_the_runs_that_are_listed():
    rows = reproduction.read(reproduction.RESULTS)
    for page, table in (("README.md", reproduction.summary_table(rows)),
                        ("models_saved/README.md", reproduction.full_table(rows))):  # fmt: skip
        assert table in (ROOT / page).read_text()
    for (recipe, backend), group in itertools.groupby(rows, lambda row: (row["recipe"], row["backend"])):
        shown = [float(row[f"{RECIPES[recipe].goal_on}_accuracy"]) for row in group]
        [line] = [line for line in README.splitlines() if line.startswith(f"| `{recipe}` |")]
        cell = line.split("|")[3 + ("torch", "tensorflow", "jax").index(backend)]
        assert abs(float(cell.split()[0]) - sum(shown) / len(shown)) < 1e-4


def test_links_and_files_that_are_named_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    for path in re.findall(r"(?:docs|models_saved/pretrained)/[\w./-]+\.(?:jpg|png|keras|h5)", README):
        assert (ROOT / path).exists(), path
