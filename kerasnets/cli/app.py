"""The manners of every command: its options, one line for a failure, exit codes, Ctrl-C."""

import argparse
import contextlib
import difflib
import errno
import os
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from typing import Any, NoReturn, Protocol, TextIO

from kerasnets.errors import BadInputError, exit_code, is_full_memory, shorten, visible
from kerasnets.runtime import backends, room, signals, workers

LINE = 200  # characters of an error line at most
SIGPIPE = 128 + 13  # the shell's code: a run that is half done must not look like a whole one
REMEDY = 110  # characters at the end of a line that is too long: there it says what to do

# What a person can do about an error of the operating system.
REMEDIES = {
    errno.ENOSPC: "free some space, or name another place",
    errno.EDQUOT: "free some space, or name another place",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f), or name another place",
    errno.EISDIR: "name a file in it",
    errno.EACCES: "name a folder that you may write to",
    errno.EROFS: "name a folder that you may write to",
    errno.EPERM: "name a folder that you may write to",
    errno.EIO: "check the disk, or name another place",
    errno.ENAMETOOLONG: "name a shorter one",
    errno.EEXIST: "a file is where a folder should be: name another place",
    errno.ENOENT: "name a folder that exists or can be made",
    errno.ENOTDIR: "name a folder that exists or can be made",
}
LITTLE_MEMORY = "too little memory; try smaller pictures or a smaller network, in training a smaller --batch-size"


class UsageError(ValueError):
    """Options that do not go together, or an impossible value; `run_command` adds which `--help` to read."""


class Command(Protocol):
    """A module with one command. Its docstring is the text of `--help`; both functions import what they need late."""

    __name__: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int | None: ...


class Parser(argparse.ArgumentParser):
    """An argparse parser that reports a mistake in one line and takes options between positional arguments too."""

    def __init__(self, description: str | None = None, prog: str | None = None, **options: Any) -> None:
        form = argparse.RawDescriptionHelpFormatter
        super().__init__(prog, description=description, formatter_class=form, **options)
        self.add_argument("--debug", action="store_true", help="show the traceback of a failure")

    def parse_args(self, args: Sequence[str] | None = None) -> argparse.Namespace:  # type: ignore[override]
        self.words = list(sys.argv[1:] if args is None else args)
        parsed, left = self.parse_known_args(args)
        return self.parse_intermixed_args(args) if left else parsed

    def print_help(self, file: Any = None) -> None:
        print(self.format_help(), end="", file=file, flush=True)  # argparse would ignore a full disk

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}{self.suggestion()} (see {self.prog} --help)")

    def suggestion(self) -> str:
        """Return the option that a misspelt one may stand for, as a question; "" if none is misspelt."""
        for word in getattr(self, "words", ()):
            name = word.partition("=")[0]
            if word == "--":
                break
            if name.startswith("--") and not any(known.startswith(name) for known in self._option_string_actions):
                nearest = difflib.get_close_matches(name, self._option_string_actions, 1)
                return "".join(f"; did you mean {known} for {name}?" for known in nearest)
        return ""


def run(main: Callable[[], int | None]) -> NoReturn:
    """Run `main()` as a program: exit with 0, or print one line on stderr and exit with the code of the failure."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # keeps TensorFlow's C++ code from its start-up notices
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # our own messages name a picture that OpenCV cannot decode
    open_missing_streams()
    if "--debug" not in sys.argv:
        keep_for_python("stderr")
        if has_companions():
            keep_for_python("stdout")  # to which Gloo, the exchange of JAX, prints
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a name that the terminal's encoding lacks is no failure
            stream.reconfigure(errors="backslashreplace")
    import warnings

    warnings.filterwarnings("ignore", "Skipping nested container")  # of Keras, about a damaged file; the error says it
    if os.environ.get("KERASNETS_PARENT"):  # child.PARENT
        from kerasnets.runtime import child

        child.end_with_parent()
    backends.own_process()
    room.watch()
    signals.install()
    if follows():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # worker 0 prints what all compute
    code = exit_code_of(main)
    close_streams()
    sys.exit(code)


def follows() -> bool:
    """Whether this is one of several workers, and not worker 0."""
    return has_companions() and not workers.place().leads


def has_companions() -> bool:
    """Whether this is one of several workers."""
    try:
        return workers.place().count > 1
    except ValueError:  # it comes again where it can be told
        return False


def close_streams() -> None:
    """Leave nothing for Python to write at its end, which it would report in words of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # a full disk, a closed pipe or terminal, which `exit_code_of` has reported
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def open_missing_streams() -> None:
    """End with one line if standard output is closed, as by `>&-`; replace a closed input or error stream.

    A file that is opened later would get the number of a closed stream, and what C code prints to it would go into it.
    """
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:  # it is the lowest free one, which is this one unless the stream was replaced
                os.dup2(descriptor, number)
    sys.stdin = sys.stdin or open(0)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115
    if sys.stdout is None:
        print_error("standard output is closed; let it be a file, or /dev/null")
        sys.exit(4)


