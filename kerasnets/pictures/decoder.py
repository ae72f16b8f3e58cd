"""The process that decodes a picture whose cost its structure does not bound: text, JPEG 2000, AVIF, and large others.

A few kilobytes of AVIF may hold thousands of hidden frames, and a TIFF any other format, so that their cost is known
only when they have been decoded. The process has limits on computing time and memory; its start costs 0.2 seconds.
"""

import json
import signal
import struct
import subprocess
import sys

import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.pictures.limits import MEMORY, SECONDS, SIMPLER
from kerasnets.runtime import child

PATIENCE = 60  # seconds of wall-clock time, for a busy machine
BAD_INPUT = 3  # exit code of a picture that is refused
TIMERS = {getattr(signal, name, None) for name in ("SIGPROF", "SIGXCPU")}  # signals that end it when its time is up
SIZE = struct.Struct("<II")  # height and width, before the pixels


def decode(content: bytes) -> np.ndarray:
    """Return uint8 (height, width, 3) RGB, upright, decoded in a process of its own.

    Raises:
        BadInputError: Without a path. There is no picture, or decoding exceeds the limits on time or memory.
    """
    try:
        process = child.run(__name__, seconds=PATIENCE, stdin=content)
    except subprocess.TimeoutExpired as error:
        raise too_costly("long") from error
    return picture_of(process.returncode, process.stdout)


def picture_of(code: int, output: bytes) -> np.ndarray:
    """Return the picture that the process has written, or raise the error that ended it, by its exit code."""
    if code == BAD_INPUT:
        problem, remedy = json.loads(output)
        raise BadInputError(problem, remedy=remedy)
    if code and child.is_tight(MEMORY):
        raise MemoryError("too little memory to decode a picture")
    if code:
        raise too_costly("long" if -code in TIMERS else "much memory")
    height, width = SIZE.unpack_from(output)
    return np.frombuffer(bytearray(output), np.uint8, offset=SIZE.size).reshape(height, width, 3)


def too_costly(words: str) -> BadInputError:
    return BadInputError(f"takes too {words} to decode", remedy=SIMPLER)


def main() -> int:
    """Decode the picture on standard input within the limits; write its size and pixels, or the words of a refusal."""
    from kerasnets.pictures import pillow, plain

    child.end_with_parent()
    content = sys.stdin.buffer.read()
    child.limit(MEMORY, SECONDS)
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # SIGPROF ends this process
    try:
        pixels = plain.decode(content)
        if pixels is None:
            pixels = pillow.decode(content)
    except BadInputError as error:
        sys.stdout.write(json.dumps([error.problem, error.remedy]))
        return BAD_INPUT
    assert pixels is not None  # cheap or not
    sys.stdout.buffer.write(SIZE.pack(*pixels.shape[:2]))
    sys.stdout.buffer.write(pixels.data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
