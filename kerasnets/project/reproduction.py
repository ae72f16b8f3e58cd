"""Recipes run over seeds and backends, and the table of what came of it.

RESULTS holds one line for each run, added when the run is done. docs/results.md shows all recipes, README.md and
README.zh-CN.md the recipes of HIGHLIGHTS, and models_saved/README.md each run. A run that RESULTS has is not run again,
and a run that was stopped goes on after its last epoch.
"""

import csv
import datetime
import json
import math
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from kerasnets.errors import BadInputError, nearest_first
from kerasnets.recipes import RECIPES, permuted_pairs
from kerasnets.runtime import backends
from kerasnets.runtime.atomic import one_at_a_time, whole_file

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs/results.csv"
RUNS = Path("models_saved/runs")
PRETRAINED = ROOT / "models_saved/pretrained"
SHIPPED_BYTES = 1_000_000  # of a model that ships
COLUMNS = (
    "recipe", "backend", "seed", "test_accuracy", "test_loss", "val_accuracy", "train_accuracy", "majority", "epochs",
    "best_epoch", "seconds", "dataset", "machine", "versions", "commit", "date",
)  # fmt: skip
BEGIN, END = "<!-- results: written by scripts/reproduce.py -->", "<!-- end of results -->"
HIGHLIGHTS = (  # the recipes that README.md shows
    "mnist_cnn-mnist", "lenet5-mnist", "lenet5_sigmoid-mnist", "googlenet_mini-fashion_mnist-cosine",
    "resnet_mini-fashion_mnist-cosine",
)  # fmt: skip
IN_CHINESE = {  # what the summary says in words; a published figure's words stand in RECIPES
    "| recipe | published |": "| 配方 | 公布值 |",
    "| reached |": "| 达到 |",
    "| yes |": "| 是 |",
    "| no |": "| 否 |",
    "| none |": "| 无 |",
    "not yet run": "尚未运行",
    " on CIFAR-10 (JPEG)": " 在 CIFAR-10 (JPEG) 上",
    ", ours": " (自测)",
    ", the paper's": " (论文)",
    ", at a constant rate": " (恒定学习率)",
    ", which is the share of the middle class": " (即中间一类的占比)",
    " of the training data": " (训练数据上)",
    " for LeNet-5 in the literature": " (文献中的 LeNet-5)",
    "record-setters' baseline": "纪录创造者的基线",
    "DAWNBench's threshold": "DAWNBench 的门槛",
    " and ": " 与 ",
    " to ": " 至 ",
}


def reproduce(names, wanted_backends, seeds, data_dir=None, anew=False, results=RESULTS, runs=RUNS, tell=print):
    """Run what is missing of the recipes called `names`, each in a process of its own; return how many failed.

    After each, the line goes into `results`. What trains is written to stderr, as train.py would to stdout.
    anew: run also what is there, from its first epoch; its line is replaced.
    Raises ValueError for an unknown recipe or backend, ImportError for one that is not installed.
    """
    for backend in wanted_backends:
        if backend not in backends.BACKENDS:
            raise ValueError(f"unknown backend {backend!r}; choose from: {', '.join(backends.BACKENDS)}")
        backends.check_installed(backend)
    for name in names:
        if name not in RECIPES:
            raise ValueError(f"unknown recipe {name!r}; choose one of: {nearest_first(name, RECIPES)}")
    done = {key_of(row) for row in read(results)}
    jobs = [(name, backend, str(seed)) for name in names for seed in seeds for backend in wanted_backends]
    jobs = [job for job in jobs if anew or job not in done]
    failed = 0
    for i, (name, backend, seed) in enumerate(jobs, start=1):
        tell(f"{i} of {len(jobs)}: {name} on {backend}, seed {seed}")
        row = run(name, backend, seed, data_dir, anew, runs)
        if row is None:
            failed += 1
            tell(f"{name} on {backend}, seed {seed} failed; its last line says why")
            continue
        append(results, row)
        tell(f"{name} on {backend}, seed {seed}: test {float(row['test_accuracy']):.4f} in {row['seconds']} s")
    return failed


