"""Look into a network: its weights, one picture layer by layer, gradients, one step, filters, maps, saliency.

    python scripts/inspect_network.py models_saved/pretrained/mnist_cnn-mnist.keras docs/samples/three-on-paper.jpg
    python scripts/inspect_network.py lenet5 --seed 1 --out models_saved/lenet5.html
    python scripts/inspect_network.py models_saved/pretrained/lenet5-mnist.keras --dataset digits --values 'c1*' --json
    python scripts/inspect_network.py resnet18 photo.jpg --layers 'stage1*' --out models_saved/resnet18.html

NAME_OR_FILE is a network with fresh weights, or a .keras or .h5 file. Gradients and the step are of 64 training
pictures of the data that the network is for, where they are on this disk (digits: else scikit-learn's), or of
--dataset; else of IMAGE alone, with the class that the network finds likeliest for its label, or --label. Without
IMAGE, the first test picture is traced, or noise. What was taken is said. The network stays as it is. The last line on
stdout is the result.
"""

import contextlib
import sys

from kerasnets.cli import app


def main():
    parser = app.Parser(__doc__)
    parser.add_argument("network", metavar="NAME_OR_FILE", help="a network, or a .keras or .h5 file")
    parser.add_argument("image", nargs="?", metavar="IMAGE", help="a picture file")
    parser.add_argument("--label", metavar="CLASS", help="the class of IMAGE, of which saliency and gradient are")
    parser.add_argument("--dataset", metavar="NAME", help="where the batch is from: mnist, ..., a folder, zip or .npz")
    parser.add_argument("--data-dir", metavar="FOLDER", help="where data lie (default: KERASNETS_DATA, then data/)")
    parser.add_argument("--learning-rate", type=float, default=0.01, help="of one step of SGD (default: 0.01)")
    parser.add_argument("--seed", type=int, default=0, help="of fresh weights, and of the batch (default: 0)")
    parser.add_argument("--values", nargs="+", default=(), metavar="PATTERN", help="print these weights in full: 'c1*'")
    parser.add_argument("--layers", nargs="+", default=(), metavar="PATTERN", help="draw these layers in the page")
    parser.add_argument("--out", metavar="FILE", help="write one HTML page with all tables and pictures")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    if args.layers and not args.out:
        parser.error("--layers goes with --out, which draws them")
    if not args.learning_rate > 0:
        parser.error(f"--learning-rate must be above 0, not {args.learning_rate:g}")

    if args.out:
        from kerasnets.reports import pages

        pages.check_page(args.out)
    from kerasnets.inspection import report

    given = {name: getattr(args, name) for name in ("label", "dataset", "data_dir", "seed")}
    with contextlib.redirect_stdout(sys.stderr):  # the progress of a download
        found = report.inspect_network(args.network, args.image, args.learning_rate, **given)
    if args.out:
        found.write_page(args.out, args.layers)
    print(found.json(args.values) if args.json else f"{found.text(args.values)}\n{found.line()}")


if __name__ == "__main__":
    app.run(main)
