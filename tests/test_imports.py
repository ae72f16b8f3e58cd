"""Nothing is imported without need, imports go one way, and each backend works without the others."""

import ast
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import kerasnets
from kerasnets.runtime.backends import BACKENDS
from tests.conftest import FRAMEWORKS, ROOT

# backend -> how the names of its packages in site-packages start
BELONGINGS = {
    "torch": ("torch", "functorch", "torchgen", "triton", "nvidia", "cuda"),
    "tensorflow": ("tensorflow", "tensorboard", "libclang"),
    "jax": ("jax",),
}

# modules that architecture files share
SHARED = ("kerasnets.models.pooling.", "kerasnets.models.initializers.")
NEUTRAL = {"keras", "keras.layers", "typing.Any", "collections.abc.Callable", "collections.abc.Sequence"}


def imports_of(path):
    """Yield the full names that a Python file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_a_room_uses_only_rooms_below_it():
    process = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout


def test_an_architecture_file_knows_keras_and_nothing_else():
    models = ROOT / "kerasnets/models"
    for path in set(models.glob("[!_]*.py")) - {models / f"{name}.py" for name in ("registry", "builders", "options")}:
        assert {name for name in imports_of(path) if not name.startswith(SHARED)} <= NEUTRAL, path
        for word in ("data_format", "channels_first", "channels_last"):
            assert word not in path.read_text(), path


def test_type_checkers_see_the_public_names():
    tree = ast.parse((ROOT / "kerasnets/__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imported = {alias.asname: node.module for node in block.body for alias in node.names}
    homes = {name: f"kerasnets.{home}" for name, home in kerasnets._HOMES.items()}
    rooms = {home.split(".")[0]: "kerasnets" for home in kerasnets._HOMES.values()}
    assert imported == homes | rooms


def test_recipes_need_the_standard_library_alone():
    roots = {name.split(".")[0] for name in imports_of(ROOT / "kerasnets/recipes.py")}
    assert roots <= set(sys.stdlib_module_names)


def test_nothing_imports_a_script():
    for path in [*(ROOT / "kerasnets").rglob("*.py"), *(ROOT / "scripts").glob("*.py")]:
        assert not any(name.split(".")[0] == "scripts" for name in imports_of(path)), path


@pytest.mark.parametrize("statement", [
    "import kerasnets",
    "import kerasnets; kerasnets.list_models(); kerasnets.models.forms()",
    "import kerasnets; kerasnets.RECIPES; kerasnets.DATASETS; kerasnets.load_data('digits')",
    "import kerasnets; kerasnets.Classifier.load('models_saved/pretrained/mnist_cnn-mnist.keras')",
    "import kerasnets.demo, kerasnets.demo.server",
    "import kerasnets.export, kerasnets.prediction.engines, kerasnets.saving.formats, kerasnets.cli.answers, "
    "kerasnets.prediction.video",
    "import kerasnets; kerasnets.Classifier.load('models_saved/pretrained/mnist_cnn-mnist.onnx')"
    ".predict('docs/samples/screen-1.png')",
    "import kerasnets.prediction, kerasnets.pictures; kerasnets.pictures.read('docs/samples/screen-1.png')",
])  # fmt: skip
def test_no_framework_is_loaded_until_one_is_needed(statement):
    code = f"{statement}\nimport sys; print([name for name in {FRAMEWORKS} if name in sys.modules])"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"


def test_this_process_has_no_framework_and_gets_none():
    assert [name for name in FRAMEWORKS if name in sys.modules] == []
    with pytest.raises(ModuleNotFoundError, match="kept out of this process"):
        import keras  # noqa: F401


# ---- one backend alone ----


def alone(backend, folder):
    """Return an environment with links to all packages but the other backends; None leaves out every backend."""
    others = tuple(name for other in BACKENDS if other != backend for name in BELONGINGS[other])
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.lower().startswith(others):
            (folder / entry.name).symlink_to(entry)
    environment = {name: value for name, value in os.environ.items() if name not in ("KERAS_BACKEND", "PYTHONPATH")}
    return environment | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


def script(environment, *arguments):
    """Run a script in an environment, without its own site-packages (-S)."""
    command = [sys.executable, "-S", *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)


def test_without_a_backend_an_onnx_file_answers_and_otherwise_one_line_names_the_package(tmp_path):
    environment = alone(None, tmp_path)
    model, out = "models_saved/pretrained/mnist_cnn-mnist.keras", ["--out", tmp_path / "a.onnx"]
    process = script(environment, "scripts/predict_image.py", model, "docs/samples/screen-0.png")
    assert process.returncode == 4
    assert process.stderr == "error: no backend is installed; choose one, as by: pip install torch torchvision\n"
    process = script(environment, "scripts/export.py", model, *out)
    assert process.returncode == 4
    words = 'no installed backend can write ONNX; torch or tensorflow can: pip install -e ".[torch,onnx]" in the clone'
    assert process.stderr == f"error: {words}\n"
    process = script(
        environment, "scripts/predict_image.py", Path(model).with_suffix(".onnx"), "docs/samples/screen-0.png"
    )
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.startswith("docs/samples/screen-0.png: 0 ")


@pytest.mark.parametrize("backend", BACKENDS)
def test_scripts_load_no_other_backend_though_it_is_installed(backend):
    code = "import runpy, sys\n"
    code += "sys.argv = ['', 'models_saved/pretrained/mnist_cnn-mnist.h5', 'docs/samples/screen-0.png']\n"
    code += "try: runpy.run_path('scripts/predict_image.py', run_name='__main__')\n"
    code += f"finally: print([name for name in {BACKENDS} if name in sys.modules])"
    environment = os.environ | {"KERAS_BACKEND": backend}
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert process.stdout.splitlines()[-1] == str([backend]), process.stderr


def test_ruff_finds_nothing():
    checked = subprocess.run([sys.executable, "-m", "ruff", "check", "."], cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("backend", BACKENDS)
def test_keras_finds_the_only_backend_after_the_import_of_kerasnets(tmp_path, backend):
    """By itself, Keras would look for TensorFlow."""
    code = "import kerasnets, keras; print(keras.config.backend())"
    process = script(alone(backend, tmp_path), "-c", code)
    assert process.stdout == f"{backend}\n", process.stderr


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_installation_with_one_backend_alone_trains_and_predicts(tmp_path, backend):
    (tmp_path / "site").mkdir()
    environment = alone(backend, tmp_path / "site")
    model = tmp_path / "model.keras"
    trained = script(
        environment,
        "scripts/train_mnist.py",
        "--dataset",
        "digits",
        "--epochs",
        1,
        "--out",
        model,
        model.with_suffix(".h5"),
    )
    assert trained.returncode == 0, trained.stderr
    assert trained.stderr == ""
    assert f"backend={backend}" in trained.stdout.splitlines()[-1]
    for path in (model, model.with_suffix(".h5")):
        answered = script(environment, "scripts/predict_image.py", path, "docs/samples/screen-0.png", "--json")
        assert answered.returncode == 0, answered.stderr
        assert '"label"' in answered.stdout

    for other in set(BACKENDS) - {backend}:
        refused = script(environment | {"KERAS_BACKEND": other}, "scripts/train_mnist.py", "--dataset", "digits")
        assert refused.returncode == 4
        assert refused.stderr.startswith(
            f"error: KERAS_BACKEND is {other}, which is not installed: pip install {other}"
        )
        assert refused.stderr.count("\n") == 1
