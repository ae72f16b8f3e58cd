"""Types: mypy finds nothing, in the package and in the script of a user who calls it."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

USER = """
import keras
import numpy as np

import kerasnets

network: keras.Model = kerasnets.build("lenet5", num_classes=10)
names: list[str] = kerasnets.list_models()
data = kerasnets.load_data("digits")
pixels: np.ndarray = data.test_images[0]
classifier = kerasnets.Classifier.load("mnist_cnn-mnist")
try:
    answers = classifier.predict([pixels, "photo.jpg"])
except kerasnets.BadInputError as error:
    print(error.path, error.remedy)
print(kerasnets.__version__, kerasnets.RECIPES["lenet5-mnist"].epochs, sorted(kerasnets.DATASETS))
"""


def mypy(*arguments):
    command = [sys.executable, "-m", "mypy", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout


def test_mypy_finds_nothing_in_the_package():
    result = mypy("-p", "kerasnets")
    assert result.splitlines()[-1].startswith("Success: no issues found in "), result


@pytest.mark.parametrize("line", ["", "kerasnets.build_all()", "BadInputErrors = kerasnets.BadInputErrors"])
def test_mypy_knows_the_public_names_in_a_users_script(tmp_path, line):
    script = tmp_path / "script.py"
    script.write_text(USER + line)
    result = mypy(script)
    assert ("has no attribute" in result) == bool(line), result
    if not line:
        assert result.startswith("Success"), result
