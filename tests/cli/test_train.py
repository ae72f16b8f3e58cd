"""`kerasnets train` for several seeds, and its result."""

import json
import types
from pathlib import Path

import pytest

import kerasnets
from kerasnets.cli import main, names

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


def test_one_seed_has_one_result(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert train(monkeypatch, capsys, "lenet5-mnist --seed 7") == ["result recipe=lenet5-mnist seed=7"]


@pytest.mark.parametrize("words", ["--dataset pets", "--dataset pets.zip"])
def test_own_pictures_need_no_name_of_a_network(monkeypatch, capsys, tmp_path, words):
    monkeypatch.chdir(tmp_path)
    Path("pets").mkdir()
    Path("pets.zip").touch()
    monkeypatch.setitem(vars(kerasnets), "train", of)
    main.run(["train", *words.split()])
    out, err = capsys.readouterr()
    assert out == f"result recipe={names.FROM_SCRATCH}-pets seed=0\n"
    assert err.splitlines()[0] == f"note: chosen: --model {names.FROM_SCRATCH}; kerasnets list shows the other networks"


def test_a_network_that_is_named_is_taken(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("pets").mkdir()
    assert train(monkeypatch, capsys, "--dataset pets --model lenet5") == ["result recipe=lenet5-pets seed=0"]
