"""The examples in the docstrings of the inspection functions are true."""

import pytest

from tests.conftest import ROOT


def failed_examples(module):
    """(failed, tried) of the examples in a module."""
    import contextlib
    import doctest
    import importlib

    with contextlib.chdir(ROOT):
        return tuple(doctest.testmod(importlib.import_module(module)))


@pytest.mark.parametrize(("module", "count"), [("description", 5), ("probes", 19), ("report", 4)])
def test_examples_of_inspection_are_true(workers, module, count):
    assert workers["torch"](failed_examples, f"kerasnets.inspection.{module}") == (0, count)
