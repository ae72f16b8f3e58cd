"""Runs compared: a table, a page, JSON. The runs are shipped models, with a report made by hand."""

import dataclasses
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from kerasnets.cli import main
from kerasnets.errors import BadInputError
from kerasnets.saving import load_card, shipped
from kerasnets.saving.keras_check import CARD
from kerasnets.training import comparison

NAMES = "lenet5-mnist", "small_cnn-mnist"
HISTORY = """epoch,accuracy,loss,val_accuracy,val_loss,seconds
1,0.9,0.3,0.92,0.25,70.0
2,0.95,0.2,0.94,0.125,60.5
"""


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A folder with two runs, the first with its report, and a file that is none."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        shutil.copy(shipped.path_of(name, (".keras",)), tmp_path / f"{name}.keras")
    (tmp_path / NAMES[0]).mkdir()
    (tmp_path / NAMES[0] / "epochs.csv").write_text(HISTORY)
    (tmp_path / "notes.md").write_text("x")
    return tmp_path


def paths(folder):
    return sorted(map(str, folder.iterdir()))


def test_a_file_and_its_report_are_one_run_and_the_best_on_validation_comes_first(runs):
    entries, others, _ = comparison.read_all(reversed(paths(runs)))
    assert [entry.name for entry in entries] == list(NAMES)  # 0.9857 and 0.9562 in their cards
    assert [entry.weights for entry in entries] == [61_706, 6_422]  # LeCun 1998 and SPEC
    assert others == ["notes.md"]
    assert [entry.seconds for entry in entries] == [130.5, None]
    assert comparison.read_all([runs / NAMES[0]])[0][0].path == runs / f"{NAMES[0]}.keras"


def test_the_table_has_figures_and_what_differs(runs, capsys):
    main.run(["compare", *paths(runs)])
    out, err = capsys.readouterr()
    first = load_card(runs / f"{NAMES[0]}.keras")
    head, row = out.splitlines()[:2]
    assert " ".join(head.split()) == "run test accuracy validation least val. loss epochs time weights date"
    figures = [NAMES[0], f"{first.accuracy:.4f}", f"{first.val_accuracy:.4f}", "0.1250", "5"]
    assert row.split()[:7] == [*figures, "2", "min"]
    settings = next(line for line in out.splitlines()[3:] if line.startswith("run")).split()
    assert {"network", "seed"} <= set(settings)
    assert "data" not in settings  # both are of MNIST
    assert err == "note: left out, as no model file of a run: notes.md\n"
    assert "\x1b" not in out


def test_json_has_settings_and_curves(runs, capsys):
    main.run(["compare", *paths(runs), "--json"])
    first, second = json.loads(capsys.readouterr().out)
    assert first["history"]["val_loss"] == [0.25, 0.125]
    assert (second["run"], second["history"]) == (NAMES[1], {})
    assert {"settings", "test_accuracy", "parent", "data_digest"} <= first.keys()


def test_the_page_has_both_tables_and_the_curves(runs, capsys):
    main.run(["compare", *paths(runs), "--out", "page.html"])
    page = (runs / "page.html").read_text()
    assert page.count("<table>") == 2
    assert page.count("data:image/png") == 1
    assert all(name in page for name in NAMES)


def test_without_a_report_there_are_no_curves_and_one_run_has_no_differences(runs):
    shutil.rmtree(runs / NAMES[0])
    entries, *_ = comparison.read_all([runs / f"{NAMES[1]}.keras"])
    comparison.save_page(entries, runs / "page.html")
    page = (runs / "page.html").read_text()
    assert "data:image" not in page
    assert "Nothing that the model files tell." in page


def test_the_folder_of_a_report_may_be_the_working_directory(runs, monkeypatch):
    monkeypatch.chdir(runs / NAMES[0])
    assert comparison.read_all(["."])[0][0].path == runs / f"{NAMES[0]}.keras"


def test_what_is_no_run_is_said(runs):
    with pytest.raises(BadInputError, match="no file or folder x; check the name"):
        comparison.read_all(["x"])
    with pytest.raises(BadInputError, match="no model file of a training is there"):
        comparison.read_all([runs / "notes.md"])
    (runs / "broken.keras").write_bytes(b"PK\3\4 and nothing")
    with pytest.raises(BadInputError, match=r"broken\.keras is damaged"):
        comparison.read_all([runs / "broken.keras"])


def test_a_pattern_in_quotes_stands_for_its_files_and_folders(runs, capsys):
    for shell, quoted in ((paths(runs), f"{runs}/*"), ([str(runs / NAMES[0])], "lenet5-mnis?")):
        main.run(["compare", *shell])
        expected = capsys.readouterr()
        main.run(["compare", quoted])
        assert capsys.readouterr() == expected
    with pytest.raises(BadInputError, match=r"nothing matches none\*"):
        main.run(["compare", "none*"])


def test_a_damaged_file_is_named_and_the_others_are_compared(runs, capsys):
    (runs / "broken.keras").write_bytes(b"PK\3\4 and nothing")
    assert main.run(["compare", *paths(runs), "--out", "page.html"]) == 3
    out, err = capsys.readouterr()
    assert all(name in out for name in NAMES)
    assert "broken" not in out
    assert "page=page.html" in out
    [line] = [line for line in err.splitlines() if line.startswith("error: ")]
    assert "broken.keras is damaged" in line
    assert main.run(["compare", *(f"{name}.keras" for name in NAMES)]) == 0


