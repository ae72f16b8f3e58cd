"""Names in any letters are drawn without a warning, which is an error in tests: by a font that has them, or escaped."""

import types

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from kerasnets.reports import evaluations, fonts, plots

NAMES = ("狗和猫", "いぬ", "고양이", "Füchse & Œuvres", "собака", "😀 cat", "\U0001f9ff", "a\nb", "$5 to $9", "x" * 90)


@pytest.fixture
def no_other_fonts(monkeypatch):
    own = [font for font in fontManager.ttflist if "DejaVu" in font.name]
    monkeypatch.setattr(fontManager, "ttflist", own)
    fonts.fonts_for.cache_clear()
    yield
    fonts.fonts_for.cache_clear()


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_every_name_is_drawn(suffix):
    for figure in (
        plots.confusion(np.eye(len(NAMES), dtype=int), NAMES),
        plots.grid(np.zeros((2, 4, 4, 1), np.uint8), NAMES[:2], NAMES[1:3]),
        evaluations.landscape(np.zeros((10, 2)), np.arange(10), np.arange(10) > 2, NAMES),
        evaluations.two_classes(np.arange(10) % 2, np.linspace(0, 1, 10), NAMES[:2]),
    ):
        assert len(plots.encode(figure, suffix)) > 1000


def test_letters_without_a_font_are_escaped(no_other_fonts):
    assert fonts.drawable("狗 dog") == "\\u72d7 dog"
    assert fonts.drawable("Füchse собака") == "Füchse собака"
    figure = Figure()
    figure.suptitle("猫\nb")
    plots.encode(figure, "png")
    assert figure.get_suptitle() == "\\u732b\nb"


def test_a_font_that_has_the_letters_is_taken_and_the_preferred_one_first(monkeypatch):
    letters = {"/a": "狗猫", "/b": "狗猫い", "/c": "고"}
    names = {"/a": "Noto Sans CJK JP", "/b": "A font", "/c": "Nanum Gothic"}
    entries = [types.SimpleNamespace(name=names[path], fname=path, style="normal", weight=400) for path in letters]
    monkeypatch.setattr(fontManager, "ttflist", entries)
    monkeypatch.setattr(fonts, "letters_of", lambda path: frozenset(map(ord, letters[path])))
    fonts.fonts_for.cache_clear()
    assert [name for name, _ in fonts.fonts_for(frozenset("狗い고"))] == ["Noto Sans CJK JP", "Nanum Gothic", "A font"]
    assert fonts.fonts_for(frozenset("猫")) == (("Noto Sans CJK JP", frozenset("猫")),)
    fonts.fonts_for.cache_clear()
