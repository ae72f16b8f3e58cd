"""Open a page in your browser: draw a digit, drop a picture or use the camera, and see what a model makes of it.

    python scripts/demo.py
    python scripts/demo.py models_saved/pretrained/mnist_cnn-mnist.onnx models_saved/pretrained/mnist_cnn-mnist.keras
    python scripts/demo.py --port 0 --no-browser

The page shows the picture as the network sees it, the probabilities of the classes and the feature maps of each layer;
of two models side by side, too. It offers the MODELs named here and those of pictures in models_saved and
models_saved/pretrained. By .onnx, no deep-learning framework is loaded but for feature maps, which come from the .keras
of the same name beside it. The page works without the internet, and no other machine gets an answer. Ctrl-C ends it.
Needs: pip install -e ".[demo]"
"""

from kerasnets.cli import app


def main():
    parser = app.Parser(__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=".keras, .h5, .onnx, .xml, .tflite, a SavedModel")
    parser.add_argument("--port", type=int, default=8000, help="of the page; 0: a free one (default: 8000)")
    parser.add_argument("--no-browser", action="store_true", help="open no browser; the address is printed")
    args = parser.parse_args()

    from kerasnets import demo

    demo.serve(args.models, args.port, not args.no_browser, args.debug)


if __name__ == "__main__":
    app.run(main)
