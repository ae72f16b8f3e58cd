"""The pictures of the results show each network that was trained, and each run's curve."""

import pytest

from kerasnets.project import curves, results_figures
from kerasnets.recipes import RECIPES
from tests.project.test_reproduction import row

LINES = [
    row("lenet5-mnist", "torch", 0, test_accuracy=0.98), row("lenet5-mnist", "jax", 0, test_accuracy=0.99),
    row("mnist_cnn-mnist", "torch", 0, test_accuracy=0.991), row("vgg_cifar-cifar10", "torch", 0, test_accuracy=0.81),
    row("vgg_cifar-cifar10-cosine", "torch", 0, test_accuracy=0.84),
    row("fashion_cnn-fashion_mnist", "torch", 0, test_accuracy=0.87),
]  # fmt: skip
SIZES = {line["recipe"]: (1000 * (i + 1), 10**6 * (i + 1)) for i, line in enumerate(LINES)}


def test_a_network_is_a_point_at_its_size_and_the_error_of_its_best_recipe():
    figure = results_figures.draw_errors(LINES, SIZES)
    assert len(figure.axes) == 6
    points = {}
    for axes in figure.axes:
        names = [text.get_text().strip() for text in axes.texts]
        for name in names:
            [text] = [text for text in axes.texts if text.get_text().strip() == name]
            places = [(x, y) for line in axes.lines for x, y in zip(*line.get_data(), strict=True) if x == text.xy[0]]
            points.setdefault(name, []).extend(places)
    assert points["lenet5"] == [(2000, pytest.approx(1.5)), (2_000_000, pytest.approx(1.5))]  # the mean of both runs
    assert points["vgg_cifar"] == [(5000, pytest.approx(16)), (5_000_000, pytest.approx(16))]  # by the cosine


def test_names_of_near_points_do_not_hide_each_other():
    lines = [row(name, "torch", 0, test_accuracy=0.99) for name in RECIPES if RECIPES[name].dataset == "mnist"]
    lines += [line for line in LINES if RECIPES[line["recipe"]].dataset != "mnist"]
    figure = results_figures.draw_errors(lines, dict.fromkeys(RECIPES, (1000, 10**6)))
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) > 3
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


def test_a_data_set_without_a_run_and_a_run_of_one_epoch_are_drawn_empty():
    """A person who reproduces one recipe with results of their own has no others."""
    figure = results_figures.draw_errors([line for line in LINES if line["recipe"] == "vgg_cifar-cifar10"], SIZES)
    figure.draw_without_rendering()
    assert [[text.get_text().strip() for text in axes.texts] for axes in figure.axes[:3]] == [
        ["not yet run"], ["not yet run"], ["vgg_cifar"],
    ]  # fmt: skip
    one_epoch = {("lenet5-mnist", "torch", "0", "float32", ""): [{"val_accuracy": "0.9", "accuracy": "0.9"}]}
    figure = results_figures.draw_curves(one_epoch, RECIPES)
    figure.draw_without_rendering()
    assert not any(axes.get_visible() for axes in figure.axes)


def test_curves_are_kept_by_run_and_drawn_by_recipe(tmp_path):
    path = tmp_path / "curves.csv"
    run = {
        "recipe": "lenet5-mnist",
        "backend": "torch",
        "seed": 0,
        "precision": "float32",
        "compiled": False,
        "epochs": 2,
    }
    figures = {"accuracy": [0.5, 0.75], "loss": [2.0, 1.0], "val_accuracy": [0.625, 0.875], "val_loss": [1.5, 0.5]}
    curves.append(path, run | figures)
    curves.append(path, run | figures | {"backend": "jax", "val_accuracy": [], "val_loss": []})
    curves.append(path, run | figures | {"accuracy": [0.5, 0.8]})  # in place of the first
    runs = curves.read(path)
    assert [key[1] for key in runs] == ["torch", "jax"]
    assert [line["accuracy"] for line in next(iter(runs.values()))] == ["0.5000", "0.8000"]
    first = {name: values[:1] for name, values in figures.items()}
    curves.append(path, run | first | {"recipe": "fc2layer-mnist", "epochs": 1})
    figure = results_figures.draw_curves(curves.read(path), RECIPES)  # one epoch has no curve
    [axes] = [axes for axes in figure.axes if axes.get_visible()]
    assert axes.get_title() == "lenet5-mnist"
    assert [list(line.get_ydata()) for line in axes.lines] == [[62.5, 87.5], [50, 75]]  # without validation, training
