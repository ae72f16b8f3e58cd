"""Make a model file of another program one of kerasnets: with its classes, its scale and its kind of picture inside.

    kerasnets adopt mnist_cnn.h5 --input-kind mnist --classes 0 1 2 3 4 5 6 7 8 9 --scale 1/255 --out mine.keras
    kerasnets adopt cats_or_dogs.keras --classes cat dog --out mine.keras
    kerasnets adopt weights.pth --network resnet18 --mean 0.485 0.456 0.406 --std 0.229 0.224 0.225 --out mine.keras
    kerasnets adopt theirs.onnx --classes cat dog --scale 1/127.5 -1 --out mine.onnx

FILE is a .keras or .h5 of Keras 3 or Keras 2 (TensorFlow 2.x, tf_keras); PyTorch weights (.pth, .pt, .safetensors),
with the name of their network; FILE.py:FUNCTION, a PyTorch module (see `kerasnets convert`); or an .onnx or .tflite,
which gets the card alone. No code in FILE is run, except in a .py. A softmax inside the last layer becomes logits and a
Softmax, a sigmoid of one unit two classes. The file that is written takes raw pixels, needs no options any more, and
loads with plain Keras on every backend. The last line on stdout is the result.
"""

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasnets.cli import app, names, options
from kerasnets.cli.app import UsageError
from kerasnets.cli.convert import sizes_of

if TYPE_CHECKING:
    from kerasnets.saving import Guest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("model", metavar="FILE", help="a model file of another program, PyTorch weights, or FILE.py:FUNCTION")
    add("--out", required=True, metavar="FILE", help=".keras or .h5; for an .onnx or .tflite a file of the same form")
    add("--network", metavar="NAME", help="for PyTorch weights: the network (kerasnets list networks)")
    add("--example", metavar="NxCxHxW", help="for FILE.py:FUNCTION: the shape of the module's input, as 1x3x224x224")
    add("--json", action="store_true", help="print the result as JSON, and all else on stderr")
    options.add_guest(parser)


def run(args: argparse.Namespace) -> None:
    guest = options.guest(args)
    is_module, suffix = ".py:" in args.model, Path(args.model).suffix
    if bool(args.network) != (not is_module and suffix not in (".keras", ".h5", ".onnx", ".tflite")):
        raise UsageError("--network goes with PyTorch weights, which need it")
    if bool(args.example) != is_module:
        raise UsageError("--example goes with FILE.py:FUNCTION, which needs it")
    check_names(args, is_module)
    with contextlib.redirect_stdout(sys.stderr if args.json else sys.stdout):
        if is_module or args.network:
            result = of_pytorch(args, guest)
        elif suffix in (".keras", ".h5"):
            from kerasnets.convert.adoption import adopt

            result = adopt(args.model, args.out, guest)
        else:
            result = of_export(args, guest)
    app.tell(result.json() if args.json else result.line())


def check_names(args: argparse.Namespace, is_module: bool) -> None:
    """Raise if there is no such network or file, before a framework is loaded."""
    from kerasnets import models
    from kerasnets.saving.card import check_present

    if args.network:
        models.check_name(args.network)
    if is_module or args.network:
        names.check_file(args.model.rpartition(":")[0] if is_module else args.model)
    else:
        check_present(args.model)


def of_pytorch(args: argparse.Namespace, guest: "Guest") -> Any:
    """Convert PyTorch's weights, or a module."""
    if args.bgr or args.scale or args.multi_label:
        raise UsageError("PyTorch's networks take --mean and --std, not --scale, --bgr or --multi-label")
    from kerasnets.convert.model_files import Preparation, make_model_file

    preparation = Preparation(
        args.mean or [0], args.std or [1], guest.class_names or None, guest.input_kind or "picture"
    )
    if args.network:
        return make_model_file(args.network, args.model, args.out, preparation)
    from kerasnets.convert.from_torch.files import make_module_file

    return make_module_file(args.model, sizes_of(args.example), args.out, preparation)


def of_export(args: argparse.Namespace, guest: "Guest") -> Any:
    """Give an .onnx or .tflite a card, after it has run."""
    from kerasnets.convert.adoption import adopt_export, complete
    from kerasnets.prediction import Classifier
    from kerasnets.saving import Card

    classifier = Classifier.load(args.model, guest=guest)
    if classifier.guest is None:
        raise UsageError(f"{args.model} has a card already")
    shape, classes = classifier.input_shape, classifier.count_classes()
    if guest.class_names and len(guest.class_names) != classes:
        raise UsageError(f"{args.model} has {classes} classes, and {len(guest.class_names)} are named")
    kind = guest.input_kind or ("picture" if len(shape) == 3 else "row")
    card = Card(Path(args.model).stem, guest.class_names, shape, kind)
    return adopt_export(args.model, args.out, complete(card, args.model, classes), guest)
