"""The number of processor cores."""

import os


def cores() -> int:
    """Return the number of cores that this process may use; a container's share of their time is not known."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
