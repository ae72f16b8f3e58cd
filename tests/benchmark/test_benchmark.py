"""What is compared does the same work; a figure says what it is of and whether its goal is reached."""

import dataclasses
import json

import numpy as np
import pytest

from kerasnets import benchmark
from kerasnets.benchmark import memory, pipeline, predict, train
from kerasnets.benchmark.figures import Figure
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
@pytest.mark.parametrize(("backend", "count"), [("torch", 3), ("tensorflow", 1), ("jax", 1)])
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
    assert [each["median"] for each in json.loads(figures.as_json(figures))] == [f.median for f in figures]


def test_what_cannot_be_measured_is_refused_before_anything_is(tmp_path):
    with pytest.raises(
        ValueError, match=r"bench\.py train does not measure 'vgg16'; choose from: mnist_cnn, baseline_cnn, "
    ):
        benchmark.run("train", 1, ["vgg16"])
    with pytest.raises(ValueError, match=r"bench\.py pipeline does not measure 'vgg16'; choose from: cifar10"):
        benchmark.run("pipeline", 1, ["vgg16"])
    with pytest.raises(ValueError, match=r"bench\.py memory does not measure 'vgg16'; choose from: mnist_cnn, lenet5"):
        benchmark.run("memory", 1, ["vgg16"])
    with pytest.raises(OSError, match="Is a directory"):
        benchmark.run("train", 1, [], tmp_path)


def test_pictures_are_made_ready_beside_the_tutorials_way(workers):
    """Both ways give what the network learns from: float32 pictures, normalized as torchvision does."""
    expected, ours, sizes = workers["torch"](normalized_both_ways)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)
    assert sizes == {"kerasnets, before it is normalized": 256, "kerasnets": 256, "tutorial (DataLoader, PIL)": 256}


def normalized_both_ways():
    from torchvision import transforms

    from kerasnets.benchmark import pipeline

    pixels = np.random.default_rng(0).integers(0, 256, (256, 32, 32, 3), np.uint8)
    found = {side: [np.asarray(images) for images in batches] for side, batches in pipeline.sides(pixels, 1).items()}
    changed = np.concatenate(found["kerasnets, before it is normalized"])
    normalize = transforms.Compose([transforms.ToTensor(), transforms.Normalize(pipeline.ROW.mean, pipeline.ROW.std)])
    expected = np.stack([normalize(picture).permute(1, 2, 0).numpy() for picture in changed])
    return expected, np.concatenate(found["kerasnets"]), {side: sum(map(len, each)) for side, each in found.items()}


def test_a_figure_of_the_pipeline_is_of_a_picture(monkeypatch):
    monkeypatch.setattr(pipeline, "alone", lambda *arguments: {"kerasnets": [0.1024], "tutorial": [1.024]})
    figures = pipeline.measure(1)
    assert [(f.by, f.unit, f.values, f.goal and round(f.goal, 2)) for f in figures] == [
        ("kerasnets", "µs a picture", (20.0,), 6.67), ("tutorial", "µs a picture", (200.0,), None),
    ]  # fmt: skip


def test_a_peak_of_memory_is_told_by_side(monkeypatch):
    monkeypatch.setattr(memory, "alone", lambda *arguments: 100.0)
    told = []
    figures = memory.measure(2, ["mnist_cnn"], told.append)
    assert [(f.by, f.values, f.goal) for f in figures] == [
        ("kerasnets on torch", (100.0, 100.0), 250.0), ("kerasnets on tensorflow", (100.0, 100.0), 250.0),
        ("kerasnets on jax", (100.0, 100.0), 250.0), ("PyTorch, on tensors in memory", (100.0, 100.0), None),
    ]  # fmt: skip
    assert told == [f.line() for f in figures]


@pytest.mark.skipif(not memory.STATUS.is_file(), reason="only Linux tells the peak")
def test_the_peak_is_that_since_the_reset():
    begin = memory.resident_after_reset()
    held = np.ones(100 * 1024**2, np.uint8)
    assert 95 < memory.peak() - begin < 130
    del held
    assert memory.peak() - memory.resident_after_reset() > 90
