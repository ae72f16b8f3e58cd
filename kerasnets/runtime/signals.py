"""Ctrl-C and SIGTERM: they end a script at once, and a training after the step at hand.

An exception that a signal raises in the middle of a step can be swallowed by a backend's C++ code, and the training
goes on; so while a step runs the signal is only noted.
"""

import contextlib
import signal

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class Stopped(KeyboardInterrupt):
    """A script was asked to stop, by the signal whose number is its first argument; `note` says what is kept."""

    note = ""

    @property
    def exit_code(self):
        return 128 + self.args[0]

    def __str__(self):
        return f"stopped by {NAMES[self.args[0]]}{'; ' if self.note else ''}{self.note}"


class Signals:
    """What was asked for so far."""

    asked = None  # the signal's number
    deferring = False


def install():
    """Let both signals raise Stopped in this process's main thread."""
    for number in NAMES:
        signal.signal(number, handle)


def handle(number, frame):
    impatient, Signals.asked = Signals.asked is not None, number
    if impatient or not Signals.deferring:
        raise Stopped(number)


@contextlib.contextmanager
def after_the_step():
    """Within, a first signal is noted and raised by `check`; a second one is raised at once."""
    Signals.deferring = True
    try:
        yield
    finally:
        Signals.deferring = False
    check()


def check():
    """Raise Stopped where a signal was noted."""
    if Signals.asked is not None:
        raise Stopped(Signals.asked)
