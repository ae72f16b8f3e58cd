"""A training on streamed pictures ends with a full report on each backend, and says nothing of the backend's own."""

import re

import cv2
import numpy as np
import pytest

from kerasnets.runtime.backends import BACKENDS
from tests.cli.test_app import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Noise in three colours, 24 pictures each, of which every sixth has another class's colour: a sure mistake."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("colours")
    for channel, name in enumerate(("blue", "green", "red")):  # OpenCV writes BGR
        (folder / "set" / name).mkdir(parents=True)
        for i in range(24):
            picture = rng.integers(0, 120, (20 + i % 3, 24, 3), np.uint8)
            picture[..., channel if i % 6 else channel - 1] += 100
            cv2.imwrite(str(folder / "set" / name / f"{i}.png"), picture)
    return folder


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_streamed_training_ends_with_a_full_report(folder, backend):
    words = ["--model", "lenet5", "--dataset", "set", "--stream", "--full-report", "--epochs", 2, "--image-size", 28]
    process = run(folder, "train.py", *words, "--out", f"{backend}.keras", backend=backend)
    assert process.returncode == 0, process.stderr
    lines = process.stderr.splitlines()
    assert [line for line in lines if not line.startswith(("note: ", "epoch "))] == []
    page = (folder / backend / "report.html").read_text()
    headings = re.findall("<h2[^>]*>([^<]*)", page)
    wanted = {"Learning curves", "Each class", "The worst mistakes", "A map of the test pictures", "How it was made"}
    assert wanted <= set(headings), headings
