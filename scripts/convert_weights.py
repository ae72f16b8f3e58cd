"""Make a model file of weights that PyTorch trained, or PyTorch weights of a model file.

    python scripts/convert_weights.py mnist_cnn tutorial.pth --out models_saved/tutorial.keras
    python scripts/convert_weights.py vgg16 --pretrained --out models_saved/vgg16.keras
    python scripts/convert_weights.py resnet18 birds.safetensors --classes robin,wren --mean 0.5 --std 0.5 --out b.h5
    python scripts/convert_weights.py models_saved/pretrained/mnist_cnn-mnist.keras --out mnist_cnn.pth

FILE holds a state_dict (.pth, .pt, .safetensors), as torch.save(model.state_dict(), FILE) writes it; nothing in it is
run. Tensors find their layers by name, else by shape, else in their order by --in-order; where none of these can tell,
kerasnets.convert.load_torch_weights(network, module, example) can. A .pth needs KERAS_BACKEND=torch; the model file is
the same for every backend. The last line on stdout is the result.
"""

import ast
import contextlib
import sys
from pathlib import Path

from kerasnets.cli import app


def main():
    parser = app.Parser(__doc__)
    parser.add_argument(
        "model", help="name of a network (kerasnets.list_models()), or a model file to take weights from"
    )
    parser.add_argument("weights", nargs="?", metavar="FILE", help=".pth, .pt or .safetensors, for a network by name")
    parser.add_argument(
        "--out", required=True, metavar="FILE", help=".keras or .h5; of a model file: .pth, .safetensors"
    )
    parser.add_argument(
        "--pretrained",
        nargs="?",
        const="DEFAULT",
        metavar="VERSION",
        help="in place of FILE: torchvision's ImageNet weights, with their preprocessing and class names",
    )
    parser.add_argument("--num-classes", type=int, help="of the module (default: the network's own)")
    parser.add_argument("--input-shape", type=int, nargs=3, metavar=("H", "W", "C"), help="what the module takes")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="of the network's builder")
    parser.add_argument(
        "--in-order", action="store_true", help="the tensors stand in the order of the network's layers"
    )
    parser.add_argument("--mean", type=float, nargs="+", help="of pixels 0..1, as the module was trained (default: 0)")
    parser.add_argument("--std", type=float, nargs="+", help="the same; one number, or one per channel (default: 1)")
    parser.add_argument("--classes", metavar="A,B,C", help="names of the classes in their order (default: 0,1,...)")
    parser.add_argument(
        "--input-kind",
        help="how a picture is prepared: picture (resized, the default), mnist (one digit cut out and centred), "
        "crop256 or crop232 (its middle, as torchvision does)",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON, and all else on stderr")
    args = parser.parse_args()
    from_file = Path(args.model).suffix in (".keras", ".h5")
    if from_file + bool(args.weights) + bool(args.pretrained) != 1:
        parser.error("name a network with FILE or --pretrained, or a model file alone")
    options = dict(option(parser, text) for text in args.option)
    options |= {} if args.num_classes is None else {"num_classes": args.num_classes}
    options |= {} if args.input_shape is None else {"input_shape": tuple(args.input_shape)}
    told = (args.classes, args.mean, args.std, args.input_kind, args.in_order or None)
    if not args.weights and (options or any(value is not None for value in told)):
        parser.error("of the options, --out, --json and --pretrained alone go without FILE")

    with contextlib.redirect_stdout(sys.stderr if args.json else sys.stdout):
        from kerasnets.convert import model_files

        if from_file:
            made = model_files.make_weights_file(args.model, args.out)
        elif args.pretrained:
            made = model_files.make_pretrained_file(args.model, args.out, args.pretrained)
        else:
            made = model_files.make_model_file(
                args.model,
                args.weights,
                args.out,
                options=options,
                in_order=args.in_order,
                mean=args.mean or [0],
                std=args.std or [1],
                class_names=args.classes and args.classes.split(","),
                input_kind=args.input_kind or "picture",
            )
    print(made.json() if args.json else made.line())


def option(parser, text):
    """(name, value) of "name=value", the value as Python reads it, else the text itself."""
    name, equals, value = text.partition("=")
    if not equals:
        parser.error(f"--option takes NAME=VALUE, not {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


if __name__ == "__main__":
    app.run(main)
