"""Read pictures with a saved model: class and probability of each.

    python scripts/predict_image.py models_saved/pretrained/mnist_cnn-mnist.keras docs/samples/three-on-paper.jpg
    python scripts/predict_image.py MODEL a.png b.jpg --top 3 --save annotated.png
    python scripts/predict_image.py MODEL --dataset mnist --index 0 1 2 --json

A digit may be dark on light or light on dark, a photo or a drawing. The exit code is 3 where a picture could not be
read; the others are answered all the same.
"""

import contextlib
import sys

from kerasnets import console


def main():
    parser = console.Parser(__doc__)
    parser.add_argument("model", help="a .keras or .h5 file")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="picture files")
    parser.add_argument("--dataset", help="take the pictures from the test part of this data set: mnist or digits")
    parser.add_argument("--index", type=int, nargs="+", help="which of them (default: 0)")
    parser.add_argument(
        "--data-dir", metavar="FOLDER", help="where the data set lies (default: KERASNETS_DATA, then data/)"
    )
    parser.add_argument("--top", type=int, default=1, help="how many classes to name, the likeliest first (default: 1)")
    parser.add_argument(
        "--save", metavar="FILE", help="draw what was seen and answered into FILE (.png, .jpg, .svg, .pdf)"
    )
    parser.add_argument("--show", action="store_true", help="show the same in a window, until a key is pressed")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    args = parser.parse_args()
    if bool(args.images) == bool(args.dataset):
        parser.error("after the model, name pictures, or a data set by --dataset and --index")
    if args.index and not args.dataset:
        parser.error("--index goes with --dataset")
    if args.top < 1:
        parser.error(f"--top must be at least 1, not {args.top}")

    from kerasnets import data, drawing, prediction
    from kerasnets.errors import BadInputError

    if args.save:
        drawing.check_suffix(args.save)
    classifier = prediction.Classifier.load(args.model)
    images = names = args.images
    if args.dataset:
        with contextlib.redirect_stdout(sys.stderr):  # the progress of a download
            images, names = data.held_out(args.dataset, args.index or [0], args.data_dir)
    results = classifier.try_predict(images)

    for name, result in zip(names, results, strict=True):
        if isinstance(result, BadInputError):
            console.print_error(result)
        elif not args.json:
            print(result.line(name, args.top))
    if args.json:
        print(prediction.as_json(names, results, args.top))
    if args.save or args.show:
        prediction.draw(images, names, results, save=args.save, show=args.show)
    return 3 if any(isinstance(result, BadInputError) for result in results) else 0


if __name__ == "__main__":
    console.run(main)
