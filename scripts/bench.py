"""Measure how long kerasnets takes, and how much memory, on this machine.

    python scripts/bench.py predict
    python scripts/bench.py predict --runs 9 --large vgg16 --out docs/prediction.md

predict: one picture in a fresh process and warm, and a folder of 1,000, by every installed engine in turn. Leave the
machine alone meanwhile. A line for each figure, with the goal where there is one.
"""

import sys

from kerasnets import console


def main():
    parser = console.Parser(__doc__)
    parser.add_argument("what", choices=["predict"], help="what to measure")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="processes of each kind (default: 5)")
    parser.add_argument("--large", nargs="*", metavar="NETWORK", help="measured at 224x224 (default: vgg16 resnet50)")
    parser.add_argument("--out", metavar="FILE", help="write a page of Markdown with machine, versions and date")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    args = parser.parse_args()
    if args.runs < 1:
        parser.error(f"--runs must be at least 1, not {args.runs}")

    from kerasnets import benchmark

    large = benchmark.LARGE if args.large is None else args.large
    figures = benchmark.predict(
        args.runs, large, lambda line: print(line, file=sys.stderr if args.json else sys.stdout)
    )
    if args.out:
        benchmark.write_page(figures, args.out)
    if args.json:
        print(benchmark.as_json(figures))


if __name__ == "__main__":
    console.run(main)
