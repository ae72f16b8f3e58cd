"""Recipes are run once, and their results are kept and shown, one line for each run."""

import math
import multiprocessing
import os
import re
import statistics

import pytest

from kerasnets.data import DATASETS
from kerasnets.project import pretrained, reproduction, results, tables
from kerasnets.recipes import RECIPES
from kerasnets.runtime.backends import BACKENDS

FAST = "dnn_tabular-sum3-learned"


def row(recipe, backend, seed, **changes):
    """A made-up line of the results."""
    blank = dict.fromkeys(results.COLUMNS, "") | results.DEFAULTS | {"dataset": DATASETS[RECIPES[recipe].dataset].title}
    figures = {"test_accuracy": 0.9, "test_loss": 0.3, "train_accuracy": 0.95, "majority": 0.1, "seconds": 12.4}
    return blank | figures | {"recipe": recipe, "backend": backend, "seed": seed, "epochs": 5} | changes


def test_a_run_replaces_its_line_when_repeated_and_is_done_once_otherwise(tmp_path):
    from kerasnets.saving import load_card

    path, runs, said = tmp_path / "results.csv", tmp_path / "runs", []
    for seed, accuracy in ((3, 0.1), (4, 0.2)):
        results.append(path, row(FAST, "torch", seed, test_accuracy=accuracy))
    for anew in (True, False):
        code = reproduction.reproduce([FAST], ["torch"], [3], anew=anew, results=path, runs=runs, tell=said.append)
        assert code == 0
    assert len(said) == 2  # its beginning and its end; the second time there was nothing to do
    lines = {line["seed"]: line for line in results.read(path)}
    assert lines.keys() == {"3", "4"}
    assert float(lines["4"]["test_accuracy"]) == 0.2
    card = load_card(runs / f"{FAST}-torch-3.keras")
    assert results.key_of(lines["3"]) == (FAST, "torch", "3", "float32", "")
    assert float(lines["3"]["test_accuracy"]) == card.accuracy
    assert card.accuracy > float(lines["3"]["majority"]) + 0.2  # it truly learns the sums


