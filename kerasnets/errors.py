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


def nearest_first(name, known):
    """The names in `known` for a message, those first that are spelt much like `name`."""
    close = difflib.get_close_matches(str(name), known)
    return ", ".join([*close, *(other for other in known if other not in close)])


def is_full_memory(error):
    """Whether Python, NumPy or a backend has found no room; torch and JAX raise a RuntimeError, TensorFlow its own."""
    words = ("out of memory", "can't allocate memory", "not enough memory", "RESOURCE_EXHAUSTED", "OOM when allocating")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


def no_window():
    return OSError("no window can be shown: there is no screen, or OpenCV is the headless one; use --save FILE")
