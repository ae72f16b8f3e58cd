"""The workers of one training in touch, on every backend alike: they meet, compare, agree, and notice a lost one.

Worker 0 listens at one port; each other worker has two connections to it. On one, the main threads exchange small
things in turn: addresses, settings, the wish to stop. On the other, threads exchange a beat each second, so that a
worker that was killed or stopped ends all others within seconds, whatever call of a backend they wait in. No numbers
of the training pass here: these are exchanged by the backend. What is received is JSON or bytes, never a pickle.
"""

import contextlib
import json
import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from kerasnets.runtime.connections import frame, go_to_leader, receive, split, wait_for_all
from kerasnets.runtime.workers import Place

WAIT = 300.0  # seconds for all workers to come
BEAT = 1.0  # seconds between two beats
SILENCE = 20.0  # seconds without a beat after which a worker counts as lost
WORK = 300.0  # the same for one that has announced work of its own: libraries that it loads may leave no time for beats
LOST = 4  # exit code of the workers that are left: something of the environment


class Meeting:
    """All workers of a training in touch.

    Args:
        place: Of this worker.
        seconds: For all workers to come.
        stderr: The file descriptor on which this process may report a lost worker.

    Raises:
        TimeoutError: Not all have come in time.
        OSError: The port is in use, or the workers contradict each other.
    """

    def __init__(self, place: Place, seconds: float = WAIT, stderr: int = 2) -> None:
        self.place = place
        talks, beats = wait_for_all(place, seconds) if place.leads else go_to_leader(place, seconds)
        self.talks = talks
        self.watch = Watch(place, beats, stderr)
        self.watch.start()
        self.addresses: list[str] = self.exchange(talks[min(talks)].getsockname()[0])

    def exchange(self, item: Any) -> list[Any]:
        """Return [the item of each worker], of JSON. All workers must call this in the same order."""
        return [json.loads(content) for content in self.exchange_bytes(json.dumps(item).encode())]

    def exchange_bytes(self, content: bytes) -> list[bytes]:
        """Return [the bytes of each worker]."""
        try:
            if self.place.leads:
                contents = [content, *(receive(self.talks[rank]) for rank in sorted(self.talks))]
                whole = b"".join(map(frame, contents))
                for talk in self.talks.values():
                    talk.sendall(frame(whole))
                return contents
            [talk] = self.talks.values()
            talk.sendall(frame(content))
            return split(receive(talk))
        except OSError as error:
            self.watch.wait()  # for the thread to say which worker is lost, and to end this process
            raise OSError(f"the workers lost touch ({error})") from error

    def share(self, content: bytes) -> bytes:
        """Return the bytes of worker 0."""
        return self.exchange_bytes(content if self.place.leads else b"")[0]

    def leave(self) -> None:
        """Part from the others, when all of them call this."""
        self.watch.say({"bye": True})
        self.exchange(None)
        self.close()

    def close(self) -> None:
        self.watch.over = True
        self.watch.join(2 * BEAT)
        for talk in [*self.talks.values(), *self.watch.peers.values()]:
            talk.close()

    def fail(self, problem: str) -> None:
        """Tell the others that this worker ends with an error; worker 0 prints the problem, unless it is empty.

        A launcher ends all workers when one has ended. Worker 0 is therefore given the time to print.
        """
        self.watch.over = True
        self.watch.say({"fail": problem})
        if not self.place.leads:
            self.watch.wait_for_end(0)
            self.close()


class Watch(threading.Thread):
    """Ends this process when another worker is lost.

    Args:
        place: Of this worker.
        peers: {rank: connection}.
        stderr: A file descriptor.

    Attributes:
        note: Called for the words on what is kept of the training.
        over: Whether nothing is watched any more.
    """

    def __init__(self, place: Place, peers: dict[int, socket.socket], stderr: int = 2) -> None:
        super().__init__(name="workers", daemon=True)
        self.place, self.peers, self.stderr = place, peers, stderr
        self.note: Callable[[], str] = str
        self.over = False
        self.gone: set[int] = set()  # that have said good-bye
        self.limits = dict.fromkeys(peers, SILENCE)
        self.texts = dict.fromkeys(peers, b"")
        self.seen = dict.fromkeys(peers, time.monotonic())

    def run(self) -> None:
        selector, sent, before = selectors.DefaultSelector(), 0.0, time.monotonic()
        for rank, peer in self.peers.items():
            peer.settimeout(SILENCE)
            selector.register(peer, selectors.EVENT_READ, rank)
        while not self.over and len(self.gone) < len(self.peers):
            now = time.monotonic()
            if now - sent > BEAT:
                self.say(None)
                sent = now
            for key, _ in selector.select(BEAT / 4):
                self.seen[key.data] = time.monotonic()
                if not self.listen(key.data):
                    selector.unregister(key.fileobj)
            now = time.monotonic()
            if now - before > SILENCE / 2:  # this process itself was stopped for a while
                self.seen = dict.fromkeys(self.peers, now)
            before = now
            for rank, seen in self.seen.items():
                if rank not in self.gone and now - seen > self.limits[rank]:
                    self.end(rank, f"worker {rank} does not answer any more")

    def say(self, message: Any) -> None:
        """Send a message to all peers; None is a beat."""
        for peer in self.peers.values():
            with contextlib.suppress(OSError):  # `listen` notices it
                peer.sendall(json.dumps(message).encode() + b"\n")

    def listen(self, rank: int) -> bool:
        """Read what a peer says; return whether it may say more."""
        content = b""
        with contextlib.suppress(OSError, ValueError):
            content = self.peers[rank].recv(2**16)
        *lines, self.texts[rank] = (self.texts[rank] + content).split(b"\n")
        for line in lines:
            message = json.loads(line) or {}
            if "bye" in message:
                self.gone.add(rank)
            elif "work" in message:
                self.limits[rank] = WORK
            elif "fail" in message:
                self.give_way(rank)
                self.end(rank, message["fail"] and f"worker {rank}: {message['fail']}")
        if not content and rank not in self.gone:
            self.end(rank, f"worker {rank} ended")
        return bool(content)

    def end(self, rank: int, problem: str) -> None:
        """End this process because of worker `rank`, and the others through worker 0. Worker 0 tells why, if it can."""
        if self.over:
            return
        if self.place.leads:
            self.peers.pop(rank)
            self.say({"fail": ""})
        if problem and (self.place.leads or rank == 0):
            with contextlib.suppress(Exception):
                problem += self.note()
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                os.write(self.stderr, f"error: {problem}\n".encode())
        os._exit(LOST)

    def give_way(self, rank: int) -> None:
        """Let the main thread fail by itself, for the same reason, or worker 0 print."""
        if rank == 0:
            self.wait_for_end(0)
        for _ in range(10):
            if self.over:
                return
            time.sleep(0.1)

    def wait_for_end(self, rank: int) -> None:
        """Wait until worker `rank` has ended, for some seconds at most."""
        deadline = time.monotonic() + 5
        with contextlib.suppress(OSError):
            self.peers[rank].settimeout(1)
            while time.monotonic() < deadline and self.peers[rank].recv(2**16):
                pass

    def wait(self) -> None:
        """Give the thread the time to end this process."""
        if threading.current_thread() is not self:
            self.join(SILENCE + 5)


def descriptor_of_stderr() -> int:
    """Return where Python prints errors: the command line gives 2 to C code, whose words go nowhere."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # no stderr, or one that is no file
        return 2
