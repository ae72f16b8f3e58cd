"""Names of classes that fit into a plot."""

from collections import Counter
from collections.abc import Sequence

from kerasnets.reports.fonts import drawable

BEFORE = 3  # characters that are shown before the first one that differs


def cut(name: str, length: int) -> str:
    """Return the beginning of the name of a class, in at most `length` characters."""
    name = drawable(name)
    return name if len(name) <= length else f"{name[: length - 1]}…"


def tell_apart(names: Sequence[str], length: int) -> list[str]:
    """Return names of at most `length` characters; those with the same beginning are cut where they differ.

    Example:
        >>> tell_apart(["cat", "a very old red car", "a very old blue car"], 12)
        ['cat', '…ld red car', '…ld blue car']
    """
    whole, short = [drawable(name) for name in names], [cut(name, length) for name in names]
    for beginning in [each for each, count in Counter(short).items() if count > 1]:
        places = [i for i, each in enumerate(short) if each == beginning]
        start = max(first_difference([whole[i] for i in places]) - BEFORE, 1)
        for i in places:
            short[i] = f"…{cut(whole[i][start:], length - 1)}"
    counts = Counter(short)
    return [f"{i} {cut(each, length - 1 - len(str(i)))}" if counts[each] > 1 else each for i, each in enumerate(short)]


def first_difference(texts: Sequence[str]) -> int:
    """Return the first place at which texts differ; the length of the shortest if one begins all others."""
    columns = enumerate(zip(*texts, strict=False))
    return next((i for i, letters in columns if len(set(letters)) > 1), min(map(len, texts)))


def label_and_answer(label: str, answer: str) -> tuple[str, str]:
    """Return the names of two classes for the two lines above a picture, of at most 22 and 14 characters."""
    first, second = tell_apart([label, answer], 14)
    return (cut(label, 22) if first == cut(label, 14) else first), second
