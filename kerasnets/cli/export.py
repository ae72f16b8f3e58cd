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
"""

import argparse
import sys

from kerasnets.cli import app


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .keras or .h5 file, or a shipped model by name")
    parser.add_argument("--out", required=True, metavar="FILE", help="the file to write; its suffix chooses the format")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> None:
    from kerasnets import export
    from kerasnets.saving import shipped

    path = shipped.path_of(args.model, shipped.KERAS)
    result = export.export(path, args.out, tell=lambda line: app.tell(line, file=sys.stderr))
    app.tell(result.json() if args.json else result.line())
