"""The package as `pip install` gives it to a user: away from any checkout, with the shipped models inside."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from urllib.request import urlopen

import pytest

from tests.cli.test_app import environment
from tests.conftest import ROOT

MOST_BYTES = 5_000_000  # of wheel and sdist; the shipped models alone have 3.4 MB
SHIPPED = {
    path.name
    for path in (ROOT / "models_saved/pretrained").iterdir()
    if path.suffix != ".html" and path.stat().st_size < 1_000_000
}


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """(wheel, sdist), built without a download: hatchling is part of the test extra."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="module")
def prefix(distributions, tmp_path_factory):
    """The folder of a fresh environment with the wheel, which sees the other packages of this one."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", "--no-deps", "--no-index", "-q"]
    subprocess.run([*pip, distributions[0]], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))  # whose own .pth files, and so no checkout, count
    return folder


def run(prefix, folder, *words):
    """Run `kerasnets` of the fresh environment in a folder; return its stdout."""
    process = subprocess.run([prefix / "bin/kerasnets", *map(str, words)], cwd=folder, env=clean_environment(),
                          capture_output=True, text=True)  # fmt: skip
    assert process.returncode == 0, process.stderr
    return process.stdout


def clean_environment():
    return {name: value for name, value in environment().items() if name != "PYTHONPATH"}


def test_the_wheel_holds_the_package_its_page_and_its_models_and_nothing_else(distributions):
    names = zipfile.ZipFile(distributions[0]).namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"kerasnets"}
    assert {name for name in names if name.startswith("kerasnets/pretrained/")} == {
        f"kerasnets/pretrained/{name}" for name in (*SHIPPED, "three-on-paper.jpg")
    }
    assert {"kerasnets/py.typed", *(f"kerasnets/demo/page.{form}" for form in ("html", "css", "js"))} <= set(names)
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "kerasnets").rglob("*.py")}
    project = {name for name in sources if name.startswith("kerasnets/project/")}
    assert {name for name in names if name.endswith(".py")} == sources - project


def test_wheel_and_sdist_are_small(distributions):
    for path in distributions:
        assert path.stat().st_size < MOST_BYTES, path
    with tarfile.open(distributions[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md", "scripts/train.py"} <= names
    assert not [name for name in names if name.startswith(("tests/", ".ci/")) or name.endswith((".png", ".html.j2"))]


def test_the_sdist_gives_the_same_wheel(distributions, tmp_path):
    shutil.unpack_archive(distributions[1], tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    (again,) = (tmp_path / "dist").glob("*.whl")
    assert again.name == distributions[0].name
    assert zipfile.ZipFile(again).namelist() == zipfile.ZipFile(distributions[0]).namelist()


def test_the_metadata_names_authors_python_and_extras(distributions):
    with zipfile.ZipFile(distributions[0]) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode().split("\n\n")[0]
    for line in ("Name: kerasnets", "Requires-Python: >=3.11", "License-Expression: MIT", "Provides-Extra: torch",
                 "Author: kerasnets developers", "Classifier: Typing :: Typed"):  # fmt: skip
        assert line in metadata.splitlines()
    required = re.findall(r"^Requires-Dist: ([\w-]+)(?!.*extra ==)", metadata, re.M)
    assert required == ["filelock", "numpy", "opencv-python", "pillow"]  # the small core


def test_the_installed_package_is_the_wheels(prefix, distributions, tmp_path):
    code = "import kerasnets; print(kerasnets.__file__, kerasnets.__version__)"
    python = [prefix / "bin/python", "-c", code]
    process = subprocess.run(python, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=True)
    file, version = process.stdout.split()
    assert file.startswith(str(prefix))
    assert distributions[0].name.startswith(f"kerasnets-{version}-")
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+(\+\S+)?)?", version)


def test_a_user_trains_predicts_by_name_and_exports(prefix, tmp_path):
    photo = ROOT / "docs/samples/three-on-paper.jpg"
    assert run(prefix, tmp_path, "predict", "mnist_cnn-mnist", photo) == f"{photo}: 3 1.0000\n"
    run_line = run(prefix, tmp_path, "train", "mnist_cnn-digits", "--epochs", 1).splitlines()[-1]
    assert run_line.startswith("result recipe=mnist_cnn-digits test_accuracy=0.")
    exported = run(prefix, tmp_path, "export", "models_saved/mnist_cnn-digits.keras", "--out", "mine.onnx", "--json")
    assert json.loads(exported)["file"] == "mine.onnx"
    assert len(json.loads(run(prefix, tmp_path, "predict", "mine.onnx", photo, "--json"))) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"models_saved", "mine.onnx"}


def test_a_user_opens_the_demo_page_with_the_shipped_models(prefix, tmp_path):
    command = [prefix / "bin/kerasnets", "demo", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, env=clean_environment(), stdout=subprocess.PIPE, text=True) as demo:
        try:
            line = demo.stdout.readline()
            address = re.match(r"demo at (http://127\.0\.0\.1:\d+) models=\d+ first=(.*) \(", line)
            assert address, line
            assert address[2].endswith("kerasnets/pretrained/mnist_cnn-mnist.onnx")
            assert b"<!doctype html>" in urlopen(address[1]).read(100).lower()
            models = json.load(urlopen(f"{address[1]}/models"))
            assert os.path.basename(models["first"]) == "mnist_cnn-mnist.onnx"
        finally:
            demo.terminate()
