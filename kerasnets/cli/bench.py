"""Measure the speed and memory of kerasnets on this machine, beside hand-written code.

    kerasnets bench predict
    kerasnets bench predict --runs 9 --networks vgg16 --out docs/benchmarks/prediction.md
    kerasnets bench train --networks mnist_cnn lenet5 --backends torch

predict: one picture in a fresh process, one picture in a warm process, and a folder of 1,000 pictures, by each
installed engine that reads .keras or ONNX; --networks names the networks that are measured at 224x224 too.
train: epochs of fit on each installed backend, in turn with a plain PyTorch loop in both memory layouts and the
tutorials' DataLoader loop, a tf.function loop, or a jax.jit loop; and the ratio of kerasnets to each.
pipeline: CIFAR-10's pictures, and photos in files, cropped and mirrored on one core, beside the tutorials' DataLoader
with PIL.
memory: the peak memory of a training run on as many pictures as MNIST has, above the memory used after imports,
compared with a PyTorch loop (Linux only).

Keep the machine free of other work meanwhile. Each figure is one line, with its goal if it has one.
"""

import argparse
import sys

from kerasnets.cli.app import UsageError
from kerasnets.runtime import backends


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("topic", choices=["predict", "train", "pipeline", "memory"], help="what to measure")
    add("--runs", type=int, default=7, metavar="N", help="number of runs (default: 7)")
    add("--networks", nargs="+", metavar="NAME", help="networks to measure (default: all that the topic has)")
    add("--out", metavar="FILE", help="write a page of Markdown with machine, versions and date")
    add("--json", action="store_true", help="print a JSON list")
    add("--backends", nargs="+", choices=backends.BACKENDS, help="backends of train (default: all that are installed)")


def run(args: argparse.Namespace) -> None:
    if args.backends and args.topic != "train":
        raise UsageError("--backends goes with train")
    if args.runs < 1:
        raise UsageError(f"--runs must be at least 1, not {args.runs}")

    from kerasnets import benchmark
    from kerasnets.benchmark.figures import as_json

    def tell(line: str) -> None:
        print(line, file=sys.stderr if args.json else None, flush=True)

    options = {"chosen": args.backends} if args.backends else {}
    figures = benchmark.run(args.topic, args.runs, args.networks, args.out, tell, **options)
    if args.json:
        print(as_json(figures))
