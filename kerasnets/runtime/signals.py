"""Ctrl-C, SIGTERM and SIGHUP (of a closed terminal): they end a command at once, a training after its current step.

If a signal raised an exception in the middle of a step, a backend's C++ code could swallow it and the training would go
on. While a step runs, the signal is therefore only recorded.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
if hasattr(signal, "SIGHUP"):  # Windows has none
    NAMES[signal.SIGHUP] = "SIGHUP"


class Stopped(KeyboardInterrupt):
    """The process received the signal whose number is the first argument; `note` says which results are kept."""

    note = ""

    @property
    def exit_code(self) -> int:
        return 128 + int(self.args[0])

    def __str__(self) -> str:
        return f"stopped by {NAMES[self.args[0]]}{'; ' if self.note else ''}{self.note}"


class Signals:
    """The signals that this process has received."""

    received: int | None = None  # number of the first one
    at = 0.0  # when it came
    patience = 0.0  # seconds after it in which others are ignored: a launcher passes on what a terminal sent already
    deferring = False


def install() -> None:
    """Make these signals raise Stopped in the main thread of this process. Under nohup, SIGHUP stays ignored."""
    for number, name in NAMES.items():
        if name != "SIGHUP" or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handle)


def take_back() -> None:
    """Let Python handle these signals again: TensorFlow and JAX take SIGTERM for themselves when workers connect."""
    if threading.current_thread() is threading.main_thread():
        for number in NAMES:
            if signal.getsignal(number) is handle:
                signal.signal(number, handle)


def handle(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    is_second = Signals.received is not None
    if is_second and now - Signals.at < Signals.patience:
        return
    Signals.received, Signals.at = number, now
    if is_second or not Signals.deferring:
        raise Stopped(number)


@contextlib.contextmanager
def after_the_step() -> Iterator[None]:
    """Within the block, record the first signal for `check` to raise; raise a second one at once."""
    Signals.deferring = True
    try:
        yield
    finally:
        Signals.deferring = False
    check()


def check() -> None:
    """Raise Stopped if a signal was recorded."""
    if Signals.received is not None:
        raise Stopped(Signals.received)
