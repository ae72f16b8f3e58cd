"""The progress of a training on stdout, and its figures in TensorBoard."""

import collections
import types
from unittest import mock

import numpy as np
import pytest

import kerasnets
from kerasnets import recipes
from tests.conftest import mostly_on_torch
from tests.stand_ins import few_digits

RECIPE = recipes.with_changes(recipes.own("fc2layer", "digits"), batch_size=32)


# ---- run in the workers ----


def train_with_logs(out, epochs, resume):
    """The losses by epoch, and by batch in batches.csv."""
    recipe = recipes.with_changes(RECIPE, epochs=epochs)
    run = kerasnets.train(recipe, arrays=few_digits(), out=out, resume=resume, tensorboard=True)
    batches = np.genfromtxt(out.with_suffix("") / "batches.csv", delimiter=",", names=True)
    return run.loss, run.val_loss, batches["loss"]


def events_of(folder):
    """{tag: [(step, value)]} of all event files below `folder`, from TensorFlow's own reader."""
    import tensorflow as tf

    result = collections.defaultdict(list)
    for path in sorted(folder.rglob("events.*"), key=lambda path: path.stat().st_mtime_ns):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                result[value.tag].append((event.step, value.simple_value))
    return dict(result)


def show_progress(on_terminal):
    """The output of Progress for two epochs of 4 steps of 40 seconds, with compilation in the first epoch."""
    import io
    from unittest import mock

    import rich.console

    from kerasnets.training import progress

    lines, now = [], [0.0]
    clock = types.SimpleNamespace(monotonic=lambda: now[0])
    terminal = rich.console.Console(file=io.StringIO(), force_terminal=True, width=100) if on_terminal else None
    with (
        mock.patch.object(progress, "time", clock),
        mock.patch.object(progress, "print", lambda line, **how: lines.append(line), create=True),
    ):
        shown = progress.Progress(steps_per_epoch=4, epochs=2, first=0, console=terminal)
        shown.set_model(types.SimpleNamespace(stop_training=False))
        shown.on_train_begin()
        for epoch in range(2):
            shown.on_epoch_begin(epoch)
            for step, compiling in enumerate((600.0, 0, 0, 300.0)):
                now[0] += 40.0 + (0 if epoch else compiling)
                shown.on_train_batch_end(step)
            now[0] += 0 if epoch else 200.0  # in judging
            shown.on_epoch_end(epoch, {"accuracy": 0.5 + epoch / 4, "loss": 1.25})
        shown.close()
    return lines or terminal.file.getvalue()


def times_left(seconds, steps_per_epoch, epochs=1):
    """The text of Progress after each step, if they take so many seconds; and its lines of epochs, on no terminal."""
    from unittest import mock

    from kerasnets.training import progress

    lines, texts, now = [], [], [0.0]
    with (
        mock.patch.object(progress, "time", types.SimpleNamespace(monotonic=lambda: now[0])),
        mock.patch.object(progress, "print", lambda line, **how: lines.append(line), create=True),
    ):
        shown = progress.Progress(steps_per_epoch, epochs, first=0)
        shown.set_model(types.SimpleNamespace(stop_training=False))
        for epoch in range(epochs):
            shown.on_epoch_begin(epoch)
            for step in range(steps_per_epoch):
                now[0] += seconds[epoch * steps_per_epoch + step]
                shown.on_train_batch_end(step)
                texts.append(shown.time_left())
            shown.on_epoch_end(epoch, {"loss": 1.0})
    return texts, lines


def lines_in_a_notebook(seconds, epochs):
    """The lines of epochs where stdout is of the class that a notebook has."""
    import io
    import sys
    from unittest import mock

    stdout = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})
    with mock.patch.object(sys, "stdout", stdout()):
        return times_left([seconds] * epochs, 1, epochs)[1]


