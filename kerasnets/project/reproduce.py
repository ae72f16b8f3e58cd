"""Run recipes over seeds and backends, and write the tables of results.

    python scripts/reproduce.py mnist_cnn-mnist lenet5-mnist
    python scripts/reproduce.py 'fc2layer*' 'small_cnn*' --seeds 0 1 2 --backends torch jax
    python scripts/reproduce.py --list

A run that is listed in docs/results.csv is not repeated, and a run that was stopped continues after its last epoch.
Models and their reports are in models_saved/runs afterwards. Without a recipe, only the tables are written. The last
line on stdout is the result; the exit code is 1 if a run failed.
"""

import argparse
import fnmatch

from kerasnets.recipes import PRECISIONS, RECIPES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("recipes", nargs="*", metavar="RECIPE", help="recipes, or shell-style patterns")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="default: 0 1 2")
    add("--backends", nargs="+", metavar="NAME", help="default: all that are installed")
    text = "where the data set is on this disk (default: KERASNETS_DATA, then data/)"
    add("--data-dir", metavar="FOLDER", help=text)
    add("--anew", action="store_true", help="repeat listed runs too, and replace their lines")
    add("--ship", action="store_true", help="copy the best model of each recipe into models_saved/pretrained")
    add("--calibrate", action="store_true", help="write temperature and threshold into the cards of the shipped models")
    add("--precision", choices=PRECISIONS, help="of the computation, instead of the recipes'")
    add("--compile", action="store_true", help="compile each step into one program")
    add("--list", action="store_true", help="print the table of the listed runs")


def run(args: argparse.Namespace) -> int:
    from kerasnets.project import calibration, pretrained, reproduction, results, results_figures, tables
    from kerasnets.runtime import backends

    lines = results.read(results.RESULTS)
    if args.list:
        print(tables.summary_table(lines))
        return 0
    names = [name for pattern in args.recipes for name in fnmatch.filter(RECIPES, pattern) or [pattern]]
    chosen = args.backends or [name for name in backends.BACKENDS if backends.is_installed(name)]
    failed = reproduction.reproduce(
        names,
        chosen,
        args.seeds,
        data_dir=args.data_dir,
        anew=args.anew,
        precision=args.precision,
        compiled=args.compile,
    )
    lines = results.read(results.RESULTS)
    if args.ship:
        for file in pretrained.ship(lines):
            pretrained.ship_forms(file)
        pretrained.ship_mistakes(lines)
    if args.ship or args.calibrate:
        calibration.calibrate_shipped(data_dir=args.data_dir)
    tables.write_tables(lines)
    results_figures.write(lines)
    print(f"result runs={len(lines)} failed={failed} file={results.RESULTS}")
    return 1 if failed else 0
