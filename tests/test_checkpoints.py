"""A training that was killed ends as if it had never been: the checkpoints, and what is made of them."""

import contextlib
import dataclasses
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from unittest import mock

import numpy as np
import pytest

import kerasnets
from kerasnets import checkpoints, data, recipes, saving
from kerasnets.backends import BACKENDS
from kerasnets.checkpoints import Checkpoint
from kerasnets.errors import BadInputError
from tests.conftest import ROOT

SETTINGS = {"model": "none", "batch_size": 8, "schedule": ("cosine", 1), "options": {}}
FLIPS = 300  # of single bits, spread over a checkpoint's bytes
KILLS = {"two": 2, "all": 20}  # shared/SPEC.md, section 5: 20 on each backend

# Dropout, batch norm, augmentation, a schedule over all epochs, weight decay, and the best epoch's weights kept.
FULL = recipes.changed(
    recipes.own("baseline_cnn", "digits"), batch_size=32, augmentation="crop_flip", optimizer="sgd", learning_rate=0.05,
    momentum=0.9, weight_decay=1e-3, label_smoothing=0.1, schedule=("cosine", 1), patience=1000,
)  # fmt: skip
SMOOTH = recipes.changed(  # nothing random in the network, and no kinks: float32 stays close over backends
    recipes.own("lenet5", "digits"), epochs=2, batch_size=32, augmentation="crop_flip", optimizer="sgd",
    learning_rate=0.02, momentum=0.9, weight_decay=1e-3, schedule=("cosine", 0),
)  # fmt: skip
STUCK = recipes.changed(recipes.own("fc2layer", "digits"), epochs=9, learning_rate=1e-12, patience=3)


@functools.cache
def few_digits():
    """240 of scikit-learn's digits to train and validate on, 60 to test."""
    digits = data.load_data("digits")
    return dataclasses.replace(
        digits,
        train_images=digits.train_images[:240],
        train_labels=digits.train_labels[:240],
        test_images=digits.test_images[:60],
        test_labels=digits.test_labels[:60],
    )


def made(epoch, **arrays):
    return Checkpoint(epoch, SETTINGS, {"layers/a/0": np.full((4, 5), epoch, "float32"), **arrays})


def saved(folder, *epochs):
    for epoch in epochs:
        checkpoints.save(folder, made(epoch))
    return folder


def paths(folder):
    return sorted(os.listdir(folder))


# ---- the files ----


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
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


def test_the_last_two_are_kept_and_a_new_run_begins_with_its_own_alone(tmp_path):
    saved(tmp_path, 1, 2, 3, 4)
    assert paths(tmp_path) == ["epoch-00003.npz", "epoch-00004.npz"]
    checkpoints.save(tmp_path, made(1), alone=True)
    assert paths(tmp_path) == ["epoch-00001.npz"]


def test_they_are_in_the_order_of_their_epochs(tmp_path):
    saved(tmp_path, 9, 10, 99, 100, 999, 1000)
    assert checkpoints.load(tmp_path, SETTINGS).epoch == 1000


def test_where_there_is_none_nothing_is_loaded(tmp_path):
    assert checkpoints.load(tmp_path / "nowhere", SETTINGS) is None
    assert checkpoints.load(tmp_path, SETTINGS) is None


def test_what_a_killed_run_left_of_one_goes_with_the_next(tmp_path):
    (tmp_path / ".epoch-00002-abc.part.npz").write_bytes(b"half")
    assert checkpoints.load(saved(tmp_path, 1), SETTINGS).epoch == 1
    assert paths(tmp_path) == ["epoch-00001.npz"]


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
def test_a_damaged_one_is_told_of_and_the_one_before_it_taken(tmp_path, capsys, damage):
    path = saved(tmp_path, 1, 2) / "epoch-00002.npz"
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    back = checkpoints.load(tmp_path, SETTINGS)
    assert back.epoch == 1
    np.testing.assert_array_equal(back.arrays["layers/a/0"], made(1).arrays["layers/a/0"])
    [line] = capsys.readouterr().err.splitlines()
    assert "epoch-00002.npz is damaged (" in line
    assert len(line) <= 200


