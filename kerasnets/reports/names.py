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
    counts = Counter(cut(name, length) for name in names)
    same = [drawable(name) for name in names if counts[cut(name, length)] > 1]
    differing = (i for i, letters in enumerate(zip(*same, strict=False)) if len(set(letters)) > 1)
    start = max(next(differing, min(map(len, same), default=0)) - BEFORE, 1)
    return [
        f"…{cut(drawable(name)[start:], length - 1)}" if counts[cut(name, length)] > 1 else cut(name, length)
        for name in names
    ]


def label_and_answer(label: str, answer: str) -> tuple[str, str]:
    """Return the names of two classes for the two lines above a picture, of at most 22 and 14 characters."""
    first, second = tell_apart([label, answer], 14)
    return (cut(label, 22) if first == cut(label, 14) else first), second
