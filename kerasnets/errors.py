"""What goes wrong, in words for the person who caused it."""

import difflib


class BadInputError(ValueError):
    """A picture, data set, model or checkpoint that is missing or damaged. The message names it and the remedy."""


class DisagreementError(ArithmeticError):
    """What was exported does not give the numbers that Keras gives. The message says by how much."""


def shorten(path, length=60):
    """`path` as text of at most `length` characters, in one line: the end of it, which tells most."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(path))
    return text if len(text) <= length else "..." + text[3 - length :]


def in_one_line(error, length=60):
    """What an error of somebody else's says, as text of at most `length` characters, in one line: its beginning."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= length else text[: length - 3] + "..."


def nearest_first(name, known, length=100):
    """The names in `known` for a message, those first that begin with `name` or are spelt much like it.

    Text of at most `length` characters: where they are more, "..." stands for the rest.
    """
    close = [other for other in known if other.startswith(str(name))] + difflib.get_close_matches(str(name), known)
    names = ", ".join(map(shorten, dict.fromkeys([*close, *known])))
    return names if len(names) <= length else names[: length - 3].rpartition(", ")[0] + ", ..."


# How torch, JAX, TensorFlow, OpenCV and C++ say it, in errors of other kinds
FULL_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "RESOURCE_EXHAUSTED",
    "OOM when allocating",
    "Insufficient memory",
    "bad_alloc",
    "bad allocation",
)


def is_full_memory(error):
    """Whether Python, NumPy, a backend or an engine has found no room."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in FULL_MEMORY)


def no_window():
    return OSError("no window can be shown: there is no screen, or OpenCV is the headless one; use --save FILE")
