"""The digest of the proven code changes with the code, and with nothing else."""

import pytest

from kerasnets.proof import digest

SOURCE = '"""A module."""\n\ndef scale(x):\n    """Return half of `x`."""\n    return x * 0.5  # exact\n'


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
