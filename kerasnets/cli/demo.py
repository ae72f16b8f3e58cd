"""Open a page in your browser: draw a digit, drop a picture or use the camera, and see what a model makes of it.

    kerasnets demo
    kerasnets demo mnist_cnn-mnist models_saved/mine.keras
    kerasnets demo --port 0 --no-browser

The page shows the picture as the network sees it, the class probabilities and the feature maps of each layer, also for
two models side by side. It offers each MODEL, the models of pictures in models_saved, and the shipped ones. With an
.onnx, a deep-learning framework is loaded for feature maps only; they are computed from the .keras of the same name in
the same folder. The page works without the internet, and other machines cannot reach it. Ctrl-C ends it.
It needs the extra "demo": pip install "kerasnets[demo]", in a clone pip install -e ".[demo]".
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    text = ".keras, .h5, .onnx, .xml, .tflite, a SavedModel, or a shipped model by name"
    add("models", nargs="*", metavar="MODEL", help=text)
    add("--port", type=int, default=8000, help="port of the page; 0 takes a free one (default: 8000)")
    add("--no-browser", action="store_true", help="open no browser; the address is printed")


def run(args: argparse.Namespace) -> None:
    from kerasnets import demo
    from kerasnets.saving import shipped

    models = [str(shipped.path_of(model)) for model in args.models]
    demo.serve(models, args.port, not args.no_browser, args.debug)