def run(name, backend, seed, data_dir, anew, runs):
    """Train one recipe in a process of its own; return its line of the results, None where it failed.

    Only what was stopped goes on: of a run that is whole, another code may have made the checkpoints.
    """
    out = Path(runs) / f"{name}-{backend}-{seed}.keras"
    begun = out.with_suffix("").is_dir() and not out.exists()
    options = {"seed": int(seed), "out": str(out), "data_dir": data_dir, "resume": begun and not anew}
    code = (
        "import json, sys; from kerasnets.cli import app; from kerasnets.project.reproduction import train_one; "
        "app.run(lambda: train_one(sys.argv[1], json.loads(sys.argv[2])))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, name, json.dumps(options)],
        env=backends.environment(KERAS_BACKEND=backend),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal's Ctrl-C reaches this process alone
    )
    try:
        printed = process.communicate()[0]
    except BaseException:  # Ctrl-C and SIGTERM: let it end after the step at hand
        process.terminate()
        process.wait()
        raise
    return json.loads(printed.splitlines()[-1]) if process.returncode == 0 else None


def train_one(name, options):
    """Train and print the line of the results as JSON; the main function of a run's own process."""
    import contextlib

    import kerasnets

    with contextlib.redirect_stdout(sys.stderr):
        done = kerasnets.train(name, **options)
    best = done.best_epoch - 1
    row = {column: getattr(done, column, "") for column in COLUMNS} | {
        "val_accuracy": done.val_accuracy[best] if done.val_accuracy else "",
        "train_accuracy": done.accuracy[best],
        "versions": " ".join(f"{package} {version}" for package, version in done.versions.items()),
        "date": datetime.date.today().isoformat(),
    }
    print(json.dumps(row))


# ---- the results ----