@pytest.mark.parametrize(("names", "backends", "words"), [
    (["lenet5-mnits"], ["torch"], "unknown recipe 'lenet5-mnits'; choose one of: lenet5-mnist, "),
    (["lenet5-mnist"], ["mxnet"], "unknown backend 'mxnet'; choose from: torch, tensorflow, jax"),
])  # fmt: skip
def test_unknown_names_are_refused_before_anything_runs(tmp_path, names, backends, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        reproduction.reproduce(names, backends, [0], results=tmp_path / "results.csv", runs=tmp_path)


def test_a_new_line_keeps_the_others(tmp_path):
    path = tmp_path / "results.csv"
    for backend, seed in (("jax", 1), ("torch", 10), ("torch", 2)):
        results.append(path, row("lenet5-mnist", backend, seed))
    results.append(path, row("mnist_cnn-mnist", "jax", 0))
    assert [results.key_of(line) for line in results.read(path)] == [
        ("mnist_cnn-mnist", "jax", "0", "float32", ""),
        ("lenet5-mnist", "torch", "2", "float32", ""),
        ("lenet5-mnist", "torch", "10", "float32", ""),
        ("lenet5-mnist", "jax", "1", "float32", ""),
    ]


def append_many(path, backend, seeds, all_ready):
    all_ready.wait()
    for seed in seeds:
        results.append(path, row("lenet5-mnist", backend, seed))


@pytest.mark.skipif(os.name != "posix", reason="Windows has no lock on a folder")
def test_no_line_is_lost_when_several_processes_add_lines(tmp_path):
    path, seeds, processes = tmp_path / "new/results.csv", range(20), multiprocessing.get_context("spawn")
    all_ready = processes.Barrier(len(BACKENDS))
    adding = [processes.Process(target=append_many, args=(path, name, seeds, all_ready)) for name in BACKENDS]
    for process in adding:
        process.start()
    for process in adding:
        process.join()
    assert [process.exitcode for process in adding] == [0, 0, 0]
    expected = [("lenet5-mnist", backend, str(seed), "float32", "") for backend in BACKENDS for seed in seeds]
    assert [results.key_of(line) for line in results.read(path)] == expected


def test_a_cell_has_mean_and_std_over_the_seeds_or_says_not_yet_run():
    accuracies = (0.985, 0.979, 0.983)
    rows = [row("lenet5-mnist", "torch", seed, test_accuracy=value) for seed, value in enumerate(accuracies)]
    cell = f"{statistics.mean(accuracies):.4f} ± {statistics.stdev(accuracies):.4f} (3)"
    table = tables.summary_table(rows).splitlines()
    assert f"| `lenet5-mnist` | 0.9852 and 0.9794 (goal 0.982) | {cell} | not yet run | not yet run | yes |" in table
    assert "| `nin-cifar10` | 0.9119, the paper's | not yet run | not yet run | not yet run |  |" in table
    assert len(table) == 2 + len(RECIPES)


@pytest.mark.parametrize(("short", "reached"), [(0.9, "yes"), (1.1, "no")])
def test_a_goal_is_reached_down_to_one_binomial_standard_error_on_every_backend(short, reached):
    error = math.sqrt(0.9666 * (1 - 0.9666) / 10_000)  # MNIST's test data
    rows = [row("dnn_mnist-mnist", "torch", 0, test_accuracy=0.97)]
    assert tables.verdict("dnn_mnist-mnist", rows) == "yes"
    rows.append(row("dnn_mnist-mnist", "jax", 0, test_accuracy=0.9666 - short * error))
    assert tables.verdict("dnn_mnist-mnist", rows) == reached


def test_figures_on_other_copies_of_the_data_are_separate_and_marked():
    rows = [row("cifar_net-cifar10", "torch", 0, test_accuracy=0.7)]
    rows += [row("cifar_net-cifar10", "torch", seed, test_accuracy=0.6, dataset="CIFAR-10 (JPEG)") for seed in (1, 2)]
    assert tables.cell("cifar_net-cifar10", "torch", rows) == "0.7000 (1); 0.6000 ± 0.0000 (2) on CIFAR-10 (JPEG)"


@pytest.mark.parametrize(
    ("dataset", "reached"), [("CIFAR-10 (PNG)", "yes"), ("CIFAR-10", "yes"), ("CIFAR-10 (JPEG)", "no")]
)
def test_runs_on_jpegs_count_only_where_there_are_no_others(dataset, reached):
    rows = [row("vgg_cifar-cifar10", "torch", 0, test_accuracy=0.83, dataset=dataset)]
    rows.append(row("vgg_cifar-cifar10", "torch", 1, test_accuracy=0.80, dataset="CIFAR-10 (JPEG)"))
    assert tables.verdict("vgg_cifar-cifar10", rows) == reached
    assert tables.verdict("vgg_cifar-cifar10", rows[1:]) == "no"


def test_a_run_in_bfloat16_has_a_line_of_its_own_and_is_marked(tmp_path):
    path, name = tmp_path / "results.csv", "vgg_cifar-cifar10"
    changes = {"precision": "mixed_bfloat16", "compiled": "compiled", "test_accuracy": 0.8409}
    results.append(path, row(name, "torch", 0, test_accuracy=0.84))
    results.append(path, row(name, "torch", 0, **changes))
    lines = results.read(path)
    assert tables.cell(name, "torch", lines) == "0.8400 (1); 0.8409 (1, bfloat16)"
    assert f"| `{name}` | torch, bfloat16, compiled | 0 |" in tables.full_table(lines)
    assert [results.model_file(line, "runs").name for line in lines] == [
        f"{name}-torch-0.keras", f"{name}-torch-0-bfloat16-compiled.keras",
    ]  # fmt: skip


def test_results_of_earlier_versions_are_of_float32(tmp_path):
    path = tmp_path / "results.csv"
    results.append(path, row("lenet5-mnist", "torch", 0))
    header, line = path.read_text().splitlines()
    path.write_text(f"{header.replace(',precision,compiled', '')}\n{line.replace(',float32,', '')}\n")
    assert results.read(path)[0]["precision"] == "float32"


def test_the_goal_of_fashion_cnn_is_on_training_data_like_its_source():
    rows = [row("fashion_cnn-fashion_mnist", "torch", 0, test_accuracy=0.8, train_accuracy=0.89)]
    assert tables.cell("fashion_cnn-fashion_mnist", "torch", rows) == "0.8900 (1)"
    assert tables.verdict("fashion_cnn-fashion_mnist", rows) == "yes"


def test_a_page_keeps_what_stands_around_its_table(tmp_path):
    pages = [tmp_path / name for name in ("README.md", "README.zh-CN.md", "models.md", "results.md", "networks.md")]
    for page in pages:
        page.write_text(f"before\n{tables.BEGIN}\nan earlier table\n{tables.END}\nafter\n")
    tables.write_tables([row("lenet5-mnist", "torch", 0)], *pages)
    headings = ("| recipe | published | ", "| 配方 | 公布值 | ", "| file | ", "| recipe | published | ", "| name | ")
    for page, heading in zip(pages, headings, strict=True):
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"before\n{tables.BEGIN}\n{heading}")
        assert text.endswith(f"\n{tables.END}\nafter\n")
        assert "earlier" not in text


