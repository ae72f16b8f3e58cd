"""Which backend Keras runs on: KERAS_BACKEND alone decides; where it is unset, the first installed one."""

import contextlib
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import tempfile
import threading

BACKENDS = ("torch", "tensorflow", "jax")  # in the order of choice; each is also the package's name
LAYOUTS = ("channels_last", "channels_first")  # where the channels lie inside a network

PACKAGES = {"torch": "torch torchvision", "tensorflow": "tensorflow", "jax": "jax"}  # what pip installs for each

_process_is_ours = False
_quiet = threading.RLock()


def own_process():
    """Let `choose` keep the other backends out of this process, since nobody else in it wants them: a script's does."""
    global _process_is_ours
    _process_is_ours = True


def choose():
    """Set KERAS_BACKEND, where it is unset, to the first installed backend and say so on stderr; return its name.

    Does nothing once Keras is imported. Raises ValueError for an unknown name, ImportError for a missing package.
    """
    if "keras" in sys.modules:
        return sys.modules["keras"].config.backend()
    backend = named()
    if not os.environ.get("KERAS_BACKEND"):
        os.environ["KERAS_BACKEND"] = backend
        print(f"KERAS_BACKEND is not set: using {backend}", file=sys.stderr)
    if backend == "tensorflow":
        # Its own kernels have no channels_first on a CPU; oneDNN has, which it leaves out without AVX-512.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if _process_is_ours:
        sys.meta_path.insert(0, KeepOut(set(BACKENDS) - {backend}))
        if backend == "tensorflow":
            import_quietly(backend)
    return backend


def named():
    """The backend that KERAS_BACKEND names, or the first installed one; nothing is set by it. Raises as `choose`."""
    backend = os.environ.get("KERAS_BACKEND") or next((name for name in BACKENDS if is_installed(name)), None)
    if backend is None:
        raise ImportError(f"no backend is installed; choose one, as by: pip install {PACKAGES['torch']}")
    if backend not in BACKENDS:
        raise ValueError(f"unknown KERAS_BACKEND {backend!r}; choose one of: {', '.join(BACKENDS)}")
    if not is_installed(backend):
        raise ImportError(f"KERAS_BACKEND is {backend}, which is not installed: pip install {PACKAGES[backend]}")
    return backend


class KeepOut:
    """Makes the import of `packages` fail as if they were not installed.

    Keras imports TensorFlow and JAX under any backend where they are installed, to save, to load and to set a seed:
    seconds and half a GB for nothing.
    """

    def __init__(self, packages):
        self.packages = packages

    def find_spec(self, fullname, path=None, target=None):
        return importlib.machinery.ModuleSpec(fullname, self) if fullname in self.packages else None

    def create_module(self, spec):
        raise ModuleNotFoundError(f"{spec.name} is kept out of this process", name=spec.name)

    def exec_module(self, module):
        pass  # never reached


def import_quietly(package):
    """Import `package` without the notices that its C++ part writes to stderr before it obeys any setting."""
    with quiet_stderr():
        importlib.import_module(package)


@contextlib.contextmanager
def quiet_stderr():
    """Hold back what anything in this process, C++ too, writes to stderr. Of several threads, one at a time."""
    with _quiet, tempfile.TemporaryFile() as notices:
        stderr = os.dup(2)
        os.dup2(notices.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def environment(**more):
    """The environment of a Python process that finds what this one finds, and no more; `more` variables are set there.

    Of itself it would look into the working directory first, where a person's numpy.py may lie.
    """
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", **more}


def check_installed(backend):
    """Raise ImportError for one of BACKENDS that is not installed."""
    if not is_installed(backend):
        raise ImportError(f"{backend} is not installed: pip install {PACKAGES[backend]}")


def is_installed(package):
    return importlib.util.find_spec(package) is not None
