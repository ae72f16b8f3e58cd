"""A command of ours imports Keras without what no command uses, and Keras works as ever."""

import subprocess
import sys

from kerasnets.runtime.backends import environment

START = "from kerasnets.runtime import backends; backends.own_process(); backends.choose(); import keras, sys\n"
LEFT_OUT = ["torch._dynamo", "sympy", "sklearn", "matplotlib"]


def run(code, backend):
    """What Python code prints in a process of ours."""
    variables = environment(KERAS_BACKEND=backend)
    return subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", START + code],
                          env=variables, capture_output=True, text=True)  # fmt: skip


def loaded_after(code):
    """The packages of LEFT_OUT that are loaded after `code` on torch."""
    process = run(f"{code}\nprint(*(name for name in {LEFT_OUT} if name in sys.modules))", "torch")
    assert process.returncode == 0, process.stderr
    return process.stdout.split()


def test_keras_is_imported_without_packages_that_no_command_uses():
    build = "model = keras.Sequential([keras.Input((8,)), keras.layers.Dropout(0.5), keras.layers.Dense(2)])"
    assert loaded_after(f"{build}\nmodel(keras.random.normal((3, 8)), training=True)") == []


def test_a_training_with_its_report_imports_no_compiler(tmp_path):
    """Keras would build the metrics by a symbolic batch, for which PyTorch imports its compiler: more than 100 MiB."""
    code = f"""
import numpy as np, kerasnets
rng = np.random.default_rng(0)
draw = lambda n: (rng.integers(0, 256, (n, 28, 28, 1), np.uint8), np.arange(n) % 10)
arrays = kerasnets.data.Data(*draw(100), *draw(20), title="noise", input_kind="mnist")
recipe = kerasnets.recipes.with_changes(kerasnets.recipes.RECIPES["lenet5-mnist"], validation=20)
kerasnets.train(recipe, arrays=arrays, epochs=1, out={str(tmp_path / "a.keras")!r})
sys.stdout.write("loaded: ")"""
    loaded = loaded_after(code)
    assert "sklearn" in loaded  # the training was made
    assert not {"torch._dynamo", "sympy"} & set(loaded)


def test_what_was_left_out_can_be_imported_afterwards():
    code = "import matplotlib, sklearn, torch\nassert torch._dynamo.__file__ and 'torch._dynamo' in sys.modules"
    assert loaded_after(code) == LEFT_OUT


def test_compiled_code_draws_what_keras_draws():
    """Keras excludes its generators from compilation: PyTorch's compiler cannot follow them."""
    code = """
import torch
draw = lambda x: keras.random.dropout(x * 2, 0.5, seed=1) + 1
plain, compiled = draw(torch.ones(100)), torch.compile(draw, backend="eager")
assert torch.equal(plain, compiled(torch.ones(100))) and torch.equal(plain, compiled(torch.ones(100)))
"""
    process = run(code, "torch")
    assert (process.returncode, process.stderr) == (0, "")


def test_keras_in_a_users_process_is_untouched():
    code = "import kerasnets, keras, sys; print(keras.wrappers.SKLearnClassifier is not None, 'sklearn' in sys.modules)"
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, env=environment(KERAS_BACKEND="torch"), capture_output=True, text=True).stdout
    assert printed == "True True\n"