def keep_for_python(name: str) -> None:
    """Keep "stdout" or "stderr" for Python: what C code prints there goes nowhere, as libjpeg's words on a picture.

    This changes the whole process, so only a command does it; and a child must be given the stream to print there.
    """
    stream, number = getattr(sys, name), {"stdout": 1, "stderr": 2}[name]
    if stream is not getattr(sys, f"__{name}__") or not isinstance(stream, TextIOWrapper):
        return
    kept, nowhere = os.dup(number), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
    setattr(sys, name, open(kept, "w", 1, stream.encoding, closefd=False))  # noqa: SIM115


def run_command(command: Command, prog: str, words: Sequence[str]) -> int | None:
    """Run one command as `prog` with the arguments `words`; return its exit code."""
    parser = Parser(help_of(command, prog), prog)
    command.add_arguments(parser)
    args = parser.parse_args(words)
    try:
        return command.run(args)
    except UsageError as error:
        parser.error(str(error))


def run_script(command: Command) -> NoReturn:
    """Run a command as the script in sys.argv[0], which is a front of it."""
    run(lambda: run_command(command, os.path.basename(sys.argv[0]), sys.argv[1:]))


def help_of(command: Command, prog: str) -> str:
    """Return the command's docstring; the examples of a script name the script instead of `kerasnets COMMAND`."""
    text = command.__doc__ or ""
    name = command.__name__.rpartition(".")[2]
    return text.replace(f"kerasnets {name}", f"python scripts/{prog}") if prog.endswith(".py") else text


def with_remedy(main: Callable[[], int | None]) -> int | None:
    """Run `main()`; the lack of a package of the extra `train` becomes an error that names the extra."""
    try:
        return main()
    except ImportError as error:
        backends.check_import(error)
        raise


def exit_code_of(main: Callable[[], int | None]) -> int:
    try:
        code = with_remedy(main) or 0
        sys.stdout.flush()
        return code
    except signals.Stopped as stopped:
        if not getattr(stopped, "told", False):
            tell_on_stderr(stopped)
        return stopped.exit_code
    except BrokenPipeError:  # the reader of our output has closed it, as `head` does
        return SIGPIPE
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # rich makes one of the other
            return SIGPIPE
        raise
    except Exception as error:
        if "--debug" in sys.argv:
            import traceback

            traceback.print_exc()
        if signals.Signals.received is not None:  # what failed then is the stop, or the terminal that was closed
            return exit_code_of(signals.check)
        if is_full_memory(error) and not isinstance(error, (BadInputError, room.NoRoomError)):
            error = MemoryError(LITTLE_MEMORY)
        code = exit_code(error)
        if getattr(error, "told", False) or (code == 2 and follows()):  # worker 0 tells it
            return code or 1
        print_error(error if code else f"internal error, please report it (--debug shows where): {error!r}")
        return code or 1


def print_error(error: BaseException | str) -> None:
    """Print an error on stderr as one line of at most 200 characters; the middle of a longer line is left out."""
    if isinstance(error, OSError) and error.errno:
        error = describe_os_error(error)
    line = visible(" ".join(f"error: {error}".split()))
    tell_on_stderr(line if len(line) <= LINE else f"{line[: LINE - REMEDY - 3]}...{line[-REMEDY:]}")


def tell_on_stderr(line: object) -> None:
    """Print a line on stderr, if that is still there: a terminal may be closed."""
    with contextlib.suppress(OSError, ValueError):
        tell(line, file=sys.stderr)


def tell(*lines: object, file: TextIO | None = None) -> None:
    """Print each line as one that a terminal shows as it is: names in it may be anyone's."""
    for line in lines:
        print(visible(line), file=file, flush=True)


def describe_os_error(error: OSError) -> str:
    """Return the file, the operating system's words and a remedy."""
    name = shorten(error.filename) if error.filename else "the output"
    number = error.errno or 0
    note = getattr(error, "note", "")  # which results a training run has kept
    return "; ".join(filter(None, (f"{name}: {os.strerror(number)}", REMEDIES.get(number), note)))
