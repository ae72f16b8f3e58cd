"""A stopped training resumes to the same result, and one that diverges says so."""

import contextlib
import dataclasses
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import types
from unittest import mock

import numpy as np
import pytest

import kerasnets
from kerasnets import data, recipes, saving
from kerasnets.errors import BadInputError
from kerasnets.runtime.backends import BACKENDS
from kerasnets.saving import keras_file
from kerasnets.training import checkpoints
from tests.conftest import ROOT, mostly_on_torch, often
from tests.stand_ins import few_digits

# Dropout, batch norm, augmentation, a schedule over all epochs, weight decay, and the best epoch's weights.
FULL = recipes.with_changes(
    recipes.own("baseline_cnn", "digits"), batch_size=32, augmentation="crop_flip", optimizer="sgd", learning_rate=0.05,
    momentum=0.9, weight_decay=1e-3, label_smoothing=0.1, schedule=("cosine", 1), patience=1000,
)  # fmt: skip
SMOOTH = recipes.with_changes(  # nothing random in the network, and no kinks: float32 stays close over backends
    recipes.own("lenet5", "digits"), epochs=2, batch_size=32, augmentation="crop_flip", optimizer="sgd",
    learning_rate=0.02, momentum=0.9, weight_decay=1e-3, schedule=("cosine", 0),
)  # fmt: skip
STUCK = recipes.with_changes(recipes.own("fc2layer", "digits"), epochs=9, learning_rate=1e-12, patience=3)


# ---- run in the workers


def train_full(out, resume, epochs):
    kerasnets.train(FULL, arrays=few_digits(), epochs=int(epochs), out=out, resume=bool(resume))


KILLED = """
import sys
from kerasnets.cli import app
from tests.training.test_resuming import train_full
app.run(lambda: train_full(*sys.argv[1:]))
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
def stop_after(epoch):
    """In the block, Ctrl-C arrives when the checkpoint of `epoch` is written; no report is written."""
    from kerasnets.runtime import signals
    from kerasnets.training import train

    usual = checkpoints.save

    def save(folder, checkpoint, alone):
        usual(folder, checkpoint, alone)
        if checkpoint.epoch == epoch:
            signals.Signals.received = signal.SIGINT

    checkpoints.save = save
    try:
        with mock.patch.object(train.report, "write"):  # a second of each run
            yield
    finally:
        checkpoints.save = usual
        signals.Signals.received = None


def train_few(recipe, out, stop=0, resume=False, overwrite=False):
    """(fields of the Run, None), or (None, class and message of the error)."""
    from kerasnets.runtime.signals import Stopped

    try:
        with stop_after(stop):
            options = {"resume": resume, "overwrite": overwrite}
            return dataclasses.asdict(kerasnets.train(recipe, arrays=few_digits(), out=out, **options)), None
    except (Stopped, ValueError, FloatingPointError) as error:
        return None, (type(error).__name__, str(error))


# ---- training that goes on ----


def last_of(folder):
    """The epoch of the last checkpoint in `folder`; 0 if there is none."""
    result = checkpoints.files(folder)
    return int(result[-1].stem.removeprefix("epoch-")) if result else 0


def state_of(folder, epoch):
    """The arrays of a checkpoint without the seconds; a process' second SGD is called sgd_1."""
    arrays = checkpoints.read(folder / f"checkpoints/epoch-{epoch:05d}.npz").arrays
    del arrays["history/seconds"]
    return {re.sub("^optimizer/[^/]+", "optimizer", name): array for name, array in arrays.items()}


@mostly_on_torch
@pytest.mark.parametrize("kills", often(2, 20))  # on each backend
def test_a_training_killed_at_any_moment_resumes_to_the_same_result(worker, tmp_path, kills):
    """Everything is equal to the last bit: weights, statistics, optimizer, dropout states, figures."""
    epochs = 4 * kills
    worker(train_full, tmp_path / "b.keras", False, epochs)
    seconds = checkpoints.read(tmp_path / f"b/checkpoints/epoch-{epochs:05d}.npz").arrays["history/seconds"].min()
    rng = np.random.default_rng()  # other moments each time
    place = tmp_path / "a/checkpoints"
    killed, last = [], 0
    for _ in range(kills):
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
    output = running.communicate()[0]
    assert running.returncode == 0, output
    assert len(killed) == kills
    assert f"resuming after epoch {last} of {epochs}" in output  # what was whole is not trained again
    resumed, whole = (state_of(tmp_path / name, epochs) for name in "ab")
    assert resumed.keys() == whole.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(resumed[name], array, err_msg=f"{name}; {killed}", strict=True)
    cards = [saving.load_card(tmp_path / f"{name}.keras") for name in "ab"]
    assert cards[0].weights_sha256 == cards[1].weights_sha256
    assert sorted(os.listdir(place)) == [f"epoch-{epoch:05d}.npz" for epoch in (epochs - 1, epochs)]


