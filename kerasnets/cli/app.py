"""How every script behaves: options, one line for a failure, exit codes, stopping."""

import argparse
import errno
import os
import sys
import traceback

from kerasnets.errors import BadInputError, DisagreementError, is_full_memory, shorten
from kerasnets.runtime import backends, signals

LINE = 200  # characters of an error line at most
REMEDY = 110  # of them at the end of the line, where it says what to do

# The first row whose class fits tells the exit code.
EXIT_CODES = (
    (BadInputError, 3),  # bad input: picture, data set, model
    (MemoryError, 4),  # environment: memory is full
    (ImportError, 4),  # environment: missing package
    (OSError, 4),  # environment: unwritable folder, full disk, no network
    (FloatingPointError, 5),  # training diverged
    (DisagreementError, 1),  # an export differs from Keras
    (ValueError, 2),  # wrong usage
)

# What to do about an error of the operating system.
REMEDIES = {
    errno.ENOSPC: "; free some space, or name another place",
    errno.EDQUOT: "; free some space, or name another place",
    errno.EFBIG: "; raise the limit on file sizes (ulimit -f), or name another place",
    errno.EISDIR: "; name a file in it",
    errno.EACCES: "; name a folder that you may write to",
    errno.EROFS: "; name a folder that you may write to",
    errno.EPERM: "; name a folder that you may write to",
    errno.EIO: "; check the disk, or name another place",
    errno.ENAMETOOLONG: "; name a shorter one",
    errno.EEXIST: "; a file is where a folder should be: name another place",
    errno.ENOENT: "; name a folder that exists or can be made",
    errno.ENOTDIR: "; name a folder that exists or can be made",
}


class Parser(argparse.ArgumentParser):
    """An argparse parser whose complaints are one line, and that takes options between positional arguments too."""

    def __init__(self, description):
        super().__init__(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        self.add_argument("--debug", action="store_true", help="show the whole traceback of a failure")

    def parse_args(self, args=None):
        parsed, left = self.parse_known_args(args)
        return self.parse_intermixed_args(args) if left else parsed

    def error(self, message):
        raise ValueError(f"{message} (see {self.prog} --help)")


def run(main):
    """Run `main()` as a script: exit 0, or print one line on stderr and exit with the code of its kind."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's C++ start-up notices
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # what it cannot decode, we say in words
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # a name that the terminal's encoding lacks is no failure
    backends.own_process()
    signals.install()
    sys.exit(exit_code_of(main))


def exit_code_of(main):
    try:
        code = main() or 0
        sys.stdout.flush()
        return code
    except signals.Stopped as stopped:
        print(stopped, file=sys.stderr)
        return stopped.exit_code
    except BrokenPipeError:  # whoever read our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13  # what the shell makes of SIGPIPE: no one may take a half-done run for a whole one
    except Exception as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        if is_full_memory(error):
            error = MemoryError(
                "the memory is full; try smaller pictures or a smaller network, in training a smaller --batch-size"
            )
        code = next((code for kind, code in EXIT_CODES if isinstance(error, kind)), None)
        print_error(f"internal error, please report it (--debug shows where): {error!r}" if code is None else error)
        return 1 if code is None else code


def print_error(error):
    """Print an error as one line of at most 200 characters on stderr; the middle of a longer one is left out."""
    if isinstance(error, OSError) and error.errno:
        name = shorten(error.filename) if error.filename else "the output"
        note = getattr(error, "note", "")  # what a training has kept
        error = f"{name}: {os.strerror(error.errno)}{REMEDIES.get(error.errno, '')}{'; ' if note else ''}{note}"
    line = " ".join(f"error: {error}".split())
    print(line if len(line) <= LINE else f"{line[: LINE - REMEDY - 3]}...{line[-REMEDY:]}", file=sys.stderr)
