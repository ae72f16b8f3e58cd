"""A function in a person's own file."""

import sys

import pytest

from kerasnets import data, recipes
from kerasnets.data import own_code
from kerasnets.errors import BadInputError

TEXT = """
import dataclasses

import beside

@dataclasses.dataclass
class Pair:
    side: int

def load():
    return beside.arrays(Pair(8).side)

def fail():
    raise KeyError("not there\\nat all")

NUMBER = 7

class Net:  # like a module of PyTorch, which can be called
    def state_dict(self):
        return {}

    def __call__(self, pixels):
        return pixels

net = Net()

def build():
    return net

def two(shape, num_classes):
    return shape, num_classes
"""
BESIDE = """
import numpy as np

def arrays(side):
    return np.zeros((30, side, side, 1), np.uint8), np.arange(30) % 3
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "beside.py").write_text(BESIDE)
    (tmp_path / "my data.py").write_text(TEXT)
    yield tmp_path / "my data.py"
    sys.modules.pop("beside", None)
    sys.modules.pop("own_my_data", None)


def test_a_data_set_comes_from_a_function_in_a_file_that_imports_what_lies_beside_it(file):
    examples = data.load_data(f"{file}:load")
    assert (examples.train_images.shape, examples.title) == ((24, 8, 8, 1), "my_data")
    data.check_name(f"{file}:load")
    assert recipes.own("lenet5", f"{file}:load").name == "lenet5-my data"


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("fail", r"my data.py failed: KeyError: 'not there\\nat all'; mend it"),
        ("other", "my data.py has no function 'other'; check the name"),
        ("NUMBER", "my data.py has no function 'NUMBER'"),
    ],
)
def test_what_fails_in_it_is_said_in_one_line(file, function, words):
    with pytest.raises(BadInputError) as caught:
        data.load_data(f"{file}:{function}")
    assert words.replace("\\\\", "\\") in str(caught.value).replace("\\\\", "\\")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_is_named_before_anything_is_run(tmp_path):
    with pytest.raises(BadInputError, match=r"no file .*none\.py; check the name"):
        data.check_name(f"{tmp_path}/none.py:load")


def test_only_a_function_in_a_python_file_is_one():
    assert own_code.is_function("a/b.py:build")
    assert not any(map(own_code.is_function, ("lenet5", "a.py", "a.py:", "a.py:7", "a.txt:b", None)))


def test_a_network_is_the_object_itself_or_what_a_function_or_class_returns(file):
    for name in ("net", "build", "Net"):
        assert type(own_code.make(f"{file}:{name}")).__name__ == "Net"
    assert type(own_code.load(f"{file}:net")).__name__ == "Net"  # train takes a network as well as a function
    assert own_code.load(f"{file}:two")((8, 8, 1), 3) == ((8, 8, 1), 3)