@pytest.mark.parametrize("source", BACKENDS)
def test_a_training_resumes_on_another_backend(workers, tmp_path, source):
    """The second epoch on another backend has the same result: same order, same optimizer."""
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
        before, expected, result = (list(checkpoint.part(part).values()) for checkpoint in (begun, whole, moved))
        assert max(np.abs(last - first).max() for last, first in zip(expected, before, strict=True)) > 0.01
        for name, array, reference in zip(whole.part(part), result, expected, strict=True):
            np.testing.assert_allclose(array, reference, rtol=0, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(moved.arrays["batches/loss"], whole.arrays["batches/loss"], atol=1e-5)
    np.testing.assert_allclose(run["loss"], unmoved["loss"], atol=1e-5)
    assert run["val_accuracy"] == unmoved["val_accuracy"]


@mostly_on_torch
def test_patience_counts_across_a_resume(worker, tmp_path):
    """Nothing is learned: the first epoch is the best, and the run ends after three more."""
    run, _ = worker(train_few, STUCK, tmp_path / "a.keras")
    assert (run["epochs"], run["best_epoch"]) == (4, 1)
    for stop in (1, 3):
        _, (kind, words) = worker(train_few, STUCK, tmp_path / "b.keras", stop, stop > 1)
        assert kind == "Stopped"
        kept = f"{stop} of 9 epochs are kept in {keras_file.shorten(tmp_path / 'b/checkpoints')}"
        assert words == f"stopped by Ctrl-C; {kept}; --resume goes on with them"
    for _ in range(2):  # and once more, where there is nothing left to do
        resumed, failure = worker(train_few, STUCK, tmp_path / "b.keras", 0, True)
        assert failure is None
        for name in ("epochs", "best_epoch", "loss", "val_accuracy", "val_loss", "test_accuracy", "test_loss"):
            assert resumed[name] == run[name], name


def test_the_model_has_the_weights_of_the_best_epoch_even_after_a_resume(workers, tmp_path):
    """A rate that becomes too large undoes the learning. The file has the weights of the best validation epoch."""
    recipe = recipes.with_changes(
        FULL, epochs=4, patience=0, augmentation="", weight_decay=0.0, momentum=0.0, schedule=("steps", 10.0, (14,)),
    )  # fmt: skip
    run, _ = workers["torch"](train_few, recipe, tmp_path / "a.keras")
    assert run["best_epoch"] == 1 + int(np.argmax(run["val_accuracy"])) < 4
    assert run["val_accuracy"][-1] < max(run["val_accuracy"])
    workers["torch"](train_few, recipe, tmp_path / "b.keras", 3)
    resumed, _ = workers["torch"](train_few, recipe, tmp_path / "b.keras", 0, True)
    assert resumed["best_epoch"] == run["best_epoch"]
    cards = [saving.load_card(tmp_path / f"{name}.keras") for name in "ab"]
    assert cards[0].weights_sha256 == cards[1].weights_sha256
    assert cards[0].val_accuracy == max(run["val_accuracy"])
    assert workers["torch"](validate, tmp_path / "a.keras", recipe) == pytest.approx(max(run["val_accuracy"]), abs=1e-6)


def validate(path, recipe):
    """The accuracy of a model file on the validation part of `few_digits`."""
    model, _ = kerasnets.load(path)
    result = few_digits()
    _, part = data.split(result.train_labels, recipe.validation, 0)
    return float((model.predict(result.train_images[part], verbose=0).argmax(1) == result.train_labels[part]).mean())


@pytest.mark.parametrize(("changes", "kept"), [
    # With 7 steps in an epoch: in the middle of the third; and at the last step of the second, whose loss is finite.
    ({"schedule": ("steps", 1e30, (16,))}, 2),
    ({"schedule": ("steps", 3e41, (13,)), "learning_rate": 0.001, "weight_decay": 100.0}, 1),
])  # fmt: skip
def test_a_run_that_diverges_ends_and_keeps_its_last_finite_checkpoint(worker, tmp_path, changes, kept):
    recipe = recipes.with_changes(SMOOTH, epochs=9, validation=0, batch_size=36, momentum=0.0, **changes)
    _, (kind, words) = worker(train_few, recipe, tmp_path / "a.keras")
    assert kind == "FloatingPointError"
    assert "try a smaller --learning-rate" in words
    assert last_of(tmp_path / "a/checkpoints") == kept
    for name, array in state_of(tmp_path / "a", kept).items():
        assert np.isfinite(array).all(), name
    assert not (tmp_path / "a.keras").exists()


def test_a_resumed_run_keeps_the_checkpoint_that_it_started_from(workers, tmp_path):
    """It is the reserve if the next checkpoint is damaged."""
    workers["torch"](train_few, recipes.with_changes(STUCK, epochs=2), tmp_path / "a.keras")
    _, (kind, _) = workers["torch"](train_few, STUCK, tmp_path / "a.keras", 3, True)
    kept = sorted(os.listdir(tmp_path / "a/checkpoints"))
    assert (kind, kept) == ("Stopped", ["epoch-00002.npz", "epoch-00003.npz"])


def train_and_listen(*arguments):
    """(result of train_few, its output on stderr)."""
    with contextlib.redirect_stderr(io.StringIO()) as output:
        return train_few(*arguments), output.getvalue()


def test_on_overwriting_the_checkpoints_of_an_unfinished_run_are_set_aside(workers, tmp_path):
    worker, out, place = workers["torch"], tmp_path / "a.keras", tmp_path / "a/checkpoints"
    worker(train_few, STUCK, out, 3)
    (_, (kind, _)), output = worker(train_and_listen, STUCK, out, 1, False, True)
    assert kind == "Stopped"
    before = keras_file.shorten(tmp_path / "a/checkpoints-before")
    assert output == (
        f"note: the checkpoints of an unfinished run are in {before} now; to go on with them, remove the folder "
        "checkpoints beside it and add --resume\n"
    )
    assert [sorted(os.listdir(tmp_path / "a" / name)) for name in ("checkpoints", "checkpoints-before")] == [
        ["epoch-00001.npz"], ["epoch-00002.npz", "epoch-00003.npz"],
    ]  # fmt: skip
    shutil.rmtree(place)
    (run, failure), output = worker(train_and_listen, STUCK, out, 0, True)
    assert (run["epochs"], failure) == (4, None)
    assert output.startswith(f"note: the checkpoints that were set aside are in {keras_file.shorten(place)} again\n")
    assert not (tmp_path / "a/checkpoints-before").exists()


def test_on_overwriting_the_checkpoints_of_a_finished_run_are_replaced_with_a_note(workers, tmp_path):
    recipe = recipes.with_changes(STUCK, epochs=1)
    workers["torch"](train_few, recipe, tmp_path / "a.keras")
    (tmp_path / "a/report.html").touch()  # which train_few leaves out
    _, output = workers["torch"](train_and_listen, recipe, tmp_path / "a.keras", 0, False, True)
    place = keras_file.shorten(tmp_path / "a/checkpoints")
    assert output.startswith(f"note: the first epoch replaces the checkpoints in {place}; --resume goes on with them\n")
    assert not (tmp_path / "a/checkpoints-before").exists()


def test_two_runs_of_one_name_keep_both_models_and_each_resumes_by_its_settings(workers, tmp_path):
    worker, out = workers["torch"], tmp_path / "a.keras"
    first, second = (recipes.with_changes(STUCK, epochs=1, learning_rate=rate) for rate in (1e-12, 1e-3))
    worker(train_few, first, out)
    before = out.read_bytes()
    (run, _), output = worker(train_and_listen, second, out)
    assert run["files"] == [str(tmp_path / "a-2.keras")]
    assert "this run writes" in output
    assert out.read_bytes() == before
    worker(train_few, recipes.with_changes(second, epochs=2), out, 0, True)
    assert (last_of(tmp_path / "a/checkpoints"), last_of(tmp_path / "a-2/checkpoints")) == (1, 2)
    worker(train_few, recipes.with_changes(first, epochs=3), out, 0, True)
    assert (last_of(tmp_path / "a/checkpoints"), last_of(tmp_path / "a-2/checkpoints")) == (3, 2)


def start_lines(folder):
    """What a run says that resumes after the epoch before its last, within it, after its last, and when finished."""
    from kerasnets.training import resumption

    job = types.SimpleNamespace(recipe=STUCK, checkpoints=folder / "checkpoints", report=folder / "report.html")
    last = checkpoints.Checkpoint(STUCK.epochs, {}, {})
    within = [checkpoints.Checkpoint(STUCK.epochs - 1, {}, {}, step=step) for step in (0, 3)]
    checkpoints.save(job.checkpoints, last)
    lines = [resumption.start_line(job, checkpoint, 7) for checkpoint in (*within, last)]
    job.report.write_text(f"<!-- checkpoints: {checkpoints.mark_of(job.checkpoints)} -->")
    return [*lines, resumption.start_line(job, last, 7)]


def test_a_resumed_run_says_whether_it_trains_tests_or_was_finished(workers, tmp_path):
    assert workers["torch"](start_lines, tmp_path) == [
        "resuming after epoch 8 of 9",
        "resuming after epoch 8 of 9 and 3 of 7 steps",
        "resuming after epoch 9 of 9: the test and the files follow",
        "the run is finished, with all 9 epochs; its test and files are made again (--epochs goes on to more)",
    ]


def finetune(weights, out, resume):
    """(recipe, SHA-256 of the weights) after 2 more epochs from a model file, or the message of the error."""
    recipe = recipes.with_changes(recipes.own("fc2layer", "digits"), epochs=2)
    try:
        run = kerasnets.train(recipe, arrays=few_digits(), weights=weights, out=out, resume=resume)
    except BadInputError as error:
        return str(error)
    return run.recipe, saving.load_card(out).weights_sha256


def test_a_run_from_a_model_file_does_not_resume_a_run_from_another_file(workers, tmp_path):
    recipe = recipes.with_changes(recipes.own("fc2layer", "digits"), epochs=2)
    for seed in (0, 1):
        workers["torch"](
            train_few, dataclasses.replace(recipe, learning_rate=0.001 * (1 + seed)), tmp_path / f"{seed}.keras"
        )
    recipe, tuned = workers["torch"](finetune, tmp_path / "0.keras", tmp_path / "a.keras", False)
    assert recipe == "fc2layer-digits-finetuned"  # and never takes the place of what it began with
    (tmp_path / "a.keras").unlink()
    assert workers["torch"](finetune, tmp_path / "0.keras", tmp_path / "a.keras", True) == (recipe, tuned)
    refusal = workers["torch"](finetune, tmp_path / "1.keras", tmp_path / "a.keras", True)
    assert "was made with other initial weights; resume with the same settings, or start anew" in refusal


@mostly_on_torch
def test_a_resume_with_more_epochs_equals_one_long_run(worker, tmp_path):
    """With dropout, which shares its random numbers with PyTorch's DataLoader."""
    recipe = recipes.with_changes(FULL, patience=0, schedule=())
    for name, epochs in (("a", 2), ("b", 1), ("b", 2)):
        worker(train_few, recipes.with_changes(recipe, epochs=epochs), tmp_path / f"{name}.keras", 0, name == "b")
    whole, longer = (state_of(tmp_path / name, 2) for name in "ab")
    for name, array in whole.items():
        np.testing.assert_array_equal(longer[name], array, err_msg=name, strict=True)


# {name of an array in a checkpoint: a change of it}, each of which a run cannot have written
TAMPERED = {
    "generators/torch": [lambda array: array[:100], lambda array: array.astype("float32"), np.zeros_like],
    "history/loss": [lambda array: array[:1], lambda array: array.reshape(1, -1), lambda array: array * np.nan],
    "history/val_accuracy": [lambda array: None],
    "history/more": [lambda array: np.zeros(7)],
    "batches/loss": [lambda array: array[:-1], lambda array: None],
    "layers/dense1/0": [lambda array: array[:1], lambda array: array * np.inf, lambda array: array.astype("S9")],
    "layers/other/0": [lambda array: np.zeros(3)],
    "best/dense1/0": [lambda array: array.T, lambda array: None],
    "optimizer/iteration": [lambda array: array[None]],
}


@pytest.mark.parametrize(("name", "change"), [(name, change) for name in TAMPERED for change in TAMPERED[name]])
def test_a_tampered_checkpoint_is_damaged_and_the_one_before_it_is_taken(workers, tmp_path, name, change):
    place = tmp_path / "a/checkpoints"
    workers["torch"](train_few, STUCK, tmp_path / "a.keras", 2)
    last = checkpoints.read(place / "epoch-00002.npz")
    names = {re.sub("^optimizer/[^/]+", "optimizer", each): each for each in last.arrays}
    name = names.get(name, name)
    arrays = last.arrays | {name: change(last.arrays.get(name))}
    checkpoints.save(place, dataclasses.replace(last, arrays={k: v for k, v in arrays.items() if v is not None}))
    (run, failure), told = workers["torch"](train_and_listen, STUCK, tmp_path / "a.keras", 0, True)
    assert failure is None
    assert run["epochs"] == 4
    assert "epoch-00002.npz is damaged (" in told


def train_with_threads(threads, cores, *arguments):
    """train_and_listen with another number of threads, on a machine of so many cores; and the number afterwards."""
    import torch

    from kerasnets.training import resumption, state

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        counted = (mock.patch.object(module, "cores", return_value=cores) for module in (state, resumption))
        with next(counted), next(counted):
            return *train_and_listen(*arguments), torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def test_a_resume_takes_up_the_number_of_threads(workers, tmp_path):
    recipe = recipes.with_changes(FULL, epochs=2, patience=0)
    for name, threads, stop, resume in (("a", 2, 0, False), ("b", 2, 1, False), ("b", 1, 0, True)):
        path = tmp_path / f"{name}.keras"
        _, told, after = workers["torch"](train_with_threads, threads, 2, recipe, path, stop, resume)
        assert after == threads
    assert "computing with 2 threads as before, instead of 1: the result depends on their number" in told
    whole, resumed = (state_of(tmp_path / name, 2) for name in "ab")
    for name, array in whole.items():
        np.testing.assert_array_equal(resumed[name], array, err_msg=name, strict=True)
    assert checkpoints.read(tmp_path / "b/checkpoints/epoch-00002.npz").threads == 2


def test_a_resume_on_fewer_cores_does_not_take_up_more_threads_than_cores(workers, tmp_path):
    recipe = recipes.with_changes(FULL, epochs=2, patience=0)
    workers["torch"](train_with_threads, 2, 2, recipe, tmp_path / "a.keras", 1, False)
    (_, failure), told, _ = workers["torch"](train_with_threads, 1, 1, recipe, tmp_path / "a.keras", 0, True)
    assert failure is None
    assert "the run began with 2 threads and goes on with 1: the last digits of its result may differ" in told


@pytest.mark.parametrize(("changes", "kind", "words"), [
    ({"epochs": 1}, "ValueError", "2 epochs are in {place} already, more than 1"),
    ({"learning_rate": 0.1}, "BadInputError", "was made with learning_rate 1e-12, not 0.1; resume with the same"),
    ({"validation": 0.2}, "BadInputError", "was made with validation 0.1, not 0.2; resume with the same"),
    ({"model": "small_cnn"}, "BadInputError", "was made with model fc2layer, not small_cnn; resume with the same"),
])  # fmt: skip
def test_a_run_with_other_settings_is_not_resumed(workers, tmp_path, changes, kind, words):
    workers["torch"](train_few, recipes.with_changes(STUCK, epochs=2), tmp_path / "a.keras")
    before = {path: path.read_bytes() for path in (tmp_path / "a/checkpoints").iterdir()}
    recipe = dataclasses.replace(STUCK, **changes)
    result = workers["torch"](train_few, recipe, tmp_path / "a.keras", 0, True)[1]
    assert result[0] == kind
    assert words.format(place=keras_file.shorten(tmp_path / "a/checkpoints")) in result[1]
    assert {path: path.read_bytes() for path in (tmp_path / "a/checkpoints").iterdir()} == before


@pytest.mark.parametrize(("changes", "words"), [
    ({"learning_rate": 0.0}, "the learning rate must be above 0, not 0.0"),
    ({"learning_rate": float("nan")}, "the learning rate must be above 0, not nan"),
    ({"patience": -1}, "patience must be at least 0, not -1"),
    ({"validation": 0}, "fc2layer-digits holds out no validation data, which patience needs; leave"),
])  # fmt: skip
def test_impossible_settings_are_refused_before_training(workers, tmp_path, changes, words):
    recipe = dataclasses.replace(STUCK, **changes)
    _, (kind, message) = workers["torch"](train_few, recipe, tmp_path / "a.keras")
    assert kind == "ValueError"
    assert message.startswith(words)
    assert list(tmp_path.iterdir()) == []
