"""Checkpoint files survive kills and full disks, and damage is detected."""

import errno
import io
import json
import os
import shutil
import signal
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

import kerasnets
from kerasnets.cli import main
from kerasnets.errors import BadInputError
from kerasnets.runtime import signals
from kerasnets.training import checkpoints
from kerasnets.training.checkpoints import Checkpoint
from tests.conftest import kill_in, often, seconds_in_a_child

SETTINGS = {"model": "none", "batch_size": 8, "schedule": ("cosine", 1), "options": {}}
FLIPS = 300  # of single bits, spread over a checkpoint's bytes
WRITE_LIMITS = 20


def checkpoint_of(epoch, **arrays):
    return Checkpoint(epoch, SETTINGS, {"layers/a/0": np.full((4, 5), epoch, "float32"), **arrays})


def save(folder, *epochs):
    for epoch in epochs:
        checkpoints.save(folder, checkpoint_of(epoch))
    return folder


def paths(folder):
    return sorted(os.listdir(folder))


# ---- the files ----


def test_a_checkpoint_loads_as_it_was_saved(tmp_path):
    arrays = {
        "layers/conv1/0": np.random.default_rng(0).normal(0, 1, (3, 3, 1, 6)).astype("float32"),
        "layers/dropout1/0": np.array([1, 2**32 - 1], "uint32"),
        "optimizer/sgd/iteration": np.array(7),
        "history/loss": np.array([0.1, 0.05]),
        "best/conv1/0": np.zeros((0,), "float32"),
        "generators/torch": np.arange(256, dtype="uint8"),
    }
    checkpoints.save(tmp_path / "new/folder", Checkpoint(7, SETTINGS, arrays))
    back = checkpoints.load(tmp_path / "new/folder", SETTINGS)
    assert (back.epoch, back.arrays.keys()) == (7, arrays.keys())
    assert back.settings == json.loads(json.dumps(SETTINGS))
    for name, array in arrays.items():
        np.testing.assert_array_equal(back.arrays[name], array, strict=True)
    assert back.part("layers").keys() == {"conv1/0", "dropout1/0"}
    np.testing.assert_array_equal(back.part("best")["conv1/0"], arrays["best/conv1/0"], strict=True)


def test_the_last_two_checkpoints_are_kept_and_a_new_run_removes_all_others(tmp_path):
    save(tmp_path, 1, 2, 3, 4)
    assert paths(tmp_path) == ["epoch-00003.npz", "epoch-00004.npz"]
    checkpoints.save(tmp_path, checkpoint_of(1), alone=True)
    assert paths(tmp_path) == ["epoch-00001.npz"]


def test_the_last_checkpoint_is_the_one_with_the_highest_epoch(tmp_path):
    save(tmp_path, 9, 10, 99, 100, 999, 1000)
    assert checkpoints.load(tmp_path, SETTINGS).epoch == 1000


def test_without_a_checkpoint_nothing_is_loaded(tmp_path):
    assert checkpoints.load(tmp_path / "nowhere", SETTINGS) is None
    assert checkpoints.load(tmp_path, SETTINGS) is None


def test_the_next_save_removes_the_part_file_of_a_killed_run(tmp_path):
    (tmp_path / ".epoch-00002-abc.part.npz").write_bytes(b"half")
    assert checkpoints.load(save(tmp_path, 1), SETTINGS).epoch == 1
    assert paths(tmp_path) == ["epoch-00001.npz"]


def test_checkpoints_set_aside_can_be_taken_back_unless_replaced(tmp_path):
    place = save(tmp_path / "checkpoints", 1, 2)
    (place / ".epoch-00003-abc.part.npz").write_bytes(b"half")
    assert not checkpoints.take_back(place)
    assert checkpoints.set_aside(place) == tmp_path / "checkpoints-before"
    assert paths(tmp_path) == ["checkpoints-before"]
    save(place, 1)
    assert not checkpoints.take_back(place)
    (place / "epoch-00001.npz").rename(place / ".epoch-00001-abc.part.npz")  # all that a killed run leaves
    assert checkpoints.take_back(place)
    assert paths(tmp_path) == ["checkpoints"]
    assert checkpoints.load(place, SETTINGS).epoch == 2
    assert not checkpoints.take_back(place)


def test_a_run_is_unfinished_until_its_report_is_newer_than_its_checkpoints(tmp_path):
    place, report = tmp_path / "checkpoints", tmp_path / "report.html"
    assert not checkpoints.are_unfinished(place, report)
    save(place, 1, 2)
    assert checkpoints.are_unfinished(place, report)
    report.touch()
    for seconds, expected in ((-1, True), (0, False), (1, False)):
        written = (place / "epoch-00002.npz").stat().st_mtime + seconds
        os.utime(report, (written, written))
        assert checkpoints.are_unfinished(place, report) == expected


