"""A good file is not called bad for want of memory."""

import subprocess
import sys

import pytest

from kerasnets.errors import BadInputError, exit_code, in_one_line
from kerasnets.runtime.backends import environment

JUDGED = """
import sys
from kerasnets.errors import BadInputError
from kerasnets.cli import app

def main():
    if sys.argv[1]:
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
    try:
        bytearray(2**50)
    except Exception as error:
        raise BadInputError(f"is damaged ({error!r})", path="a.png", remedy="copy it again") from error

app.run(main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process so")
@pytest.mark.parametrize(("limit", "code", "words"), [
    (str(2**30), 4, "error: too little memory; try smaller pictures"),
    ("", 3, "error: a.png is damaged (MemoryError()); copy it again"),  # it asks for more than any good file
])  # fmt: skip
def test_a_lack_of_memory_is_told_from_a_file_that_asks_for_too_much(limit, code, words):
    done = subprocess.run([sys.executable, "-c", JUDGED, limit], env=environment(), capture_output=True, text=True)
    assert done.returncode == code
    assert done.stderr.startswith(words)
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX closes the streams")
@pytest.mark.parametrize(("closed", "words"), [
    (">&-", "error: standard output is closed; let it be a file, or /dev/null"),
    (">/dev/full", "error: the output: No space left on device; free some space, or name another place"),
    (">/dev/full 2>&-", ""),
])  # fmt: skip
@pytest.mark.parametrize("arguments", ["list", "--help", "list --help", "--version"])
def test_an_output_that_cannot_be_written_is_one_line(closed, words, arguments):
    command = f"{sys.executable} -m kerasnets {arguments} {closed}"
    done = subprocess.run(command, shell=True, env=environment(), capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip(), done.stdout) == (4, words, "")


@pytest.mark.parametrize(("message", "line"), [
    ("Bad header.\nExpected 7 bytes.", "Bad header. Expected..."),
    ("Bad header, which is 7 bytes", "Bad header, which is..."),
    ("Bad header, expected a longer one", "Bad header, expected..."),
    ("The file has no header. It is", "The file has no head..."),
    ("It does not have one. (Of 9)", "It does not have one..."),  # not "one...."
    ("Bad header.", "Bad header"),
])  # fmt: skip
def test_another_librarys_message_goes_into_a_sentence_of_ours(message, line):
    assert in_one_line(message, 23) == line


def test_a_refusal_shows_names_in_a_file_as_a_terminal_can():
    assert str(BadInputError("holds '\x1b[2J\n'", path="a\nb.zip", remedy="check '\r'")) == (
        "a\\nb.zip holds '\\x1b[2J\\n'; check '\\r'"
    )


NOISY = """
import logging, os, subprocess, sys, warnings
from kerasnets.cli import app

def main():
    os.write(2, b"Corrupt JPEG data\\n")
    print("a line", file=sys.stderr)
    warnings.warn("a warning")
    logging.error("an error")
    command = [sys.executable, "-c", "print('of a child', file=__import__('sys').stderr)"]
    subprocess.run(command)
    subprocess.run(command, stderr=sys.stderr)
    raise ValueError("wrong")

app.run(main)
"""


def test_only_python_prints_on_the_standard_error_of_a_command():
    done = subprocess.run([sys.executable, "-c", NOISY], env=environment(), capture_output=True, text=True)
    lines = [line.rpartition(": ")[2] for line in done.stderr.splitlines() if not line.startswith("  ")]
    assert lines == ["a line", "a warning", "ERROR:root:an error", "of a child", "wrong"]
    done = subprocess.run([sys.executable, "-c", NOISY, "--debug"], env=environment(), capture_output=True, text=True)
    assert done.stderr.startswith("Corrupt JPEG data\na line\n")
    assert done.stderr.count("of a child\n") == 2


@pytest.mark.parametrize(("error", "code"), [  # SPEC and docs/commands.md
    (BadInputError("is damaged (out of memory)"), 3), (OSError(28, "full"), 4), (ConnectionError("away"), 4),
    (FloatingPointError("diverged"), 5), (RuntimeError("CUDA out of memory"), 4), (ValueError("no"), 2),
    (RuntimeError("a bug"), 0),
])  # fmt: skip
def test_each_kind_of_error_has_its_exit_code(error, code):
    assert exit_code(error) == code
