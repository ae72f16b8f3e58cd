"""Every command in README and on the site has a form that kerasnets accepts."""

import re
import shlex

import pytest

from kerasnets.cli import main
from tests.conftest import ROOT
from tests.docs.pages import DOCS, PAGES, commands, text

LINES = sorted({line.split("   #")[0] for page in PAGES for line in commands(page) if line.startswith("kerasnets ")})
INLINE = sorted({found for page in PAGES for found in re.findall(r"`(kerasnets [a-z]+)[^`]*`", text(page))})


@pytest.mark.parametrize("line", LINES)
def test_a_command_that_can_be_pasted_is_accepted(line):
    words = shlex.split(line.split(" < ")[0])[1:]
    main.make_parser(with_arguments=True).parse_args(words)


@pytest.mark.parametrize("words", INLINE)
def test_a_command_that_is_mentioned_exists(words):
    assert words.split()[1] in main.COMMANDS


def test_the_commands_page_lists_every_command_with_its_script():
    rows = re.findall(r"^\| `kerasnets (\w+)` \|.*\| (?:`(scripts/\w+\.py)`)? \|$", text(DOCS / "commands.md"), re.M)
    assert {name for name, _ in rows} == set(main.COMMANDS)
    for name, script in rows:
        if script:
            assert f"kerasnets.cli import {name}" in text(ROOT / script) or f"cli.{name}" in text(ROOT / script)


def test_the_exit_codes_are_those_of_the_command_line():
    codes = set(map(int, re.findall(r"\d+", " ".join(re.findall(r"^\| ([\d, ]+) \|", text(DOCS / "commands.md"), re.M)))))
    assert codes == {0, 1, 2, 3, 4, 5, 130, 143}