def test_a_flipped_bit_anywhere_is_noticed_or_means_nothing(tmp_path, capsys):
    """A zip has a few bytes that say nothing of its content, as the date of each part."""
    path = saved(tmp_path, 1, 2) / "epoch-00002.npz"
    content = path.read_bytes()
    noticed, rng = 0, np.random.default_rng(0)
    for place in np.linspace(0, len(content) - 1, FLIPS).astype(int):
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        back = checkpoints.load(tmp_path, SETTINGS)
        told = "epoch-00002.npz is damaged" in capsys.readouterr().err
        assert back.epoch == (1 if told else 2), place
        assert back.arrays.keys() == {"layers/a/0"}, place
        np.testing.assert_array_equal(back.arrays["layers/a/0"], made(back.epoch).arrays["layers/a/0"], strict=True)
        noticed += told
    assert noticed > FLIPS / 2


def test_a_flipped_bit_in_what_tells_an_arrays_shape_is_noticed(tmp_path, capsys):
    """(4, 5) becomes (4, 4): NumPy alone would read what is left, and look no further."""
    path = saved(tmp_path, 1, 2) / "epoch-00002.npz"
    content = path.read_bytes()
    place = content.index(b"(4, 5)") + 4
    path.write_bytes(content[:place] + b"4" + content[place + 1 :])
    assert checkpoints.load(tmp_path, SETTINGS).epoch == 1
    assert "damaged" in capsys.readouterr().err


def test_a_checkpoint_cannot_bring_code(tmp_path, capsys):
    """Nothing is unpickled."""
    path = saved(tmp_path, 1) / "epoch-00002.npz"
    np.savez(path, meta=np.array(json.dumps({"epoch": 2, "settings": SETTINGS})), a=np.array([print], object))
    assert checkpoints.load(tmp_path, SETTINGS).epoch == 1
    assert "damaged (Object arrays cannot be loaded" in capsys.readouterr().err


