"""The scripts for one data set, such as train_mnist.py: a choice of networks, and the options of every training."""

import argparse
import os
import sys
from typing import NoReturn

from kerasnets import recipes
from kerasnets.cli import app, train


def run_script(help: str | None, dataset: str, network: str, *, or_digits: bool = False) -> NoReturn:
    """Run the script in sys.argv[0].

    Args:
        help: The script's docstring.
        dataset: A name in DATASETS.
        network: The network that is trained without --model.
        or_digits: Whether scikit-learn's digits replace a data set that cannot be had.
    """
    parser = app.Parser(help, os.path.basename(sys.argv[0]))
    parser.add_argument("--model", choices=networks_for(dataset), default=network)
    if or_digits:
        text = f"this data set and no other (default: {dataset}, else digits); digits goes with {network}"
        parser.add_argument("--dataset", choices=(dataset, "digits"), help=text)
    train.add_training_options(parser)
    parser.set_defaults(pretrained=False)  # there are no such weights for these networks
    app.run(lambda: train_on(dataset, parser.parse_args(), or_digits))


def train_on(dataset: str, args: argparse.Namespace, or_digits: bool) -> None:
    name = args.dataset if or_digits else dataset
    fallback = {} if name else {"fallback": f"{args.model}-digits"}
    train.train(args, train.request_of(args, f"{args.model}-{name or dataset}", **fallback))


def networks_for(dataset: str) -> list[str]:
    """Return the networks that a recipe trains on `dataset`, in the order of RECIPES."""
    return list(dict.fromkeys(recipe.model for recipe in recipes.RECIPES.values() if recipe.dataset == dataset))
