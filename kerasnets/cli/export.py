"""Write a model for other programs: ONNX, OpenVINO, LiteRT, SavedModel.

    kerasnets export mnist_cnn-mnist --out models_saved/mnist_cnn-mnist.onnx
    kerasnets export MODEL --out models_saved/mnist.xml      (OpenVINO, with its weights in mnist.bin)
    kerasnets export MODEL --out models_saved/mnist.tflite   (LiteRT)
    kerasnets export MODEL --out models_saved/mnist          (the folder of a SavedModel)

MODEL is a .keras or .h5 file, or the name of a shipped model. The exported file takes raw pixels (n, height, width,
channels), 0..255, and returns class probabilities; an ONNX file calls them `pixels`, of uint8, and `probabilities`. The
class names and the other facts about the model are inside it, so `kerasnets predict` reads it without further options.
Every installed engine that reads the file is compared with Keras, and the file is discarded if a probability differs by
more than 1e-4. The last line on stdout is the result, with the largest difference.

    kerasnets export mnist_cnn-mnist --out small.onnx --int8 mnist

--int8 writes weights and activations as 8-bit integers: a file of about a quarter. 200 training pictures set their
ranges; the result has the accuracy of Keras and of each engine on up to 1,000 test pictures.
"""

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kerasnets.cli import app, options

if TYPE_CHECKING:
    from kerasnets.export import Calibration
    from kerasnets.saving import Guest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .keras or .h5 file, or a shipped model by name")
    parser.add_argument("--out", required=True, metavar="FILE", help="the file to write; its suffix chooses the format")
    text = (
        "in 8 bits (.onnx, .xml, .tflite): the data set, folder, zip or .npz that sets the ranges and judges the result"
    )
    parser.add_argument("--int8", metavar="PICTURES", help=text)
    options.add_data_dir(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options.add_guest(parser)


def run(args: argparse.Namespace) -> None:
    guest = options.guest(args)
    from kerasnets import export
    from kerasnets.saving import shipped

    path = shipped.path_of(args.model, shipped.KERAS)
    if args.data_dir and not args.int8:
        raise app.UsageError("--data-dir goes with --int8")
    export.check(args.out, in_8_bits=bool(args.int8))
    calibration = calibrate(path, args.int8, args.data_dir, guest) if args.int8 else None
    result = export.export(path, args.out, lambda line: app.tell(line, file=sys.stderr), guest, calibration)
    app.tell(result.json() if args.json else result.line())


def calibrate(path: str | Path, name: str, data_dir: str | None, guest: "Guest") -> "Calibration":
    """Load the data `name`, check that the model file `path` takes them, and return some of them."""
    from kerasnets import data, export, saving
    from kerasnets.data.preparation import draw_for_network
    from kerasnets.training import evaluation

    card = saving.load_card(path, guest)
    if card.multi_label:
        raise app.UsageError("--int8 goes with a network that gives one class, whose accuracy can be judged")
    data.check_name(name)
    with contextlib.redirect_stdout(sys.stderr):  # the progress of a download
        dataset = data.load_like(card, name, data_dir)
    evaluation.check_input(path, card, dataset)
    evaluation.check_classes(path, card.class_names, len(card.class_names or dataset.class_names), dataset)
    network = dataset.input_kind, card.input_kind, card.input_shape
    _, pictures = draw_for_network(dataset.train_images, *network, export.MOST_CALIBRATION)
    chosen, test_pictures = draw_for_network(dataset.test_images, *network, export.MOST_TEST)
    return export.Calibration(pictures, test_pictures, dataset.test_labels[chosen], len(dataset.class_names))
