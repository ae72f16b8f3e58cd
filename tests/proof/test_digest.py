"""The digest of the proven code changes with the code, and with nothing else."""

import dataclasses

import pytest

from kerasnets.models.registry import FORMS
from kerasnets.proof import digest

SOURCE = '"""A module."""\n\ndef scale(x):\n    """Return half of `x`."""\n    return x * 0.5  # exact\n'


@pytest.mark.parametrize("prose", [("A module", "The module"), ("Return half of", "Halve"), ("  # exact", "")])
def test_prose_is_no_code(prose):
    assert digest.code_of(SOURCE.replace(*prose)) == digest.code_of(SOURCE)
    assert SOURCE.replace(*prose) != SOURCE


@pytest.mark.parametrize("code", [("0.5", "0.25"), ("x * ", "x + "), ("scale", "halve"), ("x * 0.5", "x")])
def test_code_is_code(code):
    assert digest.code_of(SOURCE.replace(*code)) != digest.code_of(SOURCE)


def test_a_network_has_the_code_of_its_own_files(monkeypatch):
    """A change in the ResNets' file changes their digests, one in the judge all; a recipe, those of its network."""
    before = {form.title: digest.digest(network=form.title) for form in FORMS}

    def changed():
        return {title for title, value in before.items() if digest.digest(network=title) != value}

    resnets = {form.title for form in FORMS if form.builder.startswith("resnet.")}
    with monkeypatch.context() as patch:
        read = digest.code_in
        patch.setattr(digest, "code_in", lambda path: read(path) + "changed" * (path.stem == "resnet"))
        assert changed() == resnets
        patch.setattr(digest, "code_in", lambda path: read(path) + "changed" * (path.stem == "reference"))
        assert changed() == before.keys()
    recipe = dataclasses.replace(digest.RECIPES["resnet20-cifar10"], weight_decay=0.5)
    monkeypatch.setitem(digest.RECIPES, "resnet20-cifar10", recipe)
    assert changed() == {"resnet20"}


def test_each_pattern_names_a_file():
    """A module that moves would leave the digest in silence."""
    for pattern in digest.PROVEN:
        assert any(digest.PACKAGE.glob(pattern)), pattern


@pytest.mark.parametrize(("page", "patterns"), [
    ("proof.md", digest.PROVEN),
    ("proof-engines.md", digest.ENGINES),
])  # fmt: skip
def test_a_page_is_of_this_code(page, patterns):
    """If this fails, run `kerasnets verify --out docs/proof.md --resume`, or with --engines for the other page."""
    text = (digest.PACKAGE.parent / "docs" / page).read_text("utf-8")
    assert f"code `{digest.digest(patterns)}`" in text
