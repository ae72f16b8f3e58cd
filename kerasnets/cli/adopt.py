"""Make a model file of another program one of kerasnets: with its classes, its scale and its kind of picture inside.

    kerasnets adopt mnist_cnn.h5 --input-kind mnist --classes 0 1 2 3 4 5 6 7 8 9 --scale 1/255 --out mine.keras
    kerasnets adopt cats_or_dogs.keras --classes cat dog --out mine.keras
    kerasnets adopt weights.pth --network resnet18 --mean 0.485 0.456 0.406 --std 0.229 0.224 0.225 --out mine.keras
    kerasnets adopt their.weights.h5 --network model.py:make_model --out mine.keras
    kerasnets adopt model.py:make_model --example 1x3x224x224 --out mine.keras
    kerasnets adopt theirs.onnx --classes cat dog --scale 1/127.5 -1 --out mine.onnx

FILE is a .keras or .h5 of Keras 3 or Keras 2 (TensorFlow 2.x, tf_keras), whatever its suffix; weights of PyTorch (.pth,
.pt, .ckpt, .safetensors) or Keras (.weights.h5), with --network; MODEL.py:FUNCTION, a function of your own that returns
a PyTorch module or a Keras model; or an .onnx or .tflite, which gets the card alone. No code in FILE is run, except in
a .py. A softmax inside the last layer becomes logits and a Softmax, a sigmoid of one unit two classes. The file that is
written takes raw pixels, needs no options any more, and loads with plain Keras on every backend. The last line on
stdout is the result.
"""

import argparse
import contextlib
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasnets.cli import app, names, options
from kerasnets.cli.app import UsageError
from kerasnets.cli.convert import sizes_of
from kerasnets.errors import name_path

if TYPE_CHECKING:
    from kerasnets.saving import Guest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("model", metavar="FILE", help="a model file of another program, weights, or MODEL.py:FUNCTION")
    add("--out", required=True, metavar="FILE", help=".keras or .h5; for an .onnx or .tflite a file of the same form")
    text = "for weights: the network that they are of (kerasnets list networks), or MODEL.py:FUNCTION"
    add("--network", metavar="NAME", help=text)
    text = "for a PyTorch module of MODEL.py:FUNCTION: the shape of its input, as 1x3x224x224"
    add("--example", metavar="NxCxHxW", help=text)
    add("--json", action="store_true", help="print the result as JSON, and all else on stderr")
    options.add_guest(parser)


def run(args: argparse.Namespace) -> None:
    from kerasnets.data import own_code

    guest = options.guest(args)
    is_code = own_code.is_function(args.model)
    form = "" if is_code else form_of(args.model)
    is_weights = not is_code and (not form or (bool(args.network) and form == ".h5")) and not Path(args.model).is_dir()
    if bool(args.network) != is_weights:
        raise UsageError("--network goes with weights of PyTorch or Keras, which need it")
    if args.example and not (is_code or own_code.is_function(args.network)):
        raise UsageError("--example goes with MODEL.py:FUNCTION")
    example = sizes_of(args.example) if args.example else []
    check_names(args.model, args.network)
    with contextlib.redirect_stdout(sys.stderr if args.json else sys.stdout):
        if is_code or is_weights:
            result = of_network(args, example, guest)
        elif form in (".keras", ".h5"):
            from kerasnets.convert.adoption import adopt

            result = adopt(args.model, args.out, guest)
        else:
            result = of_export(args, guest)
    app.tell(result.json() if args.json else result.line())


def form_of(path: str) -> str:
    """Return the suffix that files of such content have; "" for what may hold PyTorch's weights."""
    from kerasnets.saving import formats

    return formats.form_of(path) if Path(path).exists() else formats.form_of_name(path)


def check_names(model: str, network: str | None) -> None:
    """Raise if there is no such network or file, before a framework is loaded."""
    from kerasnets import models
    from kerasnets.data import own_code
    from kerasnets.saving.card import check_present

    for place in (model, network):
        if own_code.is_function(place):
            own_code.check(place)
    if network and not own_code.is_function(network):
        models.check_name(network)
    if network:
        names.check_file(model)
    elif not own_code.is_function(model) and not Path(model).is_dir():
        check_present(model)


def of_network(args: argparse.Namespace, example: list[int], guest: "Guest") -> Any:
    """Adopt weights with their network, or a network of the person's own."""
    from kerasnets.convert.adoption import adopt_network
    from kerasnets.convert.networks import network_of
    from kerasnets.data import own_code

    def tell(note: str) -> None:
        app.tell(f"note: {note}", file=sys.stderr)

    place, weights = (args.network, args.model) if args.network else (args.model, None)
    classes = len(guest.class_names) or None
    is_code = own_code.is_function(place)
    with name_path(place):
        network = network_of(partial(own_code.make, place) if is_code else place, weights, example, classes, tell)
    source = Path(args.model).name
    return adopt_network(network, source, args.out, guest, name="" if is_code else place)


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
