"""docs/proof.md proves the code that stands here."""

import re
from pathlib import Path

import pytest

from kerasnets.models.registry import FORMS
from kerasnets.proof import digest

SOURCE = '"""A module."""\n\ndef scale(x):\n    """Return half of `x`."""\n    return x * 0.5  # exact\n'
PAGE = Path(__file__).parents[2] / "docs" / "proof.md"


def test_the_page_is_of_this_code_and_verifies_all_networks():
    assert re.findall(r"code `(\w+)`", PAGE.read_text("utf-8")) == [digest.digest()], (
        "the proven code has changed since docs/proof.md was written: run `kerasnets verify --out docs/proof.md`"
    )
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    verdicts = {row[0].strip("`"): row[-1] for row in rows}
    assert list(verdicts) == [form.title for form in FORMS]
    assert [title for title, verdict in verdicts.items() if not verdict.startswith("verified")] == []


@pytest.mark.parametrize("prose", [("A module", "The module"), ("Return half of", "Halve"), ("  # exact", "")])
def test_prose_is_no_code(prose):
    assert digest.code_of(SOURCE.replace(*prose)) == digest.code_of(SOURCE)
    assert SOURCE.replace(*prose) != SOURCE


@pytest.mark.parametrize("code", [("0.5", "0.25"), ("x * ", "x + "), ("scale", "halve"), ("x * 0.5", "x")])
def test_code_is_code(code):
    assert digest.code_of(SOURCE.replace(*code)) != digest.code_of(SOURCE)


def test_each_pattern_names_a_file():
    """A module that moves would leave the digest in silence."""
    for pattern in digest.PROVEN:
        assert any(digest.PACKAGE.glob(pattern)), pattern
