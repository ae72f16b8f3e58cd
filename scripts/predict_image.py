"""Read pictures with a saved model: class and probability of each.

    python scripts/predict_image.py models_saved/pretrained/mnist_cnn-mnist.onnx docs/samples/three-on-paper.jpg
    python scripts/predict_image.py MODEL folder 'more/*.png' --top 3 --save annotated.png
    python scripts/predict_image.py MODEL - < picture.jpg
    python scripts/predict_image.py MODEL docs/samples/sheet.jpg --many
    python scripts/predict_image.py MODEL --camera 0        (q leaves; or --video clip.mp4 --show)
    python scripts/predict_image.py MODEL --dataset mnist --index 0 1 2 --json

MODEL is a .keras or .h5 file, or what scripts/export.py makes of it; by .onnx, no deep-learning framework is loaded. A
digit may be dark on light or light on dark, a photo or a drawing. The exit code is 3 where a picture could not be read;
the others are answered all the same.
"""

import contextlib
import sys

from kerasnets.cli import app


def main():
    parser = app.Parser(__doc__)
    parser.add_argument("model", help="a .keras or .h5 file, or an exported one: .onnx, .xml, .tflite, a SavedModel")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="picture files, folders, patterns; - for stdin")
    parser.add_argument("--many", action="store_true", help="each picture shows several digits: find and read them all")
    parser.add_argument("--camera", type=int, metavar="N", help="answer for what camera N sees; q leaves")
    parser.add_argument("--video", metavar="FILE", help="answer for the frames of a video")
    parser.add_argument("--dataset", help="take the pictures from the test part of this data set: mnist or digits")
    parser.add_argument("--index", type=int, nargs="+", help="which of them (default: 0)")
    parser.add_argument(
        "--data-dir", metavar="FOLDER", help="where the data set lies (default: KERASNETS_DATA, then data/)"
    )
    parser.add_argument(
        "--engine", default="auto", help="auto, opencv, onnxruntime, openvino, litert, tensorflow, keras"
    )
    parser.add_argument("--top", type=int, default=1, help="how many classes to name, the likeliest first (default: 1)")
    parser.add_argument("--save", metavar="FILE", help="draw what was seen and answered: .png, .jpg, .svg, .pdf; .mp4")
    parser.add_argument("--show", action="store_true", help="show the same in a window, until a key is pressed")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    args = parser.parse_args()
    sources = [bool(args.images), bool(args.dataset), args.camera is not None, bool(args.video)]
    if sum(sources) != 1:
        parser.error("after the model, name pictures, or one of --dataset, --camera, --video")
    if args.index and not args.dataset:
        parser.error("--index goes with --dataset")
    if args.data_dir and not args.dataset:
        parser.error("--data-dir goes with --dataset")
    if (args.video or args.camera is not None) and (args.many or args.top > 1):
        parser.error("--many and --top go with pictures, not with a video or camera")
    if args.top < 1:
        parser.error(f"--top must be at least 1, not {args.top}")

    from kerasnets import prediction
    from kerasnets.cli import predict

    classifier = prediction.Classifier.load(args.model, args.engine)
    if classifier.note:
        print(f"note: {classifier.note}", file=sys.stderr)
    if args.video or args.camera is not None:
        return predict.watch(classifier, args)
    if args.dataset:
        from kerasnets import data

        with contextlib.redirect_stdout(sys.stderr):  # the progress of a download
            images, names = data.held_out(args.dataset, args.index or [0], args.data_dir, classifier.card)
        named = list(zip(names, images, strict=True))
    else:
        named = predict.gathered(args.images)
    return predict.answer(classifier, named, args)


if __name__ == "__main__":
    app.run(main)
