"""Show what a network is made of: shapes, parameters, multiply-adds, receptive field and memory of each layer.

    python scripts/describe.py lenet5
    python scripts/describe.py mnist_cnn --input-shape 40 40 3 --num-classes 7 --json
    python scripts/describe.py models_saved/pretrained/mnist_cnn-mnist.keras
    python scripts/describe.py '*net*'

A pattern gives one line for each network that it fits. Field: the pixels, down and across, that one output sees, what
lies in the padding too. Stride: the pixels from one output to the next. Memory: of one picture's output as float32.
The last line on stdout is the result; with --json a list of networks is all that stdout gets.
"""

from kerasnets.cli import app


def main():
    parser = app.Parser(__doc__)
    parser.add_argument("network", metavar="NAME", help="a network, a shell-style pattern, or a .keras or .h5 file")
    parser.add_argument("--input-shape", type=int, nargs="+", metavar="PIXELS", help="height, width and channels")
    parser.add_argument("--num-classes", type=int, metavar="N")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    args = parser.parse_args()

    from kerasnets.inspection import description

    options = {"input_shape": args.input_shape and tuple(args.input_shape), "num_classes": args.num_classes}
    given = {option: value for option, value in options.items() if value is not None}
    found = description.find(args.network, **given)
    if args.json:
        print(f"[{', '.join(network.json() for network in found)}]")
        return
    for network in found:
        if not description.is_pattern(args.network):
            print(network.table())
        print(network.line())


if __name__ == "__main__":
    app.run(main)
