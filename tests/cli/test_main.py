"""The command `kerasnets`: its commands, their help, the scripts as fronts of them, completion."""

import ast
import json
import subprocess
import sys

import pytest

from kerasnets.cli import app, main, train
from kerasnets.data import DATASETS
from kerasnets.models.registry import NETWORKS
from kerasnets.recipes import RECIPES
from kerasnets.saving import shipped
from tests.cli.test_app import environment, only_line
from tests.conftest import FRAMEWORKS, ROOT

# What a command may import before it is known which files and networks it needs.
HEAVY = (*FRAMEWORKS, "numpy", "cv2", "h5py", "matplotlib", "PIL", "sklearn", "scipy", "rich")
SHIPPED_SCRIPT = {  # script -> command; the other scripts train one data set, or need a checkout
    "train": "train", "predict_image": "predict", "evaluate": "evaluate", "export": "export",
    "convert_weights": "convert", "describe": "describe", "inspect_network": "inspect", "verify": "verify",
    "show_data": "data", "bench": "bench", "demo": "demo",
}  # fmt: skip


def run(folder, *words, **more):
    command = [sys.executable, "-m", "kerasnets", *map(str, words)]
    return subprocess.run(command, cwd=folder, env=environment(**more), capture_output=True, text=True)


def test_help_lists_every_command_and_loads_none(tmp_path):
    code = "import sys\nfrom kerasnets.cli import main\nsys.argv = ['kerasnets', '--help']\n"
    code += "try: main.main()\nfinally: print(sorted(name for name in sys.modules if name.startswith('kerasnets')))"
    process = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    lines = process.stdout.split("  COMMAND\n")[1].split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in lines if line[4] != " "] == list(main.COMMANDS)
    assert set(ast.literal_eval(process.stdout.splitlines()[-1])) == {
        "kerasnets", "kerasnets.cli", "kerasnets.cli.main", "kerasnets.cli.app", "kerasnets.errors",
        "kerasnets.runtime", "kerasnets.runtime.backends", "kerasnets.runtime.room", "kerasnets.runtime.signals",
        "kerasnets.runtime.workers",
    }  # fmt: skip


def test_the_help_of_each_command_shows_its_examples_and_loads_nothing_heavy():
    code = "import sys\nfrom kerasnets.cli import main\n"
    code += f"for name in {list(main.COMMANDS)}:\n"
    code += "    try: main.run([name, '--help'])\n    except SystemExit: pass\n"
    code += f"print([name for name in {HEAVY} if name in sys.modules])"
    process = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    for name in main.COMMANDS:
        assert f"usage: kerasnets {name} " in process.stdout
        assert f"\n    kerasnets {name}" in process.stdout
    assert process.stdout.splitlines()[-1] == "[]"


def test_without_a_command_the_help_is_printed(tmp_path):
    without, with_help = run(tmp_path), run(tmp_path, "--help")
    assert (without.returncode, without.stderr) == (0, "")
    assert without.stdout == with_help.stdout


