"""README.zh-CN.md says what README.md says: the same commands, figures, names and links, one block after the other."""

import itertools
import re

import pytest

from kerasnets.project import results, tables
from tests.conftest import ROOT

LINKS = {"README.md": "[中文](README.zh-CN.md)", "README.zh-CN.md": "[English](README.md)"}  # each to the other
ENGLISH, CHINESE = [(ROOT / page).read_text(encoding="utf-8").replace(link, "", 1) for page, link in LINKS.items()]


def blocks(page):
    """Its headings, paragraphs, tables and blocks of code."""
    return re.findall(r"^```.*?^```$|(?:^[^\n]+\n)+", page, re.M | re.S)


def facts(block):
    """What is the same in any language, as sets: of a line of code, of a cell of a table, of a paragraph."""
    if re.match("```[a-z]", block):
        return [{re.sub(r"(^|\s+)#.*", "", line)} for line in block.splitlines()]
    if block.startswith("```"):  # what is printed, and names of files with what they are
        return [{name} for name in names(block)]
    return [{re.match("#*", block)[0]}, *(facts_of_prose(part) for part in block.split("|"))]


def facts_of_prose(text):
    code, links = r"`[^`]+`", r"\]\([^)]+\)"
    marked = {" ".join(result.split()) for result in re.findall(f"{code}|{links}", text)}
    return marked | set(names(re.sub(f"{code}|{links}", " ", text)))


def names(text):
    """Figures, units, files, proper names, in their order: words with a digit, `_`, `/`, `=`, a dot or two capitals."""
    words = [word.rstrip(".-") for word in re.findall(r"(?:[\w./=±+*-]|(?<=\d),(?=\d))+", text, re.ASCII)]
    return [word for word in words if re.search(r"[\d_/=]|\.\w|[A-Z].*[A-Z]", word)]


def first_difference(english, chinese):
    """The first block that says something else in the other language: in both, and what one of them alone has."""
    for pair in itertools.zip_longest(blocks(english), blocks(chinese), fillvalue="# nothing"):
        both = itertools.zip_longest(*map(facts, pair), fillvalue=set())
        if alone := [here ^ there for here, there in both if here != there]:
            return "\n---\n".join((*pair, f"in one alone: {alone}"))
    return None


def test_both_say_the_same():
    assert (difference := first_difference(ENGLISH, CHINESE)) is None, difference


@pytest.mark.parametrize(("old", "new"), [
    pytest.param(r"(```bash\n[^\n]+)", r"\1 --more", id="a command"),
    pytest.param(r"```python\nimport", "```python\nfrom", id="Python"),
    pytest.param(r"(\.jpg: 3 1\.)", r"\g<1>1", id="what is printed"),
    pytest.param(r" (\d+ GB)", r" 1\1", id="a figure"),
    pytest.param(r"(\d) GB", r"\1 MB", id="a unit"),
    pytest.param(r"(\d\.\d+ ± )", r"1\1", id="a result"),
    pytest.param(r"(\d\.\d+ \(1\) \|)", r"1\1", id="a cell of a table"),
    pytest.param(r'width="\d', 'width="1', id="a picture"),
    pytest.param(r"\n\| `[^\n]+", "", id="a row of a table"),
    pytest.param(r" --(\w)", r" --no-\1", id="an option"),
    pytest.param(r"\]\(docs/", "](documents/", id="a link"),
    pytest.param(r"models_saved/lenet5-mnist\.keras", "models_saved/lenet5.keras", id="a file"),
    pytest.param(r"\n## ", r"\n### ", id="a heading"),
    pytest.param(r"\n\n\*\*(?:(?!\n\n).)+", "", id="a paragraph"),
    pytest.param(r"\n## (?:(?!\n## ).)+", "", id="a section"),
])  # fmt: skip
@pytest.mark.parametrize("changed", ["English", "Chinese"])
def test_what_changes_in_one_alone_is_noticed(changed, old, new):
    pages = {"English": ENGLISH, "Chinese": CHINESE}
    pages[changed], count = re.subn(old, new, pages[changed], count=1, flags=re.S)
    assert count == 1
    assert first_difference(*pages.values()) is not None


def test_comments_may_differ():
    command = "```bash\npython scripts/train.py --list{}\n```\n"
    assert first_difference(command.format("  # shows them"), command.format("    # 列出")) is None
    assert first_difference(command.format("  # shows them"), command.format(" all  # 列出")) is not None


def test_nothing_was_left_in_english():
    for block in blocks(CHINESE)[1:]:  # after the title
        assert block.startswith("```") or re.search("[一-鿿]", block), block
    table = CHINESE.split(tables.BEGIN)[1].split(tables.END)[0]
    words = re.findall(r"\b[a-z]+\b", re.sub("`.*?`", "", table), re.ASCII)
    assert set(words) <= {"torch", "tensorflow", "jax", "pytorch", "cifar"}, "tables.IN_CHINESE lacks some words"


def test_each_leads_to_the_other_below_its_title():
    for page, link in LINKS.items():
        assert (ROOT / page).read_text(encoding="utf-8").startswith(f"# kerasnets\n\n{link}\n\n")


def test_its_table_of_results_is_that_of_the_runs_that_are_listed():
    table = tables.summary_table(results.read(results.RESULTS), tables.HIGHLIGHTS)
    assert tables.in_chinese(table) in CHINESE
