"""Files changed at random, with right checksums again: what becomes of each, and what it costs."""

import collections
import copy
import os
import struct
import threading
import zlib
from pathlib import Path

from kerasnets.errors import BadInputError, is_full_memory, visible

SECONDS, MEBIBYTES = 5, 512  # the most that a bad file may take in addition to a good one
LONGEST = 300  # characters of a refusal; a terminal shows 200
NUMBERS = (0, 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63)
VALUES = (None, True, -1, 0, 1, 2**31, 2**63, 2**70, 0.5, 1e308, float("nan"), "", "\x1b[2J\n", "x" * 1000, [], {}, [0])


def changed_bytes(content, rng):
    """Return `content` with a bit, a byte, up to 16 bytes or a number changed, or a part copied to another place."""
    changed, place, source = bytearray(content), *(int(rng.integers(len(content))) for _ in range(2))
    width = int(rng.choice([2, 4, 8, 16]))
    patch = [
        bytes([content[place] ^ 1 << int(rng.integers(8))]),
        bytes([int(rng.choice([0, 1, 0x7F, 0x80, 0xFF]))]),
        rng.bytes(width),
        (int(rng.choice(NUMBERS)) & ((1 << 8 * width) - 1)).to_bytes(width, "little"),
        content[source : source + 8 * width],
    ][int(rng.integers(5))]
    changed[place : place + len(patch)] = patch
    return bytes(changed)


def changed_json(value, rng):
    """Return a JSON value with one of its parts replaced, removed, doubled or put in another place."""
    value = copy.deepcopy(value)
    places = list(places_in(value))
    holder, key = places[int(rng.integers(len(places)))]
    other = places[int(rng.integers(len(places)))]
    kind = int(rng.integers(6))
    if kind <= 2:
        holder[key] = VALUES[int(rng.integers(len(VALUES)))]
    elif kind == 3:
        del holder[key]
    elif kind == 4:
        holder[key] = copy.deepcopy(other[0][other[1]])
    elif isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif isinstance(holder[key], (int, float)):
        holder[key] *= -1 if rng.integers(2) else 2 ** int(rng.integers(1, 40))
    return value


def places_in(value):
    """Yield (list or dict, index or key) of each part of a JSON value, at every depth."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places_in(value[key])


def mend(content):
    """Make the checksums of a PNG right again, as far as its chunks can be told."""
    position = 8
    while position + 12 <= len(content):
        end = position + 8 + int.from_bytes(content[position : position + 4], "big")
        if end + 4 > len(content):
            break
        content[end : end + 4] = struct.pack(">I", zlib.crc32(content[position + 4 : end]))
        position = end + 4


def try_mutants(good, mutants, ask, names=("mutant",)):
    """Return what becomes of mutants: {"taken", "refused", "wrong", "seconds", "mebibytes"}.

    Args:
        good: A good file; what it costs is no fault of a mutant.
        mutants: Yields paths, each after the file there was written.
        ask: Reads the file at a path, as a person would; raises BadInputError to refuse it.
        names: One of them is in each refusal.
    """
    ask(good)  # late imports happen now
    allowed = cost(ask, good)[1:]
    found = collections.Counter(taken=0, refused=0)
    wrong, worst = [], (0.0, 0.0)
    for i, path in enumerate(mutants):
        error, *spent = cost(ask, path)
        if isinstance(error, BadInputError):
            words = str(error)
            found["refused"] += 1
            if visible(words) != words or not any(name in words for name in names) or len(words) > LONGEST:
                wrong.append(f"{i}: {words!r:.300}")
        elif error is None:
            found["taken"] += 1
        else:
            wrong.append(f"{i}: {error!r:.300}{' (memory)' if is_full_memory(error) else ''}")
        worst = tuple(map(max, worst, (a - b for a, b in zip(spent, allowed, strict=True))))
    return {**found, "wrong": wrong, "seconds": round(worst[0], 2), "mebibytes": round(worst[1])}


def cost(ask, path):
    """Return (error or None, CPU seconds with ended children, MiB at the most beyond now) of ask(path).

    The memory is that of this process and of its largest child together.
    """
    forget_most_memory()
    before, begun = memory("VmRSS"), sum(os.times()[:4])
    with Children() as children:
        try:
            ask(path)
            error = None
        except Exception as caught:  # whatever reaches the person who asked
            error = caught.with_traceback(None)
    return error, sum(os.times()[:4]) - begun, memory("VmHWM") - before + children.most


def forget_most_memory():
    Path("/proc/self/clear_refs").write_text("5")


def memory(line, process="self"):
    """Return a line of a process' status (Linux), in MiB; 0 if the process has ended."""
    try:
        with open(f"/proc/{process}/status") as file:
            return next((int(row.split()[1]) / 1024 for row in file if row.startswith(line)), 0)
    except (FileNotFoundError, ProcessLookupError):
        return 0


class Children:
    """Watches the processes that this one starts within a block (Linux).

    The system's own figure (ru_maxrss) would not do: that of a new process starts at the size of its parent.

    Attributes:
        most: MiB that the largest of them had at the most.
    """

    PAUSE = 0.005  # seconds between two looks; what a process takes after the last is missed

    def __enter__(self):
        self.most, self.others, self.ended = 0, set(), threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def watch(self):
        while True:
            for process in filter(str.isdigit, os.listdir("/proc")):
                if process not in self.others and self.is_child(process):
                    self.most = max(self.most, memory("VmHWM", process))
            if self.ended.wait(self.PAUSE):
                return

    def is_child(self, process):
        """Whether a process is a child that runs a program of its own, and no longer has this one's memory."""
        try:
            parent = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
            if parent != os.getpid():
                self.others.add(process)
                return False
            return Path(f"/proc/{process}/cmdline").read_bytes() != Path("/proc/self/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return False


def check(result):
    """Assert that no mutant was answered in a way that a person should not see, or at too high a cost."""
    print(result)
    assert result["wrong"] == []
    assert result["seconds"] < SECONDS
    assert result["mebibytes"] < MEBIBYTES
    assert result["refused"] > 0
