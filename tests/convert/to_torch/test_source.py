"""The text of a module: safe whatever a model file calls its layers, formatted, and enough by itself."""

import subprocess
import sys

import pytest

from tests.convert.to_torch import cases

LENET = """
class LeNet5(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, kernel_size=5, padding=2)
        self.c3 = nn.Conv2d(6, 16, kernel_size=5)
        self.c5 = nn.Conv2d(16, 120, kernel_size=5)
        self.f6 = nn.Linear(120, 84)
        self.logits = nn.Linear(84, 10)

    def forward(self, x):
        x = torch.tanh(self.c1(x))
        x = F.avg_pool2d(x, 2)
        x = torch.tanh(self.c3(x))
        x = F.avg_pool2d(x, 2)
        x = torch.tanh(self.c5(x))
        x = x.flatten(1)
        x = torch.tanh(self.f6(x))
        return self.logits(x)
"""
BLOCK = """
class ResidualBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return F.relu(y + x)
"""


def source(name, options):
    import kerasnets

    return kerasnets.to_torch(kerasnets.build(name, **options)).source


def test_the_text_of_a_chain_is_as_a_person_writes_it(workers):
    assert LENET in workers["torch"](source, "lenet5", {})


def test_a_part_that_repeats_is_a_class(workers):
    text = workers["torch"](source, "resnet20", {})
    assert BLOCK in text
    assert "self.stage2 = nn.Sequential(\n            ProjectionBlock(16), ResidualBlock(32)" in text


@pytest.mark.parametrize("name", ["resnet20", "googlenet_mini", "densenet40", "alexnet"])
def test_the_text_is_formatted(workers, name):
    pytest.importorskip("ruff")
    options = {"units": 8, "input_shape": (67, 67, 3)} if name == "alexnet" else {}
    text = workers["torch"](source, name, options)
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--check", "--stdin-filename", "a.py", "-"]
    result = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr + text


HOSTILE = (
    '"""\nraise SystemExit("run")\n"""',
    "x'); raise SystemExit('run') #",
    "forward",
    "class",
    "__init__",
    "train",
    "self",
    "torch",
    "nn",
    "x",
    "3x3",
    "\\",
    "{0}",
    "层",
    "",
    "a b",
    "a-b",
    "training",
    "_modules",
    "F",
    "none",
    "\u202eright",
    "a" * 300,
)


def hostile_names():
    import ast

    import keras
    from keras import layers

    import kerasnets

    inputs = x = keras.Input((8, 8, 3), name='pixels"""')
    other = keras.Input((8, 8, 3), name="raise SystemExit")
    for name in HOSTILE:
        layer = layers.Conv2D(3, 3, padding="same")
        layer.name = name  # also what Keras itself would refuse
        x = layer(x)
    x = layers.Add()([x, other])
    model = keras.Model([inputs, other], {'a"]; raise SystemExit': x}, name='"""; raise SystemExit #')
    cases.draw(model)
    for weight in model.weights:
        weight.assign(weight * 0.1)
    module = kerasnets.to_torch(model)
    names = [name for name, _ in module.named_children()]
    tree = ast.parse(module.source)
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return (
        names,
        calls,
        [type(node).__name__ for node in tree.body],
        any(isinstance(n, ast.Raise) for n in ast.walk(tree)),
    )


def test_names_of_layers_never_become_code(workers):
    names, calls, statements, raises = workers["torch"](hostile_names)
    assert len(set(names)) == len(HOSTILE)
    assert all(name.isidentifier() and name.isascii() for name in names)
    assert calls == {"super"}
    assert not raises
    assert statements == ["Expr", "ImportFrom", "ClassDef"]


def hostile_blocks():
    """Repeated parts with hostile names, and class names of a card."""
    import keras
    from keras import layers

    from kerasnets.convert.to_torch.module import translate_model

    inputs = x = keras.Input((8, 8, 4))
    for i in range(3):
        y = layers.Conv2D(4, 3, padding="same", activation="relu", name=f"raise SystemExit\n{i}_'a")(x)
        x = layers.Add(name=f"raise SystemExit\n{i}_")([x, y])
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)), name="import os")
    classes = ('a"\\', "b\n\"'", "鸟\u202e")
    text = translate_model(model, 'a"""b.safetensors', classes).text
    namespace = {"__name__": "text"}
    exec(text, namespace)
    return namespace["CLASSES"] == classes, text


def test_names_of_blocks_and_classes_never_become_code(workers):
    equal, text = workers["torch"](hostile_blocks)
    assert equal
    assert "SystemExit" not in text
    assert "raise" not in text.replace("self.raise", "").replace("Raise", "")


ALONE = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np, torch
from safetensors.torch import load_file
import net

model = net.{name}()
model.load_state_dict(load_file(sys.argv[1] + "/net.safetensors"))
model.eval()
with torch.no_grad():
    y = model(torch.from_numpy(np.load(sys.argv[1] + "/x.npy")))
np.save(sys.argv[1] + "/y.npy", y.numpy())
assert not {{"keras", "kerasnets"}} & set(sys.modules)
print(net.CLASSES[1])
"""


def write(folder):
    import keras
    import numpy as np

    import kerasnets
    from kerasnets.convert import model_files
    from kerasnets.graph import rebuild

    network = kerasnets.build("resnet_mini")
    cases.draw(network)
    card = kerasnets.Card("resnet_mini", tuple("abcdefghij"), (28, 28, 1), "mnist")
    network.set_weights([0.1 * weight for weight in network.get_weights()])
    saved = rebuild(network, scaling=(1 / 255, 0), probabilities=True)
    kerasnets.save(saved, folder / "net.keras", card)
    result = model_files.make_python_file(folder / "net.keras", folder / "net.py")
    x = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1)).astype("uint8")
    np.save(folder / "x.npy", np.moveaxis(x, -1, 1).astype("float32"))
    return result.line(), keras.ops.convert_to_numpy(saved(x))


def test_the_files_work_without_keras_and_kerasnets(workers, tmp_path):
    import numpy as np

    line, expected = workers["torch"](write, tmp_path)
    script = ALONE.format(name="ResNetMini")
    command = [sys.executable, "-c", script, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={"PATH": ""}, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "b\n"
    assert np.abs(np.load(tmp_path / "y.npy") - expected).max() < 1e-5
    assert f"file={tmp_path / 'net.py'}" in line
    assert "tensors=14 " in line
    text = (tmp_path / "net.py").read_text()
    assert "Input: float32 (n, 1, 28, 28): (n, channels, height, width), pixels from 0 to 255." in text
    assert "Output: float32 (n, 10), probabilities of the classes." in text
    assert 'load_file("net.safetensors")' in text
