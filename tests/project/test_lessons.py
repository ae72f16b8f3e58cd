"""Each lesson runs on every backend with true claims; its page agrees with it; the list is complete."""

import ast
import re

import pytest

from kerasnets.errors import BadInputError
from kerasnets.project import lessons
from tests.cli.test_app import only_line, run
from tests.conftest import ROOT

PATHS = lessons.find()

SMALL = """# %% [markdown]
# # 1. A small one
#
# It has
# two lines.
#
# And more.

# %%
import matplotlib.pyplot as plt

number = 3
print("the number is", number)

# %%
assert number == 3
plt.plot([number])
plt.title("A line")
plt.show()
"""

PAGE = """<!-- written by scripts/write_lessons.py from 01_small.py -->

# 1. A small one

It has
two lines.

And more.

```python
import matplotlib.pyplot as plt

number = 3
print("the number is", number)
```

```text
the number is 3
```

```python
assert number == 3
plt.plot([number])
plt.title("A line")
plt.show()
```

![A line](01_small_files/1.svg)

*This page is [01_small.py](01_small.py) with its printed output and figures.*
"""


# ---- run in the workers ----


def outcomes_on_digits(path):
    """The outcomes of a lesson without MNIST on this disk."""
    from kerasnets.data import sources

    usual, sources.places = sources.places, lambda row, data_dir: ()
    try:
        return lessons.run(path)
    finally:
        sources.places = usual


def error_of(path):
    """(class, message) of the error of a lesson."""
    try:
        lessons.run(path)
    except Exception as error:
        return type(error).__name__, str(error)
    return None


# ---- tests ----


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "01_small.py"
    path.write_text(SMALL)
    return path


def of_lessons(test):
    return pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)(test)


def of_some_lessons(test):
    """The lesson on a training step in every run, all others by `-m all_backends`."""
    marks = {path: () if "training_step" in path.stem else pytest.mark.all_backends for path in PATHS}
    paths = [pytest.param(path, id=path.stem, marks=mark) for path, mark in marks.items()]
    return pytest.mark.parametrize("path", paths)(test)


@of_lessons
def test_a_lesson_runs_on_torch_and_reaches_every_claim(workers, path, tmp_path):
    source = path.read_text()
    claims = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert)]
    assert len(claims) >= 5
    lines = source.splitlines()
    for claim in sorted(claims, key=lambda claim: claim.lineno, reverse=True):
        lines.insert(claim.end_lineno, f"{' ' * claim.col_offset}print('held', {claim.lineno})")
    (tmp_path / path.name).write_text("\n".join(lines))
    printed = "\n".join(outcome.text for outcome in workers["torch"](lessons.run, tmp_path / path.name))
    assert {int(line) for line in re.findall(r"^held (\d+)$", printed, re.M)} == {claim.lineno for claim in claims}


@of_lessons
@pytest.mark.all_backends
def test_a_lesson_runs_on_tensorflow(workers, path):
    assert any(outcome.pictures for outcome in workers["tensorflow"](lessons.run, path))


@of_some_lessons
def test_a_lesson_runs_on_jax_with_scikit_learns_digits(workers, path):
    assert any(outcome.pictures for outcome in workers["jax"](outcomes_on_digits, path))


@of_lessons
def test_a_page_agrees_with_its_lesson(path):
    parts = lessons.cells(path)
    assert not any("```text" in part.text for part in parts)  # which is how a page marks what was printed
    page = path.with_suffix(".md").read_text()
    expected = lessons.page(path, parts, [lessons.Outcome()] * len(parts))
    assert lessons.without_outputs(page) == expected, f"write it anew: python scripts/write_lessons.py {path.stem}"
    assert "```text" in page


@of_lessons
def test_a_page_shows_all_figures_in_its_folder(path):
    named = re.findall(r"!\[.+\]\((.+)\)", path.with_suffix(".md").read_text())
    there = [f"{path.stem}_files/{picture.name}" for picture in lessons.folder_of(path).iterdir()]
    assert named
    assert sorted(named) == sorted(there)
    assert all((lessons.LESSONS / name).stat().st_size < 200_000 for name in named)


def test_the_readme_lists_each_lesson_and_every_page_has_a_lesson():
    readme = (lessons.LESSONS / "README.md").read_text()
    assert lessons.table() in readme, "write it anew: python scripts/write_lessons.py --list"
    assert re.findall(r"\]\((\d\d_\w+)\.md\)", readme) == [path.stem for path in PATHS]
    pages = [path for path in lessons.LESSONS.glob("*.md") if path.name != "README.md"]
    folders = [path for path in lessons.LESSONS.iterdir() if path.name.endswith("_files")]
    assert {path.stem for path in pages} == {path.stem for path in PATHS}
    assert {path.name.removesuffix("_files") for path in folders} == {path.stem for path in PATHS}


def test_links_in_the_lessons_work():
    for page in lessons.LESSONS.glob("*.md"):
        prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", prose):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_a_page_has_the_output_of_its_lesson(workers, small):
    page = workers["jax"](lessons.write, small)
    assert page.read_text() == PAGE
    assert (small.parent / "01_small_files/1.svg").read_text().startswith("<?xml")
    parts = lessons.cells(small)
    assert [part.kind for part in parts] == ["markdown", "code", "code"]
    assert lessons.without_outputs(PAGE) == lessons.page(small, parts, [lessons.Outcome()] * 3)
    small.write_text(SMALL.replace("number = 3", "number = 3 + 0"))
    assert lessons.without_outputs(PAGE) != lessons.page(small, lessons.cells(small), [lessons.Outcome()] * 3)


def test_a_lesson_with_a_false_claim_fails_and_leaves_its_page(workers, small):
    workers["jax"](lessons.write, small)
    small.write_text(SMALL.replace("number = 3", "number = 4"))
    words = "01_small.py, line 16: this does not hold: assert number == 3"
    assert workers["jax"](error_of, small) == ("DisagreementError", words)
    assert small.with_suffix(".md").read_text() == PAGE


def test_a_real_lesson_with_a_false_claim_fails(workers, tmp_path):
    source = (lessons.LESSONS / "02_convolution_by_hand.py").read_text()
    true = "assert found[2, 2, 0] == 10 + 11 + 14 + 15"
    assert true in source
    (tmp_path / "02.py").write_text(source.replace(true, f"{true} + 1"))
    kind, words = workers["jax"](error_of, tmp_path / "02.py")
    assert kind == "DisagreementError"
    assert words.endswith(f"{true} + 1")


@pytest.mark.parametrize(("source", "words"), [
    ("print(1)\n", '01_small.py must begin with "# %% [markdown]"'),
    (SMALL.replace("# And", "And"), "01_small.py, line 7: in a markdown cell each line begins with '# '"),
])  # fmt: skip
def test_a_file_that_is_not_a_lesson_is_refused(small, source, words):
    small.write_text(source)
    with pytest.raises(BadInputError) as refused:
        lessons.cells(small)
    assert str(refused.value) == words


def test_a_missing_lesson_is_refused_in_one_line(tmp_path):
    line = only_line(run(tmp_path, "write_lessons.py", "99"), 2)
    assert "no lesson '99'; choose one of: 0" in line


def test_a_lesson_runs_as_a_plain_script(tmp_path):
    lesson = "../docs/lessons/02_convolution_by_hand.py"  # seen from scripts
    process = run(tmp_path, lesson, backend="jax", MPLBACKEND="agg")
    assert process.returncode == 0, process.stderr
    assert "lenet5    c1" in process.stdout
    assert str(ROOT) not in process.stdout
