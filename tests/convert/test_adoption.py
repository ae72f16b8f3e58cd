"""`kerasnets adopt` makes a file of ours of each kind of file that other programs write, with the same answers."""

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest

from kerasnets.cli import main
from kerasnets.errors import BadInputError, shorten
from kerasnets.saving import Guest
from kerasnets.saving.guest import input_shape
from tests.conftest import mostly_on_torch

MODULES = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, units=3, end=lambda x: x):
        super().__init__()
        torch.manual_seed(units)
        self.conv, self.norm, self.head, self.end = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, units), end

    def forward(self, x):
        return self.end(self.head(torch.relu(self.norm(self.conv(x))).mean((2, 3))))


def logits():
    return Net()


def shares():
    return Net(3, lambda x: x.softmax(1))


def logarithms():
    return Net(3, lambda x: x.log_softmax(1))


def one_logit():
    return Net(1)


def one_share():
    return Net(1, torch.sigmoid)
"""
KERAS = """
import keras
from keras import layers


def network():
    return keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.BatchNormalization(),
                             layers.Flatten(), layers.Dense(3, activation="softmax")])
"""


def run(*words):
    """Run `kerasnets adopt` in this process; return its exit code and what it said."""
    from kerasnets.cli import app, main

    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(said):
        code = app.exit_code_of(lambda: main.run(["adopt", *map(str, words)]))
    return code, said.getvalue()


def difference(folder, expected, pixels, *words):
    """Return the largest difference of an adopted file's answers, or what `adopt` said if it failed."""
    from kerasnets import saving

    code, said = run(*words, "--out", folder / "mine.keras")
    if code:
        return said
    found = saving.load(folder / "mine.keras")[0].predict_on_batch(pixels)
    return float(abs(np.asarray(found) - expected).max()) if found.shape == expected.shape else str(found.shape)


def adopt_keras(folder):
    """Return {kind of file: difference} for files and weights of Keras."""
    import h5py
    import keras
    from keras import layers

    (folder / "theirs.py").write_text(KERAS)
    scope = {}
    exec(KERAS, scope)
    network, rng = scope["network"](), np.random.default_rng(0)
    network.set_weights([rng.uniform(0.1, 1, weight.shape) for weight in network.get_weights()])
    for name in ("a.keras", "a.h5", "new.weights.h5"):
        (network.save_weights if "weights" in name else network.save)(folder / name)
    (folder / "a.H5").write_bytes((folder / "a.h5").read_bytes())
    (folder / "a.model").write_bytes((folder / "a.keras").read_bytes())
    (folder / "renamed.hdf5").write_bytes((folder / "new.weights.h5").read_bytes())
    with h5py.File(folder / "a.h5") as source, h5py.File(folder / "old.h5", "w") as old:
        for name in source["model_weights"]:
            source.copy(f"model_weights/{name}", old)
        old.attrs.update(source["model_weights"].attrs)
    flat = keras.Sequential([keras.Input((64,)), layers.Rescaling(1 / 255), layers.Dense(3, activation="softmax")])
    flat.save(folder / "flat.keras")
    parts = [layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax")]
    of_any_size = keras.Sequential([keras.Input((None, None, 1)), layers.Rescaling(1 / 127.5, -1), *parts])
    of_any_size.save(folder / "open.h5")
    pixels = rng.integers(0, 256, (5, 8, 8, 1)).astype("uint8")
    numbers = pixels.astype("float32")
    shares = network.predict_on_batch(numbers / 255)
    builder = ("--network", f"{folder}/theirs.py:network")
    cases = {name: (shares, folder / name) for name in ("a.keras", "a.h5", "a.H5", "a.model")}
    cases |= {name: (shares, folder / name, *builder) for name in ("new.weights.h5", "renamed.hdf5", "old.h5")}
    cases["flat.keras"] = (
        flat.predict_on_batch(numbers.reshape(5, 64)),
        folder / "flat.keras",
        "--input-kind",
        "mnist",
    )
    cases["open.h5"] = (of_any_size.predict_on_batch(numbers), folder / "open.h5", "--image-size", 8)
    return {kind: difference(folder, expected, pixels, *words) for kind, (expected, *words) in cases.items()}


@mostly_on_torch
def test_files_and_weights_of_keras_are_adopted_with_the_same_answers(worker, tmp_path):
    differences = worker(adopt_keras, tmp_path)
    assert len(differences) == 9
    assert all(isinstance(each, float) and each < 1e-5 for each in differences.values()), differences


def adopt_modules(folder):
    """Return {kind: difference} for modules and weights of PyTorch, and what is said of weights that do not fit."""
    import torch

    path, scope = folder / "theirs.py", {}
    path.write_text(MODULES)
    exec(MODULES, scope)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, 8, 8, 3)).astype("uint8")
    scaled = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
    options = ("--mean", 0.5, "--std", 0.25, "--example", "1x3x8x8")
    differences = {}
    for name in ("logits", "shares", "logarithms", "one_logit", "one_share"):
        with torch.no_grad():
            scores = scope[name]().eval()(scaled)
        if name.startswith("one"):
            share = scores if name == "one_share" else scores.sigmoid()
            expected = torch.cat([1 - share, share], 1).numpy()
        else:
            expected = (scores if name == "shares" else scores.softmax(1)).numpy()
        differences[name] = difference(folder, expected, pixels, f"{path}:{name}", *options)
    trained = scope["logits"]()
    with torch.no_grad():
        trained.head.weight.mul_(3)
        expected = trained.eval()(scaled).softmax(1).numpy()
    state = {f"model.module.{name}": tensor for name, tensor in trained.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, folder / "last.ckpt")
    words = (folder / "last.ckpt", "--network", f"{path}:logits", *options)
    differences["last.ckpt"] = difference(folder, expected, pixels, *words)
    return differences, difference(folder, expected, pixels, words[0], "--network", f"{path}:one_logit", *options)


