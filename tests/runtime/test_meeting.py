"""Workers meet, exchange, and end when one of them is lost."""

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kerasnets.runtime.backends import environment
from kerasnets.runtime.connections import call, free_port
from kerasnets.runtime.meeting import LOST, Meeting
from kerasnets.runtime.workers import Place

MEETS = """
import sys, time
from kerasnets.cli import app
from kerasnets.runtime import meeting, workers
meeting.SILENCE = float(sys.argv[1])
app.keep_for_python("stderr")  # as each command does
met = meeting.Meeting(workers.place(), 60, meeting.descriptor_of_stderr())
met.watch.note = lambda: "; all is kept"
task = sys.argv[2]
if task == "work":
    met.watch.say({"work": True})
print("ready", flush=True)
if task == "fail" and workers.place().rank == 1:
    met.fail("no such disk")
    sys.exit(3)
if task == "work":
    sys.stdin.readline()
if task in ("part", "work"):
    met.leave()
    sys.exit(0)
time.sleep(600)
"""


def place_of(rank, count=2, port=29500, launch="this run"):
    return Place(rank=rank, count=count, port=port, launch=launch)


def together(count, task):
    """[what `task` returns of each worker's Meeting], each in a thread."""
    port = free_port("localhost")

    def run(rank):
        met = Meeting(place_of(rank, count, port), 30)
        result = task(met)
        met.leave()
        return result

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


def test_each_worker_learns_what_all_have():
    expected = [{"rank": 0}, {"rank": 1}, {"rank": 2}]
    assert together(3, lambda met: met.exchange({"rank": met.place.rank})) == [expected] * 3


def test_bytes_are_exchanged_as_they_are():
    assert together(2, lambda met: met.exchange_bytes(bytes([met.place.rank]) * 3)) == [[b"\0\0\0", b"\1\1\1"]] * 2
    large = os.urandom(3_000_000)
    assert together(2, lambda met: met.share(large if met.place.leads else b"other")) == [large] * 2


def test_strangers_at_the_port_are_sent_away():
    port = free_port("localhost")
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(Meeting, place_of(0, 2, port), 30)
        for content in (b"GET / HTTP/1.1\r\n\r\n" * 9, b"\0" * 7 + b"\5hello", b""):
            while True:
                try:
                    stranger = socket.create_connection(("localhost", port))
                    break
                except ConnectionRefusedError:  # worker 0 does not listen yet
                    pass
            stranger.sendall(content)
            stranger.close()
        other = threads.submit(Meeting, place_of(1, 2, port), 30)
        for met in (first, other):
            threads.submit(met.result().leave)


def test_a_worker_of_another_run_does_not_join():
    port = free_port("localhost")
    with ThreadPoolExecutor(2) as threads:
        leader = threads.submit(Meeting, place_of(0, 2, port), 1)
        other = threads.submit(Meeting, place_of(1, 2, port, launch="another run"), 1)
        with pytest.raises(TimeoutError, match="worker 1 did not meet worker 0 at localhost, port"):
            other.result()
        with pytest.raises(TimeoutError, match=r"1 of 2 workers did not come within 1 s \(worker 1\)"):
            leader.result()


@pytest.mark.parametrize(
    ("rank", "count", "words"), [(1, 3, "worker 1 says that there are 3 workers, and worker 0 2"), (5, 2, "number 5")]
)
def test_workers_that_contradict_each_other_are_refused(rank, count, words):
    port = free_port("localhost")
    with ThreadPoolExecutor(1) as threads:
        leader = threads.submit(Meeting, place_of(0, 2, port), 30)
        while not (connection := call(place_of(rank, count, port), port, "talk")):
            pass
        with connection, pytest.raises(OSError, match=words):
            leader.result()


def test_a_port_in_use_is_named():
    with socket.create_server(("localhost", 0)) as server, pytest.raises(OSError, match="choose another MASTER_PORT"):
        Meeting(place_of(0, 2, server.getsockname()[1]), 1)


# ---- a worker is lost ----


def start(task, silence=20.0):
    """Two workers in processes of their own, who have met."""
    port = free_port("localhost")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MEETS, str(silence), task],
            env=environment(RANK=str(rank), WORLD_SIZE="2", MASTER_PORT=str(port)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
    return processes


@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize(("number", "words"), [(signal.SIGKILL, "ended"), (signal.SIGSTOP, "does not answer any more")])
def test_the_others_end_when_a_worker_is_lost(lost, number, words):
    processes = start("wait", silence=20 if number == signal.SIGKILL else 2)
    processes[lost].send_signal(number)
    _, errors = processes[1 - lost].communicate()
    assert errors == f"error: worker {lost} {words}; all is kept\n"
    assert processes[1 - lost].returncode == LOST
    processes[lost].kill()
    processes[lost].communicate()


def test_a_worker_that_has_announced_work_of_its_own_may_be_silent():
    processes = start("work", silence=2)
    processes[0].send_signal(signal.SIGSTOP)
    time.sleep(4)
    processes[0].send_signal(signal.SIGCONT)
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate() for process in processes] == [("", ""), ("", "")]
    assert [process.returncode for process in processes] == [0, 0]


def test_worker_0_tells_the_error_of_another():
    leader, other = start("fail")
    assert leader.communicate()[1] == "error: worker 1: no such disk; all is kept\n"
    assert other.communicate()[1] == ""
    assert (leader.returncode, other.returncode) == (LOST, 3)


def test_workers_that_part_end_well():
    processes = start("part")
    assert [process.communicate()[1] for process in processes] == ["", ""]
    assert [process.returncode for process in processes] == [0, 0]
