"""What README says can be pasted, and is what is there."""

import os
import re
import subprocess
import sys

import pytest

from kerasnets.published import MAIN
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
    tree = README.split("## The tree")[1]
    named = set(re.findall(r"[\w/]+\.py", tree))
    there = {path.name for folder in ("kerasnets", "scripts", "docs") for path in (ROOT / folder).rglob("*.py")}
    assert named == there


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
    for name, row in MAIN.items():
        [line] = [line for line in README.splitlines() if line.startswith(f"| `{name}` |")]
        assert line.endswith(f"| {'x'.join(map(str, row.input_shape))} | {row.parameters:,} |")


def test_every_result_is_the_mean_of_the_runs_that_are_listed():
    listed, recipe = {}, None
    for line in (ROOT / "models_saved/README.md").read_text().splitlines():
        cells = [cell.strip(" `*") for cell in line.split("|")[1:-1]]
        if len(cells) == 6 and cells[1] in ("torch", "tensorflow", "jax"):
            recipe = cells[0] or recipe
            seeds = [float(cell.split()[0]) for cell in cells[2:5]]
            assert abs(sum(seeds) / 3 - float(cells[5])) < 1e-4
            listed[recipe, cells[1]] = cells[5]
    assert {recipe for recipe, _ in listed} <= set(RECIPES)
    for recipe in {recipe for recipe, _ in listed}:
        [line] = [line for line in README.splitlines() if line.startswith(f"| `{recipe}` |")]
        published, *shown = [cell.strip() for cell in line.split("|")[2:-1]]
        assert published == RECIPES[recipe].published
        assert shown == [listed[recipe, backend] for backend in ("torch", "tensorflow", "jax")]


def test_links_and_files_that_are_named_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    for path in re.findall(r"(?:docs|models_saved/pretrained)/[\w./-]+\.(?:jpg|png|keras|h5)", README):
        assert (ROOT / path).exists(), path