def test_modules_and_weights_of_pytorch_are_adopted_with_the_same_answers(workers, tmp_path):
    differences, said = workers["torch"](adopt_modules, tmp_path)
    assert len(differences) == 6
    assert all(isinstance(each, float) and each < 1e-5 for each in differences.values()), differences
    assert "last.ckpt: does not fit the module: 'head.weight' is of another shape; name the function" in said
    assert len(said.splitlines()) == 1


def refuse(folder):
    """Return what is said of files that cannot be adopted as they are."""
    import keras
    from keras import layers

    path = folder / "open.keras"
    keras.Sequential([keras.Input((None, None, 3)), layers.GlobalMaxPooling2D(), layers.Dense(2)]).save(path)
    keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2)]).save_weights(folder / "a.weights.h5")
    out = ("--out", folder / "mine.keras")
    return (
        run(path, *out),
        run(folder / "a.weights.h5", *out),
        run(folder / "a.weights.h5", "--network", "lenet5", *out),
    )


def test_what_is_missing_is_said_with_the_option_that_gives_it(workers, tmp_path):
    open_size, weights, others = workers["torch"](refuse, tmp_path)
    assert open_size[0] == 3
    assert open_size[1].endswith("leaves open what size its pictures have; add --image-size PIXELS\n")
    assert weights[0] == 3
    assert weights[1].endswith("or adopt it with the --network of these weights\n")
    assert others[0] == 3
    assert "does not fit lenet5" in others[1]
    assert len(others[1].splitlines()) == 1
    assert not Path(tmp_path / "mine.keras").exists()


SHAPES = {  # name -> (input shape of the network, what the user says, expected shape of a picture)
    "a row of a grey picture": ((784,), Guest("mnist"), (28, 28, 1)),
    "a row of a picture of colours": ((3072,), Guest("picture"), (32, 32, 3)),
    "a row of a picture that is no square": ((60,), Guest(image_size=(4, 5)), (4, 5, 3)),
    "a row of a table": ((784,), Guest(), (784,)),
    "an open size": ((None, None, 3), Guest(image_size=(4, 5)), (4, 5, 3)),
    "a size that is known": ((8, 8, 1), Guest("mnist"), (8, 8, 1)),
}


@pytest.mark.parametrize("case", SHAPES)
def test_the_size_of_pictures_comes_from_the_file_or_the_options(case):
    shape, guest, expected = SHAPES[case]
    assert input_shape(shape, guest) == expected


@pytest.mark.parametrize(("shape", "guest"), [((783,), Guest("mnist")), ((8, 8, 1), Guest(image_size=(4, 5)))])
def test_a_size_that_cannot_be_is_refused(shape, guest):
    with pytest.raises(BadInputError):
        input_shape(shape, guest)


CODE = """
import torch

def fail():
    raise KeyError("not there\\nat all")

def number():
    return 7

module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3))
"""
COMMANDS = (
    "convert {} --example 1x3x8x8 --out a.keras",
    "adopt {} --example 1x3x8x8 --out a.keras",
    "train --model {} --dataset {}:fail",
)


def errors_of_code(folder):
    """{function: the messages of the commands that run it}, and the result of converting a module that is there."""
    file, result = folder / "mine.py", {}
    file.write_text(CODE)
    for function in ("fail", "missing"):
        result[function] = []
        for command in COMMANDS:
            with pytest.raises(BadInputError) as caught:
                main.run(command.format(f"{file}:{function}", file).split())
            result[function].append(str(caught.value))
    with pytest.raises(BadInputError) as caught:
        main.run(["adopt", f"{file}:number", "--out", str(folder / "a.keras")])
    result["number"] = str(caught.value)
    main.run(["convert", f"{file}:module", "--example", "1x3x8x8", "--out", str(folder / "a.keras")])
    return result


def test_code_of_ones_own_is_run_in_the_same_words_by_every_command(workers, tmp_path):
    result = workers["torch"](errors_of_code, tmp_path)
    assert set(result["fail"]) == {
        f"{shorten(tmp_path / 'mine.py')} failed: KeyError: 'not there\\nat all'; mend it (--debug shows where)"
    }
    assert len(set(result["missing"])) == 1
    assert result["missing"][0].endswith("mine.py has no function 'missing'; check the name")
    assert "mine.py:number gives int, neither a torch.nn.Module nor a keras.Model" in result["number"]
    assert (tmp_path / "a.keras").exists()