DAMAGES = {
    "empty": lambda content: b"",
    "garbage": lambda content: os.urandom(len(content)),
    "text": lambda content: b"not a checkpoint\n" * 99,
    "one byte": lambda content: content[:1],
    "half": lambda content: content[: len(content) // 2],
    "all but a byte": lambda content: content[:-1],
    "begun late": lambda content: content[1:],
    "zeros in the middle": lambda content: content[:400] + bytes(200) + content[600:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_reported_and_the_one_before_it_is_loaded(tmp_path, capsys, damage):
    path = save(tmp_path, 1, 2) / "epoch-00002.npz"
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    back = checkpoints.load(tmp_path, SETTINGS)
    assert back.epoch == 1
    np.testing.assert_array_equal(back.arrays["layers/a/0"], checkpoint_of(1).arrays["layers/a/0"])
    [line] = capsys.readouterr().err.splitlines()
    assert "epoch-00002.npz is damaged (" in line
    assert len(line) <= 200


def test_a_flipped_bit_is_detected_or_harmless(tmp_path, capsys):
    """A few bytes of a zip do not matter to its content, such as the date of each part."""
    path = save(tmp_path, 1, 2) / "epoch-00002.npz"
    content = path.read_bytes()
    noticed, rng = 0, np.random.default_rng(0)
    for place in np.linspace(0, len(content) - 1, FLIPS).astype(int):
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        back = checkpoints.load(tmp_path, SETTINGS)
        notice = "epoch-00002.npz is damaged" in capsys.readouterr().err
        assert back.epoch == (1 if notice else 2), place
        assert back.arrays.keys() == {"layers/a/0"}, place
        np.testing.assert_array_equal(
            back.arrays["layers/a/0"], checkpoint_of(back.epoch).arrays["layers/a/0"], strict=True
        )
        noticed += notice
    assert noticed > FLIPS / 2


def test_a_flipped_bit_in_an_arrays_shape_is_detected(tmp_path, capsys):
    """(4, 5) becomes (4, 4): NumPy alone would read fewer bytes and not check the rest."""
    path = save(tmp_path, 1, 2) / "epoch-00002.npz"
    content = path.read_bytes()
    place = content.index(b"(4, 5)") + 4
    path.write_bytes(content[:place] + b"4" + content[place + 1 :])
    assert checkpoints.load(tmp_path, SETTINGS).epoch == 1
    assert "damaged" in capsys.readouterr().err


def test_a_checkpoint_cannot_run_code(tmp_path, capsys):
    """Nothing is unpickled."""
    path = save(tmp_path, 1) / "epoch-00002.npz"
    np.savez(path, meta=np.array(json.dumps({"epoch": 2, "settings": SETTINGS})), a=np.array([print], object))
    assert checkpoints.load(tmp_path, SETTINGS).epoch == 1
    assert "damaged (its part a.npy holds objects" in capsys.readouterr().err


def test_an_archive_of_something_else_is_not_a_checkpoint(tmp_path, capsys):
    np.savez(save(tmp_path, 1) / "epoch-00002.npz", images=np.zeros(3))
    with zipfile.ZipFile(tmp_path / "epoch-00003.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert checkpoints.load(tmp_path, SETTINGS).epoch == 1
    assert len(capsys.readouterr().err.splitlines()) == 2


def rewritten(path, change):
    """Change {part: bytes} of a checkpoint, and make all checksums right again."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def meta(**changes):
    """Change the facts of a checkpoint."""
    facts = {"epoch": 2, "settings": SETTINGS, "threads": 2} | changes

    def change(parts):
        content = io.BytesIO()
        np.save(content, np.array(json.dumps(facts)))
        parts["meta.npy"] = content.getvalue()

    return change


def header_of(shape):
    """Let the header of an array promise another shape, in as many bytes."""

    def change(parts):
        old = parts["layers/a/0.npy"]
        assert b"(4, 5), }    " in old
        parts["layers/a/0.npy"] = old.replace(b"(4, 5), }".ljust(40), f"{shape}, }}".encode().ljust(40))

    return change


@pytest.mark.parametrize(("change", "words"), [
    (meta(epoch=7), "another epoch"),
    (meta(epoch=True), "another epoch"),
    (meta(epoch="2"), "another epoch"),
    (meta(settings=[1]), ""),
    (meta(threads=10**9), "threads"),
    (meta(threads="x" * 9000), "threads"),
    (header_of("(10000000000, 5)"), "another size than its header"),
    (header_of("(3, 5)"), "another size than its header"),
    (lambda parts: parts.pop("meta.npy"), "meta"),
    (lambda parts: parts.update({"layers/a/0.npy": b"no array"}), ""),
])  # fmt: skip
def test_a_changed_checkpoint_with_right_checksums_is_damaged(tmp_path, capsys, change, words):
    rewritten(save(tmp_path, 1, 2) / "epoch-00002.npz", change)
    assert checkpoints.load(tmp_path, SETTINGS).epoch == 1
    told = capsys.readouterr().err
    assert "epoch-00002.npz is damaged (" in told
    assert words in told
    assert told.count("\n") == 1
    assert len(told) < 250


def test_a_packed_checkpoint_is_not_unpacked(tmp_path, capsys):
    save(tmp_path, 1)
    arrays = {"meta": np.array(json.dumps({"epoch": 2, "settings": SETTINGS})), "layers/a/0": np.zeros(2**20)}
    np.savez_compressed(tmp_path / "epoch-00002.npz", **arrays)
    assert checkpoints.load(tmp_path, SETTINGS).epoch == 1
    assert "its parts are packed" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such pipes")
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_never_opened(tmp_path, capsys, make):
    make(save(tmp_path, 1) / "epoch-00002.npz")
    assert checkpoints.load(tmp_path, SETTINGS).epoch == 1
    assert "is damaged (it is no file)" in capsys.readouterr().err


def test_what_a_run_cannot_have_written_is_damaged(tmp_path, capsys):
    def judge(checkpoint):
        if checkpoint.epoch == 2:
            raise BadInputError("the checkpoint has not the figures of 2 epochs")
        return checkpoint

    assert checkpoints.load(save(tmp_path, 1, 2), SETTINGS, judge).epoch == 1
    assert "is damaged (the checkpoint has not the figures of 2 epochs)" in capsys.readouterr().err


# ---- finished runs ----


def report_of(folder, mark, ahead):
    """A report whose time is `ahead` seconds after now."""
    path = folder.with_name("report.html")
    path.write_text(f"<!-- checkpoints: {mark} -->" if mark else "of an earlier version")
    os.utime(path, (time.time() + ahead,) * 2)
    return path


@pytest.mark.parametrize("ahead", [-(10**6), 10**6])
def test_a_run_is_finished_if_its_report_names_its_last_checkpoint_whatever_the_clock_says(tmp_path, ahead):
    folder = save(tmp_path / "checkpoints", 1, 2)
    report = report_of(folder, checkpoints.mark_of(folder), ahead)
    assert not checkpoints.are_unfinished(folder, report)
    checkpoints.save(folder, checkpoint_of(1, other=np.ones(3)), alone=True)  # the next run, which is killed
    assert checkpoints.are_unfinished(folder, report)


@pytest.mark.parametrize(("ahead", "expected"), [(-100, True), (100, False)])
def test_the_report_of_an_earlier_version_has_only_its_time(tmp_path, ahead, expected):
    folder = save(tmp_path / "checkpoints", 1)
    assert checkpoints.are_unfinished(folder, report_of(folder, "", ahead)) == expected


def test_epochs_are_ordered_by_number(tmp_path):
    for epoch in (99_999, 100_000, 100_001):
        checkpoints.save(tmp_path, checkpoint_of(epoch))
    (tmp_path / "epoch-new.npz").touch()
    assert [path.name for path in checkpoints.files(tmp_path)] == ["epoch-100000.npz", "epoch-100001.npz"]


def test_an_error_says_that_all_checkpoints_are_damaged(tmp_path):
    for path in (save(tmp_path, 1, 2)).iterdir():
        path.write_bytes(b"")
    with pytest.raises(BadInputError, match=r"all checkpoints in .* are damaged; start anew, without --resume"):
        checkpoints.load(tmp_path, SETTINGS)


@pytest.mark.parametrize(("changes", "words"), [
    ({"batch_size": 16}, "was made with batch_size 8, not 16;"),
    ({"schedule": ("cosine", 2)}, r"was made with schedule \['cosine', 1\], not \['cosine', 2\];"),
    ({"schedule": (), "epochs": 9}, r"was made with schedule \['cosine', 1\], not none;"),
    ({"options": {"dropout": 0.5}}, "was made with options none, not {'dropout': 0.5};"),
    ({"weight_decay": 0.1}, "was made with weight_decay none, not 0.1;"),
])  # fmt: skip
def test_the_error_names_the_setting_that_differs(tmp_path, changes, words):
    with pytest.raises(BadInputError, match=words):
        checkpoints.load(save(tmp_path, 1), SETTINGS | changes)


def test_a_checkpoint_of_an_earlier_version_has_the_setting_deviation(tmp_path):
    checkpoints.save(tmp_path, Checkpoint(1, SETTINGS | {"deviation": [0.2, 0.3]}, checkpoint_of(1).arrays))
    assert checkpoints.load(tmp_path, SETTINGS | {"std": (0.2, 0.3)}).epoch == 1
    with pytest.raises(BadInputError, match="std"):
        checkpoints.load(tmp_path, SETTINGS | {"std": (0.2, 0.4)})


@pytest.mark.skipif(os.name != "posix", reason="a limit of POSIX stands for the full disk")
def test_a_full_disk_leaves_the_earlier_checkpoints(tmp_path):
    import resource

    save(tmp_path, 1, 2)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in np.linspace(0, len(before[tmp_path / "epoch-00002.npz"]) - 1, WRITE_LIMITS).astype(int).tolist():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(OSError, match=r"epoch-00003\.npz"):
                checkpoints.save(tmp_path, checkpoint_of(3))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def kill_while_saving(folder, kills):
    """Kill children that save the next epoch; return the last epoch after each kill."""
    epochs = [checkpoints.load(folder, SETTINGS).epoch]
    seconds = 3 * seconds_in_a_child(lambda: checkpoints.save(folder.with_name("other"), large(1)))
    for _ in range(kills):
        kill_in(lambda: checkpoints.save(folder, large(epochs[-1] + 1)), seconds)
        whole = checkpoints.read(checkpoints.files(folder)[-1])  # raises where the last one is not whole
        np.testing.assert_array_equal(whole.arrays["layers/a/0"], large(whole.epoch).arrays["layers/a/0"])
        epochs.append(whole.epoch)
    return epochs


def kill_while_setting_aside(folder, kills):
    """Kill children that save one epoch after another, set each aside, and log the saved epochs in a file."""
    place, log, epochs = folder / "checkpoints", folder / "log", iter(range(1, 10**9))

    def write():
        epoch = next(epochs)
        checkpoints.save(place, checkpoint_of(epoch))
        with log.open("a") as file:
            file.write(f"{epoch}\n")
        checkpoints.set_aside(place)

    for _ in range(kills):
        log.write_text("0\n")
        kill_in(write, 0.03)
        checkpoints.take_back(place)
        last = int(log.read_text().split()[-1])
        result = checkpoints.load(place, SETTINGS)
        assert (result.epoch if result else 0) in (last, last + 1)
        for left in (place, checkpoints.aside(place)):
            shutil.rmtree(left, ignore_errors=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the test forks; Windows cannot")
def test_kill_9_while_checkpoints_are_set_aside_loses_none(workers, tmp_path):
    workers["torch"](kill_while_setting_aside, tmp_path, 30)


def large(epoch):
    """A checkpoint of the size of mnist_cnn's."""
    return Checkpoint(epoch, SETTINGS, {"layers/a/0": np.full((300, 1000), epoch, "float32")})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the test forks; Windows cannot")
@pytest.mark.parametrize("kills", often(14, 134))
def test_kill_9_during_a_save_leaves_the_last_one_or_one_more(workers, tmp_path, kills):
    checkpoints.save(tmp_path, large(1))
    epochs = workers["torch"](kill_while_saving, tmp_path, kills)
    assert set(np.diff(epochs)) <= {0, 1}
    assert len(epochs) == kills + 1
    assert epochs[-1] > kills / 4  # the saves were under way
    checkpoints.save(tmp_path, large(epochs[-1] + 1))
    assert len(paths(tmp_path)) == 2  # and what the killed ones left is gone


NOTE = "the checkpoints in {} are kept; --resume goes on with them"


@pytest.mark.parametrize(("error", "place", "note"), [
    (signals.Stopped(signal.SIGTERM), "checkpoints", NOTE),
    (OSError(errno.ENOSPC, "full"), "checkpoints", NOTE),
    (signals.Stopped(signal.SIGINT), "checkpoints-before", NOTE),
    (signals.Stopped(signal.SIGINT), None, ""),
    (PermissionError(errno.EACCES, "no"), "checkpoints", ""),  # the same run would fail again
])  # fmt: skip
def test_an_interruption_names_resume_if_there_are_checkpoints(tmp_path, monkeypatch, error, place, note):
    """Also one while a framework is loaded, before there is a run."""

    def train(recipe, **options):
        raise error

    monkeypatch.setitem(vars(kerasnets), "train", train)
    monkeypatch.chdir(tmp_path)
    if place:
        folder = Path("models_saved/mnist_cnn-digits", place)
        folder.mkdir(parents=True)
        (folder / "epoch-00001.npz").touch()
    with pytest.raises(type(error)) as caught:
        main.run(["train", "mnist_cnn-digits", "--resume"])
    assert getattr(caught.value, "note", "") == note.format(f"models_saved/mnist_cnn-digits/{place}")


def test_an_interruption_keeps_the_note_of_the_run(tmp_path):
    (tmp_path / "epoch-00001.npz").touch()
    error = signals.Stopped(signal.SIGINT)
    error.note = "1 of 2 epochs are kept"
    with pytest.raises(signals.Stopped, match=r"stopped by Ctrl-C; 1 of 2 epochs are kept$"), \
            checkpoints.name_resume(tmp_path):  # fmt: skip
        raise error
