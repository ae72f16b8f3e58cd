"""Show a network layer by layer: shapes, parameters, multiply-adds, receptive field and memory.

    kerasnets describe lenet5
    kerasnets describe mnist_cnn --input-shape 40 40 3 --num-classes 7 --json
    kerasnets describe mnist_cnn-mnist
    kerasnets describe '*net*'

NAME is a network, a .keras or .h5 file, or the name of a shipped model. A pattern prints one line for each network that
it matches. Field: the receptive field of one output in pixels, down and across, padding included. Stride: the pixels
from one output to the next. Memory: the output for one picture as float32. The last line on stdout is the result; with
--json, stdout gets a list of networks and nothing else.
"""

import argparse

from kerasnets.cli import app, names, options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("network", metavar="NAME", help="a network, a shell-style pattern, a .keras or .h5 file, or a shipped model")
    add("--input-shape", type=int, nargs="+", metavar="PIXELS", help="height, width and channels")
    add("--num-classes", type=int, metavar="N", help="number of classes")
    add("--json", action="store_true", help="print a JSON list")
    options.add_guest(parser)


def run(args: argparse.Namespace) -> None:
    name = names.network_or_file(args.network, pattern=True)
    guest = options.guest(args, of_file=names.is_file(name))
    from kerasnets.inspection import description

    settings = {"input_shape": args.input_shape and tuple(args.input_shape), "num_classes": args.num_classes}
    settings = {option: value for option, value in settings.items() if value is not None}
    networks = description.find(name, guest, **settings)
    if args.json:
        print(f"[{', '.join(network.json() for network in networks)}]")
        return
    for network in networks:
        if not description.is_pattern(name):
            print(network.table())
        app.tell(network.line())
