"""The small core, `pip install kerasnets` without an extra: what pyproject.toml requires is enough to predict."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from kerasnets import saving
from kerasnets.runtime import backends
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
PHOTO = "docs/samples/three-on-paper.jpg"
IMPORTED = {"scikit-learn": "sklearn"}  # pip's name -> name of import, if another
TRAIN, TORCH = (f'pip install -e ".[{extra}]" in the clone' for extra in ("train", "torch"))

# command -> end of its one line of an error, of exit code 4
LACKING = {
    "predict mnist_cnn-mnist.keras " + PHOTO: f"needs keras, which is not installed: {TORCH}",
    "predict mnist_cnn-mnist.h5 " + PHOTO: f"needs keras, which is not installed: {TORCH}",
    "predict mnist_cnn-mnist " + PHOTO + " --save a.png": f"matplotlib is missing, which this needs: {TRAIN}",
    "predict mnist_cnn-mnist --dataset digits": f"sklearn is missing, which this needs: {TRAIN}",
    "train mnist_cnn-digits": f"no backend is installed; choose one, as by: {TORCH}",
    "evaluate mnist_cnn-mnist.onnx --dataset digits": f"is missing, which this needs: {TRAIN}",
    "verify lenet5": f"is missing, which this needs: {TRAIN}",
    "compare mnist_cnn-mnist.h5 --out a.html": f"is missing, which this needs: {TRAIN}",
}


def names_of(requirements):
    """The distributions in a list of requirements, without those of kerasnets itself."""
    names = (re.match(r"[\w-]+", requirement)[0] for requirement in requirements)
    return [name for name in names if name != "kerasnets"]


def top_level(distribution):
    """The files and folders of a distribution in site-packages."""
    return {file.parts[0] for file in importlib.metadata.files(distribution) if file.parts[0] != ".."}


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    """The environment of a process that has the packages which are required, and no others."""
    folder = tmp_path_factory.mktemp("core")
    for name in names_of(PROJECT["dependencies"]):
        for entry in top_level(name):
            (folder / entry).symlink_to(importlib.metadata.distribution(name).locate_file(entry))
    kept = {name: value for name, value in os.environ.items() if name not in ("KERAS_BACKEND", "PYTHONPATH")}
    return kept | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


def run(core, *words):
    command = [sys.executable, "-S", *map(str, words)]  # -S: without the site-packages of the tests
    return subprocess.run(command, env=core, cwd=ROOT, capture_output=True, text=True)


def test_the_core_reads_a_picture_with_a_shipped_model_and_with_a_file(core):
    for model in ("mnist_cnn-mnist", "models_saved/pretrained/mnist_cnn-mnist.onnx"):
        process = run(core, "-m", "kerasnets", "predict", model, PHOTO, "--json")
        assert (process.returncode, process.stderr) == (0, "")
        (answer,) = json.loads(process.stdout)
        assert (answer["label"], answer["verdict"]) == ("3", "sure")


def test_the_core_has_help_lists_and_public_names(core):
    code = (
        "import kerasnets; from kerasnets.cli import main\n"
        "for name in main.COMMANDS: main.load(name)\n"
        "print(len(kerasnets.list_models()), kerasnets.Classifier.load('mnist_cnn-mnist').card.model)\n"
        "main.run(['list', 'models'])\n"
        "main.run([])\n"
        "for call in (lambda: kerasnets.build('lenet5'), lambda: kerasnets.load_data('digits')):\n"
        "    try: call()\n"
        "    except ImportError as error: print(error)\n"
    )
    process = run(core, "-c", code)
    assert (process.returncode, process.stderr) == (0, "")
    first, *lines, built, loaded = process.stdout.splitlines()
    assert first.endswith(" mnist_cnn")
    accuracy = f"{saving.load_card(ROOT / 'models_saved/pretrained/mnist_cnn-mnist.keras').accuracy:.4f}"
    assert [line.split()[:2] for line in lines if line.startswith("mnist_cnn-mnist")] == [["mnist_cnn-mnist", accuracy]]
    assert any(line.startswith("usage: kerasnets") for line in lines)
    assert built == f"no backend is installed; choose one, as by: {TORCH}"
    assert loaded == f"sklearn is missing, which this needs: {TRAIN}"


@pytest.mark.parametrize("words", LACKING)
def test_a_command_that_needs_more_names_the_extra_in_one_line(core, words):
    folder = "models_saved/pretrained/"
    arguments = [f"{folder}{word}" if word.endswith((".keras", ".h5", ".onnx")) else word for word in words.split()]
    process = run(core, "-m", "kerasnets", *arguments)
    assert (process.returncode, process.stdout) == (4, "")
    assert process.stderr.count("\n") == 1
    assert process.stderr.startswith("error: ")
    assert process.stderr.endswith(f"{LACKING[words]}\n")


def test_the_extra_has_what_the_core_lacks_and_each_backend_brings_it():
    assert {IMPORTED.get(name, name) for name in names_of(EXTRAS["train"])} == backends.TRAIN
    for backend in backends.BACKENDS:
        assert "kerasnets[train]" in EXTRAS[backend]
    assert set(names_of(PROJECT["dependencies"])).isdisjoint(names_of(EXTRAS["train"]))


def test_a_package_that_is_there_or_is_no_part_of_the_extra_is_not_blamed(monkeypatch):
    backends.check_import(ModuleNotFoundError("No module named 'tomato'", name="tomato"))
    backends.check_import(ImportError("cannot import name 'x' from 'scipy'", name="scipy"))
    backends.check_import(ModuleNotFoundError("No module named 'json.x'", name="json.x"))
    monkeypatch.setattr(backends, "ROOT", Path("/nowhere"))
    monkeypatch.setattr(backends, "is_installed", lambda package: package != "scipy")
    with pytest.raises(ImportError, match=r'^scipy is missing, which this needs: pip install "kerasnets\[train\]"$'):
        backends.check_import(ModuleNotFoundError("No module named 'scipy.special'", name="scipy.special"))
