"""The pictures that are sent to the page's server, decoded so that a costly one holds up no other."""

import asyncio
import os
import sys

import numpy as np
from starlette.concurrency import run_in_threadpool

from kerasnets import pictures
from kerasnets.errors import name_path
from kerasnets.pictures import costs, decoder
from kerasnets.runtime import child
from kerasnets.runtime.backends import environment

AT_ONCE = 2  # costly pictures, each in a process of its own
MOST_WAITING = 8  # costly pictures; a further one is refused
THREADS = 4  # for all others


class BusyError(RuntimeError):
    """Too many pictures are waiting."""


class Decoder:
    """Decodes PNG and JPEG files of ordinary size in threads, and all others in processes with limits."""

    def __init__(self) -> None:
        self.waiting = 0
        self.processes = asyncio.Semaphore(AT_ONCE)
        self.threads = asyncio.Semaphore(THREADS)

    async def decode(self, content: bytes, name: str) -> np.ndarray:
        """Return uint8 (height, width, 3) RGB as `pictures.decode` does.

        Raises:
            BadInputError: As of `pictures.decode`.
            BusyError: Too many costly pictures are waiting.
        """
        with name_path(name):
            is_small = not content or costs.is_small_photo(content)
        if is_small:
            async with self.threads:
                return await run_in_threadpool(pictures.decode, content, name)
        if self.waiting >= AT_ONCE + MOST_WAITING:
            raise BusyError("too many large pictures are being read; try again in some seconds")
        self.waiting += 1
        try:
            async with self.processes:
                with name_path(name):
                    return await decode_apart(content)
        finally:
            self.waiting -= 1


async def decode_apart(content: bytes) -> np.ndarray:
    """Like `decoder.decode`; the process is killed if the task is cancelled, as when the server ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", decoder.__name__, env=environment(**{child.PARENT: str(os.getpid())}),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(content), decoder.PATIENCE)
    except TimeoutError as error:
        raise decoder.too_costly("long") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None  # it has ended
    return decoder.picture_of(process.returncode, output)
