"""What produced a figure: versions, machine and commit."""

import contextlib
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from kerasnets.runtime.accelerators import accelerator
from kerasnets.runtime.cores import cores

CHECKOUT = Path(__file__).resolve().parents[2]  # only if there is a .git in it
MEASURED = ("keras", "torch", "tensorflow", "jax", "opencv-python", "onnxruntime", "openvino", "numpy")


def versions() -> dict[str, str]:
    """Return {package: version} of Python and of the packages that compute in this process; Keras is imported."""
    packages = ("kerasnets", "keras", sys.modules["keras"].backend.backend(), "numpy")
    return {"python": platform.python_version()} | {name: str(sys.modules[name].__version__) for name in packages}


def installed_versions(packages: tuple[str, ...] = MEASURED) -> dict[str, str]:
    """Return {package: version} of those `packages` that are installed, without importing them."""
    result = {}
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            result[package] = metadata.version(package)
    return result


def machine() -> str:
    """Describe the machine: cores, processor, and the accelerator of the backend if Keras is imported."""
    count = cores()
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        name = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), name)
    found = accelerator(sys.modules["keras"].backend.backend()) if "keras" in sys.modules else None
    return f"{count} core{'s' if count > 1 else ''} of {name}{f' and {found[0]}' if found else ''}"


def commit() -> str:
    """Return the commit of this checkout of kerasnets, with "-dirty" if its code was changed; "" outside a checkout."""
    if not (CHECKOUT / ".git").exists():
        return ""
    try:
        number = git("rev-parse", "--short=12", "HEAD")
        return number + ("-dirty" if number and git("status", "--porcelain", "kerasnets") else "")
    except FileNotFoundError:  # git is not installed
        return ""


def git(*arguments: str) -> str:
    """Return what git prints for this checkout; "" if it fails."""
    return subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True).stdout.strip()
