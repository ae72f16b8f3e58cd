"""`kerasnets convert MODEL --out FILE.py`."""

import argparse

import pytest

from kerasnets.cli import convert


def run(folder, *arguments):
    parser = argparse.ArgumentParser()
    convert.add_arguments(parser)
    try:
        convert.run(parser.parse_args([*arguments, "--out", str(folder / "net.py")]))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def test_a_model_file_becomes_a_module_and_its_weights(workers, tmp_path):
    assert workers["torch"](run, tmp_path, "mnist_cnn-mnist") is None
    assert {path.name for path in tmp_path.iterdir()} == {"net.py", "net.safetensors"}
    assert "class MnistCnn(nn.Module):" in (tmp_path / "net.py").read_text()


@pytest.mark.parametrize("arguments", [("lenet5",), ("mnist_cnn-mnist", "--in-order")])
def test_options_that_do_not_go_together_are_refused(workers, tmp_path, arguments):
    assert workers["torch"](run, tmp_path, *arguments).startswith("UsageError")
    assert not list(tmp_path.iterdir())
