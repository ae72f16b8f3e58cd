"""Compare runs: accuracy, loss, epochs, time and size, and what differs in their settings.

    kerasnets compare models_saved/*
    kerasnets compare models_saved/*-pets*.keras --out models_saved/comparison.html
    kerasnets compare models_saved/a.keras models_saved/b.keras --json

RUN is a model file that `kerasnets train` wrote, or the folder of its report; other files are left out. The best on
validation data comes first. Damaged files are named, and the exit code is then 3. --out writes one HTML page, with the
curves of all runs on top of each other.
"""

import argparse
import json

from kerasnets.cli import app
from kerasnets.cli.names import expand
from kerasnets.errors import exit_code

NAMED = 3  # files that are left out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="a .keras or .h5 file, or the folder of its report")
    add("--out", metavar="FILE", help="write one HTML page with the tables and curves")
    add("--json", action="store_true", help="print JSON: a list of runs, with settings and figures by epoch")


def run(args: argparse.Namespace) -> int:
    from kerasnets.training import comparison

    if args.out:
        from kerasnets.reports import pages

        pages.check_page(args.out)
    runs = [path for name in args.runs for path in expand(name, folders=True)]
    entries, others, damages = comparison.read_all(runs)
    code = exit_code(damages[0]) if damages else 0
    if others:
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        app.tell_on_stderr(f"note: left out, as no model file of a run: {', '.join(others[:NAMED])}{more}")
    for damage in damages:
        app.print_error(damage)
    if args.out:
        comparison.save_page(entries, args.out)
    if args.json:
        app.tell(json.dumps([entry.as_dict() for entry in entries]))
        return code
    results, differences = comparison.tables(entries)
    results.print()
    if len(differences.head) > 1:
        app.tell("")
        differences.print()
    for remark in comparison.remarks(entries):
        app.tell_on_stderr(f"note: {remark}")
    if args.out:
        app.tell(f"page={args.out}")
    return code
