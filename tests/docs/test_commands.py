"""Every command in README and on the site has a form that kerasnets accepts."""

import re
import shlex
import tomllib

import pytest

from kerasnets import errors
from kerasnets.cli import main
from tests.conftest import ROOT
from tests.docs.pages import DOCS, PAGES, commands, text

LINES = sorted({line.split("   #")[0] for page in PAGES for line in commands(page) if line.startswith("kerasnets ")})
INLINE = sorted({found for page in PAGES for found in re.findall(r"`(kerasnets [a-z]+)[^`]*`", text(page))})


@pytest.mark.parametrize("line", LINES)
def test_a_command_that_can_be_pasted_is_accepted(line):
    words = shlex.split(re.split(" [<>] ", line)[0])[1:]
    main.make_parser(with_arguments=True).parse_args(words)


@pytest.mark.parametrize("words", INLINE)
def test_a_command_that_is_mentioned_exists(words):
    assert words.split()[1] in main.COMMANDS


def test_the_commands_page_lists_every_command_with_its_script():
    rows = re.findall(r"^\| `kerasnets (\w+)` \|.*\|(?: `(scripts/\w+\.py)`)? \|$", text(DOCS / "commands.md"), re.M)
    assert {name for name, _ in rows} == set(main.COMMANDS)
    for name, script in rows:
        if script:
            assert f"run_script({name})" in text(ROOT / script)


def test_the_exit_codes_are_those_of_the_command_line():
    cells = re.findall(r"^\| ([\d, ]+) \|", text(DOCS / "commands.md"), re.M)
    stopped = {129, 130, 141, 143}  # 128 and the number of SIGHUP, of SIGINT, of SIGPIPE, of SIGTERM
    expected = {0} | {code for _, code in errors.EXIT_CODES} | stopped
    assert {int(code) for cell in cells for code in cell.split(", ")} == expected


def test_the_extras_that_the_start_page_lists_are_those_of_the_package():
    extras = tomllib.loads(text("pyproject.toml"))["project"]["optional-dependencies"]
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text(DOCS / "index.md"), re.M)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} | {"torch", "tensorflow", "jax"} == set(
        extras
    )
