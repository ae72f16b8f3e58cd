"""Turn PyTorch weights into a model file, or a model file into PyTorch weights or code.

    kerasnets convert mnist_cnn tutorial.pth --out models_saved/tutorial.keras
    kerasnets convert vgg16 --pretrained --out models_saved/vgg16.keras
    kerasnets convert resnet18 birds.safetensors --classes robin,wren --mean 0.5 --std 0.5 --out birds.h5
    kerasnets convert mnist_cnn-mnist --out mnist_cnn.pth
    kerasnets convert mnist_cnn-mnist --out mnist_cnn.py
    kerasnets convert module.py:make_model --example 1x3x224x224 --out model.keras

FILE is what torch.save wrote, whatever its name (.pth, .pt, .ckpt, .pth.tar, .bin), or a .safetensors file: a
state_dict, a checkpoint with one somewhere in it, or a whole module. No code in it is run. Tensors are assigned to
layers by name, otherwise by shape, and with --in-order by their order. If none of these decides, use
kerasnets.load_torch_weights(network, module, example). A .py holds the network as a torch.nn.Module that needs neither
Keras nor kerasnets, with its weights in a .safetensors beside it. To write a .pth or .py needs KERAS_BACKEND=torch.

module.py:make_model is a function of your own that returns a torch.nn.Module, or a module. Its code is run. The module
becomes Keras layers, and the file is written only if both give the same numbers, on any backend.

The last line on stdout is the result.
"""

import argparse
import ast
import contextlib
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasnets.cli import app, names
from kerasnets.cli.app import UsageError
from kerasnets.errors import name_path

if TYPE_CHECKING:
    from kerasnets.convert.model_files import Conversion, Preparation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "model",
        metavar="MODEL",
        help="a network (kerasnets list networks), a model file or a shipped model by name, or FILE.py:FUNCTION",
    )
    add("weights", nargs="?", metavar="FILE", help="for a network: PyTorch's weights, a checkpoint or .safetensors")
    add("--out", required=True, metavar="FILE", help=".keras or .h5; for a model file: .pth, .safetensors or .py")
    text = "instead of FILE: torchvision's ImageNet weights, with their preprocessing and class names"
    add("--pretrained", nargs="?", const="DEFAULT", metavar="VERSION", help=text)
    add("--example", metavar="NxCxHxW", help="for FILE.py:FUNCTION: the shape of the module's input, as 1x3x224x224")
    add("--num-classes", type=int, help="of the module (default: the network's own)")
    add("--input-shape", type=int, nargs=3, metavar=("H", "W", "C"), help="of the module (default: the network's own)")
    add("--option", action="append", default=[], metavar="NAME=VALUE", help="an option of the network's builder")
    add("--in-order", action="store_true", help="the tensors are in the order of the network's layers")
    text = "mean of pixels 0..1 in the module's preprocessing; one number, or one per channel (default: 0)"
    add("--mean", type=float, nargs="+", help=text)
    add("--std", type=float, nargs="+", help="the standard deviation, likewise (default: 1)")
    add("--classes", metavar="A,B,C", help="class names in the order of the outputs (default: 0,1,...)")
    text = (
        "how a picture is prepared: picture (resized; the default), mnist (one digit cut out and centred), "
        "crop256 or crop232 (the middle, as torchvision does)"
    )
    add("--input-kind", help=text)
    add("--json", action="store_true", help="print the result as JSON, and all else on stderr")


def run(args: argparse.Namespace) -> None:
    from kerasnets.data import own_code

    is_module = own_code.is_function(args.model)
    model = args.model if is_module else names.network_or_file(args.model)
    is_file = Path(model).suffix in (".keras", ".h5")
    check(args, is_file, is_module)
    if is_module:
        own_code.check(args.model)
    elif args.weights:
        names.check_file(args.weights)
    with contextlib.redirect_stdout(sys.stderr if args.json else sys.stdout):
        from kerasnets.convert import model_files

        if is_module:
            result = convert_module(args)
        elif is_file:
            is_python = Path(args.out).suffix == ".py"
            make = model_files.make_python_file if is_python else model_files.make_weights_file
            result = make(model, args.out)
        elif args.pretrained:
            result = model_files.make_pretrained_file(model, args.out, args.pretrained)
        else:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", UserWarning)
                result = convert_state_dict(args)
            for warning in caught:
                if issubclass(warning.category, UserWarning):
                    app.tell(f"note: {warning.message}", file=sys.stderr)
    app.tell(result.json() if args.json else result.line())


def check(args: argparse.Namespace, is_file: bool, is_module: bool) -> None:
    """Refuse options that do not go together."""
    if is_module:
        if args.weights or args.pretrained or args.option or args.in_order or args.num_classes or args.input_shape:
            raise UsageError("FILE.py:FUNCTION takes --example, --mean, --std, --classes, --input-kind and --out alone")
        if not args.example:
            raise UsageError("FILE.py:FUNCTION needs --example, the shape of its input, as 1x3x224x224")
        return
    if args.example:
        raise UsageError("--example goes with FILE.py:FUNCTION")
    if is_file + bool(args.weights) + bool(args.pretrained) != 1:
        raise UsageError("name a network with FILE or --pretrained, or a model file alone")
    values = (args.num_classes, args.input_shape, args.classes, args.mean, args.std, args.input_kind)
    if not args.weights and (args.option or args.in_order or any(value is not None for value in values)):
        raise UsageError("without FILE, only --out, --json and --pretrained are allowed")


def convert_state_dict(args: argparse.Namespace) -> "Conversion":
    from kerasnets.convert import model_files

    options = dict(map(parse_option, args.option))
    options |= {} if args.num_classes is None else {"num_classes": args.num_classes}
    options |= {} if args.input_shape is None else {"input_shape": tuple(args.input_shape)}
    return model_files.make_model_file(
        args.model,
        args.weights,
        args.out,
        preparation_of(args),
        options=options,
        in_order=args.in_order,
    )


def convert_module(args: argparse.Namespace) -> "Conversion":
    from kerasnets.convert.from_torch.files import make_module_file
    from kerasnets.data import own_code

    make, source, sizes = partial(own_code.make, args.model), Path(args.model).name, sizes_of(args.example)
    with name_path(args.model):
        return make_module_file(make, source, sizes, args.out, preparation_of(args))


def preparation_of(args: argparse.Namespace) -> "Preparation":
    from kerasnets.convert.model_files import Preparation

    return Preparation(
        mean=args.mean or [0],
        std=args.std or [1],
        class_names=args.classes and args.classes.split(","),
        input_kind=args.input_kind or "picture",
    )


def sizes_of(example: str) -> list[int]:
    """Return the sizes of --example."""
    try:
        return [int(size) for size in example.lower().split("x")]
    except ValueError:
        raise UsageError(f"--example takes sizes as 1x3x224x224, not {example!r}") from None


def parse_option(text: str) -> tuple[str, Any]:
    """Return (name, value) of "name=value"; the value is a Python literal, or else the text itself."""
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--option takes NAME=VALUE, not {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
