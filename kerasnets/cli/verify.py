"""Verify networks: compare each backend, in both layouts, with the same network in plain PyTorch; and the saved files.

    kerasnets verify lenet5
    kerasnets verify 'resnet*' 'vgg*_bn' --json
    kerasnets verify --out docs/proof.md

Without a name, all networks are verified, and with --engines those that a recipe trains. A distance is the largest
difference divided by the largest value, measured from the PyTorch network in float64; the number in brackets is the
distance of PyTorch's own float32. Every installed backend takes part, each in a process of its own; torch and
torchvision must be installed. The last line on stdout is the result; the exit code is 1 if a proof fails. The proofs
are kept beside the file of --out, in <name>-partial.json while it runs and in <name>-proofs.json afterwards. With
--resume, only the networks are verified that have no proof there of the same code, packages and kind of machine.
"""

import argparse
import sys

from kerasnets.cli import app


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("networks", nargs="*", metavar="NAME", help="networks, or shell-style patterns (default: all)")
    add("--json", action="store_true", help="print a JSON list, and the progress on stderr")
    add("--out", metavar="FILE", help="write the table of all proofs as Markdown")
    add(
        "--resume",
        action="store_true",
        help="with --out: verify only the networks that an earlier run has not, or whose code has changed since",
    )
    text = "verify the engines in bfloat16 and compiled instead (default: of the networks that recipes train)"
    add("--engines", action="store_true", help=text)


def run(args: argparse.Namespace) -> int:
    from kerasnets import models

    if args.engines:
        return run_engines(args)
    if args.resume and not args.out:
        raise ValueError("--resume goes on with the proofs of a file: name it with --out")
    from kerasnets.proof import verification
    from kerasnets.proof.verdict import SAME_BLOCKS

    forms = models.forms(args.networks)
    standing_in = {SAME_BLOCKS[form.name] for form in forms if form.name in SAME_BLOCKS}
    if standing_in and args.networks:
        forms = models.forms([*args.networks, *standing_in])
    report = verification.prove(forms, args.out, sys.stderr if args.json else sys.stdout, args.resume)
    print(report.json() if args.json else report.line())
    return 0 if report.verified == len(forms) else 1


def run_engines(args: argparse.Namespace) -> int:
    from kerasnets import RECIPES, models
    from kerasnets.proof import engines

    if args.resume or args.json:
        raise ValueError("--engines verifies in one run, and prints a table: leave out --resume and --json")
    names = args.networks or sorted({recipe.model for recipe in RECIPES.values()})
    report = engines.prove(models.forms(names), args.out)
    app.tell(report.line())
    return 1 if report.faulty else 0
