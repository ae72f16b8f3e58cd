"""Judge a saved model on the test part of a data set: accuracy, confusion, and its worst mistakes.

    python scripts/evaluate.py models_saved/pretrained/mnist_cnn-mnist.keras --dataset mnist
    python scripts/evaluate.py MODEL --dataset path/to/folder --out models_saved/evaluation --json

The model may be any .keras or .h5 file of kerasnets; the data must have its classes. --out writes report.html and its
pictures into a folder. The last line on stdout is the result.
"""

import contextlib
import json
import sys
from pathlib import Path

from kerasnets.cli import app


def main():
    parser = app.Parser(__doc__)
    parser.add_argument("model", help="a .keras or .h5 file")
    parser.add_argument(
        "--dataset", required=True, metavar="NAME", help="mnist, cifar10, ..., or a folder, zip or .npz"
    )
    parser.add_argument("--data-dir", metavar="FOLDER", help="where the data lie (default: KERASNETS_DATA, then data/)")
    parser.add_argument("--out", metavar="FOLDER", help="write report.html, confusion.png and mistakes.png into it")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, those of each class too")
    args = parser.parse_args()

    from kerasnets import data, saving
    from kerasnets.training import evaluation, report

    with contextlib.redirect_stdout(sys.stderr):  # the progress of a download
        found = data.load_like(saving.load_card(args.model), args.dataset, args.data_dir)
    judged, card = evaluation.evaluate_file(args.model, found)
    if args.out:
        title = f"{card.model} on {found.title}"
        report.write_evaluation(Path(args.out), title, judged, found)
    print(json.dumps(judged.as_dict()) if args.json else f"{judged.line()} model={args.model} data={found.title!r}")


if __name__ == "__main__":
    app.run(main)