WRONG_NAMES = {  # words after `kerasnets` -> beginning of the error
    "describe vgg12": "unknown network 'vgg12'; choose one of: vgg1",
    "describe vgg12*": "unknown network 'vgg12*'; choose one of: vgg1",
    "describe mnist_cnn-mnits": "unknown network 'mnist_cnn-mnits'; choose one of: mnist_cnn-mnist, ",
    "describe no.keras": "no model file no.keras; ",
    "inspect vgg12": "unknown network 'vgg12'; choose one of: vgg1",
    "inspect no.h5": "no model file no.h5; ",
    "inspect lenet5 no.png": "no file no.png; check the name",
    "inspect lenet5 --dataset mnst": "unknown data set 'mnst'; choose one of: mnist, ",
    "inspect lenet5 --dataset no/folder": "no folder or zip no/folder; check the name",
    "verify vgg12": "unknown network 'vgg12'; choose one of: vgg1",
    "train --model vgg12 --dataset digits": "unknown network 'vgg12'; choose one of: vgg1",
    "train --model vgg11 --dataset no.npz": "no file no.npz; check the name",
    "train --weights no.keras --dataset digits": "no model file no.keras; ",
    "convert vgg12 no.pth --out a.keras": "unknown network 'vgg12'; choose one of: vgg1",
    "convert vgg16 no.pth --out a.keras": "no file no.pth; check the name",
    "convert vgg12 --pretrained --out a.keras": "unknown network 'vgg12'; choose one of: vgg1",
    "convert no.keras --out a.pth": "no model file no.keras; ",
    "convert no.py:make --example 1x3x8x8 --out a.keras": "no file no.py; check the name",
    "export mnist_cnn-mnits --out a.onnx": "unknown model 'mnist_cnn-mnits'; choose one of: mnist_cnn-mnist, ",
    "export no.keras --out a.onnx": "no model file no.keras; ",
    "evaluate mnist_cnn-mnits --dataset digits": "unknown model 'mnist_cnn-mnits'; choose one of: mnist_cnn-mnist, ",
    "evaluate mnist_cnn-mnist --dataset mnst": "unknown data set 'mnst'; choose one of: mnist, ",
    "predict mnist_cnn-mnits a.png": "unknown model 'mnist_cnn-mnits'; choose one of: mnist_cnn-mnist, ",
    "predict no.keras a.png --engine keras": "no model file no.keras; ",
    "demo no.onnx": "no model file no.onnx; ",
    "adopt no.keras --out a.keras": "no model file no.keras; ",
    "adopt no.onnx --out a.onnx": "no model file no.onnx; ",
    "adopt no.pth --network vgg12 --out a.keras": "unknown network 'vgg12'; choose one of: vgg1",
    "adopt no.pth --network vgg16 --out a.keras": "no file no.pth; check the name",
    "adopt no.py:make --example 1x3x8x8 --out a.keras": "no file no.py; check the name",
    "adopt a.keras --out b.keras --input-kind digit": "unknown input kind 'digit'; choose one of: ",
    "describe mnist_cnn-mnist --input-kind digit": "unknown input kind 'digit'; choose one of: ",
    "evaluate mnist_cnn-mnist --dataset digits --input-kind digit": "unknown input kind 'digit'; choose one of: ",
    "export mnist_cnn-mnist --out a.onnx --input-kind digit": "unknown input kind 'digit'; choose one of: ",
    "inspect mnist_cnn-mnist --input-kind digit": "unknown input kind 'digit'; choose one of: ",
    "predict mnist_cnn-mnist a.png --input-kind digit": "unknown input kind 'digit'; choose one of: ",
    "train --weights mnist_cnn-mnist --dataset digits --input-kind digit": "unknown input kind 'digit'; choose",
    "describe lenet5 --scale 1/255": "--input-kind, --classes, --scale, ",
    "inspect lenet5 --classes cat dog": "--input-kind, --classes, --scale, ",
    "train mnist_cnn-digits --bgr": "--input-kind, --classes, --scale, ",
}


def test_a_wrong_name_is_refused_before_a_framework_is_loaded(tmp_path):
    """Loading one takes ten seconds on a busy machine."""
    code = "import json, sys\nfrom kerasnets.cli import main\nerrors = {}\n"
    code += f"for words in {list(WRONG_NAMES)}:\n"
    code += "    try: main.run(words.split())\n    except ValueError as error: errors[words] = str(error)\n"
    code += f"    loaded = [name for name in {FRAMEWORKS} if name in sys.modules]\n"
    code += "    assert not loaded, (words, loaded)\n"
    code += "print(json.dumps(errors))"
    command = [sys.executable, "-c", code]
    process = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    errors = json.loads(process.stdout)
    for words, beginning in WRONG_NAMES.items():
        assert errors[words].startswith(beginning), words


def test_a_script_is_a_front_of_at_most_five_lines():
    for path in (ROOT / "scripts").glob("*.py"):
        code = ast.parse(path.read_text()).body[1:]  # without the docstring
        assert sum(node.end_lineno - node.lineno + 1 for node in code) <= 5, path


@pytest.mark.parametrize("script", SHIPPED_SCRIPT)
def test_a_script_has_the_options_of_its_command(script):
    parsers = []
    for prog in (f"{script}.py", f"kerasnets {SHIPPED_SCRIPT[script]}"):
        parser = app.Parser(prog=prog)
        main.load(SHIPPED_SCRIPT[script]).add_arguments(parser)
        parsers.append(parser.format_help().replace(prog, "").split())
    assert parsers[0] == parsers[1]
    front = (ROOT / f"scripts/{script}.py").read_text()
    assert f"app.run_script({SHIPPED_SCRIPT[script]})" in front


@pytest.mark.parametrize(("words", "line"), [
    (["trian"], "error: unknown command 'trian'; choose one of: train, "),
    (["--fast"], "error: unrecognized arguments: --fast (see kerasnets --help)"),
    (["list", "network"], "error: argument KIND: invalid choice: 'network' (choose from "),
    (["predict", "mnist_cnn-mnist"], "error: after the model, name pictures, or one of --dataset, --camera, --video "
                                     "(see kerasnets predict --help)"),
])  # fmt: skip
def test_wrong_usage_is_one_line(tmp_path, words, line):
    assert only_line(run(tmp_path, *words), 2).startswith(line)


