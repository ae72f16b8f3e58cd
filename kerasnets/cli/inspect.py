"""Look inside a network: weights, one picture layer by layer, gradients, one step, filters, feature maps, saliency.

    kerasnets inspect mnist_cnn-mnist picture.jpg
    kerasnets inspect lenet5 --seed 1 --out models_saved/lenet5.html
    kerasnets inspect lenet5-mnist --dataset digits --values 'c1*' --json
    kerasnets inspect resnet18 picture.jpg --layers 'stage1*' --out models_saved/resnet18.html

NETWORK is a network with fresh weights, a .keras or .h5 file, or the name of a shipped model. Gradients and the step
are computed on a batch of 64 training pictures: from --dataset, or from the data set of the network if it is on this
disk (for a network that reads digits, otherwise from scikit-learn's digits). If there is no data set, the batch is
IMAGE, with the class of --label or the likeliest class as its label. Without IMAGE, the first test picture is traced,
or noise. The output says which data were used. The network is not changed. The last line on stdout is the result.
"""

import argparse
import contextlib
import sys

from kerasnets.cli import names, options
from kerasnets.cli.app import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("network", metavar="NETWORK", help="a network, a .keras or .h5 file, or a shipped model by name")
    add("image", nargs="?", metavar="IMAGE", help="a picture file")
    add("--label", metavar="CLASS", help="the class of IMAGE, for its saliency and gradient")
    options.add_dataset(parser, "the source of the batch: mnist, ..., a folder, zip or .npz")
    options.add_data_dir(parser)
    add("--learning-rate", type=float, default=0.01, help="of one step of SGD (default: 0.01)")
    add("--seed", type=int, default=0, help="of fresh weights and of the batch (default: 0)")
    add("--values", nargs="+", default=(), metavar="PATTERN", help="print these weights in full: 'c1*'")
    add("--layers", nargs="+", default=(), metavar="PATTERN", help="draw these layers in the page")
    add("--out", metavar="FILE", help="write one HTML page with all tables and pictures")
    add("--json", action="store_true", help="print JSON")
    options.add_guest(parser)


def run(args: argparse.Namespace) -> None:
    if args.layers and not args.out:
        raise UsageError("--layers goes with --out, which draws them")
    if not args.learning_rate > 0:
        raise UsageError(f"--learning-rate must be above 0, not {args.learning_rate:g}")
    if args.out:
        from kerasnets.reports import pages

        pages.check_page(args.out)
    network = names.network_or_file(args.network)
    guest = options.guest(args, of_file=names.is_file(network))
    if args.image:
        names.check_file(args.image)
    if args.dataset:
        from kerasnets import data

        data.check_name(args.dataset)
    from kerasnets.inspection import report

    with contextlib.redirect_stdout(sys.stderr):  # the progress of a download
        inspection = report.inspect_network(
            network,
            args.image,
            args.learning_rate,
            label=args.label,
            dataset=args.dataset,
            data_dir=args.data_dir,
            seed=args.seed,
            guest=guest,
        )
    if args.out:
        inspection.write_page(args.out, args.layers)
    print(inspection.json(args.values) if args.json else f"{inspection.text(args.values)}\n{inspection.line()}")
