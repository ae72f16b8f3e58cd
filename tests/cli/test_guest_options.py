"""What a person tells about a model file of another program: the options, and the commands that take them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kerasnets.cli import app, options
from kerasnets.cli.app import UsageError
from kerasnets.saving import Guest

KERAS_2 = Path(__file__).parent.parent / "saving/keras2"
PHOTO = "docs/samples/three-on-paper.jpg"


def guest(words):
    parser = app.Parser("", "test")
    options.add_guest(parser)
    return options.guest(parser.parse_args(words.split()))


TOLD = {
    "": Guest(),
    "--input-kind mnist --classes 0 1 2": Guest("mnist", ("0", "1", "2")),
    "--classes cat,dog --bgr": Guest("", ("cat", "dog"), None, True),
    "--scale 1/255": Guest(scaling=(1 / 255, 0.0)),
    "--scale 1/127.5 -1": Guest(scaling=(1 / 127.5, -1.0)),
    "--scale 1": Guest(scaling=(1.0, 0.0)),
    "--mean 0.5 --std 0.5": Guest(scaling=(1 / 127.5, -1.0)),
    "--multi-label": Guest(multi_label=True),
}


@pytest.mark.parametrize("words", TOLD)
def test_the_options_become_a_guest(words):
    assert guest(words) == TOLD[words]


@pytest.mark.parametrize("words", ["--scale 255", "--scale x", "--scale 1/0", "--scale 1 0 0", "--scale 1 --mean 0.5"])
def test_an_impossible_scale_is_refused(words):
    with pytest.raises(UsageError):
        guest(words)


def test_an_unknown_kind_of_picture_is_refused():
    with pytest.raises(ValueError, match="unknown input kind 'digits'"):
        guest("--input-kind digits")


def kerasnets(*words):
    done = subprocess.run([sys.executable, "-m", "kerasnets", *map(str, words)], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_a_file_of_keras_2_is_adopted_and_then_needs_no_options(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    out = tmp_path / "mine.keras"
    code, told, _ = kerasnets("adopt", KERAS_2 / "chain.h5", "--classes", "a", "b", "c", "--out", out)
    assert code == 0
    assert "classes=3 input=12x12x3 pixels=0_to_255 input_kind=picture multi_label=false" in told
    before = kerasnets("predict", KERAS_2 / "chain.h5", PHOTO, "--classes", "a", "b", "c")
    after = kerasnets("predict", out, PHOTO)
    assert after[:2] == (0, before[1])
    assert re.fullmatch(rf"{PHOTO}: [abc] 0\.\d{{4}}(  \(unsure: .*\))?\n", after[1])
    assert "note" not in after[2]


def test_pytorch_weights_need_the_name_of_their_network():
    code, _, told = kerasnets("adopt", "weights.pth", "--out", "mine.keras")
    assert code == 2
    assert "--network" in told
