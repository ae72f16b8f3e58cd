"""Competitors do the same work; a figure has its unit, its spread and its goal."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from kerasnets import benchmark
from kerasnets.benchmark import memory, pipeline, predict, train
from kerasnets.benchmark.drawing import draw
from kerasnets.benchmark.figures import Figure, as_json, table
from kerasnets.reports.tables import markdown_row
from tests.conftest import ROOT

SHIPPED = ROOT / "models_saved/pretrained/mnist_cnn-mnist.onnx"
EPOCHS = 3


def shorten_race(name):
    """The race with few steps, and a rate at which rounding and RMSprop's epsilon make no difference."""
    entry = train.NETWORKS[name]
    rate = 0.01 if entry.recipe.optimizer == "sgd" else 0.0001
    recipe = dataclasses.replace(entry.recipe, learning_rate=rate, batch_size=16)
    return dataclasses.replace(entry, recipe=recipe, steps=3)


def figures_of_all(name):
    """{competitor: [(loss, accuracy) of each epoch]} of one race."""
    train.NETWORKS[name] = shorten_race(name)
    plan, model, others = train.competitors(name, EPOCHS)
    figures = train.fit(model, plan, EPOCHS)
    ours = list(zip(figures.history["loss"], figures.history["accuracy"], strict=True))
    return {"kerasnets": ours} | {
        competitor: [learn(plan.plan(epoch)[0]) for epoch in range(EPOCHS)] for competitor, learn in others.items()
    }


@pytest.mark.parametrize(("backend", "count", "name"), [
    pytest.param(backend, count, name, marks=[pytest.mark.all_backends] * (name == "vgg_cifar" and backend != "torch"))
    for backend, count in (("torch", 3), ("tensorflow", 1), ("jax", 1))
    for name in ("mnist_cnn", "lenet5", "vgg_cifar")  # each optimizer; baseline_cnn has dropout
])  # fmt: skip
def test_competitors_have_the_same_loss_and_accuracy_as_kerasnets(workers, backend, count, name):
    ours, *theirs = workers[backend](figures_of_all, name).values()
    assert len(theirs) == count
    assert len({round(loss, 4) for loss, _ in ours}) == EPOCHS  # something is learned
    for each in theirs:
        np.testing.assert_allclose(each[0], ours[0], rtol=0, atol=1e-3)
        np.testing.assert_allclose(each, ours, rtol=0.02)  # PyTorch's RMSprop adds epsilon elsewhere


def test_a_ratio_compares_one_turn_and_the_best_competitor_has_the_goal():
    seconds = {"kerasnets": [6.0, 3.0], "PyTorch": [6.0, 6.0], "PyTorch, channels_last": [4.0, 4.0],
               "tutorial (PyTorch, DataLoader)": [12.0, 12.0]}  # fmt: skip
    result = {(f.by, f.unit): f for f in train.figures_of("lenet5", "torch", seconds)}
    assert result["kerasnets", "ms"].values == (100.0, 50.0)  # 60 steps
    assert result["PyTorch", "ratio"].values == (1.0, 0.5)
    assert {by: f.goal for (by, unit), f in result.items() if unit == "ratio"} == {
        "PyTorch": None, "PyTorch, channels_last": 1.0, "tutorial (PyTorch, DataLoader)": 0.6,
    }  # fmt: skip
    assert result["PyTorch, channels_last", "ratio"].cells() == (
        "lenet5 on torch, kerasnets / PyTorch, channels_last", "PyTorch, channels_last", "1.12", "0.75 to 1.5",
        "1: missed",
    )  # fmt: skip


