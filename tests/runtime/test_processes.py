"""A worker ends with its parent, however that ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures.process import BrokenProcessPool

import pytest

from kerasnets.runtime import child, processes
from kerasnets.runtime.backends import environment
from tests.conftest import is_running

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the state of a process in /proc")

# A parent whose worker is in `task`. The worker gets no backend, whose import takes seconds.
PARENT = """
import sys, time
from kerasnets.runtime import processes, signals

if __name__ == "__main__":
    import task
    processes.start = task.start
    signals.install()
    try:
        with processes.Worker("none") as worker:
            worker(task.work)
    except signals.Stopped as stopped:
        sys.exit(stopped.exit_code)
"""
TASK = """
import os, time
from kerasnets.runtime import processes

def start(backend, prepare, parent):
    processes.end_with(parent)

def work():
    with open("part", "w") as file:
        file.write(str(os.getpid()))
    os.rename("part", "pid")
    {work}
"""
# C code that keeps Python's lock
STUCK = "import ctypes; ctypes.PyDLL(None).sleep(600)"


def wait_for(path):
    while not path.exists():
        time.sleep(0.01)
    return int(path.read_text())


@ON_LINUX
@pytest.mark.parametrize("work", ["time.sleep(600)", STUCK])
@pytest.mark.parametrize(("number", "code"), [
    (signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)
])  # fmt: skip
def test_a_worker_ends_with_its_parent(tmp_path, work, number, code):
    (tmp_path / "parent.py").write_text(PARENT)
    (tmp_path / "task.py").write_text(TASK.format(work=work))
    variables = environment()
    variables["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{variables['PYTHONPATH']}"
    parent = subprocess.Popen([sys.executable, "parent.py"], cwd=tmp_path, env=variables)
    worker = wait_for(tmp_path / "pid")
    assert is_running(worker)
    parent.send_signal(number)
    assert parent.wait() == code
    while is_running(worker):
        time.sleep(0.01)


def test_a_killed_worker_leaves_no_thread_here(monkeypatch):
    """Python's own end wakes such a thread up, and fails if it meets it half closed."""
    monkeypatch.setattr(processes, "start", os.getpid)  # a process without a backend breaks at once
    before = threading.enumerate()
    worker = processes.Worker("none")
    future = worker.submit(os.getpid)
    worker.kill()
    assert isinstance(future.exception(), BrokenProcessPool)
    assert threading.enumerate() == before


@ON_LINUX
def test_a_command_that_another_one_started_ends_with_it(tmp_path):
    """As the training of `reproduce` does: a command calls end_with_parent if it was started with child.variables."""
    command = "from kerasnets.cli import app; import os, time\ndef main():\n open('part','w').write(str(os.getpid()))"
    command += "; os.rename('part', 'pid'); time.sleep(600)\napp.run(main)"
    starts = "import subprocess, sys; from kerasnets.runtime import child\n"
    starts += f"subprocess.run([sys.executable, '-c', {command!r}], env=child.variables(), start_new_session=True)"
    parent = subprocess.Popen([sys.executable, "-c", starts], cwd=tmp_path, env=environment())
    pid = wait_for(tmp_path / "pid")
    parent.kill()
    parent.wait()
    while is_running(pid):
        time.sleep(0.01)


@ON_LINUX
def test_the_child_of_a_child_does_not_take_the_grandparent_for_its_parent(tmp_path):
    inner = "import os; from kerasnets.cli import app; app.run(lambda: print('inner'))"
    outer = "import subprocess, sys; from kerasnets.cli import app\n"
    outer += f"app.run(lambda: subprocess.run([sys.executable, '-c', {inner!r}]).returncode)"
    done = subprocess.run([sys.executable, "-c", outer], env=child.variables(), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "inner\n"), done.stderr


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGHUP")
@pytest.mark.parametrize(("before", "code"), [("SIG_IGN", 0), ("SIG_DFL", 129)])
def test_sighup_stays_ignored_under_nohup(before, code):
    text = f"import os, signal; signal.signal(signal.SIGHUP, signal.{before}); from kerasnets.cli import app\n"
    text += "app.run(lambda: os.kill(os.getpid(), signal.SIGHUP))"
    done = subprocess.run([sys.executable, "-c", text], env=environment(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, "stopped by SIGHUP\n" if code else "")


def test_a_script_without_a_guard_is_not_run_again_by_its_worker(tmp_path):
    script = tmp_path / "script.py"
    lines = ["import operator", "from kerasnets.runtime.processes import Worker", "print('once', flush=True)"]
    lines += ["with Worker('torch') as worker:", "    print(worker(operator.add, 1, 2))"]
    script.write_text("\n".join(lines))
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert result.stdout.split() == ["once", "3"], result.stderr
