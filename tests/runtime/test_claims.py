"""What one process writes, no other one may write at the same time."""

import os
import subprocess
import sys

import pytest

from kerasnets.runtime import atomic, claims
from kerasnets.runtime.backends import environment

HOLDS = """
import sys
from kerasnets.runtime.claims import claim
with claim(sys.argv[1:], "training"):
    print("claimed", flush=True)
    sys.stdin.read()
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="claims are locks of POSIX")


@pytest.fixture
def holder(tmp_path):
    """A process that claims a.keras."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, "a.keras"], cwd=tmp_path, env=environment(), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "claimed\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("name", ["a.keras", "./sub/../a.keras", "link.keras"])
def test_a_second_process_is_refused_and_told_of_the_first(tmp_path, monkeypatch, holder, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.keras").symlink_to("a.keras")
    with pytest.raises(OSError, match=f"another training writes {name} now; wait for process {holder.pid}, or end it"):
        claims.claim(["other.keras", name], "training").__enter__()
    assert not (tmp_path / ".other.keras.lock").exists()  # the claim that succeeded is given up


@pytest.mark.parametrize("killed", [False, True])
def test_a_claim_ends_with_its_process(tmp_path, holder, killed):
    if killed:
        holder.kill()
    holder.communicate()
    with claims.claim([tmp_path / "a.keras"], "training"):
        assert (tmp_path / ".a.keras.lock").read_text() == str(os.getpid())
    assert os.listdir(tmp_path) == []


def test_where_there_are_no_locks_a_note_says_so_once(tmp_path, monkeypatch, capsys):
    import errno
    import fcntl

    def flock(handle, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(atomic, "_noted", set())
    for _ in range(2):
        with claims.claim([tmp_path / "a.keras"], "training"):
            pass
    told = capsys.readouterr().err
    assert told.startswith(f"note: on the file system of {tmp_path}, a second training into the same files is not")
    assert told.count("\n") == 1
