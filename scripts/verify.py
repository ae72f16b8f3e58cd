"""Prove networks: each backend, in both layouts, against the same network in plain PyTorch, and the files they save.

    python scripts/verify.py lenet5
    python scripts/verify.py 'resnet*' 'vgg*_bn' --json
    python scripts/verify.py --out docs/proof.md

Without a name, all networks. A distance is the largest difference over the largest value, seen from the PyTorch network
in float64; in brackets, how far PyTorch's own float32 lies from it. Installed backends take part, each in a process of
its own; torch and torchvision must be. The last line on stdout is the result; the exit code is 1 where a proof fails.
"""

import sys

from kerasnets.cli import app


def main():
    parser = app.Parser(__doc__)
    parser.add_argument("networks", nargs="*", metavar="NAME", help="networks, or shell-style patterns (default: all)")
    parser.add_argument("--json", action="store_true", help="print a JSON list, and the progress on stderr")
    parser.add_argument("--out", metavar="FILE", help="write the table of all that was proven, as Markdown")
    args = parser.parse_args()

    from kerasnets import models
    from kerasnets.proof import verification

    forms = models.forms(args.networks)
    report = verification.prove(forms, args.out, sys.stderr if args.json else sys.stdout)
    print(report.json() if args.json else report.line())
    return 0 if report.proven == len(forms) else 1


if __name__ == "__main__":
    app.run(main)