def test_an_archive_of_something_else_is_no_checkpoint(tmp_path, capsys):
    np.savez(saved(tmp_path, 1) / "epoch-00002.npz", images=np.zeros(3))
    with zipfile.ZipFile(tmp_path / "epoch-00003.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert checkpoints.load(tmp_path, SETTINGS).epoch == 1
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_where_all_are_damaged_it_says_so(tmp_path):
    for path in (saved(tmp_path, 1, 2)).iterdir():
        path.write_bytes(b"")
    with pytest.raises(BadInputError, match=r"all checkpoints in .* are damaged; start anew, without --resume"):
        checkpoints.load(tmp_path, SETTINGS)


@pytest.mark.parametrize(("changes", "words"), [
    ({"batch_size": 16}, "was made with batch_size 8, not 16;"),
    ({"schedule": ("cosine", 2)}, r"was made with schedule \['cosine', 1\], not \['cosine', 2\];"),
    ({"schedule": (), "epochs": 9}, r"was made with schedule \['cosine', 1\], not \[\];"),
    ({"options": {"dropout": 0.5}}, "was made with options {}, not {'dropout': 0.5};"),
    ({"weight_decay": 0.1}, "was made with weight_decay None, not 0.1;"),
])  # fmt: skip
def test_another_setting_is_named(tmp_path, changes, words):
    with pytest.raises(BadInputError, match=words):
        checkpoints.load(saved(tmp_path, 1), SETTINGS | changes)


@pytest.mark.skipif(os.name != "posix", reason="a limit of POSIX stands for the full disk")
def test_a_full_disk_leaves_the_earlier_ones(tmp_path):
    import resource

    saved(tmp_path, 1, 2)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (0, 10, 100, len(before[tmp_path / "epoch-00002.npz"]) - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(OSError, match=r"epoch-00003\.npz"):
                checkpoints.save(tmp_path, made(3))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


# ---- run in the workers, or in processes of their own ----


def train_full(out, resume, epochs):
    kerasnets.train(FULL, arrays=few_digits(), epochs=int(epochs), out=out, resume=bool(resume))


KILLED = """
import sys
from kerasnets import console
from tests.test_checkpoints import train_full
console.run(lambda: train_full(*sys.argv[1:]))
"""


def start_full(backend, folder, epochs):
    kept = {name: value for name, value in os.environ.items() if name != "KERASNETS_DATA"}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", KILLED, "a.keras", "resume", str(epochs)],
        cwd=folder,
        env=kept | {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextlib.contextmanager
def stopped_after(epoch):
    """Within, the signal of Ctrl-C is noted when the checkpoint of `epoch` is written; no report is."""
    from kerasnets import stopping, training

    usual = checkpoints.save

    def save(folder, checkpoint, alone):
        usual(folder, checkpoint, alone)
        if checkpoint.epoch == epoch:
            stopping.Signals.asked = signal.SIGINT

    checkpoints.save = save
    try:
        with mock.patch.object(training.report, "write"):  # a second of each run
            yield
    finally:
        checkpoints.save = usual
        stopping.Signals.asked = None


def train_few(row, out, stop=0, resume=False):
    """(fields of the Run, None), or (None, kind and words of what ended it)."""
    from kerasnets.stopping import Stopped

    try:
        with stopped_after(stop):
            return dataclasses.asdict(kerasnets.train(row, arrays=few_digits(), out=out, resume=resume)), None
    except (Stopped, ValueError, FloatingPointError) as error:
        return None, (type(error).__name__, str(error))


# ---- training that goes on ----


def last_of(folder):
    """The epoch of the last checkpoint in `folder`; 0 where there is none."""
    found = checkpoints.files(folder)
    return int(found[-1].stem.removeprefix("epoch-")) if found else 0


def state_of(folder, epoch):
    """The arrays of a checkpoint but the time that was taken; the optimizer is sgd_1 where it is a process's second."""
    arrays = checkpoints.read(folder / f"checkpoints/epoch-{epoch:05d}.npz").arrays
    del arrays["history/seconds"]
    return {re.sub("^optimizer/[^/]+", "optimizer", name): array for name, array in arrays.items()}


@pytest.mark.parametrize("kills", ["two", pytest.param("all", marks=pytest.mark.all_faults)])
def test_a_training_that_is_killed_at_any_moment_ends_as_without(worker, tmp_path, kills):
    """At the end all is equal to the last bit: weights, statistics, optimizer, states of dropout, figures."""
    epochs = 4 * KILLS[kills] if kills == "two" else 6 * KILLS[kills]
    worker(train_full, tmp_path / "b.keras", False, epochs)
    seconds = checkpoints.read(tmp_path / f"b/checkpoints/epoch-{epochs:05d}.npz").arrays["history/seconds"].min()
    rng = np.random.default_rng()  # other moments each time
    place = tmp_path / "a/checkpoints"
    killed, last = [], 0
    for _ in range(KILLS[kills]):
        running = start_full(worker.backend, tmp_path, epochs)
        while running.poll() is None and last_of(place) <= last:
            time.sleep(0.001)
        moment = rng.uniform(0, 1.5 * seconds)
        time.sleep(moment)
        if running.poll() is None:
            killed.append(f"{moment:.3f} s after epoch {last + 1}")
        running.kill()
        running.communicate()
        last = last_of(place)
    running = start_full(worker.backend, tmp_path, epochs)
    told = running.communicate()[0]
    assert running.returncode == 0, told
    assert len(killed) == KILLS[kills]
    assert f"resuming after epoch {last} of {epochs}" in told  # what was whole is not trained again
    resumed, whole = (state_of(tmp_path / name, epochs) for name in "ab")
    assert resumed.keys() == whole.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(resumed[name], array, err_msg=f"{name}; {killed}", strict=True)
    cards = [saving.load_card(tmp_path / f"{name}.keras") for name in "ab"]
    assert cards[0].weights_sha256 == cards[1].weights_sha256
    assert paths(place) == [f"epoch-{epoch:05d}.npz" for epoch in (epochs - 1, epochs)]


@pytest.mark.parametrize("source", BACKENDS)
def test_a_training_goes_on_on_another_backend(workers, tmp_path, source):
    """The second epoch on another backend ends where the first one's ends: same order, same optimizer."""
    target = BACKENDS[(BACKENDS.index(source) + 1) % len(BACKENDS)]
    unmoved, _ = workers[source](train_few, SMOOTH, tmp_path / "a.keras")
    (tmp_path / "b/checkpoints").mkdir(parents=True)
    shutil.copy(tmp_path / "a/checkpoints/epoch-00001.npz", tmp_path / "b/checkpoints")
    run, failure = workers[target](train_few, SMOOTH, tmp_path / "b.keras", 0, True)
    assert failure is None
    begun, whole, moved = (
        checkpoints.read(tmp_path / f"{name}/checkpoints/epoch-0000{epoch}.npz")
        for name, epoch in (("a", 1), ("a", 2), ("b", 2))
    )
    for part in ("layers", "optimizer"):
        before, expected, found = (list(checkpoint.part(part).values()) for checkpoint in (begun, whole, moved))
        assert max(np.abs(last - first).max() for last, first in zip(expected, before, strict=True)) > 0.01
        for name, array, wanted in zip(whole.part(part), found, expected, strict=True):
            np.testing.assert_allclose(array, wanted, rtol=0, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(moved.arrays["batches/loss"], whole.arrays["batches/loss"], atol=1e-5)
    np.testing.assert_allclose(run["loss"], unmoved["loss"], atol=1e-5)
    assert run["val_accuracy"] == unmoved["val_accuracy"]


def test_patience_counts_over_a_stop(worker, tmp_path):
    """Nothing is learned: the first epoch is the best of all, and the run ends after three more."""
    run, _ = worker(train_few, STUCK, tmp_path / "a.keras")
    assert (run["epochs"], run["best_epoch"]) == (4, 1)
    for stop in (1, 3):
        _, (kind, words) = worker(train_few, STUCK, tmp_path / "b.keras", stop, stop > 1)
        assert kind == "Stopped"
        kept = f"{stop} of 9 epochs are kept in {saving.shorten(tmp_path / 'b/checkpoints')}"
        assert words == f"stopped by Ctrl-C; {kept}; --resume goes on with them"
    for _ in range(2):  # and once more, where there is nothing left to do
        resumed, failure = worker(train_few, STUCK, tmp_path / "b.keras", 0, True)
        assert failure is None
        for name in ("epochs", "best_epoch", "loss", "val_accuracy", "val_loss", "test_accuracy", "test_loss"):
            assert resumed[name] == run[name], name


def test_the_best_epoch_gives_the_model_also_after_a_stop(workers, tmp_path):
    """Too large a rate spoils what was learned. The file has the weights of the epoch that validation calls best."""
    row = recipes.changed(
        FULL, epochs=4, patience=0, augmentation="", weight_decay=0.0, momentum=0.0, schedule=("steps", 20.0, (14,)),
    )  # fmt: skip
    run, _ = workers["torch"](train_few, row, tmp_path / "a.keras")
    assert run["best_epoch"] == 1 + int(np.argmax(run["val_accuracy"])) < 4
    assert run["val_accuracy"][-1] < max(run["val_accuracy"])
    workers["torch"](train_few, row, tmp_path / "b.keras", 3)
    resumed, _ = workers["torch"](train_few, row, tmp_path / "b.keras", 0, True)
    assert resumed["best_epoch"] == run["best_epoch"]
    cards = [saving.load_card(tmp_path / f"{name}.keras") for name in "ab"]
    assert cards[0].weights_sha256 == cards[1].weights_sha256
    assert cards[0].val_accuracy == max(run["val_accuracy"])
    assert workers["torch"](validate, tmp_path / "a.keras", row) == pytest.approx(max(run["val_accuracy"]), abs=1e-6)


def validate(path, row):
    """The accuracy of a model file on the validation part of `few_digits`."""
    model, _ = kerasnets.load(path)
    found = few_digits()
    _, part = data.split(found.train_labels, row.validation, 0)
    return float((model.predict(found.train_images[part], verbose=0).argmax(1) == found.train_labels[part]).mean())


@pytest.mark.parametrize(("changes", "kept"), [
    # Of 7 steps an epoch: in the midst of the third; and with the last step of the second, whose loss is finite.
    ({"schedule": ("steps", 1e30, (16,))}, 2),
    ({"schedule": ("steps", 3e41, (13,)), "learning_rate": 0.001, "weight_decay": 100.0}, 1),
])  # fmt: skip
def test_a_run_that_is_spoilt_ends_and_its_last_finite_checkpoint_stays(worker, tmp_path, changes, kept):
    row = recipes.changed(SMOOTH, epochs=9, validation=0, batch_size=36, momentum=0.0, **changes)
    _, (kind, words) = worker(train_few, row, tmp_path / "a.keras")
    assert kind == "FloatingPointError"
    assert "try a smaller learning rate" in words
    assert last_of(tmp_path / "a/checkpoints") == kept
    for name, array in state_of(tmp_path / "a", kept).items():
        assert np.isfinite(array).all(), name
    assert not (tmp_path / "a.keras").exists()


def test_a_run_that_goes_on_keeps_the_checkpoint_that_it_began_with(workers, tmp_path):
    """Were it damaged, or the next one, the run would begin anew."""
    workers["torch"](train_few, recipes.changed(STUCK, epochs=2), tmp_path / "a.keras")
    _, (kind, _) = workers["torch"](train_few, STUCK, tmp_path / "a.keras", 3, True)
    assert (kind, paths(tmp_path / "a/checkpoints")) == ("Stopped", ["epoch-00002.npz", "epoch-00003.npz"])


@pytest.mark.parametrize(("changes", "kind", "words"), [
    ({"epochs": 1}, "ValueError", "2 epochs are in {place} already, more than 1"),
    ({"learning_rate": 0.1}, "BadInputError", "was made with learning_rate 1e-12, not 0.1; go on as it began"),
    ({"validation": 0.2}, "BadInputError", "was made with validation 0.1, not 0.2; go on as it began"),
    ({"model": "small_cnn"}, "BadInputError", "was made with model fc2layer, not small_cnn; go on as it began"),
])  # fmt: skip
def test_a_run_of_other_settings_does_not_go_on(workers, tmp_path, changes, kind, words):
    workers["torch"](train_few, recipes.changed(STUCK, epochs=2), tmp_path / "a.keras")
    before = {path: path.read_bytes() for path in (tmp_path / "a/checkpoints").iterdir()}
    row = dataclasses.replace(STUCK, **changes)
    found = workers["torch"](train_few, row, tmp_path / "a.keras", 0, True)[1]
    assert found[0] == kind
    assert words.format(place=saving.shorten(tmp_path / "a/checkpoints")) in found[1]
    assert {path: path.read_bytes() for path in (tmp_path / "a/checkpoints").iterdir()} == before


# ---- data that nothing is trained on ----


def table(columns):
    """240 rows of numbers with the labels of the digits."""
    rng = np.random.default_rng(0)
    return {f"{part}_images": rng.random((count, columns), "float32") for part, count in (("train", 240), ("test", 60))}


def with_one(array, value):
    """A copy of `array` of which one element is `value`."""
    array = np.array(array)
    array.flat[7] = value
    return array


# what is wrong -> (what a Data of digits has in place of its own, what is said of it)
BAD = {
    "label too large": (lambda d: {"train_labels": with_one(d.train_labels, 10)}, "train part: label 10, where the 10"),
    "label far too large": (lambda d: {"train_labels": with_one(d.train_labels, 209)}, "train part: label 209, where"),
    "label below 0": (lambda d: {"train_labels": with_one(d.train_labels, -1)}, "train part: label -1, where the 10"),
    "test label too large": (lambda d: {"test_labels": with_one(d.test_labels, 10)}, "test part: label 10, where"),
    "half labels": (lambda d: {"train_labels": d.train_labels + 0.5}, "labels are float64 and not whole numbers"),
    "float labels": (lambda d: {"train_labels": d.train_labels.astype("float32")}, "labels are float32; give whole"),
    "NaN label": (lambda d: {"train_labels": with_one(d.train_labels * 1.0, np.nan)}, "and not whole numbers; number"),
    "labels as words": (lambda d: {"train_labels": d.train_labels.astype(str)}, "and not whole numbers; number the"),
    "one-hot labels": (lambda d: {"train_labels": np.eye(10)[d.train_labels]}, "labels of shape (240, 10); give one"),
    "label missing": (lambda d: {"train_labels": d.train_labels[1:]}, "240 images and labels of shape (239,)"),
    "no channel": (lambda d: {"train_images": d.train_images[..., 0]}, "images are (240, 28, 28), without channels"),
    "2 channels": (lambda d: {"train_images": d.train_images.repeat(2, 3)}, "the last axis is for channels, 1 or 3"),
    "channels first": (lambda d: {"train_images": d.train_images.transpose(0, 3, 1, 2)}, "is for channels, 1 or 3"),
    "scaled pixels": (lambda d: {"train_images": d.train_images / np.float32(255)}, "pixels are float32; give uint8"),
    "NaN pixels": (lambda d: {"train_images": d.train_images * np.nan}, "pixels are float64; give uint8, 0..255"),
    "nothing": (lambda d: {"train_images": d.train_images[:0], "train_labels": d.train_labels[:0]}, "are no images"),
    "nothing to test": (lambda d: {"test_images": d.test_images[:0], "test_labels": d.test_labels[:0]}, "no images"),
    "no pixels": (lambda d: {"train_images": d.train_images[:, :0]}, "there are no images, or they are empty: (240, 0"),
    "two sizes": (lambda d: {"test_images": d.test_images[:, 1:]}, "test pictures (27, 28, 1); give both one shape"),
    "a class missing": (lambda d: {"train_labels": np.where(d.train_labels == 4, 5, d.train_labels)},
                        "no picture of class '4'; add some, or leave the class"),
    "NaN in a row": (lambda d: table(3) | {"train_images": with_one(table(3)["train_images"], np.nan)},
                     "a row holds NaN or infinity; leave such rows out"),
    "infinity in a row": (lambda d: table(3) | {"test_images": with_one(table(3)["test_images"], np.inf)},
                          "test part: a row holds NaN or infinity; leave such rows out"),
    "a list": (lambda d: {"train_images": d.train_images.tolist()}, "images are a list; give a NumPy array"),
}  # fmt: skip


def refusals(out):
    """{case: (kind, words)} of training on each of BAD, where fit would be a failure of another kind."""
    from kerasnets import training

    def fit(*args):
        raise AssertionError("fit was called")

    usual, training.fit = training.fit, fit
    found = {}
    try:
        for case, (changes, _) in BAD.items():
            good = few_digits()
            try:
                kerasnets.train(SMOOTH, arrays=dataclasses.replace(good, **changes(good)), out=out)
            except Exception as error:
                found[case] = type(error).__name__, str(error)
    finally:
        training.fit = usual
    return found


def test_bad_arrays_are_refused_before_training_in_the_same_words_everywhere(workers, tmp_path):
    answers = [worker(refusals, tmp_path / "a.keras") for worker in workers.values()]
    for case, (_, words) in BAD.items():
        kind, message = answers[0][case]
        assert kind == "BadInputError", (case, message)
        assert message.startswith("scikit-learn's digits"), case
        assert words in message, case
    assert answers[0] == answers[1] == answers[2]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("changes", "words"), [
    ({"learning_rate": 0.0}, "the learning rate must be above 0, not 0.0"),
    ({"learning_rate": float("nan")}, "the learning rate must be above 0, not nan"),
    ({"patience": -1}, "patience must be at least 0, not -1"),
    ({"validation": 0}, "fc2layer-digits sets nothing apart for validation: patience has nothing to go by"),
])  # fmt: skip
def test_settings_that_cannot_be_meant_are_refused_before_training(workers, tmp_path, changes, words):
    row = dataclasses.replace(STUCK, **changes)
    assert workers["torch"](train_few, row, tmp_path / "a.keras") == (None, ("ValueError", words))
    assert list(tmp_path.iterdir()) == []
