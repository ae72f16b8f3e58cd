"""What is compared does the same work; a figure says what it is of and whether its goal is reached."""

import dataclasses
import json

import numpy as np
import pytest

from kerasnets import benchmark
from kerasnets.benchmark import Figure, predict, train
from tests.conftest import ROOT

SHIPPED = ROOT / "models_saved/pretrained/mnist_cnn-mnist.onnx"
EPOCHS = 3


def shortened(name):
    """The race of few steps at a rate at which two ways of rounding, and of RMSprop's epsilon, stay together."""
    entry = train.NETWORKS[name]
    rate = 0.01 if entry.row.optimizer == "sgd" else 0.0001
    row = dataclasses.replace(entry.row, learning_rate=rate, batch_size=16)
    return dataclasses.replace(entry, row=row, steps=3)


def figures_of_all(name):
    """{side: [(loss, accuracy) of each epoch]} of one race."""
    train.NETWORKS[name] = shortened(name)
    plan, trainee, rivals = train.sides(name, EPOCHS)
    figures = train.fit(trainee, plan, EPOCHS)
    ours = list(zip(figures.history["loss"], figures.history["accuracy"], strict=True))
    return {"kerasnets": ours} | {
        side: [learn(plan.plan(epoch)[0]) for epoch in range(EPOCHS)] for side, learn in rivals.items()
    }


@pytest.mark.parametrize("name", ["mnist_cnn", "lenet5", "vgg_cifar"])  # each optimizer; baseline_cnn has dropout
@pytest.mark.parametrize(("backend", "count"), [("torch", 3), ("tensorflow", 1)])
def test_rivals_learn_what_kerasnets_learns_from_the_same_batches(workers, backend, count, name):
    ours, *theirs = workers[backend](figures_of_all, name).values()
    assert len(theirs) == count
    assert len({round(loss, 4) for loss, _ in ours}) == EPOCHS  # something is learned
    for each in theirs:
        np.testing.assert_allclose(each[0], ours[0], rtol=0, atol=1e-3)
        np.testing.assert_allclose(each, ours, rtol=0.02)  # PyTorch's RMSprop adds epsilon elsewhere


def test_a_ratio_is_of_the_same_turn_and_its_goal_stands_at_the_best_rival():
    seconds = {"kerasnets": [6.0, 3.0], "PyTorch": [6.0, 6.0], "PyTorch, channels_last": [4.0, 4.0],
               "tutorial (PyTorch, DataLoader)": [12.0, 12.0]}  # fmt: skip
    found = {(f.by, f.unit): f for f in train.figures_of("lenet5", "torch", seconds)}
    assert found["kerasnets", "ms"].values == (100.0, 50.0)  # of 60 steps
    assert found["PyTorch", "ratio"].values == (1.0, 0.5)
    assert {by: f.goal for (by, unit), f in found.items() if unit == "ratio"} == {
        "PyTorch": None, "PyTorch, channels_last": 1.0, "tutorial (PyTorch, DataLoader)": 0.6,
    }  # fmt: skip
    assert found["PyTorch, channels_last", "ratio"].row() == (
        "| lenet5 on torch, kerasnets by PyTorch, channels_last | PyTorch, channels_last | 1.12 ratio | 0.75 to 1.5 | "
        "1 ratio: missed |"
    )


@pytest.mark.parametrize(("values", "words"), [
    ((3.0, 1.0, 2.0), "2 ms: reached"),
    ((3.0, 1.0, 2.5), "2 ms: missed"),
])  # fmt: skip
def test_a_goal_is_for_the_median(values, words):
    assert words in Figure("a", "b", "ms", values, 2.0).row()


def test_predictions_are_measured_and_told_on_a_page(monkeypatch, tmp_path):
    """By the engine that needs no framework; its ONNX file ships."""
    monkeypatch.setattr(predict, "MNIST", SHIPPED)
    monkeypatch.setattr(predict, "exported", lambda path, folder: path)
    monkeypatch.setattr(predict, "FOLDER", 30)
    monkeypatch.setattr(predict, "engines_of", lambda paths: {"opencv": SHIPPED})
    told = []
    figures = benchmark.run("predict", 2, [], tmp_path / "prediction.md", told.append)
    assert [(f.what, f.by, f.unit) for f in figures] == [
        ("mnist_cnn, fresh process", "opencv", "seconds"),
        ("mnist_cnn, fresh process", "opencv", "MiB"),
        ("mnist_cnn, warm", "opencv", "ms"),
        ("30 PNGs of 28x28", "opencv", "pictures/s"),
        ("30 PNGs of 28x28", "none", "pictures/s"),
    ]
    assert all(len(f.values) == 2 and min(f.values) > 0 for f in figures)
    assert told == [f.line() for f in figures]
    page = (tmp_path / "prediction.md").read_text()
    assert all(f.row() in page for f in figures)
    assert [each["median"] for each in json.loads(benchmark.as_json(figures))] == [f.median for f in figures]


def test_what_cannot_be_measured_is_refused_before_anything_is(tmp_path):
    with pytest.raises(ValueError, match="no race is known for 'vgg16'; choose one of: mnist_cnn, baseline_cnn, "):
        benchmark.run("train", 1, ["vgg16"])
    with pytest.raises(OSError, match="Is a directory"):
        benchmark.run("train", 1, [], tmp_path)
