"""Under a limit on its memory, a command that has too little says so in one line, whichever library runs out of it."""

import importlib.util
import subprocess
import sys

import cv2
import pytest
from PIL import Image

from kerasnets.errors import BadInputError
from kerasnets.pictures import decoder
from kerasnets.runtime import child, room
from kerasnets.runtime.backends import environment
from kerasnets.saving import keras_check
from tests.conftest import ROOT, mostly_torch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process so")

MODEL = ROOT / "models_saved/pretrained/mnist_cnn-mnist"
PICTURE = ROOT / "docs/samples/three-on-paper.jpg"
LIMITED = """
import resource, sys
from kerasnets.cli import app
name, _, mebibytes = sys.argv.pop(1).partition("=")
resource.setrlimit(getattr(resource, name), (int(mebibytes) << 20,) * 2)
from kerasnets.cli.main import main
main()
"""
NEEDS = "error: too little memory: {} needs more than the {:,} MiB that this process may have; raise its limit"


def run(mebibytes, *words, limit="RLIMIT_AS", **variables):
    """Return (exit code, standard error) of a command in a process with so much memory."""
    command = [sys.executable, "-c", LIMITED, f"{limit}={mebibytes}", *map(str, words)]
    done = subprocess.run(command, env=environment(**variables), capture_output=True, text=True)
    return done.returncode, done.stderr


def test_help_takes_no_library():
    assert run(70, "--help") == (0, "")


@pytest.fixture(autouse=True)
def usual_threads(monkeypatch):
    """As many as a person has, each of which takes memory."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.parametrize(("limit", "mebibytes"), [
    ("RLIMIT_AS", 80), ("RLIMIT_AS", 140), ("RLIMIT_AS", 400), ("RLIMIT_AS", 480),
    ("RLIMIT_DATA", 20), ("RLIMIT_DATA", 80), ("RLIMIT_DATA", 200),
])  # fmt: skip
def test_a_prediction_without_a_framework_says_what_needs_more_memory(limit, mebibytes):
    code, line = run(mebibytes, "predict", MODEL.with_suffix(".onnx"), PICTURE, limit=limit)
    assert code == 4
    library = "cv2" if mebibytes > 100 and " cv2 " in line else "numpy"  # NumPy needs more on many cores
    assert line.startswith(NEEDS.format(library, mebibytes))
    assert line.count("\n") == 1


@pytest.mark.parametrize("backend", mostly_torch())
def test_a_prediction_by_a_framework_says_what_needs_more_memory(backend):
    code, line = run(1500, "predict", MODEL.with_suffix(".keras"), PICTURE, KERAS_BACKEND=backend)
    assert code == 4
    assert line.startswith(NEEDS.format(backend, 1500))
    assert line.count("\n") == 1


def test_a_process_of_a_backend_that_ends_is_one_line():
    code, line = run(1500, "verify", "lenet5")
    assert code == 4
    assert line.startswith("error: too little memory, probably: the process of torch has ended; free some")
    assert line.count("\n") == 1


def test_a_good_picture_is_not_called_bad_for_want_of_memory(tmp_path):
    """AVIF is decoded in a process of its own, which has the same limit."""
    path = tmp_path / "good.avif"
    Image.fromarray(cv2.resize(cv2.imread(str(PICTURE)), (2000, 2000))).save(path)
    code, line = run(680, "predict", MODEL.with_suffix(".onnx"), path)
    assert code in (0, 4), line
    assert code == 0 or line.startswith("error: too little memory")


@pytest.mark.parametrize("code", [1, 127, -6, -11])
def test_a_process_that_ends_under_a_limit_is_no_fault_of_the_file(monkeypatch, code):
    monkeypatch.setattr(room, "limits", lambda: {"RLIMIT_AS": 2**30})
    monkeypatch.setattr(child, "run", lambda *_, **__: subprocess.CompletedProcess([], code, b"", b""))
    with pytest.raises(MemoryError):
        decoder.decode(b"a picture")
    with pytest.raises(MemoryError):
        keras_check.read(MODEL.with_suffix(".h5"))
    monkeypatch.setattr(room, "limits", dict)
    with pytest.raises(BadInputError):
        decoder.decode(b"a picture")
    with pytest.raises(BadInputError):
        keras_check.read(MODEL.with_suffix(".h5"))


# ---- the trial itself ----

ENDS = {
    "by a signal": "import os; os.kill(os.getpid(), 11)",
    "by an exit code": "import os; os._exit(127)",
    "by an error": "raise RuntimeError",
    "never": "import time; time.sleep(600)",
    "in lines of its own": "import sys; print('ABORT', file=sys.stderr); sys.exit(1)",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Make a package of a source text that needs a trial; return its name."""

    def make(text):
        (tmp_path / "library.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "library", raising=False)
        monkeypatch.setitem(room.SPARE, "library", 1)
        monkeypatch.setattr(sys, "meta_path", [room.Room({"RLIMIT_AS": 2**36, "RLIMIT_DATA": 2**37}), *sys.meta_path])
        return "library"

    return make


@pytest.mark.parametrize("way", ENDS)
def test_a_library_that_ends_in_its_trial_is_not_loaded(package, monkeypatch, capfd, way):
    monkeypatch.setattr(room, "SECONDS", 3)
    monkeypatch.setitem(room.SPARE, "library", 1)
    with pytest.raises(room.NoRoomError, match="too little memory: library needs more than the 65,536 MiB"):
        importlib.import_module(package(ENDS[way]))
    assert "library" not in sys.modules
    assert capfd.readouterr() == ("", "")


def test_a_library_with_enough_memory_is_loaded_as_ever(package):
    module = importlib.import_module(package("value = 5"))
    assert module.value == 5
    assert type(module.__loader__).__name__ == type(module.__spec__.loader).__name__ == "SourceFileLoader"


def test_to_ask_whether_a_library_is_installed_tries_nothing(package):
    assert importlib.util.find_spec(package(ENDS["never"])).origin.endswith("library.py")


def test_nothing_is_tried_without_a_limit(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    for limits in ({}, {"RLIMIT_AS": 2**50}):
        monkeypatch.setattr(room, "limits", lambda limits=limits: limits)
        room.watch()
        assert not any(isinstance(finder, room.Room) for finder in sys.meta_path)
        assert not child.is_tight(2**30)
    monkeypatch.setattr(room, "limits", lambda: {"RLIMIT_DATA": 2**31})
    assert child.is_tight(2**30 + 1)
    assert not child.is_tight(2**30)
