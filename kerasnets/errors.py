"""What can go wrong, in words for the person who caused it, and notes on work that goes on."""

import contextlib
import difflib
import errno
import sys
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from os import PathLike

TOLD: ContextVar[set[str] | None] = ContextVar("TOLD", default=None)  # the notes of a block of notes_once


class BadInputError(ValueError):
    """A picture, data set, model or checkpoint that is missing or damaged.

    Args:
        problem: What is wrong, without the file's name and without a full stop: "is damaged: its checksum differs".
            "{path}" stands for the file's name; without it, the name comes first.
        path: The file or folder as the person named it; None if there is none, as for an array.
        remedy: What the person can do, as an imperative: "copy it again".

    Raises:
        MemoryError: Instead, if it is made while a lack of memory is handled: the file is not to blame. If much memory
            is free, the file is: it asked for more than any good file.

    Example:
        >>> str(BadInputError("is empty", path="a.keras", remedy="train or copy it again"))
        'a.keras is empty; train or copy it again'
        >>> str(BadInputError("no model file {path}", path="a.keras", remedy="check the name"))
        'no model file a.keras; check the name'
    """

    def __init__(self, problem: str, *, path: str | PathLike[str] | None = None, remedy: str = "") -> None:
        cause = sys.exc_info()[1]
        if cause is not None and is_full_memory(cause) and not is_free(PLENTY):
            raise MemoryError(f"too little memory ({in_one_line(cause)})")
        super().__init__(problem)
        self.problem, self.path, self.remedy = problem, path, remedy

    def __str__(self) -> str:
        text = self.problem
        if self.path is not None:
            text = text if "{path}" in text else f"{{path}} {text}"
            text = text.replace("{path}", shorten(self.path))
        return visible(f"{text}; {self.remedy}" if self.remedy else text)  # names in a file are anyone's


class UnknownNameError(BadInputError):
    """A name that no shipped model has. The command line takes it for wrong usage, like that of no network."""


@contextlib.contextmanager
def name_path(path: str | PathLike[str]) -> Iterator[None]:
    """Give a BadInputError that the block raises the path `path`, if it has none."""
    try:
        yield
    except BadInputError as error:
        if error.path is None:
            error.path = path
        raise


class DisagreementError(ArithmeticError):
    """An export whose probabilities differ from Keras' by more than is allowed. The message says by how much."""


# The exit code of a failure is in the first line whose class fits the error.
EXIT_CODES = (
    (UnknownNameError, 2),  # wrong usage
    (BadInputError, 3),  # bad input: picture, data set, model
    (MemoryError, 4),  # environment: too little memory
    (ImportError, 4),  # environment: a package is missing
    (OSError, 4),  # environment: unwritable folder, full disk, no network
    (FloatingPointError, 5),  # training diverged
    (DisagreementError, 1),  # an export differs from Keras
    (ValueError, 2),  # wrong usage
)


def exit_code(error: BaseException) -> int:
    """Return the code with which a command ends after an error; 0 for an error of no known kind.

    A shortage of memory that a backend reports in a class of its own counts as a MemoryError.
    """
    kind = MemoryError if is_full_memory(error) and not isinstance(error, BadInputError) else type(error)
    return next((code for known, code in EXIT_CODES if issubclass(kind, known)), 0)


JOINERS = "\u200c\u200d"  # within words of Persian and of Indian languages, and within emoji


def note(text: str) -> None:
    """Print a note as one line on stderr; in a block of `notes_once`, not a second time."""
    told = TOLD.get()
    if told is None or text not in told:
        print(visible(f"note: {text}"), file=sys.stderr)
    if told is not None:
        told.add(text)


@contextlib.contextmanager
def notes_once() -> Iterator[None]:
    """Print each note in the block once, as for several trainings on the same data."""
    token = TOLD.set(set())
    try:
        yield
    finally:
        TOLD.reset(token)


def visible(text: object) -> str:
    """Return a text as one line that does nothing to a terminal but show its characters.

    A name may hold a line break, an escape sequence or a mark that turns the direction of writing. Each is shown as
    Python writes it in a string, and so is a byte of a file's name that is no UTF-8.

    Example:
        >>> print(visible("a\\x1b[2J\\nb"))
        a\\x1b[2J\\nb
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in JOINERS else repr(c)[1:-1] for c in text)


def shorten(path: object, length: int = 60) -> str:
    """Return the end of `path`, which tells most, as one line of at most `length` characters."""
    text = visible(path)
    return text if len(text) <= length else "..." + text[3 - length :]


def in_one_line(error: object, length: int = 60) -> str:
    """Return the beginning of another library's message as one line of at most `length` characters.

    Our sentence goes on after it, so it ends without a full stop.

    Example:
        >>> in_one_line("Bad header. Expected 7 bytes."), in_one_line("Bad header. Expected 7 bytes.", 15)
        ('Bad header. Expected 7 bytes', 'Bad header...')
    """
    text = visible(" ".join(str(error).split())).rstrip(".") or type(error).__name__
    return text if len(text) <= length else text[: length - 3].rstrip(" .,;:(") + "..."


def nearest_first(name: object, known: Iterable[str], length: int = 100) -> str:
    """Return the names in `known`, separated by commas, the most similar to `name` first.

    The text has at most `length` characters; "..." stands for names that do not fit.
    """
    known = list(known)
    close = [other for other in known if other.startswith(str(name))] + difflib.get_close_matches(str(name), known)
    names = ", ".join(map(shorten, dict.fromkeys([*close, *known])))
    return names if len(names) <= length else names[: length - 3].rpartition(", ")[0] + ", ..."


# How torch, JAX, TensorFlow, OpenCV and C++ report it, in exceptions of other classes
FULL_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "RESOURCE_EXHAUSTED",
    "OOM when allocating",
    "Insufficient memory",
    "bad_alloc",
    "bad allocation",
    "MemoryError",  # of another process
    "annot allocate memory",  # of the system, also on loading a library
    "Unable to allocate",
    "failed to map segment",  # of a library that is loaded
    "Failed to allocate",
    "allocation failed",
    "can't start new thread",  # there is no room for its stack
)
PLENTY = 2**32  # bytes: more than reading any good file takes


def is_full_memory(error: BaseException) -> bool:
    """Whether Python, NumPy, a backend or an engine has run out of memory."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return any(words in str(error) for words in FULL_MEMORY)


def is_free(size: int) -> bool:
    """Whether this process could have `size` more bytes of memory; they are not touched."""
    import mmap

    try:
        mmap.mmap(-1, size).close()
    except (OSError, ValueError, OverflowError):
        return False
    return True


def no_window() -> OSError:
    return OSError("no window can be shown: there is no screen, or OpenCV is the headless one; use --save FILE")
