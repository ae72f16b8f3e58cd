"""A child ends with its parent, and within its limits."""

import os
import signal
import subprocess
import sys
import time

import pytest

from kerasnets.runtime import child
from kerasnets.runtime.backends import environment
from tests.conftest import is_running

SLEEPS = """
import sys, time
from kerasnets.runtime import child
child.end_with_parent()
print("ready", flush=True)
sys.stdin.read()
time.sleep(600)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Make a module of a source text that `child.run` can start; return its name."""

    def make(text):
        (tmp_path / "task.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        return "task"

    return make


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the state of a process in /proc")
def test_a_child_ends_with_a_parent_that_is_killed(module):
    name = module("import os; print(os.getpid(), file=open('pid', 'w'), flush=True)\n" + SLEEPS)
    folder = sys.path[0]
    parent = subprocess.Popen(
        [sys.executable, "-c", f"from kerasnets.runtime import child; child.run({name!r}, seconds=600)"],
        env=environment(),
        cwd=folder,
    )
    while not (pid := _read(os.path.join(folder, "pid"))):
        time.sleep(0.01)
    time.sleep(0.5)  # until it has called end_with_parent
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while is_running(int(pid)):
        time.sleep(0.01)


def _read(path):
    try:
        with open(path) as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def test_a_child_is_killed_after_its_wall_clock_time(module):
    with pytest.raises(subprocess.TimeoutExpired):
        child.run(module(SLEEPS), seconds=0.5)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no resource limits")
@pytest.mark.parametrize(
    ("task", "code"), [("bytearray(2**28)", 1), ("while True: pass", -signal.SIGXCPU), ("bytearray(2**20)", 0)]
)
def test_a_child_stays_within_its_limits_of_memory_and_time(module, task, code):
    text = f"from kerasnets.runtime import child\nchild.end_with_parent()\nchild.limit(2**26, 1)\n{task}\n"
    done = child.run(module(text), seconds=60)
    assert done.returncode == code, done.stderr.decode()
    assert (b"MemoryError" in done.stderr) == (code == 1)


def test_a_child_reads_its_arguments_and_standard_input(module):
    text = "import sys\nprint(sys.argv[1:], len(sys.stdin.buffer.read()))"
    done = child.run(module(text), "a", "b c", seconds=60, stdin=bytes(1000))
    assert done.stdout.decode().strip() == "['a', 'b c'] 1000"


LOWERED = """
import os, resource
from kerasnets.runtime import child
resource.setrlimit(resource.RLIMIT_DATA, (2**29, 2**30))
resource.setrlimit(resource.RLIMIT_CPU, (50, 60))
if os.geteuid() == 0:
    os.setuid(65534)
child.limit(2**40, 10**6)
print(resource.getrlimit(resource.RLIMIT_DATA), resource.getrlimit(resource.RLIMIT_CPU))
child.limit(2**20, 1)
print(resource.getrlimit(resource.RLIMIT_DATA)[0] < 2**29, resource.getrlimit(resource.RLIMIT_CPU)[0] < 50)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other limits")
def test_a_lower_limit_of_the_user_stays(tmp_path):
    (tmp_path / "task.py").write_text(LOWERED)
    done = subprocess.run([sys.executable, tmp_path / "task.py"], env=environment(), capture_output=True, text=True)
    assert done.stdout.splitlines() == ["(536870912, 1073741824) (50, 60)", "True True"], done.stderr
