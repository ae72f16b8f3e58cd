"""Measure a model on a data set: accuracy, confusion matrix, and its worst mistakes.

    kerasnets evaluate mnist_cnn-mnist --dataset mnist
    kerasnets evaluate MODEL --dataset path/to/folder --out models_saved/evaluation --json

MODEL is a .keras or .h5 file, an export of `kerasnets export`, or the name of a shipped model (`kerasnets list
models`). The classes of the data must be among those of the model; as many, if a file of another program names none.
The test part is judged. Of a folder without parts, all pictures are judged, or if the model was trained on that folder,
the fifth that the training held out. --out writes report.html and its pictures into a folder. The last line on stdout
is the result.
"""

import argparse
import contextlib
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kerasnets.cli import app, options
from kerasnets.cli.app import UsageError
from kerasnets.errors import shorten
from kerasnets.runtime import backends

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras

    from kerasnets.data import Data
    from kerasnets.saving import Card, Guest
    from kerasnets.training.evaluation import Evaluation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", metavar="MODEL", help="a model file, also .onnx, .xml, .tflite or SavedModel, or a shipped model"
    )
    options.add_dataset(parser, "mnist, cifar10, ..., or a folder, zip or .npz", required=True)
    options.add_data_dir(parser)
    options.add_synsets(parser)
    text = "judge all pictures of a folder without a test part, also those that the model was trained on"
    parser.add_argument("--all", action="store_true", help=text)
    parser.add_argument("--out", metavar="FOLDER", help="write report.html, confusion.png and mistakes.png into it")
    options.add_report(parser)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, also for each class")
    options.add_guest(parser)


def run(args: argparse.Namespace) -> None:
    from kerasnets import data
    from kerasnets.saving import shipped

    guest = options.guest(args)
    if args.full_report and not args.out:
        raise UsageError("--full-report goes with --out")
    if args.out:
        check_folder(Path(args.out))
    path = shipped.path_of(args.model, shipped.KERAS if backends.first_installed() else shipped.SUFFIXES)
    data.check_name(args.dataset)
    networks: list[keras.Model] = []
    dataset, result, card = by_keras(args, path, guest, networks) if is_of_keras(path) else by_engine(args, path, guest)
    if args.out:
        from kerasnets.training import findings, report

        material = findings.Material(networks[0] if networks else None, card.input_kind, is_full=args.full_report)
        report.write_evaluation(Path(args.out), f"{card.model} on {dataset.title}", result, dataset, material)
    line = f"{result.line()} model={args.model} data={dataset.title!r}"
    app.tell(json.dumps(result.as_dict()) if args.json else line)


def check_folder(folder: Path) -> None:
    """Raise ValueError if a training has written its report there."""
    with contextlib.suppress(OSError):
        if b"<!-- checkpoints: " in (folder / "report.html").read_bytes():
            raise UsageError(f"--out {shorten(folder)} has the report of a training; name another folder")


def is_of_keras(path: str | Path) -> bool:
    """Whether Keras reads a model file; raise BadInputError if a file of another form is missing."""
    from kerasnets.saving import SUFFIXES
    from kerasnets.saving.card import check_present

    is_keras = Path(path).suffix in SUFFIXES
    if not is_keras and not Path(path).exists():
        check_present(path)
    return is_keras


def by_keras(
    args: argparse.Namespace, path: str | Path, guest: "Guest", networks: "list[keras.Model]"
) -> "tuple[Data, Evaluation, Card]":
    """Evaluate a .keras or .h5 file; its network is put into `networks`."""
    from kerasnets import saving
    from kerasnets.data import own_code
    from kerasnets.training import evaluation

    card = saving.load_card(path, guest)
    if own_code.is_function(args.dataset):
        backends.choose()  # before the file imports Keras
    dataset = load(args, card)
    return dataset, *evaluation.evaluate_file(path, dataset, guest, tell, networks.append)


def by_engine(args: argparse.Namespace, path: str | Path, guest: "Guest") -> "tuple[Data, Evaluation, Card]":
    """Evaluate a file that another library than Keras runs."""
    from kerasnets.prediction import Classifier
    from kerasnets.training import evaluation

    classifier = Classifier.load(path, guest=guest)
    card = dataclasses.replace(classifier.card, input_shape=classifier.input_shape)
    dataset = load(args, card)
    if classifier.note:
        tell(classifier.note)
    return dataset, evaluation.evaluate_by(classifier.compute, path, card, dataset), card


def load(args: argparse.Namespace, card: "Card") -> "Data":
    """Load the data for a model with a card; notes say which of them are judged if that is a question."""
    from kerasnets import data
    from kerasnets.training import evaluation

    is_namesake = card.dataset == name_of(args.dataset)
    of_pictures = len(card.input_shape) == 3
    is_told_by_content = of_pictures and bool(card.data_digest) and may_lack_test_part(args.dataset)
    trained = count_of_training(args, card) if is_told_by_content else 0
    is_trained_on = bool(trained) if is_told_by_content else is_namesake
    synsets = Path(args.synsets) if args.synsets else None
    reading = data.Reading(whole=args.all or not is_trained_on, synsets=synsets)
    with contextlib.redirect_stdout(sys.stderr):  # the progress of a download
        dataset = data.load_like(card, args.dataset, args.data_dir, reading=reading)
    by_name = "" if is_told_by_content else ", by the name alone: its card tells nothing of their content"
    if dataset.is_split:
        held_out = f"the {len(dataset.test_labels)} pictures that were held out are judged (--all judges every one)"
        tell(f"the model was trained on {dataset.title}{by_name}; {held_out}")
    elif not len(dataset.train_labels):
        tell(f"{dataset.title} has no test part: all its pictures are judged")
        if trained:
            tell(f"{trained} of {len(dataset.test_labels)} pictures were trained on: the figures are no test; without "
                 "--all, the others alone are judged")  # fmt: skip
        elif is_trained_on:
            tell(f"the model was trained on {dataset.title}{by_name}; it may know most of the pictures")
        elif is_namesake:
            tell(f"the model was trained on data called {card.dataset} that had other pictures, or not all of these; "
                 "it may know some of them")  # fmt: skip
    missing = evaluation.classes_missing(card.class_names, dataset)
    if missing:
        tell(f"{dataset.title} has no pictures of {in_few_words(missing)}, which the model knows too")
    return evaluation.with_classes(card.class_names, dataset)


def in_few_words(classes: "Sequence[str]") -> str:
    from kerasnets.data import layout

    return f"{'class' if len(classes) == 1 else 'classes'} {layout.some(classes)}"


def name_of(dataset: str) -> str:
    """Return the name that a training on own data leaves in a card."""
    from kerasnets.data import own_code

    if own_code.is_function(dataset):
        return own_code.title_of(dataset)
    return Path(dataset).resolve().name.removesuffix(".zip")


def may_lack_test_part(dataset: str) -> bool:
    """Whether data are a folder or zip, or those of a function: known sets and archives have a test part."""
    from kerasnets import data

    return dataset not in data.DATASETS and Path(dataset).suffix.lower() != ".npz"


def count_of_training(args: argparse.Namespace, card: "Card") -> int:
    """Return how many of the pictures, by their content, the model with a card was trained on; 0 if on others."""
    from kerasnets import data
    from kerasnets.data import origins, own_code

    if not own_code.is_function(args.dataset):
        return origins.count_of_training(args.dataset, card)
    dataset = data.load_like(card, args.dataset)
    return len(dataset.train_labels) if dataset.is_split and data.digest(dataset) == card.data_digest else 0


def tell(note: str) -> None:
    app.tell_on_stderr(f"note: {note}")
