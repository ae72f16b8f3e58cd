"""`kerasnets train` for several seeds, and its result."""

import json
import types
from pathlib import Path

import pytest

import kerasnets
from kerasnets.cli import app, main, names
from kerasnets.cli import train as train_command

ACCURACIES = {0: 0.98, 1: 0.99, 7: 0.97}


def of(request):
    recipe, seed, out = request.recipe, request.seed, request.out
    line = f"result recipe={recipe.name} seed={seed}"
    return types.SimpleNamespace(
        recipe=recipe.name, seed=seed, test_accuracy=ACCURACIES[seed], backend="torch", line=lambda: line,
        json=lambda: json.dumps({"seed": seed, "files": [str(file) for file in out or ()]}),
    )  # fmt: skip


def train(monkeypatch, capsys, words):
    monkeypatch.setitem(vars(kerasnets), "train", of)
    main.run(["train", *words.split()])
    return capsys.readouterr().out.splitlines()


def test_each_seed_has_a_result_and_the_last_line_is_their_mean(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    lines = train(monkeypatch, capsys, "lenet5-mnist --seeds 0 1 7 1")
    assert lines[:3] == [f"result recipe=lenet5-mnist seed={seed}" for seed in (0, 1, 7)]
    assert lines[3:] == [
        "result recipe=lenet5-mnist seeds=0,1,7 test_accuracy=0.9800 std=0.0100 lowest=0.9700 highest=0.9900 "
        "backend=torch"
    ]


def test_the_files_of_seeds_are_named_after_them(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    [line] = train(monkeypatch, capsys, "lenet5-mnist --seeds 0 1 --json --out a.keras b/c.h5")
    files = [run["files"] for run in json.loads(line)]
    assert files == [["a-seed0.keras", str(Path("b/c-seed0.h5"))], ["a-seed1.keras", str(Path("b/c-seed1.h5"))]]
    [line] = train(monkeypatch, capsys, "lenet5-mnist --seeds 7 --json")
    assert json.loads(line)[0]["files"] == [str(Path("models_saved/lenet5-mnist-seed7.keras"))]


def test_a_single_seed_has_no_deviation(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert train(monkeypatch, capsys, "lenet5-mnist --seeds 7")[-1] == (
        "result recipe=lenet5-mnist seeds=7 test_accuracy=0.9700 lowest=0.9700 highest=0.9700 backend=torch"
    )


def test_one_seed_has_one_result(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert train(monkeypatch, capsys, "lenet5-mnist --seed 7") == ["result recipe=lenet5-mnist seed=7"]


def test_own_pictures_need_no_name_of_a_network(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("pets").mkdir()
    monkeypatch.setitem(vars(kerasnets), "train", of)
    main.run(["train", "--dataset", "pets"])
    out, err = capsys.readouterr()
    assert out == f"result recipe={names.FROM_SCRATCH}-pets seed=0\n"
    choice = f"note: no --model given: {names.FROM_SCRATCH} is trained; kerasnets list shows the others"
    assert err.splitlines()[0] == f"{choice}, and --pretrained suits photos"


@pytest.mark.parametrize(("words", "network"), [
    ("--dataset pets", names.FROM_SCRATCH), ("--dataset pets.zip", names.FROM_SCRATCH),
    ("--dataset pets --pretrained", names.PRETRAINED), ("--dataset pets --model lenet5", None),
    ("--dataset pets --weights a.keras", None), ("--dataset digits", None), ("lenet5-mnist", None),
    ("--dataset rows.npz", None), ("--dataset my_data.py:load", None), ("resnet50-imagenet --dataset pets", None),
])  # fmt: skip
def test_only_pictures_without_a_network_get_the_default(monkeypatch, tmp_path, words, network):
    monkeypatch.chdir(tmp_path)
    Path("pets").mkdir()
    Path("pets.zip").touch()
    parser = app.Parser("", "train")
    train_command.add_arguments(parser)
    assert names.default_network(parser.parse_args(words.split())) == network
