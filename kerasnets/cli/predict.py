"""Read pictures with a model: class and probability of each.

    kerasnets predict mnist_cnn-mnist picture.jpg
    kerasnets predict MODEL folder 'more/*.png' --top 3 --save annotated.png
    kerasnets predict MODEL - < picture.jpg
    kerasnets predict MODEL sheet.jpg --many
    kerasnets predict MODEL --camera 0        (q ends it; or --video clip.mp4 --show)
    kerasnets predict MODEL --dataset mnist --index 0 1 2 --json

MODEL is a .keras or .h5 file, an export of `kerasnets export`, or the name of a shipped model (`kerasnets list
models`). With an .onnx, no deep-learning framework is loaded. A digit may be dark on light or light on dark, a photo or
a drawing. The exit code is 3 if a picture could not be read; the others are answered all the same.
"""

import argparse
import contextlib
import sys
from typing import TYPE_CHECKING

from kerasnets.cli import app, options
from kerasnets.cli.app import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from kerasnets.cli.answers import Named
    from kerasnets.prediction import Classifier


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    text = "a model file, .keras or .h5, an export, .onnx, .xml, .tflite or SavedModel, or a shipped model by name"
    add("model", metavar="MODEL", help=text)
    add("images", nargs="*", metavar="IMAGE", help="picture files, folders, patterns; - for standard input")
    add("--many", action="store_true", help="each picture shows several digits: find and read them all")
    add("--camera", type=int, metavar="N", help="answer for the pictures of camera N; q ends it")
    add("--video", metavar="FILE", help="answer for the frames of a video")
    options.add_dataset(parser, "take the pictures from the test part of this data set: mnist, digits, ...")
    add("--index", type=int, nargs="+", metavar="N", help="numbers of these pictures (default: 0)")
    options.add_data_dir(parser)
    text = "auto, opencv, onnxruntime, openvino, litert, tensorflow, keras (default: auto, the fastest)"
    add("--engine", default="auto", metavar="NAME", help=text)
    add("--top", type=int, default=1, metavar="N", help="number of classes to name, the likeliest first (default: 1)")
    add("--save", metavar="FILE", help="draw pictures and answers: .png, .jpg, .svg, .pdf; .mp4 for a video")
    text = "draw the places that each answer depends on: in FILE-why.png for --save FILE.png"
    add("--explain", action="store_true", help=text)
    add("--show", action="store_true", help="show the drawing in a window until a key is pressed")
    add("--json", action="store_true", help="print a JSON list")
    add("--csv", action="store_true", help="print a CSV table: a line for each picture, with --many for each digit")
    options.add_guest(parser)


def run(args: argparse.Namespace) -> int:
    check(args)
    from kerasnets.cli import answers
    from kerasnets.prediction import Classifier

    classifier = Classifier.load(model_path(args.model, args.engine), args.engine, options.guest(args))
    if classifier.note:
        app.tell(f"note: {classifier.note}", file=sys.stderr)
    form = answers.Format(args.top, args.json, args.save, args.show, args.csv, args.explain)
    if args.camera is not None:
        return answers.watch(classifier, args.camera, form)
    if args.video:
        return answers.watch(classifier, args.video, form)
    named = from_dataset(args, classifier) if args.dataset else answers.gather(args.images)
    return answers.answer(classifier, named, form, sheets=args.many)


def check(args: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    sources = [bool(args.images), bool(args.dataset), args.camera is not None, bool(args.video)]
    if sum(sources) != 1:
        raise UsageError("after the model, name pictures, or one of --dataset, --camera, --video")
    if args.camera is not None and args.camera < 0:
        raise UsageError(f"--camera is the number of a camera, 0 or more, not {args.camera}")
    if args.index and not args.dataset:
        raise UsageError("--index goes with --dataset")
    if args.data_dir and not args.dataset:
        raise UsageError("--data-dir goes with --dataset")
    if (args.video or args.camera is not None) and (args.many or args.top > 1):
        raise UsageError("--many and --top go with pictures, not with a video or camera")
    if args.csv and (args.json or args.video or args.camera is not None):
        raise UsageError("--csv goes with pictures, without --json")
    if args.explain and (args.many or args.video or args.camera is not None or not (args.save or args.show)):
        raise UsageError("--explain goes with pictures of one thing each, and --save or --show")
    if args.top < 1:
        raise UsageError(f"--top must be at least 1, not {args.top}")


def model_path(model: str, engine: str) -> "str | Path":
    """Return the file of a model; of a shipped model, the format that the engine reads."""
    from kerasnets.prediction.engines import ENGINES
    from kerasnets.saving import shipped

    suffixes = [suffix for suffix in shipped.SUFFIXES if engine not in ENGINES or suffix in ENGINES[engine].suffixes]
    return shipped.path_of(model, suffixes or shipped.SUFFIXES)


def from_dataset(args: argparse.Namespace, classifier: "Classifier") -> "list[Named]":
    from kerasnets import data

    with contextlib.redirect_stdout(sys.stderr):  # the progress of a download
        images, names = data.load_test_images(args.dataset, args.index or [0], args.data_dir, classifier.card)
    return list(zip(names, images, strict=True))