def test_many_runs_with_a_report_that_is_damaged_are_drawn(runs):
    (runs / NAMES[0] / "epochs.csv").write_text("epoch,loss\n1,x\n")
    assert comparison.read_all(paths(runs))[0][0].history == {}
    entry = comparison.read_all(paths(runs))[0][0]
    history = {name: [0.5, 0.25] for name in ("accuracy", "loss", "val_accuracy", "val_loss", "seconds")}
    many = [comparison.Entry(f"run {i} of a long name" * 3, entry.path, entry.card, 1, history) for i in range(25)]
    comparison.save_page(many, runs / "page.html")
    assert "The curves are those of the first 20 runs." in (runs / "page.html").read_text()


def write_without_card(path):
    """A copy of the second run as another program has it: without the card, and with another name."""
    with zipfile.ZipFile(path.parent / f"{NAMES[1]}.keras") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            if name != CARD:
                new.writestr(name, old.read(name))


def test_a_model_file_without_a_card_is_listed_as_such(runs, capsys):
    write_without_card(runs / "guest.keras")
    main.run(["compare", *paths(runs), "--out", "page.html"])
    out, err = capsys.readouterr()
    row = next(line.split() for line in out.splitlines() if line.startswith("guest"))
    assert row == ["guest", "6,422", "no", "card"]  # no figures, no epochs
    assert "note: guest has no card, which kerasnets train writes: nothing is known of the training.\n" in err
    assert "different data" not in err
    settings = next(line.split() for line in out.splitlines()[4:] if line.startswith("guest"))
    assert settings == ["guest", *["no", "card"] * (len(settings) // 2)]
    assert "no card" in (runs / "page.html").read_text()
    main.run(["compare", "guest.keras", f"{NAMES[0]}.keras", "--json"])
    first, second = json.loads(capsys.readouterr().out)
    assert (first["card"], second["run"], second["card"], second["epochs"]) == (True, "guest", False, 0)


def test_files_without_a_card_alone_have_no_settings_to_differ_in(runs, capsys):
    write_without_card(runs / "guest.keras")
    shutil.copy(runs / "guest.keras", runs / "other.keras")
    main.run(["compare", "guest.keras", "other.keras"])
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert err == "note: guest, other have no card, which kerasnets train writes: nothing is known of the training.\n"


def test_weights_alone_are_left_out(runs):
    (runs / "a.weights.h5").write_bytes(b"\x89HDF")
    assert comparison.read_all(paths(runs))[1] == ["a.weights.h5", "notes.md"]


def test_what_a_card_does_not_record_is_no_difference():
    card = dataclasses.replace(load_card(NAMES[0]), settings={}, data_digest="", commit="")
    settings = {"loss": "cross_entropy", "label_smoothing": 0.0, "epochs": 5, "frozen": []}
    new = dataclasses.replace(card, settings=settings, data_digest="5" * 64, commit="6" * 12, seed=card.seed + 1)
    other = dataclasses.replace(new, settings={**settings, "loss": "squared_error", "frozen": ["c1"]})
    runs = [
        comparison.Entry(name, Path(name), each, 1, {}) for name, each in zip("abc", (card, new, other), strict=True)
    ]
    assert list(comparison.differences(runs[:2])) == ["seed"]
    assert comparison.remarks(runs[:2]) == []
    assert comparison.differences(runs)["loss"] == ["not recorded", "cross_entropy", "squared_error"]
    assert comparison.differences(runs)["frozen layers"] == ["not recorded", "0", "1"]
    assert comparison.remarks(runs) == ["The runs have different losses, which do not compare."]
    without = dataclasses.replace(new, settings={name: settings[name] for name in settings if name != "frozen"})
    assert comparison.differences([runs[1], dataclasses.replace(runs[1], card=without)]) == {}


def test_data_of_other_names_or_digests_are_different():
    card = dataclasses.replace(load_card(NAMES[0]), data_digest="5" * 64)
    others = {"copied": {"dataset": "copy"}, "changed": {"data_digest": "6" * 64},
              "unknown": {"data_digest": ""}, "elsewhere": {"data_digest": "", "dataset": "copy"}}  # fmt: skip
    result = {name: comparison.differ_in_data(card, dataclasses.replace(card, **each)) for name, each in others.items()}
    assert result == {"copied": False, "changed": True, "unknown": False, "elsewhere": True}


@pytest.mark.parametrize("settings", [{"frozen": 5}, {"loss": ["a"]}, {"loss": {"a": None}, "frozen": None}])
def test_settings_of_any_form_are_compared(settings):
    card = dataclasses.replace(load_card(NAMES[0]), settings=settings)
    history = {"seconds": [float("nan")], "val_loss": [0.5]}
    entries = [comparison.Entry(name, Path(name), card, 1, history) for name in "ab"]
    comparison.tables(entries)
    assert comparison.remarks(entries) == []
    assert entries[0].seconds is None
