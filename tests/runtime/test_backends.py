"""The line that installs what is missing."""

import logging

from kerasnets.runtime import backends


def test_the_line_that_installs_extras_fits_a_clone_and_a_wheel(monkeypatch, tmp_path):
    assert backends.install_line("torch", "onnx") == 'pip install -e ".[torch,onnx]" in the clone'
    monkeypatch.setattr(backends, "ROOT", tmp_path)  # site-packages has no pyproject.toml
    assert backends.install_line("torch", "onnx") == 'pip install "kerasnets[torch,onnx]"'


def test_tensorflows_warning_of_tracing_is_hidden_and_others_are_not(monkeypatch, caplog):
    logger = logging.getLogger("tensorflow")
    monkeypatch.setattr(logger, "filters", [])
    backends.tell_no_retracing()
    logger.warning("5 out of the last %d calls to f triggered tf.function retracing.", 22)
    logger.warning("something else")
    assert [record.getMessage() for record in caplog.records] == ["something else"]
