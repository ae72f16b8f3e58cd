"""The examples in the docstrings of the networks and of transfer learning run as they are written."""

import doctest
import importlib

import pytest


def failed_and_attempted(module):
    results = doctest.testmod(importlib.import_module(module))
    return results.failed, results.attempted


@pytest.mark.parametrize(("module", "least"), [
    ("kerasnets.models.registry", 2),
    ("kerasnets.models.builders", 4),
    ("kerasnets.transfer.extraction", 9),
    ("kerasnets.transfer.retraining", 9),
])  # fmt: skip
def test_examples_in_docstrings_run(workers, module, least):
    failed, attempted = workers["torch"](failed_and_attempted, module)
    assert failed == 0
    assert attempted >= least
