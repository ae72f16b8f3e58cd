"""What the processor can compute."""

import contextlib
import functools

BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # Linux' names of the instructions, on x86 and on ARM


@functools.cache
def has_bfloat16() -> bool:
    """Whether the processor multiplies in bfloat16; False where the system does not tell, as it does on Linux.

    Without these instructions bfloat16 is slower than float32: a convolution of TensorFlow took 6 to 18 times as long.
    """
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.lower().startswith(("flags", "features")):
                return bool(BFLOAT16 & set(line.split()))
    return False
