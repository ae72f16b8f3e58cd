"""The example in the docstring of each public name runs and prints what it says."""

import doctest
import importlib
import os

import pytest

import kerasnets
from tests.conftest import ROOT

CONSTANTS = ("RECIPES", "DATASETS")  # their examples stand below them, in the docstring that only mkdocstrings reads


def example(name):
    """(failed, attempted) of the examples of one public name, from the folder of the checkout."""
    public = getattr(kerasnets, name)
    os.chdir(ROOT)
    runner = doctest.DocTestRunner(verbose=False)
    module = importlib.import_module(public.__module__)
    for test in doctest.DocTestFinder(recurse=True).find(
        public, name, module, {**vars(module), "kerasnets": kerasnets}
    ):
        runner.run(test)
    return tuple(runner.summarize(verbose=False))


@pytest.mark.parametrize("name", [name for name in kerasnets.__all__ if name not in (*CONSTANTS, "__version__")])
def test_the_example_of_a_public_name_runs(workers, name):
    failed, attempted = workers["torch"](example, name)
    assert failed == 0
    assert attempted > 0
