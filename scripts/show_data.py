"""Look at a data set: pictures of each class, how many there are, and the mean and deviation of each channel.

    python scripts/show_data.py mnist
    python scripts/show_data.py cifar10 --data-dir data --save cifar10.png
    python scripts/show_data.py path/to/folder --image-size 64 --show

A folder, or a zip, holds a folder of pictures for each class. Without --save or --show, the drawing goes to
models_saved/<name>-data.png. The last line on stdout is the result.
"""

import contextlib
import json
import sys
from pathlib import Path

from kerasnets.cli import app, train


def main():
    parser = app.Parser(__doc__)
    parser.add_argument("dataset", metavar="NAME", help="mnist, cifar10, ..., or a folder, zip or .npz of your own")
    parser.add_argument("--data-dir", metavar="FOLDER", help="where the data lie (default: KERASNETS_DATA, then data/)")
    train.add_image_size(parser)
    parser.add_argument("--save", metavar="FILE", help="draw into FILE (.png, .jpg, .svg, .pdf)")
    parser.add_argument("--show", action="store_true", help="show the drawing in a window, until a key is pressed")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    args = parser.parse_args()

    from kerasnets import data
    from kerasnets.data import summary
    from kerasnets.reports import plots, window

    save = args.save or (None if args.show else f"models_saved/{Path(args.dataset).stem}-data.png")
    if save:
        plots.check_suffix(save)
    with contextlib.redirect_stdout(sys.stderr):  # the progress of a download
        found = data.load_data(args.dataset, args.data_dir, train.image_size(parser, args))
    summarized = summary.summarize(found)
    if found.train_images.ndim == 4:
        figure = plots.data(found, summarized)
        if save:
            plots.save_figure(figure, save)
            print(f"drawn into {save}", file=sys.stderr)
        if args.show:
            window.show(figure)
    print(json.dumps(summarized.as_dict()) if args.json else "\n".join(summarized.lines()))


if __name__ == "__main__":
    app.run(main)
