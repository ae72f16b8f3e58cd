"""Export a model file for other programs: ONNX, OpenVINO, LiteRT, SavedModel.

    python scripts/export.py models_saved/pretrained/mnist_cnn-mnist.keras --out models_saved/mnist_cnn-mnist.onnx
    python scripts/export.py MODEL --out models_saved/mnist.xml      (OpenVINO, with its weights in mnist.bin)
    python scripts/export.py MODEL --out models_saved/mnist.tflite   (LiteRT)
    python scripts/export.py MODEL --out models_saved/mnist          (the folder of a SavedModel)

The exported file takes raw pixels (n, height, width, channels), 0..255, and gives class probabilities; class names and
all else that the model file says of itself travel inside, so predict_image.py reads it as it is. Before it is left
behind, every installed engine that reads it runs it beside Keras; the last line on stdout is the result, with the
largest difference of a probability.
"""

import sys

from kerasnets.cli import app


def main():
    parser = app.Parser(__doc__)
    parser.add_argument("model", help="a .keras or .h5 file")
    parser.add_argument("--out", required=True, metavar="FILE", help="what to write; its suffix tells the form")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    args = parser.parse_args()

    from kerasnets import export

    done = export.export(args.model, args.out, tell=lambda line: print(line, file=sys.stderr))
    print(done.json() if args.json else done.line())


if __name__ == "__main__":
    app.run(main)
