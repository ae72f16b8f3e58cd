"""Results are run once, kept one line a run, and shown as they are."""

import math
import multiprocessing
import os
import re
import statistics

import pytest

from kerasnets.data import DATASETS
from kerasnets.project import reproduction
from kerasnets.recipes import RECIPES
from kerasnets.runtime.backends import BACKENDS

FAST = "dnn_tabular-sum3-learned"


def row(recipe, backend, seed, **changes):
    """A line of the results, made up."""
    blank = dict.fromkeys(reproduction.COLUMNS, "") | {"dataset": DATASETS[RECIPES[recipe].dataset].title}
    figures = {"test_accuracy": 0.9, "test_loss": 0.3, "train_accuracy": 0.95, "majority": 0.1, "seconds": 12.4}
    return blank | figures | {"recipe": recipe, "backend": backend, "seed": seed, "epochs": 5} | changes


def test_a_run_is_done_once_and_its_line_is_what_the_model_file_says(tmp_path):
    from kerasnets.saving import load_card

    results, runs, told = tmp_path / "results.csv", tmp_path / "runs", []
    for _ in range(2):
        assert reproduction.reproduce([FAST], ["torch"], [3], results=results, runs=runs, tell=told.append) == 0
    assert len(told) == 2  # its beginning and its end; the second time there was nothing to do
    [line] = reproduction.read(results)
    card = load_card(runs / f"{FAST}-torch-3.keras")
    assert reproduction.key_of(line) == (FAST, "torch", "3")
    assert float(line["test_accuracy"]) == card.accuracy
    assert float(line["test_accuracy"]) > float(line["majority"]) + 0.2  # it truly learns the sums


@pytest.mark.parametrize(("names", "backends", "words"), [
    (["lenet5-mnits"], ["torch"], "unknown recipe 'lenet5-mnits'; choose one of: lenet5-mnist, "),
    (["lenet5-mnist"], ["mxnet"], "unknown backend 'mxnet'; choose from: torch, tensorflow, jax"),
])  # fmt: skip
def test_what_cannot_be_meant_is_said_before_anything_runs(tmp_path, names, backends, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        reproduction.reproduce(names, backends, [0], results=tmp_path / "results.csv", runs=tmp_path)


def test_a_line_that_is_added_leaves_the_others(tmp_path):
    path = tmp_path / "results.csv"
    for backend, seed in (("jax", 1), ("torch", 10), ("torch", 2)):
        reproduction.append(path, row("lenet5-mnist", backend, seed))
    reproduction.append(path, row("mnist_cnn-mnist", "jax", 0))
    assert [reproduction.key_of(line) for line in reproduction.read(path)] == [
        ("mnist_cnn-mnist", "jax", "0"),
        ("lenet5-mnist", "torch", "2"),
        ("lenet5-mnist", "torch", "10"),
        ("lenet5-mnist", "jax", "1"),
    ]


def append_many(path, backend, seeds, all_ready):
    all_ready.wait()
    for seed in seeds:
        reproduction.append(path, row("lenet5-mnist", backend, seed))


@pytest.mark.skipif(os.name != "posix", reason="Windows has no lock on a folder")
def test_no_line_is_lost_where_several_processes_add_theirs_at_once(tmp_path):
    path, seeds, processes = tmp_path / "new/results.csv", range(20), multiprocessing.get_context("spawn")
    all_ready = processes.Barrier(len(BACKENDS))
    adding = [processes.Process(target=append_many, args=(path, name, seeds, all_ready)) for name in BACKENDS]
    for process in adding:
        process.start()
    for process in adding:
        process.join()
    assert [process.exitcode for process in adding] == [0, 0, 0]
    wanted = [("lenet5-mnist", backend, str(seed)) for backend in BACKENDS for seed in seeds]
    assert [reproduction.key_of(line) for line in reproduction.read(path)] == wanted


def test_a_cell_is_mean_and_deviation_of_the_seeds_and_a_row_without_runs_says_so():
    accuracies = (0.985, 0.979, 0.983)
    rows = [row("lenet5-mnist", "torch", seed, test_accuracy=value) for seed, value in enumerate(accuracies)]
    cell = f"{statistics.mean(accuracies):.4f} ± {statistics.stdev(accuracies):.4f} (3)"
    table = reproduction.summary_table(rows).splitlines()
    assert f"| `lenet5-mnist` | 0.9852 and 0.9794 | {cell} | not yet run | not yet run | yes |" in table
    assert "| `nin-cifar10` | 0.9119, the paper's | not yet run | not yet run | not yet run |  |" in table
    assert len(table) == 2 + len(RECIPES)


@pytest.mark.parametrize(("short", "reached"), [(0.9, "yes"), (1.1, "no")])
def test_a_goal_is_reached_down_to_one_binomial_standard_error_on_every_backend(short, reached):
    error = math.sqrt(0.9666 * (1 - 0.9666) / 10_000)  # MNIST's test data
    rows = [row("dnn_mnist-mnist", "torch", 0, test_accuracy=0.97)]
    assert reproduction.verdict("dnn_mnist-mnist", rows) == "yes"
    rows.append(row("dnn_mnist-mnist", "jax", 0, test_accuracy=0.9666 - short * error))
    assert reproduction.verdict("dnn_mnist-mnist", rows) == reached


def test_figures_on_other_copies_of_the_data_stand_apart_and_are_marked():
    rows = [row("cifar_net-cifar10", "torch", 0, test_accuracy=0.7)]
    rows += [row("cifar_net-cifar10", "torch", seed, test_accuracy=0.6, dataset="CIFAR-10 (JPEG)") for seed in (1, 2)]
    assert reproduction.cell("cifar_net-cifar10", "torch", rows) == "0.7000 (1); 0.6000 ± 0.0000 (2) on CIFAR-10 (JPEG)"


def test_a_run_that_is_made_anew_replaces_its_line(tmp_path):
    results, runs = tmp_path / "results.csv", tmp_path / "runs"
    reproduction.append(results, row(FAST, "torch", 3, test_accuracy=0.1))
    reproduction.append(results, row(FAST, "torch", 4, test_accuracy=0.2))
    reproduction.reproduce([FAST], ["torch"], [3], anew=True, results=results, runs=runs, tell=lambda line: None)
    found = {line["seed"]: float(line["test_accuracy"]) for line in reproduction.read(results)}
    assert found.keys() == {"3", "4"}
    assert found["3"] > 0.7
    assert found["4"] == 0.2


def test_fashion_cnn_is_judged_on_its_training_data_as_its_source_did():
    rows = [row("fashion_cnn-fashion_mnist", "torch", 0, test_accuracy=0.8, train_accuracy=0.89)]
    assert reproduction.cell("fashion_cnn-fashion_mnist", "torch", rows) == "0.8900 (1)"
    assert reproduction.verdict("fashion_cnn-fashion_mnist", rows) == "yes"


def test_a_page_keeps_what_stands_around_its_table(tmp_path):
    pages = [tmp_path / name for name in ("README.md", "README.zh-CN.md", "models.md", "results.md")]
    for page in pages:
        page.write_text(f"before\n{reproduction.BEGIN}\nan earlier table\n{reproduction.END}\nafter\n")
    reproduction.write_tables([row("lenet5-mnist", "torch", 0)], *pages)
    headings = ("| recipe | published | ", "| 配方 | 公布值 | ", "| file | ", "| recipe | published | ")
    for page, heading in zip(pages, headings, strict=True):
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"before\n{reproduction.BEGIN}\n{heading}")
        assert text.endswith(f"\n{reproduction.END}\nafter\n")
        assert "earlier" not in text


