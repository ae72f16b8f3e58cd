"""Fonts for letters that matplotlib's own font lacks, such as those of Chinese, Japanese and Korean."""

import functools
from collections.abc import Collection
from typing import TYPE_CHECKING

from kerasnets.errors import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# First words of the names of fonts with such letters, the best first; after them, any other font is tried
PREFERRED = (
    "Noto Sans CJK", "Source Han Sans", "Noto Sans SC", "Noto Sans JP", "Noto Sans KR", "PingFang", "Hiragino Sans",
    "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Apple SD Gothic", "WenQuanYi", "Droid Sans Fallback", "IPA",
    "Nanum", "SimHei", "Arial Unicode MS", "Unifont", "Noto Sans",
)  # fmt: skip
MOST = 2000  # fonts that are searched
BOXES = "Last Resort"  # matplotlib's font with a box for each letter


def drawable(text: str) -> str:
    r"""Return a text in which control characters, and letters that no installed font has, are \u escapes."""
    text = visible(text)
    if text.isascii():
        return text
    lacking = lacked_by_all(text)
    return "".join(ascii(letter)[1:-1] if letter in lacking else letter for letter in text)


def lacked_by_all(text: Collection[str]) -> set[str]:
    """Return the letters that no installed font has, which figures therefore show as escapes."""
    lacking = own_lacks(text)
    for _, letters in fonts_for(frozenset(lacking)):
        lacking -= letters
    return lacking


def use_fonts(figure: "Figure") -> None:
    """Give each text of a figure the fonts that its letters need; letters without a font are escaped."""
    from matplotlib import rcParams
    from matplotlib.text import Text

    for axes in figure.axes:  # their labels come into being when they are asked for
        axes.get_xticklabels(), axes.get_yticklabels()
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    lacking = own_lacks("".join(text.get_text() for text in texts))
    families = [*rcParams["font.family"], *(name for name, _ in fonts_for(frozenset(lacking)))]
    for text in texts:
        text.set_text("\n".join(map(drawable, text.get_text().split("\n"))))
        text.set_parse_math(False)  # a class or a file may be called "$5 to $9", which is not a formula
        if lacking:
            text.set_fontfamily(families)


def own_lacks(text: Collection[str]) -> set[str]:
    """Return the letters that matplotlib's own font lacks."""
    letters = {letter for letter in text if ord(letter) > 126}
    return {letter for letter in letters if ord(letter) not in own_letters()} if letters else set()


@functools.cache
def own_letters() -> frozenset[int]:
    from matplotlib import font_manager

    return letters_of(font_manager.findfont(font_manager.FontProperties()))


@functools.lru_cache(64)
def letters_of(path: str) -> frozenset[int]:
    from matplotlib import font_manager

    try:
        return frozenset(font_manager.get_font(path).get_charmap())
    except (OSError, RuntimeError, ValueError):  # the file is gone or damaged
        return frozenset()


@functools.lru_cache(256)
def fonts_for(letters: frozenset[str]) -> tuple[tuple[str, frozenset[str]], ...]:
    """Return (name of a font, its letters among `letters`) for as few fonts as needed; some letters may have none."""
    if not letters:
        return ()
    from matplotlib import font_manager

    def rank(font: font_manager.FontEntry) -> tuple[int, str]:
        places = [i for i, name in enumerate(PREFERRED) if font.name.startswith(name)]
        return (places[0] if places else len(PREFERRED), font.name)

    fonts = [font for font in font_manager.fontManager.ttflist
             if font.style == "normal" and str(font.weight) == "400" and BOXES not in font.name]  # fmt: skip
    chosen, left = [], set(letters)
    for font in sorted(fonts, key=rank)[:MOST]:
        if own := frozenset(letter for letter in left if ord(letter) in letters_of(font.fname)):
            chosen.append((font.name, own))
            left -= own
        if not left:
            break
    return tuple(chosen)
