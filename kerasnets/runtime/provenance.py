"""Where a figure comes from: versions, machine, commit."""

import contextlib
import os
import platform
import sys
from pathlib import Path


def commit():
    """The commit that kerasnets is checked out at, "-dirty" where its code differs from it; "" without a checkout."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return ""
    try:
        number = git(folder, "rev-parse", "--short=12", "HEAD")
        return number + ("-dirty" if number and git(folder, "status", "--porcelain", "kerasnets") else "")
    except FileNotFoundError:  # no git here
        return ""


def git(folder, *arguments):
    """What git prints; "" where it fails."""
    import subprocess

    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True).stdout.strip()


def versions():
    """Of Python, and of the packages that this process's figures come from; Keras is imported."""
    packages = ("kerasnets", "keras", sys.modules["keras"].backend.backend(), "numpy")
    return {"python": platform.python_version()} | {name: str(sys.modules[name].__version__) for name in packages}


def machine():
    """The machine in words: cores, processor, and the accelerator that the backend computes on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        name = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), name)
    return f"{cores} core{'s' if cores > 1 else ''} of {name}{accelerator()}"


def accelerator():
    """The graphics processor that torch or JAX finds, as " and ..."; "" without one."""
    torch, jax = sys.modules.get("torch"), sys.modules.get("jax")
    if torch and torch.cuda.is_available():
        return f" and {torch.cuda.get_device_name()}"
    if jax and jax.default_backend() != "cpu":
        return f" and {jax.devices()[0].device_kind}"
    return ""
