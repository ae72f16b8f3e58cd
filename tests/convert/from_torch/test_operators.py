"""Every operator, with every option, gives PyTorch's numbers as plain Keras. The judge is PyTorch."""

import numpy as np
import pytest

from kerasnets.runtime.backends import BACKENDS
from tests.convert.from_torch.small_modules import MODULES, build_module, pictures, to_last


def convert_and_reload(expression, shape, folder):
    """The largest difference in evaluation of a converted module saved and loaded, and the classes of its layers."""
    module = build_module(expression)  # which lets torch into the process
    import keras
    import torch

    import kerasnets

    model = kerasnets.from_torch(module, torch.from_numpy(pictures(1, shape)))
    model.save(folder / "m.keras")
    model = keras.models.load_model(folder / "m.keras")
    inputs = pictures(4, shape)
    with torch.no_grad():
        expected = to_last(module(torch.from_numpy(inputs.copy())).numpy())
    result = np.asarray(keras.ops.convert_to_numpy(model(to_last(inputs), training=False)))
    assert result.shape == expected.shape
    modules = {type(operation).__module__.split(".")[0] for operation in model.operations}
    return float(np.abs(result - expected).max() / max(1, np.abs(expected).max())), modules


def on_backends(expressions):
    """Return (backend, expression) of all: in every run, all on torch and some on the others."""
    return [
        pytest.param(backend, expression, marks=() if backend == "torch" or i % 20 == 1 else pytest.mark.whole_registry)
        for i, expression in enumerate(expressions)
        for backend in BACKENDS
    ]


@pytest.mark.parametrize(("backend", "expression"), on_backends(MODULES))
def test_an_operator_gives_the_numbers_of_pytorch(workers, backend, expression, tmp_path):
    difference, modules = workers[backend](convert_and_reload, expression, MODULES[expression], tmp_path)
    assert difference < 2e-5
    assert modules == {"keras"}
