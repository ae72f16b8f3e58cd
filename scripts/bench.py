"""Measure how long kerasnets takes on this machine, beside what a person would write by hand.

    python scripts/bench.py predict
    python scripts/bench.py predict --runs 9 --networks vgg16 --out docs/prediction.md
    python scripts/bench.py train --networks mnist_cnn lenet5 --backends torch

predict: one picture in a fresh process and warm, and a folder of 1,000, by each installed engine that reads .keras or
ONNX; --networks are those that are measured at 224x224 beside the small one.
train: epochs of fit on each installed backend, and in turn with it a plain PyTorch loop in both memory layouts and the
tutorials' DataLoader loop, a tf.function loop, or a jax.jit loop; and the ratio of kerasnets to each.
pipeline: CIFAR-10's pictures cropped, mirrored and normalized on one core, beside the tutorials' DataLoader with PIL.
memory: the peak of a training on as many pictures as MNIST has, beyond the imports, beside a loop in PyTorch (Linux).

Leave the machine alone meanwhile. A line for each figure, with the goal where there is one.
"""

import sys

from kerasnets.cli import app
from kerasnets.runtime import backends


def main():
    parser = app.Parser(__doc__)
    parser.add_argument("what", choices=["predict", "train", "pipeline", "memory"], help="what to measure")
    parser.add_argument("--runs", type=int, default=7, metavar="N", help="how often (default: 7)")
    parser.add_argument("--networks", nargs="+", metavar="NAME", help="which of them (default: all that it knows)")
    parser.add_argument("--out", metavar="FILE", help="write a page of Markdown with machine, versions and date")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    parser.add_argument("--backends", nargs="+", choices=backends.BACKENDS, help="of train (default: all installed)")
    args = parser.parse_args()
    if args.backends and args.what != "train":
        parser.error("--backends goes with train")
    if args.runs < 1:
        parser.error(f"--runs must be at least 1, not {args.runs}")

    from kerasnets import benchmark
    from kerasnets.benchmark.figures import as_json

    def tell(line):
        print(line, file=sys.stderr if args.json else None, flush=True)

    options = {"chosen": args.backends} if args.backends else {}
    figures = benchmark.run(args.what, args.runs, args.networks, args.out, tell, **options)
    if args.json:
        print(as_json(figures))


if __name__ == "__main__":
    app.run(main)
