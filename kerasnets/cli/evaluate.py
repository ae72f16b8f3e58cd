"""Measure a model on a data set: accuracy, confusion matrix, and its worst mistakes.

    kerasnets evaluate mnist_cnn-mnist --dataset mnist
    kerasnets evaluate MODEL --dataset path/to/folder --out models_saved/evaluation --json

MODEL is a .keras or .h5 file, or the name of a shipped model (`kerasnets list models`). The data must have the classes
of the model; as many classes, if a file of another program names none. The test part is judged. Of a folder without
parts, all pictures are judged, or if the model was trained on that folder, the fifth that the training held out. --out
writes report.html and its pictures into a folder. The last line on stdout is the result.
"""

import argparse
import contextlib
import json
import sys
from pathlib import Path

from kerasnets.cli import app, options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .keras or .h5 file, or a shipped model by name")
    options.add_dataset(parser, "mnist, cifar10, ..., or a folder, zip or .npz", required=True)
    options.add_data_dir(parser)
    text = "judge all pictures of a folder without a test part, also those that the model was trained on"
    parser.add_argument("--all", action="store_true", help=text)
    parser.add_argument("--out", metavar="FOLDER", help="write report.html, confusion.png and mistakes.png into it")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, also for each class")
    options.add_guest(parser)


def run(args: argparse.Namespace) -> None:
    from kerasnets import data, saving
    from kerasnets.saving import shipped

    guest = options.guest(args)
    path = shipped.path_of(args.model, shipped.KERAS)
    data.check_name(args.dataset)
    card = saving.load_card(path, guest)
    is_trained_on = card.dataset == Path(args.dataset).resolve().name.removesuffix(".zip")
    reading = data.Reading(whole=args.all or not is_trained_on)
    with contextlib.redirect_stdout(sys.stderr):  # the progress of a download
        dataset = data.load_like(card, args.dataset, args.data_dir, reading=reading)
    if dataset.is_split:
        held_out = f"the {len(dataset.test_labels)} pictures that were held out are judged (--all judges every one)"
        app.tell_on_stderr(f"note: the model was trained on {dataset.title}; {held_out}")
    elif not len(dataset.train_labels):
        app.tell_on_stderr(f"note: {dataset.title} has no test part: all its pictures are judged")
    from kerasnets.training import evaluation, report

    result, card = evaluation.evaluate_file(path, dataset, guest, lambda note: app.tell_on_stderr(f"note: {note}"))
    if args.out:
        report.write_evaluation(Path(args.out), f"{card.model} on {dataset.title}", result, dataset)
    line = f"{result.line()} model={args.model} data={dataset.title!r}"
    app.tell(json.dumps(result.as_dict()) if args.json else line)
