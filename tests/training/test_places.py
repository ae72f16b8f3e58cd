"""No run replaces another's files: the second of a name is numbered, and a resumed run is found among them."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from kerasnets.runtime.claims import claim, is_claimed
from kerasnets.training import checkpoints, places

SETTINGS, OTHER = {"seed": 0}, {"seed": 1}


def run(folder, name, *, settings=None, finished=True, epoch=2, time=1000):
    """Leave the files of a run with a name, as `train` does: checkpoints, and if it is finished, model and report."""
    place = folder / name / "checkpoints"
    checkpoints.save(place, checkpoints.Checkpoint(epoch, settings or SETTINGS, {"history/loss": np.zeros(epoch)}))
    for path in checkpoints.files(place):
        os.utime(path, (time, time))
    if finished:
        (folder / f"{name}.keras").write_bytes(b"PK\3\4")
        (folder / name / "report.html").write_text(f"<!-- checkpoints: {checkpoints.mark_of(place)} -->")


def names(files):
    return [path.name for path in files]


def choice(folder, *files, overwrite=False):
    return names(places.choose([folder / name for name in files or ("a.keras",)], overwrite=overwrite))


def choice_to_resume(folder, settings=SETTINGS):
    [path] = places.choose_to_resume([folder / "a.keras"], lambda: settings, overwrite=False)
    return path.name


def test_a_name_that_no_run_has_is_taken_as_it_is(tmp_path, capsys):
    (tmp_path / "a").mkdir()  # as a run leaves it that ended before its first epoch
    (tmp_path / "b.keras").write_bytes(b"PK\3\4")
    assert choice(tmp_path) == ["a.keras"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("left", "words"), [
    (lambda folder: run(folder, "a"), "a.keras is there already (--overwrite replaces it)"),
    (lambda folder: run(folder, "a", finished=False), "an unfinished run is in {} (--resume goes on with it)"),
    (lambda folder: (folder / "a.keras").write_bytes(b"PK\3\4"), "a.keras is there already"),
    (lambda folder: (folder / "a.keras").write_bytes(b"\x89HDF"), "a.keras is there already"),
    (lambda folder: (folder / "a.keras").write_text("my notes"), "a.keras is there already"),
])  # fmt: skip
def test_a_second_run_gets_the_next_number_and_a_note_says_why(tmp_path, monkeypatch, capsys, left, words):
    monkeypatch.chdir(tmp_path)
    left(Path())
    assert choice(Path()) == ["a-2.keras"]
    note = capsys.readouterr().err
    assert words.format("a") in note
    assert note.endswith(": this run writes a-2.keras\n")
    assert note.count("\n") == 1
    run(tmp_path, "a-2")
    assert choice(Path()) == ["a-3.keras"]


def test_a_gap_between_the_numbers_is_filled(tmp_path):
    run(tmp_path, "a-2")
    assert choice(tmp_path) == ["a.keras"]


def test_a_report_without_a_model_is_kept_too(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/report.html").write_text("of kerasnets evaluate --out a")
    assert choice(tmp_path) == ["a-2.keras"]


def test_several_files_of_a_run_get_one_number(tmp_path):
    (tmp_path / "b-2.h5").write_bytes(b"\x89HDF")
    run(tmp_path, "a")
    assert choice(tmp_path, "a.keras", "b.h5") == ["a-3.keras", "b-3.h5"]


def test_a_head_without_its_run_is_an_unfinished_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(Path("a"), "head", settings=SETTINGS)
    assert choice(Path()) == ["a-2.keras"]
    assert "an unfinished run is in a (--resume goes on with it)" in capsys.readouterr().err
    run(Path("a-2"), "head", settings=OTHER, time=2000)
    for settings, name in ((SETTINGS, "a.keras"), (OTHER, "a-2.keras"), ({"seed": 7}, "a-2.keras")):
        files = places.choose_with_head([Path("a.keras")], settings, resume=True, overwrite=False)
        assert names(files) == [name]
    assert names(places.choose_with_head([Path("a.keras")], SETTINGS, resume=False, overwrite=False)) == ["a-3.keras"]


def test_a_free_name_is_that_of_no_file_beside_it(tmp_path):
    picture = tmp_path / "learning-rate.png"
    assert places.free_name(picture, [".csv"]) == picture
    (tmp_path / "learning-rate.csv").touch()
    assert places.free_name(picture, [".csv"]).name == "learning-rate-2.png"


def test_overwrite_keeps_the_name(tmp_path, capsys):
    run(tmp_path, "a")
    assert choice(tmp_path, overwrite=True) == ["a.keras"]
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such locks")
def test_a_name_that_another_training_writes_now_is_left_to_it(tmp_path, capsys):
    with claim([tmp_path / "a"], "training"):
        assert is_claimed(tmp_path / "a")
        assert choice(tmp_path) == ["a-2.keras"]
    assert "note: another training writes " in capsys.readouterr().err
    (tmp_path / ".a.lock").touch()  # as kill -9 leaves it
    assert not is_claimed(tmp_path / "a")
    assert choice(tmp_path) == ["a.keras"]


@pytest.mark.parametrize(("runs", "chosen"), [
    ({"a": {}}, "a.keras"),
    ({"a": {"settings": OTHER}}, "a.keras"),  # the error will name the other settings
    ({"a": {"time": 3}, "a-2": {"time": 4}}, "a-2.keras"),
    ({"a": {"time": 4}, "a-2": {"time": 3}}, "a.keras"),
    ({"a": {"finished": False, "time": 3}, "a-2": {"time": 4}}, "a.keras"),
    ({"a": {"time": 3}, "a-2": {"settings": OTHER, "finished": False, "time": 4}}, "a.keras"),
    ({"a": {"settings": OTHER, "time": 3}, "a-2": {"settings": OTHER, "time": 4}}, "a-2.keras"),
    ({"a-2": {"finished": False}}, "a-2.keras"),
])  # fmt: skip
def test_resume_finds_the_last_run_of_the_same_settings_an_unfinished_one_first(tmp_path, runs, chosen):
    for name, of in runs.items():
        run(tmp_path, name, **of)
    assert choice_to_resume(tmp_path) == chosen


def test_resume_finds_a_run_that_ended_between_its_model_and_its_report(tmp_path):
    run(tmp_path, "a")
    run(tmp_path, "a-2", time=900)
    (tmp_path / "a-2/report.html").unlink()
    assert choice_to_resume(tmp_path) == "a-2.keras"


def test_resume_without_checkpoints_replaces_no_model(tmp_path):
    (tmp_path / "a.keras").write_bytes(b"PK\3\4")
    assert choice_to_resume(tmp_path) == "a-2.keras"


def test_a_damaged_checkpoint_is_of_no_settings_but_the_one_before_it_is(tmp_path):
    run(tmp_path, "a", epoch=1)
    run(tmp_path, "a", epoch=2)
    paths = checkpoints.files(tmp_path / "a/checkpoints")
    paths[-1].write_bytes(b"PK")
    assert checkpoints.are_of(paths, SETTINGS)
    assert not checkpoints.are_of(paths, OTHER)
    assert not checkpoints.are_of(paths[-1:], SETTINGS)


def test_names_that_only_resemble_a_number_are_other_runs(tmp_path):
    for name in ("a-b", "a-1", "a-02", "a2", "aa-2", "a-2-own"):
        run(tmp_path, name)
    assert places.runs_of([tmp_path / "a.keras"]) == []


def test_the_model_that_a_report_compares_with_is_the_last_of_its_name(tmp_path):
    run(tmp_path, "a")
    os.utime(tmp_path / "a.keras", (1000, 1000))
    run(tmp_path, "a-2")
    assert places.last_model(tmp_path / "a-7.keras").name == "a-2.keras"
    assert places.last_model(tmp_path / "b.keras") == tmp_path / "b.keras"


def test_a_folder_that_cannot_be_read_is_no_run(tmp_path, monkeypatch):
    def refuse(path, *args):
        raise PermissionError(errno.EACCES, "no", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    assert not places.is_model(tmp_path / "a.keras")