def test_the_summary_in_chinese_has_the_same_names_and_figures():
    rows = [row("cifar_net-cifar10", "jax", seed, test_accuracy=0.5, dataset="CIFAR-10 (JPEG)") for seed in (0, 1)]
    table = tables.in_chinese(tables.summary_table(rows)).splitlines()
    cell = "0.5000 ± 0.0000 (2) 在 CIFAR-10 (JPEG) 上"
    assert f"| `cifar_net-cifar10` | 0.63 | 尚未运行 | 尚未运行 | {cell} | 否 |" in table
    assert "| `lenet5-mnist` | 0.9852 与 0.9794 (目标 0.982) | 尚未运行 | 尚未运行 | 尚未运行 |  |" in table


def test_the_best_model_on_validation_data_ships_unless_it_is_large(tmp_path):
    runs, shipped = tmp_path / "runs", tmp_path / "pretrained"
    rows = []
    for seed, validation, size in ((0, 0.97, 10), (1, 0.98, 10), (2, 0.96, 10)):
        rows.append(row("lenet5-mnist", "torch", seed, val_accuracy=validation))
        write_run(runs / f"lenet5-mnist-torch-{seed}.keras", size)
    rows.append(row("dnn_mnist-mnist", "torch", 0, val_accuracy=0.9))
    write_run(runs / "dnn_mnist-mnist-torch-0.keras", 5_000_001)
    assert pretrained.ship(rows, runs, shipped) == [shipped / "lenet5-mnist.keras"]
    assert sorted(path.name for path in shipped.iterdir()) == ["lenet5-mnist-report.html", "lenet5-mnist.keras"]
    assert (shipped / "lenet5-mnist-report.html").read_text() == "report of lenet5-mnist-torch-1"


def test_the_mistakes_of_the_best_run_on_cifar10_are_shown(tmp_path):
    rows = [
        row("cifar_net-cifar10", "torch", 0, val_accuracy=0.7),
        row("resnet20-cifar10", "jax", 1, val_accuracy=0.9),
        row("lenet5-mnist", "torch", 0, val_accuracy=0.99),
    ]
    shown, best = tmp_path / "shown.png", tmp_path / "resnet20-cifar10-jax-1"
    pretrained.ship_mistakes(rows, tmp_path, shown)
    assert not shown.exists()  # the run was on another machine
    best.mkdir()
    (best / "mistakes.png").write_bytes(b"drawn")
    pretrained.ship_mistakes(rows, tmp_path, shown)
    assert shown.read_bytes() == b"drawn"


def test_the_reports_on_permuted_pixels_have_the_means_of_all_runs(tmp_path):
    """One report has no section on permuted pixels yet, the other has an old one."""
    rows, page = [], "<h2>Learning curves</h2>\nc\n{}<h2>Each class</h2>\nd\n"
    for name, accuracy, old in (
        ("fc2layer-mnist", 0.86, ""),
        ("fc2layer-mnist-permuted", 0.87, "<h2>The order of the pixels</h2>\n<p>0.1111</p>\n"),
    ):
        for seed in (0, 1):
            rows.append(row(name, "jax", seed, test_accuracy=accuracy + seed / 100, val_accuracy=0.9 - seed))
        write_run(tmp_path / f"runs/{name}-jax-0.keras", 10, page.format(old))
    pretrained.ship(rows, tmp_path / "runs", tmp_path)
    for name in ("fc2layer-mnist", "fc2layer-mnist-permuted"):
        text = (tmp_path / f"{name}-report.html").read_text()
        assert re.findall("<h2>(.*)</h2>", text) == ["Learning curves", "The order of the pixels", "Each class"]
        assert re.search("<td[^>]*>fc2layer-mnist</td><td>0.8650</td>", text)
        assert re.search("<td[^>]*>fc2layer-mnist-permuted</td><td>0.8750</td>", text)
        assert "0.1111" not in text
        assert text.endswith("<h2>Each class</h2>\nd\n")


def write_run(path, size, report=None):
    """A made-up model file of `size` bytes and its report."""
    path.with_suffix("").mkdir(parents=True)
    path.write_bytes(bytes(size))
    (path.with_suffix("") / "report.html").write_text(report or f"report of {path.stem}")
