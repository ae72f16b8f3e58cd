"""A write that fails leaves the earlier file, whichever write it is, and says so."""

import contextlib
import errno
import importlib
import os
import shutil
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest

from kerasnets.runtime import atomic
from tests.conftest import ROOT

# Fails the n-th call of a kind below a folder: as a disk that fails once, or from then on. Loaded before the C library.
FAULTS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>
static int kind, left, number, lasting, calls;
static char root[512];
void arm(int k, int n, int e, int l, const char *f) {
  kind = k; left = n; number = e; lasting = l; calls = 0; strncpy(root, f, 511);
}
int count(void) { kind = 0; return calls; }
static int below(const char *path) { return path && strstr(path, root); }
static int open_below(int fd) {
  char link[64], path[1024]; int before = errno;
  snprintf(link, 64, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, 1023); errno = before;
  if (size < 0) return 0;
  path[size] = 0; return below(path);
}
static int fails(int k, int is_below) {
  if (k != kind || !is_below) return 0;
  calls++;
  if (--left > 0 || (left < 0 && !lasting)) return 0;
  errno = number; return 1;
}
#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)
#define WRITES(fd) if (kind == 1 && fails(1, open_below(fd))) return -1
#define OPENS(path) va_list a; va_start(a, flags); int mode = va_arg(a, int); va_end(a); \
  if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && fails(4, below(path))) return -1
ssize_t writev(int fd, const struct iovec *b, int n) { REAL(writev); WRITES(fd); return real(fd, b, n); }
ssize_t write(int fd, const void *b, size_t n) { REAL(write); WRITES(fd); return real(fd, b, n); }
ssize_t pwrite(int fd, const void *b, size_t n, off_t o) { REAL(pwrite); WRITES(fd); return real(fd, b, n, o); }
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t o) { REAL(pwrite64); WRITES(fd); return real(fd, b, n, o); }
int fsync(int fd) { REAL(fsync); if (kind == 2 && fails(2, open_below(fd))) return -1; return real(fd); }
int rename(const char *a, const char *b) { REAL(rename); if (fails(3, below(a))) return -1; return real(a, b); }
int open(const char *path, int flags, ...) { REAL(open); OPENS(path); return real(path, flags, mode); }
int open64(const char *path, int flags, ...) { REAL(open64); OPENS(path); return real(path, flags, mode); }
"""
KINDS = {1: errno.ENOSPC, 2: errno.EIO, 3: errno.EACCES, 4: errno.EACCES}  # write, fsync, rename, open
SEVERAL = {".keras", ".h5", "checkpoint"}  # forms that are tried in every run

TRIAL = """
import ctypes, sys
from pathlib import Path
from kerasnets.runtime import backends
backends.own_process(); backends.choose()
from tests.runtime import test_faults
test_faults.try_all(ctypes.CDLL(None), sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
"""


# ---- in a process of its own, with the faults


def writers():
    """{form: (name of the file, function that writes a version, 0 or 1, to a path)}."""
    import kerasnets
    from kerasnets.convert import weight_files
    from kerasnets.training import checkpoints, report

    networks = [kerasnets.build("fc2layer") for _ in range(2)]
    card = kerasnets.Card("fc2layer", tuple("0123456789"), networks[0].input_shape[1:])
    small = [kerasnets.build("dnn_tabular", num_classes=3) for _ in range(2)]
    rows = kerasnets.Card("dnn_tabular", tuple("012"), small[0].input_shape[1:], "row")
    arrays = [{f"layers/a/{i}": np.full((200, 50), version + i, "float32") for i in range(5)} for version in (0, 1)]

    def checkpoint(path, version):
        checkpoints.save(path.parent, checkpoints.Checkpoint(3, {}, arrays[version]))

    def folder(path, version):
        with atomic.whole_folder(path) as part:
            for i in range(3):
                (part / str(i)).write_bytes(bytes([version]) * 5000)

    def model(path, version):
        kerasnets.save(networks[version], path, card, scaling=(1 / 255, 0.0))

    def tensors(path, version):
        weight_files.write_tensors(arrays[version], path)

    def exported(path, version):
        """As `export`, but in this process, in which the calls fail."""
        export = importlib.import_module("kerasnets.export")
        kerasnets.save(small[version], path.parent.with_name(f"{version}.keras"), rows)
        with mock.patch.object(
            export, "Worker", return_value=contextlib.nullcontext(lambda call, *given: call(*given))
        ):
            export.export(path.parent.with_name(f"{version}.keras"), path)

    return {
        ".keras": ("a.keras", model),
        ".h5": ("a.h5", model),
        "checkpoint": ("epoch-00003.npz", checkpoint),
        ".safetensors": ("a.safetensors", tensors),
        ".pth": ("a.pth", tensors),
        ".csv": ("a.csv", lambda path, version: report.write_csv(path, "x", {"y": [version] * 20000})),
        "folder": ("folder", folder),
        ".xml": ("a.xml", exported),
    }


def content(path):
    if path.is_dir():
        return {file.name: file.read_bytes() for file in path.iterdir()}
    return path.read_bytes()


def try_all(library, form, root, lasting):
    """Let each call of each kind fail in turn; print what is wrong, then the number of trials."""
    name, write = writers()[form]
    trials = 0
    for kind, number in KINDS.items():
        for n in range(1, 1000):
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir()
            write(root / name, 0)
            old = {path.name: content(path) for path in root.iterdir()}
            library.arm(kind, n, number, lasting, os.fsencode(root))
            try:
                write(root / name, 1)
                said = None
            except BaseException as error:
                said = error
            if library.count() < n:
                break
            trials += 1
            told = isinstance(said, OSError) and said.errno in (number, errno.EIO)  # C++ does not tell the reason
            if not told or os.path.splitext(root / name)[0] not in str(said):
                print(f"{form}: call {n} of kind {kind}: {said!r}")
            if not (root / name).exists():  # a lasting failure between the two renames of a folder
                atomic.sweep_folders(root / name)  # as the next writer does
            if any(content(root / each) != earlier for each, earlier in old.items()):
                print(f"{form}: call {n} of kind {kind}: the file is not the earlier one")
            if not lasting and {path.name for path in root.iterdir()} != old.keys():
                print(f"{form}: call {n} of kind {kind}: {os.listdir(root)} is left")
    print("trials", trials)


# ---- the tests


@pytest.fixture(scope="session")
def faults(tmp_path_factory):
    """The library that makes calls fail."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if sys.platform != "linux" or not compiler:
        pytest.skip("needs Linux and a C compiler")
    folder = tmp_path_factory.mktemp("faults")
    (folder / "faults.c").write_text(FAULTS)
    subprocess.run([compiler, "-w", "-shared", "-fPIC", "-o", "faults.so", "faults.c", "-ldl"], cwd=folder, check=True)
    return folder / "faults.so"


@pytest.mark.parametrize("lasting", [0, pytest.param(1, marks=pytest.mark.all_faults)])
@pytest.mark.parametrize("form", [
    form if form in SEVERAL else pytest.param(form, marks=pytest.mark.all_faults)
    for form in (".keras", ".h5", "checkpoint", ".safetensors", ".pth", ".csv", "folder", ".xml")
])  # fmt: skip
def test_the_nth_call_that_fails_leaves_the_earlier_file_and_raises_an_oserror(faults, tmp_path, form, lasting):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TRIAL, form, str(tmp_path / "place"), str(lasting)],
        env=os.environ | {"LD_PRELOAD": str(faults), "KERAS_BACKEND": "torch", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    *wrong, last = done.stdout.splitlines()
    assert wrong == []
    assert int(last.removeprefix("trials ")) >= 6