def read(path):
    """The lines of the results as dicts of strings; none where there is no file."""
    if not Path(path).is_file():
        return []
    with Path(path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if rows and set(rows[0]) != set(COLUMNS):
        raise BadInputError(f"{path} is damaged: its first line is not that of the results; take it from git again")
    return rows


def key_of(row):
    return row["recipe"], row["backend"], str(row["seed"])


def append(path, row):
    """Add one line, in place of an earlier one of the same run; the file is written whole.

    Several processes may do so at once: each waits for the others.
    """
    path = Path(path)
    order = list(RECIPES)
    with one_at_a_time(path):
        rows = [there for there in read(path) if key_of(there) != key_of(row)]
        rows.append({column: row[column] for column in COLUMNS})
        rows.sort(key=lambda row: (order.index(row["recipe"]) if row["recipe"] in order else len(order),
                                   backends.BACKENDS.index(row["backend"]), int(row["seed"])))  # fmt: skip
        with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def ship(rows, runs=RUNS, pretrained=PRETRAINED):
    """Copy the model and the report of one run of each recipe into `pretrained`; return the models' files.

    The best on validation data of all backends and seeds, the first listed where nothing was set apart; a model of
    more than 1 MB stays. The reports on permuted pixels tell what all runs came to.
    """
    from kerasnets.training import report

    shipped = []
    for name in RECIPES:
        listed = [row for row in rows if row["recipe"] == name]
        if not listed:
            continue
        best = max(listed, key=lambda row: float(row["val_accuracy"] or 0))
        file = model_file(best, runs)
        if not file.is_file() or file.stat().st_size > SHIPPED_BYTES:
            continue  # the best one was run elsewhere: what ships is it already
        target = Path(pretrained) / f"{name}.keras"
        with whole_file(target) as part:
            shutil.copyfile(file, part)
        page = (file.with_suffix("") / "report.html").read_text(encoding="utf-8")
        if name in permuted_pairs():
            page = report.with_order_of_pixels(page, means(permuted_pairs(), rows))
        with whole_file(Path(pretrained) / f"{name}-report.html") as part:
            part.write_text(page, encoding="utf-8")
        shipped.append(target)
    return shipped


def ship_forms(shipped):
    """Write the model file `shipped` (.keras) anew in each other form that lies beside it: .h5, .onnx."""
    from kerasnets import export, saving

    if shipped.with_suffix(".h5").is_file():
        model, card = saving.load(shipped)
        saving.save(model, shipped.with_suffix(".h5"), card)
    if shipped.with_suffix(".onnx").is_file():
        export.export(shipped, shipped.with_suffix(".onnx"))


def means(names, rows):
    """{recipe: mean test accuracy over seeds and backends} of those that were run."""
    found = {name: [float(row["test_accuracy"]) for row in rows if row["recipe"] == name] for name in names}
    return {name: statistics.mean(accuracies) for name, accuracies in found.items() if accuracies}


def model_file(row, runs):
    return Path(runs) / f"{row['recipe']}-{row['backend']}-{row['seed']}.keras"


def shipped_table(pretrained=PRETRAINED):
    """Markdown: the models that ship, by what their files say of themselves."""
    from kerasnets.saving import load_card

    lines = ["| file | test accuracy | on | trained on | seed |", "|---|---|---|---|---|"]
    for path in sorted(Path(pretrained).glob("*.keras"), key=lambda path: list(RECIPES).index(path.stem)):
        card = load_card(path)
        backend = next(name for name in backends.BACKENDS if name in card.versions)
        lines.append(f"| `pretrained/{path.name}` | {card.accuracy:.4f} | {card.dataset} | {backend} | {card.seed} |")
    return "\n".join(lines)


def write_tables(
    rows,
    readme=ROOT / "README.md",
    chinese_readme=ROOT / "README.zh-CN.md",
    models_readme=ROOT / "models_saved/README.md",
    results_page=ROOT / "docs/results.md",
):
    """Put the tables into the four pages, between their marks."""
    pages = {
        readme: summary_table(rows, HIGHLIGHTS),
        chinese_readme: in_chinese(summary_table(rows, HIGHLIGHTS)),
        results_page: summary_table(rows),
        models_readme: f"{shipped_table()}\n\n{full_table(rows)}",
    }
    for path, table in pages.items():
        text = path.read_text(encoding="utf-8")
        before, rest = text.split(BEGIN)
        after = rest.split(END)[1]
        with whole_file(path) as part:
            part.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def summary_table(rows, names=tuple(RECIPES)):
    """Markdown: a line for each recipe of `names`, the published figure, ours as mean and deviation by backend."""
    lines = [
        "| recipe | published | torch | tensorflow | jax | reached |",
        "|---|---|---|---|---|---|",
    ]
    for name in names:
        cells = [cell(name, backend, rows) for backend in backends.BACKENDS]
        lines.append(f"| `{name}` | {RECIPES[name].published_figure} | {' | '.join(cells)} | {verdict(name, rows)} |")
    return "\n".join(lines)


def in_chinese(table):
    """The summary's Markdown with its words in Chinese; names and figures stay."""
    for words, chinese in IN_CHINESE.items():
        table = table.replace(words, chinese)
    return table


def figures_of(name, backend, rows):
    """The accuracies that count for a recipe's goal, one for each seed."""
    column = f"{RECIPES[name].goal_on}_accuracy"
    return [float(row[column]) for row in rows if (row["recipe"], row["backend"]) == (name, backend)]


def cell(name, backend, rows):
    """Mean, deviation and number of runs; of each data set on its own, where not all were of the recipe's."""
    from kerasnets.data import DATASETS

    cells = []
    for dataset in dict.fromkeys(row["dataset"] for row in rows if row["recipe"] == name and row["backend"] == backend):
        found = figures_of(name, backend, [row for row in rows if row["dataset"] == dataset])
        mean = f"{statistics.mean(found):.4f}"
        shown = f"{mean} ± {statistics.stdev(found):.4f} ({len(found)})" if len(found) > 1 else f"{mean} (1)"
        usual = DATASETS[RECIPES[name].dataset].title
        cells.append(shown if dataset == usual else f"{shown} on {dataset}")
    return "; ".join(cells) or "not yet run"


def verdict(name, rows):
    """Whether every backend that was run reaches the goal, less one binomial standard error."""
    goal = RECIPES[name].goal
    if goal is None:
        return ""
    reached = []
    for backend in backends.BACKENDS:
        found = figures_of(name, backend, rows)
        if found:
            reached.append(statistics.mean(found) >= goal - standard_error(goal, examples(name)))
    return "" if not reached else "yes" if all(reached) else "no"


def standard_error(share, count):
    """Of a share that was measured on `count` examples: binomial."""
    return math.sqrt(share * (1 - share) / count)


def examples(name):
    """How many examples the goal of a recipe is measured on."""
    from kerasnets.data import DATASETS

    recipe = RECIPES[name]
    return getattr(DATASETS[recipe.dataset], recipe.goal_on)


def full_table(rows):
    """Markdown: a line for each run, and below it what the machines and versions were."""
    lines = [
        "| recipe | backend | seed | test | test loss | validation | training | majority | epochs | time | at |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    settings = {}
    for row in rows:
        setting = settings.setdefault((row["machine"], row["versions"], row["dataset"]), len(settings) + 1)
        shares = (row["test_accuracy"], row["test_loss"], row["val_accuracy"], row["train_accuracy"], row["majority"])
        shown = " | ".join(f"{float(share):.4f}" if share != "" else "" for share in shares)
        lines.append(
            f"| `{row['recipe']}` | {row['backend']} | {row['seed']} | {shown} | {row['epochs']} | "
            f"{float(row['seconds']):.0f} s | {setting} |"
        )
    told = [f"{i}. {dataset}; {machine}; {versions}" for (machine, versions, dataset), i in settings.items()]
    return "\n".join([*lines, "", "Settings:", "", *told])
