"""The line that installs what is missing."""

from kerasnets.runtime import backends


def test_the_line_that_installs_extras_fits_a_clone_and_a_wheel(monkeypatch, tmp_path):
    assert backends.install_line("torch", "onnx") == 'pip install -e ".[torch,onnx]" in the clone'
    monkeypatch.setattr(backends, "ROOT", tmp_path)  # site-packages has no pyproject.toml
    assert backends.install_line("torch", "onnx") == 'pip install "kerasnets[torch,onnx]"'