def accuracies_in_the_csv(right, sizes):
    """What batches.csv says of batches with so many right answers, of whose means Keras tells in float32."""
    import keras

    from kerasnets.training.callbacks import Figures

    plan = types.SimpleNamespace(batch_size=sizes[0], labels=range(sum(sizes)), steps_per_epoch=len(sizes))
    figures = Figures(plan, False, 0, lambda *args: None)
    figures.set_model(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    figures.on_epoch_begin(0)
    logs = {}
    for step in range(len(sizes)):
        mean = np.float32(sum(right[: step + 1]) / sum(sizes[: step + 1]))
        logs = {"loss": mean, "accuracy": mean}
        figures.on_train_batch_end(step, logs)
    with mock.patch("kerasnets.training.state.arrays_of", return_value={}):
        figures.on_epoch_end(0, logs)
    return figures.batches["accuracy"]


# ---- tests ----


def test_the_time_left_forgets_the_slow_steps_at_the_start(workers):
    texts, _ = workers["torch"](times_left, [5.0] * 20 + [0.5] * 380, 400)
    assert texts[99] == "  2 min 30 s left"  # 300 steps of half a second
    assert texts[199] == "  1 min 40 s left"


def test_the_time_left_follows_the_last_epochs(workers):
    texts, _ = workers["torch"](times_left, [1.0] * 30 + [2.0] * 30, 10, 6)
    assert texts[29] == "  30 s left"
    assert texts[53] == "  12 s left"  # 6 steps of two seconds


def test_output_that_is_no_terminal_has_the_line_of_each_epoch(workers):
    _, lines = workers["torch"](times_left, [0.01] * 20, 1, 20)
    assert [line.split()[1] for line in lines] == [f"{epoch}/20" for epoch in range(1, 21)]


def test_a_notebook_has_a_line_a_second_at_most(workers):
    lines = workers["torch"](lines_in_a_notebook, 0.25, 20)
    assert [line.split()[1] for line in lines] == ["4/20", "8/20", "12/20", "16/20", "20/20"]
    assert len(workers["torch"](lines_in_a_notebook, 1.0, 5)) == 5
    assert not any("\r" in line for line in lines)


def test_the_accuracy_of_a_batch_is_a_number_of_images_by_its_size(workers):
    rng = np.random.default_rng(0)
    sizes = [64] * 700 + [37]
    right = [63, *(int(rng.integers(40, size + 1)) for size in [64] * 699), 36]
    result = workers["torch"](accuracies_in_the_csv, right, sizes)
    assert result == [count / size for count, size in zip(right, sizes, strict=True)]
    assert str(result[0]) == "0.984375"


@mostly_on_torch
def test_tensorboard_gets_each_batch_and_epoch_once_even_after_a_resume(worker, workers, tmp_path):
    worker(train_with_logs, tmp_path / "a.keras", 1, False)
    loss, val_loss, batches = worker(train_with_logs, tmp_path / "a.keras", 3, True)
    events = workers["tensorflow"](events_of, tmp_path / "a/tensorboard")
    assert [step for step, _ in events["batch_loss"]] == list(range(1, len(batches) + 1))
    np.testing.assert_allclose([value for _, value in events["batch_loss"]], batches, rtol=1e-6)
    for tag, expected in (("epoch_loss/training", loss), ("epoch_loss/validation", val_loss)):
        assert [step for step, _ in events[tag]] == [1, 2, 3]
        np.testing.assert_allclose([value for _, value in events[tag]], expected, rtol=1e-6)


def test_progress_shows_the_step_and_the_time_left(workers):
    lines = workers["torch"](show_progress, False)
    assert lines[0] == "epoch 1/2  step 1/4"
    assert lines[1] == "epoch 1/2  step 2/4  4 min 0 s left"  # 6 steps of 40 s
    assert lines[3] == "epoch 1/2  step 4/4  2 min 40 s left"
    assert lines[4] == "epoch 1/2  accuracy 0.5000  loss 1.2500  21 min 0 s  2 min 40 s left"
    assert lines[5] == "epoch 2/2  step 1/4  2 min 0 s left"
    assert lines[-1] == "epoch 2/2  accuracy 0.7500  loss 1.2500  2 min 40 s"


def test_progress_on_a_terminal_redraws_one_line(workers):
    output = workers["torch"](show_progress, True)
    erased = "\r\x1b[2K"
    *drawn, last = output.split(erased)
    assert len(drawn) >= 8  # each step
    assert any("epoch 1/2" in text and "2/4" in text and "4 min 0 s left" in text for text in drawn)
    lines = [line for text in (*drawn, last) for line in text.splitlines() if "accuracy" in line]
    assert [line.strip() for line in lines] == [
        "epoch 1/2  accuracy 0.5000  loss 1.2500  21 min 0 s  2 min 40 s left",
        "epoch 2/2  accuracy 0.7500  loss 1.2500  2 min 40 s",
    ]
    assert output.endswith("\x1b[?25h\r\x1b[1A\x1b[2K")  # the cursor is back, and the bar is gone


def best_of(accuracies, losses, patience=0):
    """(best epoch, whether the run is over) after epochs with these validation figures."""
    from kerasnets.training.callbacks import Figures

    figures = Figures(None, True, patience, None)
    figures.history = {"loss": losses, "val_accuracy": accuracies, "val_loss": losses}
    return figures.best_epoch, figures.is_over


@pytest.mark.parametrize(("accuracies", "losses", "patience", "best", "over"), [
    ([0.5, 0.7, 0.6], [0.1, 0.3, 0.2], 0, 1, False),  # accuracy decides
    ([0.7, 0.7, 0.7], [0.3, 0.1, 0.2], 0, 1, False),  # and loss where it is equal, as on few pictures
    ([0.7, 0.7, 0.7], [0.2, 0.2, 0.2], 2, 0, True),  # the first of equals
    ([0.7, 0.7, 0.7], [0.3, 0.2, 0.1], 2, 2, False),
    ([0.7, 0.6, 0.6], [0.3, 0.2, 0.1], 2, 0, True),
])  # fmt: skip
def test_the_best_epoch_has_the_best_accuracy_then_the_least_loss(workers, accuracies, losses, patience, best, over):
    assert workers["torch"](best_of, accuracies, losses, patience) == (best, over)


@pytest.mark.parametrize(("seconds", "words"), [
    (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"),
])  # fmt: skip
def test_durations_are_in_words(workers, seconds, words):
    assert workers["torch"](duration, seconds) == words


def duration(seconds):
    from kerasnets.training import progress

    return progress.duration(seconds)
