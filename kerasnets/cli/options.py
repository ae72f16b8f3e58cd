"""Options that several commands share."""

import argparse

from kerasnets.cli.app import UsageError


def add_dataset(parser: argparse.ArgumentParser, help: str, *, required: bool = False) -> None:
    parser.add_argument("--dataset", metavar="NAME", required=required, help=help)


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    text = "where the data set is on this disk (default: KERASNETS_DATA, then data/)"
    parser.add_argument("--data-dir", metavar="FOLDER", help=text)


def add_image_size(parser: argparse.ArgumentParser) -> None:
    text = "resize your own pictures to a square, or to height and width"
    parser.add_argument("--image-size", type=int, nargs="+", metavar="PIXELS", help=text)


def image_size(args: argparse.Namespace) -> tuple[int, int] | None:
    """Return (height, width) of --image-size; None without the option."""
    if not args.image_size:
        return None
    height, width = args.image_size * 2 if len(args.image_size) == 1 else (*args.image_size, 0, 0)[:2]
    if len(args.image_size) > 2 or min(height, width) < 1:
        raise UsageError("--image-size takes one number, or two: height and width")
    return height, width