def test_a_page_of_ratios_has_a_row_for_each_network_on_each_backend_and_each_spread_drawn():
    seconds = {"kerasnets": [6.0, 3.0], "PyTorch": [6.0, 6.0], "tutorial (PyTorch, DataLoader)": [12.0, 12.0]}
    figures = [*train.figures_of("lenet5", "torch", seconds),
               *train.figures_of("resnet18", "jax", {"kerasnets": [2.0], "jax.jit": [1.0]})]  # fmt: skip
    assert table(figures).rows == [
        ("lenet5 on torch", "75 ms", "PyTorch 0.75 (0.5 to 1), goal 1: reached; "
         "tutorial (PyTorch, DataLoader) 0.375 (0.25 to 0.5), goal 0.6: reached"),
        ("resnet18 on jax", "500 ms", "jax.jit 2 (2 to 2), goal 1: missed"),
    ]  # fmt: skip
    torch, jax = draw(figures).axes
    assert [axes.get_title() for axes in (torch, jax)] == ["torch", "jax"]
    spreads = [tuple(map(float, bar.get_segments()[0][:, 0])) for axes in (torch, jax) for bar in axes.collections]
    assert spreads == [(0.5, 1.0), (0.25, 0.5), (2.0, 2.0)]
    assert [tick.get_text() for tick in torch.get_yticklabels()] == ["lenet5", "resnet18"]
    assert jax.get_xlim()[1] >= 2
    labels = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in (torch, jax)]
    assert labels == [["PyTorch", "tutorial (PyTorch, DataLoader)"], ["jax.jit"]]
    colours = {tuple(bar.get_color()[0]) for axes in (torch, jax) for bar in axes.collections}
    assert len(colours) == 3


def test_bars_of_kerasnets_have_another_colour_than_those_of_others():
    names = ["kerasnets on jax", "PyTorch, on tensors", "tf.function, on tensors", "jax.jit, on arrays", "tutorial"]
    [axes] = draw([Figure("peak", name, "MiB", (1.0,)) for name in names]).axes
    assert [bar.get_facecolor() == axes.patches[0].get_facecolor() for bar in axes.patches] == [True, *[False] * 4]


@pytest.mark.parametrize(("values", "words"), [
    ((3.0, 1.0, 2.0), "2 ms: reached"),
    ((3.0, 1.0, 2.5), "2 ms: missed"),
])  # fmt: skip
def test_the_median_must_reach_the_goal(values, words):
    assert words in Figure("a", "b", "ms", values, 2.0).cells()


def test_predictions_are_measured_and_written_to_a_page(monkeypatch, tmp_path):
    """With OpenCV, which needs no framework, and the ONNX file that ships."""
    monkeypatch.setattr(predict, "MNIST", SHIPPED)
    monkeypatch.setattr(predict, "export_to_onnx", lambda path, folder: path)
    monkeypatch.setattr(predict, "FOLDER", 30)
    monkeypatch.setattr(predict, "engines_of", lambda paths: {"opencv": SHIPPED})
    lines = []
    figures = benchmark.run("predict", 2, [], tmp_path / "prediction.md", lines.append)
    assert [(f.what, f.by, f.unit) for f in figures] == [
        ("mnist_cnn, fresh process", "opencv", "seconds"),
        ("mnist_cnn, fresh process", "opencv", "MiB"),
        ("mnist_cnn, warm", "opencv", "ms"),
        ("30 PNGs of 28x28", "opencv", "pictures/s"),
        ("30 PNGs of 28x28", "decoding only", "pictures/s"),
    ]
    assert all(len(f.values) == 2 and min(f.values) > 0 for f in figures)
    assert lines == [f.line() for f in figures]
    page = (tmp_path / "prediction.md").read_text()
    assert all(markdown_row(f.cells()) in page for f in figures)
    assert "![How fast a prediction is: the figures below, drawn](prediction.svg)" in page
    assert (tmp_path / "prediction.svg").read_text().startswith("<?xml")
    assert [each["median"] for each in json.loads(as_json(figures))] == [f.median for f in figures]


def test_a_wrong_argument_is_refused_before_anything_is_measured(tmp_path):
    with pytest.raises(
        ValueError, match=r"kerasnets bench train does not measure 'vgg16'; choose from: mnist_cnn, baseline_cnn, "
    ):
        benchmark.run("train", 1, ["vgg16"])
    with pytest.raises(
        ValueError, match=r"kerasnets bench pipeline does not measure 'vgg16'; choose from: cifar10, photos"
    ):
        benchmark.run("pipeline", 1, ["vgg16"])
    with pytest.raises(ValueError, match="kerasnets bench memory does not measure 'vgg16'; choose from: mnist_cnn"):
        benchmark.run("memory", 1, ["vgg16"])
    with pytest.raises(OSError, match="Is a directory"):
        benchmark.run("train", 1, [], tmp_path)