def test_the_summary_in_chinese_has_the_same_names_and_figures():
    rows = [row("cifar_net-cifar10", "jax", seed, test_accuracy=0.5, dataset="CIFAR-10 (JPEG)") for seed in (0, 1)]
    table = reproduction.in_chinese(reproduction.summary_table(rows)).splitlines()
    cell = "0.5000 ± 0.0000 (2) 在 CIFAR-10 (JPEG) 上"
    assert f"| `cifar_net-cifar10` | 0.63 | 尚未运行 | 尚未运行 | {cell} | 否 |" in table
    assert "| `lenet5-mnist` | 0.9852 与 0.9794 | 尚未运行 | 尚未运行 | 尚未运行 |  |" in table


def test_the_best_on_validation_data_ships_and_no_large_one(tmp_path):
    runs, pretrained = tmp_path / "runs", tmp_path / "pretrained"
    rows = []
    for seed, validation, size in ((0, 0.97, 10), (1, 0.98, 10), (2, 0.96, 10)):
        rows.append(row("lenet5-mnist", "torch", seed, val_accuracy=validation))
        write_run(runs / f"lenet5-mnist-torch-{seed}.keras", size)
    rows.append(row("dnn_mnist-mnist", "torch", 0, val_accuracy=0.9))
    write_run(runs / "dnn_mnist-mnist-torch-0.keras", 1_000_001)
    assert reproduction.ship(rows, runs, pretrained) == [pretrained / "lenet5-mnist.keras"]
    assert sorted(path.name for path in pretrained.iterdir()) == ["lenet5-mnist-report.html", "lenet5-mnist.keras"]
    assert (pretrained / "lenet5-mnist-report.html").read_text() == "report of lenet5-mnist-torch-1"


def test_the_reports_on_permuted_pixels_tell_what_all_runs_came_to(tmp_path):
    """One was written before its neighbours were there, and one beside an older run of them."""
    rows, page = [], "<h2>Learning curves</h2>\nc\n{}<h2>Each class</h2>\nd\n"
    for name, accuracy, old in (
        ("fc2layer-mnist", 0.86, ""),
        ("fc2layer-mnist-permuted", 0.87, "<h2>The order of the pixels</h2>\n<p>0.1111</p>\n"),
    ):
        for seed in (0, 1):
            rows.append(row(name, "jax", seed, test_accuracy=accuracy + seed / 100, val_accuracy=0.9 - seed))
        write_run(tmp_path / f"runs/{name}-jax-0.keras", 10, page.format(old))
    reproduction.ship(rows, tmp_path / "runs", tmp_path)
    for name in ("fc2layer-mnist", "fc2layer-mnist-permuted"):
        text = (tmp_path / f"{name}-report.html").read_text()
        assert re.findall("<h2>(.*)</h2>", text) == ["Learning curves", "The order of the pixels", "Each class"]
        assert "<td>fc2layer-mnist</td><td>0.8650</td>" in text
        assert "<td>fc2layer-mnist-permuted</td><td>0.8750</td>" in text
        assert "0.1111" not in text
        assert text.endswith("<h2>Each class</h2>\nd\n")


def write_run(path, size, report=None):
    """A model file of `size` bytes and its report, made up."""
    path.with_suffix("").mkdir(parents=True)
    path.write_bytes(bytes(size))
    (path.with_suffix("") / "report.html").write_text(report or f"report of {path.stem}")
