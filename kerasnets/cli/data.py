"""Look at a data set: pictures of each class, their number, and the mean and standard deviation of each channel.

    kerasnets data mnist
    kerasnets data cifar10 --data-dir data --save cifar10.png
    kerasnets data path/to/folder --image-size 64 --show

A folder or zip of your own has one folder of pictures for each class. Without --save or --show, the drawing is saved as
models_saved/<name>-data.png. The last line on stdout is the result.
"""

import argparse
import contextlib
import json
import sys
from pathlib import Path

from kerasnets.cli import app, options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("dataset", metavar="NAME", help="mnist, cifar10, ..., or a folder, zip or .npz of your own")
    options.add_data_dir(parser)
    options.add_image_size(parser)
    add("--save", metavar="FILE", help="draw the pictures into FILE (.png, .jpg, .svg, .pdf)")
    add("--show", action="store_true", help="show the drawing in a window until a key is pressed")
    add("--json", action="store_true", help="print the figures as JSON")


def run(args: argparse.Namespace) -> None:
    from kerasnets import data
    from kerasnets.data import sources, summary
    from kerasnets.reports import plots, window

    save = args.save or (None if args.show else f"models_saved/{Path(args.dataset).stem}-data.png")
    if save:
        plots.check_suffix(save)
    with contextlib.redirect_stdout(sys.stderr):  # the progress of a download
        dataset = data.load_data(args.dataset, args.data_dir, options.image_size(args) or size_of_own(args.dataset))
    result = summary.summarize(dataset)
    if dataset.train_images.ndim == 4:
        figure = plots.data(dataset, result)
        if save:
            plots.save_figure(figure, save)
            app.tell(f"drawn into {save}", file=sys.stderr)
        if args.show:
            window.show(figure)
    app.tell(*([json.dumps(result.as_dict())] if args.json else result.lines()))
    sources.note_own(args.dataset)  # once more: a person who looks at data reads the last lines


def size_of_own(dataset: str) -> tuple[int, int] | None:
    """Return the (height, width) that a training would choose for own pictures of several sizes, with a note."""
    from kerasnets import data, recipes
    from kerasnets.training import defaults

    if dataset in data.DATASETS:
        return None
    data.check_name(dataset)
    recipe = recipes.with_changes(recipes.own("any", dataset), augmentation=recipes.PHOTO)  # nothing is squashed yet
    return defaults.size_for(recipe, dataset)
