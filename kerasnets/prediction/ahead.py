"""Photos are read and prepared by threads, one a core, while the network computes the batch before.

OpenCV lets other threads run while it decodes, so two threads prepared 1.7 to 1.9 times as many photos on two cores.
Small pictures are mostly Python's work, in which threads wait for each other: two prepared 0.6 times as many of MNIST's
size, and one beside the network gained nothing.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from kerasnets.runtime.cores import cores

Given = TypeVar("Given")
Made = TypeVar("Made")

FEW = 4  # pictures that tell how long one takes
LONG = 1e-3  # seconds for one picture, from which threads are faster


def batches_ahead(make: Callable[[Given], Made], given: Sequence[Given], size: int) -> Iterator[list[Made]]:
    """Yield lists of `make(each)`, in the order of `given`. If it takes long, threads make one list ahead.

    Args:
        make: May run in several threads at once.
        given: What it is called with.
        size: Of a list, at least FEW; the last may be shorter.
    """
    begin = time.perf_counter()
    first = [make(each) for each in given[:FEW]]
    is_quick = time.perf_counter() - begin < LONG * len(first)
    if is_quick or len(given) <= FEW:
        yield first + [make(each) for each in given[FEW:size]]
        for start in range(size, len(given), size):
            yield [make(each) for each in given[start : start + size]]
        return
    from concurrent.futures import ThreadPoolExecutor  # late: few pictures need none of it

    threads = ThreadPoolExecutor(cores(), "prepare")
    try:
        following = threads.map(make, given[FEW:size])
        for start in range(size, len(given) + size, size):
            ready, following = following, threads.map(make, given[start : start + size])
            yield [*first, *ready]
            first = []
    finally:  # if the caller stops early, nothing more is prepared
        threads.shutdown(wait=False, cancel_futures=True)