def test_debug_may_stand_before_the_command(tmp_path):
    process = run(tmp_path, "--debug", "predict", "no.keras", "no.png")
    assert process.returncode == 3
    assert "Traceback" in process.stderr


def test_the_version_is_that_of_the_package(tmp_path):
    process = run(tmp_path, "--version")
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.startswith("kerasnets 0.")


def test_the_lists_name_all_networks_recipes_data_sets_and_shipped_models(tmp_path):
    process = run(tmp_path, "list", "--json")
    assert (process.returncode, process.stderr) == (0, "")
    lists = json.loads(process.stdout)
    assert list(lists["networks"]) == list(NETWORKS)
    assert lists["networks"]["lenet5"] == {"input": "28x28x1", "classes": 10, "parameters": 61_706}
    assert list(lists["recipes"]) == list(RECIPES)
    assert list(lists["datasets"]) == list(DATASETS)
    assert list(lists["models"]) == shipped.names()
    assert lists["models"]["mnist_cnn-mnist"]["files"] == ".h5 .keras .onnx"
    assert next(iter(lists)) == "models"  # what a new user can try at once
    lines = run(tmp_path, "list", "networks").stdout.splitlines()
    assert lines[0].split() == ["networks", "input", "classes", "parameters"]
    assert lines[1].split() == ["lenet5", "28x28x1", "10", "61,706"]


def test_a_shipped_model_answers_by_its_name(tmp_path):
    photo = ROOT / "docs/samples/three-on-paper.jpg"
    process = run(tmp_path, "predict", "mnist_cnn-mnist", photo)
    assert (process.returncode, process.stdout, process.stderr) == (0, f"{photo}: 3 1.0000\n", "")
    line = only_line(run(tmp_path, "predict", "mnist_cnn-mnits", photo), 2)
    assert line.startswith("error: unknown model 'mnist_cnn-mnits'; choose one of: mnist_cnn-mnist, ")


@pytest.mark.parametrize("shell", main.SHELLS)
def test_a_completion_script_is_written_for_each_shell(tmp_path, shell):
    process = run(tmp_path, "--print-completion", shell)
    assert (process.returncode, process.stderr) == (0, "")
    for word in main.COMMANDS if shell == "tcsh" else (*main.COMMANDS, "--patience", "lenet5-mnist"):
        assert word in process.stdout


@pytest.mark.parametrize(("line", "words"), [
    ("kerasnets pre", "predict"),
    ("kerasnets train resnet18-cifar10-f", "resnet18-cifar10-fast"),
    ("kerasnets bench train --backends t", "torch tensorflow"),
])  # fmt: skip
def test_bash_completes_commands_recipes_and_options(tmp_path, line, words):
    script = run(tmp_path, "--print-completion", "bash").stdout
    script += f"\nCOMP_WORDS=({line}); COMP_CWORD={len(line.split()) - 1}; _shtab_kerasnets; echo ${{COMPREPLY[*]}}"
    process = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert process.stdout.strip() == words, process.stderr


# ---- help with what is misspelt, or left short ----


@pytest.mark.parametrize(("words", "question"), [
    ("train lenet5-mnist --learningrate 3", "; did you mean --learning-rate for --learningrate?"),
    ("predict mnist_cnn-mnist --tpo 3 a.png", "; did you mean --top for --tpo?"),
    ("evaluate mnist_cnn-mnist --datset=mnist", "; did you mean --dataset for --datset?"),  # a required one
    ("--vresion", "; did you mean --version for --vresion?"),
    ("predict mnist_cnn-mnist --unheard-of a.png", "arguments: --unheard-of a.png (see"),
    ("train lenet5-mnist --seed one -- --tpo", "invalid int value: 'one' (see"),
])  # fmt: skip
def test_a_misspelt_option_gets_a_suggestion(words, question):
    with pytest.raises(ValueError, match="see kerasnets") as excinfo:
        main.run(words.split())
    assert question in str(excinfo.value)


def recipe_of(words):
    parser = app.Parser()
    train.add_arguments(parser)
    return train.recipe_of(parser.parse_args(words.split())).name


def test_a_network_alone_is_trained_by_its_first_recipe_with_a_note(capsys):
    assert recipe_of("lenet5") == "lenet5-mnist"
    assert capsys.readouterr().err == "note: lenet5 is trained by its first recipe, lenet5-mnist (--list shows all)\n"
    assert recipe_of("resnet18") == "resnet18-cifar10"
    assert recipe_of("lenet5-mnist-cosine") == "lenet5-mnist-cosine"
    with pytest.raises(ValueError, match="vgg16 has no recipe; name your data: --model vgg16 --dataset"):
        recipe_of("vgg16")
    with pytest.raises(ValueError, match="unknown recipe 'lenet6'"):
        recipe_of("lenet6")
