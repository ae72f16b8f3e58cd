"""The backend that Keras runs on: KERAS_BACKEND, or the first installed one if it is unset."""

import contextlib
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

BACKENDS = ("torch", "tensorflow", "jax")  # in the order of choice; each is also the package's name
LAYOUTS = ("channels_last", "channels_first")  # where the channels lie inside a network

PACKAGES = {"torch": "torch torchvision", "tensorflow": "tensorflow", "jax": "jax"}  # arguments of pip install

# the packages of the extra `train`, by their names of import: the small core lacks them
TRAIN = {"keras", "h5py", "scipy", "sklearn", "safetensors", "rich", "matplotlib", "jinja2"}

ROOT = Path(__file__).resolve().parents[2]  # of the clone, if kerasnets was not installed from a wheel

_process_is_ours = False
_quiet = threading.RLock()


def own_process() -> None:
    """Declare that this process is a command of ours, so that `choose` may keep the other backends out of it."""
    global _process_is_ours
    _process_is_ours = True


def install_line(*extras: str) -> str:
    """Return the command that installs extras of kerasnets, as a person with a clone or with a wheel types it."""
    names = ",".join(extras)
    if (ROOT / "pyproject.toml").is_file():
        return f'pip install -e ".[{names}]" in the clone'
    return f'pip install "kerasnets[{names}]"'


def remedy(backend: str) -> str:
    """Return the command that installs a backend, and Keras if it is missing too."""
    return f"pip install {PACKAGES[backend]}" if is_installed("keras") else install_line(backend)


def check_packages(*packages: str) -> None:
    """Raise ImportError if one of `packages`, in TRAIN, is not installed."""
    for package in packages:
        if not is_installed(package):
            raise ImportError(f"{package} is missing, which this needs: {install_line('train')}")


def check_import(error: ImportError) -> None:
    """Raise ImportError with the line that installs it if `error` is the lack of a package in TRAIN."""
    package = (error.name or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and package in TRAIN:
        check_packages(package)


def set_default() -> None:
    """Set KERAS_BACKEND, if it is unset, to the first installed backend, if there is one."""
    backend = first_installed()
    if backend and not os.environ.get("KERAS_BACKEND"):
        os.environ["KERAS_BACKEND"] = backend


def first_installed() -> str | None:
    return next((name for name in BACKENDS if is_installed(name)), None)


def choose() -> str:
    """Set KERAS_BACKEND, if it is unset, to the first installed backend; return its name.

    It must run before the first import of Keras, and does nothing after it.

    Raises:
        ValueError: KERAS_BACKEND has an unknown name.
        ImportError: The backend, or any backend, is not installed.
    """
    if "keras" in sys.modules:
        return str(sys.modules["keras"].config.backend())
    backend = choice()
    os.environ["KERAS_BACKEND"] = backend
    if backend == "tensorflow":
        # Its own kernels have no channels_first on a CPU; oneDNN has, which it leaves out without AVX-512.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if _process_is_ours:
        sys.meta_path.insert(0, KeepOut(set(BACKENDS) - {backend}))
        if backend == "tensorflow":
            import_quietly(backend)
            tell_no_retracing()
        from kerasnets.runtime import keras_import

        keras_import.import_keras(backend)
    return backend


def choice() -> str:
    """Return the backend in KERAS_BACKEND, or the first installed one, without setting anything. Raises as `choose`."""
    backend = os.environ.get("KERAS_BACKEND") or first_installed()
    if backend is None:
        raise ImportError(f"no backend is installed; choose one, as by: {remedy('torch')}")
    if backend not in BACKENDS:
        raise ValueError(f"unknown KERAS_BACKEND {backend!r}; choose one of: {', '.join(BACKENDS)}")
    if not is_installed(backend):
        raise ImportError(f"KERAS_BACKEND is {backend}, which is not installed: {remedy(backend)}")
    check_packages("keras")
    return backend


class KeepOut:
    """Makes the import of `packages` fail as if they were not installed.

    Keras imports an installed TensorFlow and JAX under any backend, to save, to load and to set a seed, which costs
    seconds and half a GB. It is a finder and a loader without the base classes of importlib.abc, whose import costs
    every command 20 ms.
    """

    def __init__(self, packages: set[str]) -> None:
        self.packages = packages

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in self.packages else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        raise ModuleNotFoundError(f"{spec.name} is kept out of this process", name=spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Never reached."""


def admit(*packages: str) -> None:
    """Let packages that are kept out of this process be imported after all."""
    for finder in sys.meta_path:
        if isinstance(finder, KeepOut):
            finder.packages = set(finder.packages) - set(packages)


def import_quietly(package: str) -> None:
    """Import `package` without the notices that its C++ code writes to stderr before it reads any setting."""
    with quiet_stderr():
        importlib.import_module(package)


def tell_no_retracing() -> None:
    """Hide TensorFlow's warning that it traces again and again, which it does for each network of a report."""
    import logging  # TensorFlow has imported it

    logging.getLogger("tensorflow").addFilter(lambda record: "tf.function retracing" not in str(record.msg))


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Discard all that this process, C++ code included, writes to stderr. Threads take turns."""
    import tempfile  # late: it costs every command 10 ms

    with _quiet, tempfile.TemporaryFile() as notices:
        stderr = os.dup(2)
        os.dup2(notices.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def environment(**more: str) -> dict[str, str]:
    """Return the environment for a Python subprocess with this process's import path, and the variables `more`.

    By default a subprocess would import from the working directory first, which may hold the user's own numpy.py.
    """
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", **more}


def check_installed(backend: str) -> None:
    """Raise ImportError if `backend`, one of BACKENDS, is not installed."""
    if not is_installed(backend):
        raise ImportError(f"{backend} is not installed: {remedy(backend)}")


def is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