def test_both_pipelines_prepare_the_same_pictures(workers):
    """Both give float32 pictures, normalized as by torchvision."""
    expected, ours, sizes = workers["torch"](normalize_both_ways)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)
    assert sizes == {"kerasnets, without normalization": 256, "kerasnets": 256, "tutorial (DataLoader, PIL)": 256}


def normalize_both_ways():
    from torchvision import transforms

    from kerasnets.benchmark import pipeline

    pixels = np.random.default_rng(0).integers(0, 256, (256, 32, 32, 3), np.uint8)
    result = {side: [np.asarray(images) for images in batches] for side, batches in pipeline.sides(pixels, 1).items()}
    changed = np.concatenate(result["kerasnets, without normalization"])
    normalize = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize(pipeline.RECIPE.mean, pipeline.RECIPE.std)]
    )
    expected = np.stack([normalize(picture).permute(1, 2, 0).numpy() for picture in changed])
    return expected, np.concatenate(result["kerasnets"]), {side: sum(map(len, each)) for side, each in result.items()}


def test_both_pipelines_crop_the_same_photos(workers, tmp_path):
    """The mean colour of all crops is nearly that of the photos, in both."""
    photos, ours, tutorial = workers["torch"](crop_both_ways, tmp_path)
    assert ours.shape == tutorial.shape == (64, 224, 224, 3)
    assert photos == (375, 500, 3)
    np.testing.assert_allclose(ours.mean((0, 1, 2)), tutorial.mean((0, 1, 2)), rtol=0, atol=10)


def crop_both_ways(folder):
    import cv2

    from kerasnets.benchmark import pipeline

    sides = pipeline.photos(folder, 64)(0)
    ours, tutorial = (np.concatenate([np.asarray(images) for images in batches]) for batches in sides.values())
    photo = cv2.imread(str(next((folder / "train").rglob("*.jpg"))))
    return photo.shape, ours, tutorial.transpose(0, 2, 3, 1)


def test_a_figure_of_the_pipeline_is_for_one_picture(monkeypatch):
    monkeypatch.setattr(pipeline, "alone", lambda *arguments: {"kerasnets": [0.1024], "tutorial": [1.024]})
    figures = pipeline.measure(1, ["cifar10"])
    assert [(f.by, f.unit, f.values, f.goal and round(f.goal, 2)) for f in figures] == [
        ("kerasnets", "µs a picture", (20.0,), 6.67), ("tutorial", "µs a picture", (200.0,), None),
    ]  # fmt: skip


def test_each_competitor_has_a_peak_of_memory(monkeypatch):
    monkeypatch.setattr(memory, "alone", lambda *arguments: 100.0)
    lines = []
    figures = memory.measure(2, ["mnist_cnn"], lines.append)
    assert [(f.by, f.values, f.goal) for f in figures] == [
        ("kerasnets on torch", (100.0, 100.0), 250.0), ("kerasnets on tensorflow", (100.0, 100.0), 250.0),
        ("kerasnets on jax", (100.0, 100.0), 250.0), ("PyTorch, on tensors in memory", (100.0, 100.0), None),
        ("tf.function, on tensors in memory", (100.0, 100.0), None),
        ("jax.jit, on arrays in memory", (100.0, 100.0), None),
    ]  # fmt: skip
    assert lines == [f.line() for f in figures]


@pytest.mark.skipif(not memory.STATUS.is_file(), reason="only Linux measures the peak")
def test_the_peak_counts_from_the_reset():
    """In a process of its own: the system takes memory back from one as large as pytest's meanwhile."""
    code = (
        "import numpy as np; from kerasnets.benchmark import memory; begin = memory.resident_after_reset(); "
        "held = np.ones(100 * 1024**2, np.uint8); print(memory.peak() - begin); "
        "del held; print(memory.peak() - memory.resident_after_reset())"
    )
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    grown, fallen = map(float, process.stdout.split())
    assert 95 < grown < 130
    assert fallen > 90
