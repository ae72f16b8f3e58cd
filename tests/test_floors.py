"""The oldest releases that pyproject.toml allows go together, and pass the quick tests: `pytest -m floors`."""

import os
import shutil
import subprocess
import sys
import tomllib

import pytest

from kerasnets.runtime.backends import BACKENDS
from tests.conftest import ROOT

MORE = "demo,onnx"  # extras besides the backend
RUNNERS = ["pytest>=8", "pytest-xdist>=3.6"]
QUICK = (
    "data/test_hostile_data.py", "pictures/test_kinds.py", "runtime/test_archive.py", "runtime/test_child.py",
    "saving/test_hostile_models.py", "saving/test_onnx_file.py", "test_errors.py",
)  # fmt: skip
TRAIN = ("-m", "kerasnets", "train", "mnist_cnn-digits", "--epochs", "1", "--out", "a.keras")
PREDICT = ("-m", "kerasnets", "predict", "a.keras", ROOT / "docs/samples/three-on-paper.jpg")


def call(*words, folder=ROOT, **variables):
    done = subprocess.run(
        [*map(str, words)], cwd=folder, env=os.environ | variables, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


@pytest.mark.floors
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_oldest_releases_install_and_pass_the_quick_tests(tmp_path, backend):
    uv, python = shutil.which("uv"), tmp_path / "floors/bin/python"
    if not uv:
        pytest.skip("needs uv, which installs the oldest releases: pip install uv")
    call(uv, "venv", "-q", "-p", sys.executable, tmp_path / "floors")
    oldest = ("--resolution", "lowest-direct", "--index-strategy", "unsafe-best-match", "--only-binary", ":all:")
    package = ("--no-binary", "kerasnets", "-e", f"{ROOT}[{backend},{MORE}]")
    call(uv, "pip", "install", "-q", "--python", python, *oldest, *package, *RUNNERS)
    installed = call(uv, "pip", "list", "--python", python)
    with open(ROOT / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    extras = project["optional-dependencies"]
    own = [each for each in (*project["dependencies"], *extras["train"], *extras[backend]) if ">=" in each]
    for requirement in own:
        name, _, floor = requirement.partition(",")[0].partition(">=")
        version = next(line.split()[1] for line in installed.splitlines() if line.split()[0] == name)
        assert f"{version}.".startswith(f"{floor}."), f"{name} {version}, though {floor} is allowed"
    tests = [ROOT / "tests" / name for name in QUICK]
    print(call(python, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *tests, KERAS_BACKEND=backend))
    call(python, *TRAIN, folder=tmp_path, KERAS_BACKEND=backend)
    assert " 3 " in call(python, *PREDICT, folder=tmp_path, KERAS_BACKEND=backend)
