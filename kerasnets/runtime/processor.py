"""The instructions of the processor."""

import contextlib
import functools
from pathlib import Path

BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # Linux' names for products in bfloat16, on x86 and on ARM


@functools.cache
def has_bfloat16() -> bool | None:
    """Whether the processor multiplies in bfloat16; None if the system does not tell, as Linux does.

    Without these instructions bfloat16 is slower than float32: a convolution of TensorFlow took 6 to 18 times as long.
    """
    return multiplies_in_bfloat16(Path("/proc/cpuinfo"))


def multiplies_in_bfloat16(cpuinfo: Path) -> bool | None:
    """Whether the first processor in a file like /proc/cpuinfo has the instructions; None if the file does not tell."""
    with contextlib.suppress(OSError), cpuinfo.open(encoding="utf-8") as file:
        for line in file:
            if line.lower().startswith(("flags", "features")):
                return bool(BFLOAT16 & set(line.split()))
    return None
