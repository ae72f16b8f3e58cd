"""Shipped models by name, in a checkout and in an installed package."""

import shutil

import pytest

from kerasnets.errors import BadInputError
from kerasnets.saving import shipped
from tests.conftest import ROOT

PRETRAINED = ROOT / "models_saved/pretrained"


def test_a_name_stands_for_onnx_or_else_keras():
    assert shipped.path_of("mnist_cnn-mnist") == PRETRAINED / "mnist_cnn-mnist.onnx"
    assert shipped.path_of("mnist_cnn-mnist", shipped.KERAS) == PRETRAINED / "mnist_cnn-mnist.keras"
    assert shipped.path_of("lenet5-mnist") == PRETRAINED / "lenet5-mnist.keras"


def test_every_model_in_the_folder_has_a_name_and_a_file():
    assert shipped.names() == sorted(path.stem for path in PRETRAINED.glob("*.keras"))
    for name in shipped.names():
        assert PRETRAINED / f"{name}.keras" in shipped.files_of(name)
        assert all(path.is_file() and path.suffix != ".html" for path in shipped.files_of(name))


@pytest.mark.parametrize("path", ["a.keras", "models_saved/mnist_cnn-mnist", "./mnist_cnn-mnist", "no/a.onnx"])
def test_a_path_stays_as_it_is(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    assert str(shipped.path_of(path)) == path


def test_a_folder_of_the_same_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist_cnn-mnist").mkdir()
    assert str(shipped.path_of("mnist_cnn-mnist")) == "mnist_cnn-mnist"
    assert not shipped.is_name("mnist_cnn-mnist")
    assert shipped.is_name("lenet5-mnist")
    assert not shipped.is_name("lenet5")  # a network


def test_an_unknown_name_is_refused_with_the_nearest_ones():
    with pytest.raises(BadInputError, match="unknown model 'lenet5-mnst'; choose one of: lenet5-mnist, "):
        shipped.path_of("lenet5-mnst")


def test_an_installed_package_has_its_own_folder(tmp_path, monkeypatch):
    shutil.copy(PRETRAINED / "small_cnn-mnist.keras", tmp_path)
    monkeypatch.setattr(shipped, "INSTALLED", tmp_path)
    assert shipped.names() == ["small_cnn-mnist"]
    assert shipped.path_of("small_cnn-mnist") == tmp_path / "small_cnn-mnist.keras"
