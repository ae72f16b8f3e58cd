"""Run recipes over seeds and backends, and write the tables of results into both READMEs and models_saved/README.md.

    python scripts/reproduce.py mnist_cnn-mnist lenet5-mnist
    python scripts/reproduce.py 'fc2layer*' 'small_cnn*' --seeds 0 1 2 --backends torch jax
    python scripts/reproduce.py --list

What stands in docs/results.csv already is not run again; what was stopped goes on where it stopped. A model and its
report lie in models_saved/runs afterwards. Without a recipe, the tables are written anew. The last line on stdout is
the result; the exit code is 1 where a run failed.
"""

import fnmatch

from kerasnets.cli import app
from kerasnets.recipes import PRECISIONS, RECIPES


def main():
    parser = app.Parser(__doc__)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="recipes, or shell-style patterns")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="default: 0 1 2")
    parser.add_argument("--backends", nargs="+", metavar="NAME", help="default: all that are installed")
    parser.add_argument("--data-dir", metavar="FOLDER", help="where the data lie (default: KERASNETS_DATA, then data/)")
    parser.add_argument("--anew", action="store_true", help="run also what stands there, in place of its line")
    parser.add_argument("--ship", action="store_true", help="copy the best model of each recipe into pretrained/")
    parser.add_argument("--precision", choices=PRECISIONS, help="of the computation, in place of the recipes'")
    parser.add_argument("--compile", action="store_true", help="compile each step into one program")
    parser.add_argument("--list", action="store_true", help="show which runs are there")
    args = parser.parse_args()

    from kerasnets.project import pretrained, reproduction, results, tables
    from kerasnets.runtime import backends

    names = [name for pattern in args.recipes for name in fnmatch.filter(RECIPES, pattern) or [pattern]]
    lines = results.read(results.RESULTS)
    if args.list:
        print(tables.summary_table(lines))
        return 0
    chosen = args.backends or [name for name in backends.BACKENDS if backends.is_installed(name)]
    failed = reproduction.reproduce(
        names, chosen, args.seeds, args.data_dir, args.anew, precision=args.precision, compiled=args.compile
    )
    lines = results.read(results.RESULTS)
    if args.ship:
        for file in pretrained.ship(lines):
            pretrained.ship_forms(file)
    tables.write_tables(lines)
    print(f"result runs={len(lines)} failed={failed} file={results.RESULTS}")
    return 1 if failed else 0


if __name__ == "__main__":
    app.run(main)
