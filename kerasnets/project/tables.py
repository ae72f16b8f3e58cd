"""The tables of results in docs/results.md, the READMEs and models_saved/README.md, and the table of networks."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from kerasnets.models.registry import NETWORKS
from kerasnets.project.pretrained import shipped_table
from kerasnets.project.results import MARKS, Line
from kerasnets.recipes import RECIPES
from kerasnets.reports.tables import Table
from kerasnets.runtime import backends
from kerasnets.runtime.atomic import whole_file
from kerasnets.runtime.provenance import CHECKOUT

BEGIN, END = "<!-- results: written by scripts/reproduce.py -->", "<!-- end of results -->"
HIGHLIGHTS = (  # the recipes in README.md and README.zh-CN.md
    "mnist_cnn-mnist", "lenet5-mnist", "lenet5_sigmoid-mnist", "googlenet_mini-fashion_mnist-cosine",
    "resnet_mini-fashion_mnist-cosine",
)  # fmt: skip
IN_CHINESE = {  # words of the summary and of the published figures in RECIPES
    "| recipe | published |": "| 配方 | 公布值 |",
    "| reached |": "| 达到 |",
    "| yes |": "| 是 |",
    "| no |": "| 否 |",
    "| none |": "| 无 |",
    "not yet run": "尚未运行",
    " on CIFAR-10 (JPEG)": " 在 CIFAR-10 (JPEG) 上",
    " on CIFAR-10 (PNG)": " 在 CIFAR-10 (PNG) 上",
    ", ours": " (自测)",
    ", the paper's": " (论文)",
    ", at a constant rate": " (恒定学习率)",
    " (the share of the middle class)": " (即中间一类的占比)",
    " of the training data": " (训练数据上)",
    " for LeNet-5 in the literature": " (文献中的 LeNet-5)",
    "baseline of the speed record": "速度纪录的基线",
    "DAWNBench's threshold": "DAWNBench 的门槛",
    "(goal ": "(目标 ",
    " and ": " 与 ",
    " to ": " 至 ",
}


def write_tables(
    lines: Sequence[Line],
    readme: Path = CHECKOUT / "README.md",
    chinese_readme: Path = CHECKOUT / "README.zh-CN.md",
    models_readme: Path = CHECKOUT / "models_saved/README.md",
    results_page: Path = CHECKOUT / "docs/results.md",
    networks_page: Path = CHECKOUT / "docs/networks.md",
) -> None:
    """Write the tables into the pages, between their marks."""
    pages = {
        readme: summary_table(lines, HIGHLIGHTS),
        chinese_readme: in_chinese(summary_table(lines, HIGHLIGHTS)),
        results_page: summary_table(lines),
        models_readme: f"{shipped_table()}\n\n{full_table(lines)}",
        networks_page: networks_table(),
    }
    for path, table in pages.items():
        text = path.read_text(encoding="utf-8")
        before, rest = text.split(BEGIN)
        after = rest.split(END)[1]
        with whole_file(path) as part:
            part.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def networks_table() -> str:
    """Return the networks in their main forms as a Markdown table, for docs/networks.md."""
    rows = []
    for form in NETWORKS.values():
        shape = "x".join(map(str, form.input_shape))
        rows.append((f"`{form.name}`", form.description, shape, f"{form.parameters:,}"))
    return Table(("name", "network", "input", "parameters"), rows).markdown()


def summary_table(lines: Sequence[Line], names: Sequence[str] = tuple(RECIPES)) -> str:
    """Return a Markdown table of the recipes `names`: the published figure, mean and standard deviation."""
    rows = []
    for name in names:
        cells = [cell(name, backend, lines) for backend in backends.BACKENDS]
        rows.append((f"`{name}`", RECIPES[name].published_figure, *cells, verdict(name, lines)))
    return Table(("recipe", "published", *backends.BACKENDS, "reached"), rows).markdown()


def in_chinese(table: str) -> str:
    """Return the summary table with its words in Chinese; names and figures stay."""
    for words, chinese in IN_CHINESE.items():
        table = table.replace(words, chinese)
    return table


def cell(name: str, backend: str, lines: Sequence[Line]) -> str:
    """Return mean, standard deviation and number of runs, separately for each data set and precision.

    A data set that is not the recipe's and a precision that is not float32 are marked.
    """
    from kerasnets.data import DATASETS

    usual = DATASETS[RECIPES[name].dataset].title
    cells = []
    for (dataset, precision), accuracies in groups_of(name, backend, lines).items():
        count = ", ".join(filter(None, (str(len(accuracies)), MARKS[precision])))
        spread = f" ± {statistics.stdev(accuracies):.4f}" if len(accuracies) > 1 else ""
        mark = "" if dataset == usual else f" on {dataset}"
        cells.append(f"{statistics.mean(accuracies):.4f}{spread} ({count}){mark}")
    return "; ".join(cells) or "not yet run"


def groups_of(name: str, backend: str, lines: Sequence[Line]) -> dict[tuple[str, str], list[float]]:
    """Return {(data set, precision): accuracies that count for the recipe's goal, one for each seed}."""
    groups: dict[tuple[str, str], list[float]] = {}
    for line in lines:
        if (line["recipe"], line["backend"]) == (name, backend):
            accuracy = float(line[f"{RECIPES[name].goal_on}_accuracy"])
            groups.setdefault((line["dataset"], line["precision"]), []).append(accuracy)
    return groups


def verdict(name: str, lines: Sequence[Line]) -> str:
    """Return whether every backend with a run reaches the goal, less one binomial standard error: "yes", "no" or "".

    Runs on JPEGs count only where there are no others.
    """
    goal = RECIPES[name].goal
    if goal is None:
        return ""
    reached = []
    for backend in backends.BACKENDS:
        groups = groups_of(name, backend, lines)
        lossless = {group: accuracies for group, accuracies in groups.items() if "JPEG" not in group[0]}
        accuracies = [each for group in (lossless or groups).values() for each in group]
        if accuracies:
            reached.append(statistics.mean(accuracies) >= goal - standard_error(goal, examples(name)))
    return "" if not reached else "yes" if all(reached) else "no"


def standard_error(share: float, count: int) -> float:
    """Return the binomial standard error of a share that was measured on `count` examples."""
    return math.sqrt(share * (1 - share) / count)


def examples(name: str) -> int:
    """Return the number of examples on which a recipe's goal is measured."""
    from kerasnets.data import DATASETS

    recipe = RECIPES[name]
    return int(getattr(DATASETS[recipe.dataset], recipe.goal_on))


def full_table(lines: Sequence[Line]) -> str:
    """Return a Markdown table of all runs, and below it the machines and versions."""
    rows = []
    settings: dict[tuple[str, str, str], int] = {}
    for line in lines:
        setting = settings.setdefault((line["machine"], line["versions"], line["dataset"]), len(settings) + 1)
        backend = ", ".join(filter(None, (line["backend"], MARKS[line["precision"]], line["compiled"])))
        figures = [line[name] for name in ("test_accuracy", "test_loss", "val_accuracy", "train_accuracy", "majority")]
        cells = [f"{float(figure):.4f}" if figure != "" else "" for figure in figures]
        last = str(line["epochs"]), f"{float(line['seconds']):.0f} s", str(setting)
        rows.append((f"`{line['recipe']}`", backend, str(line["seed"]), *cells, *last))
    accuracies = "test", "test loss", "validation", "training", "majority"
    table = Table(("recipe", "backend", "seed", *accuracies, "epochs", "time", "at"), rows).markdown()
    notes = [f"{i}. {dataset}; {machine}; {versions}" for (machine, versions, dataset), i in settings.items()]
    return "\n".join([table, "", "Settings:", "", *notes])
