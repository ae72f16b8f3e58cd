"""Options that several commands share."""

import argparse
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from kerasnets.cli.app import UsageError

if TYPE_CHECKING:
    from kerasnets.recipes import Scaling
    from kerasnets.saving import Guest


def add_dataset(parser: argparse.ArgumentParser, help: str, *, required: bool = False) -> None:
    parser.add_argument("--dataset", metavar="NAME", required=required, help=help)


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    text = "where the data set is on this disk (default: KERASNETS_DATA, then data/)"
    parser.add_argument("--data-dir", metavar="FOLDER", help=text)


def add_synsets(parser: argparse.ArgumentParser) -> None:
    text = "names of class folders such as n01440764 (default: LOC_synset_mapping.txt in or above the folder)"
    parser.add_argument("--synsets", metavar="FILE", help=text)


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


def whole_number(text: str) -> int:
    """Return one of several whole numbers of an option."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number; separate several by spaces") from None


# ---- model files of other programs -----------------------------------------------------------------------------------


def add_guest(parser: argparse.ArgumentParser, *, own_size: bool = True) -> None:
    """Add what a person can tell about a model file that kerasnets did not write.

    Args:
        parser: Of the command.
        own_size: Whether --image-size is among the options; a command may have another meaning for it.
    """
    add = parser.add_argument_group(
        "for a model file of another program",
        "What the file itself tells (a Rescaling or Normalization, a softmax or sigmoid) need not be given.",
    ).add_argument
    text = (
        "how a picture is prepared: picture (resized; the default), mnist (one digit cut out and centred), fashion, "
        "crop256 or crop232 (the middle, as torchvision does)"
    )
    add("--input-kind", metavar="KIND", help=text)
    add("--classes", nargs="+", metavar="NAME", help="the classes in the order of the outputs: cat dog, or cat,dog")
    text = "the network takes pixel * SCALE + OFFSET of a pixel 0..255: 1/255, or 1/127.5 -1, or 1 (default: 1/255)"
    add("--scale", nargs="+", metavar=("SCALE", "OFFSET"), help=text)
    text = "instead: mean of pixels 0..1, one number or one per channel"
    add("--mean", type=float, nargs="+", metavar="X", help=text)
    add("--std", type=float, nargs="+", metavar="X", help="the standard deviation, likewise")
    if own_size:
        text = "the picture size if the network leaves it open or takes rows: one number, or height and width"
        add("--image-size", type=int, nargs="+", metavar="PIXELS", help=text)
    add("--bgr", action="store_true", help="the network takes blue first")
    add("--multi-label", action="store_true", help="each class has a probability by itself (found in .keras and .h5)")


def guest(args: argparse.Namespace, *, of_file: bool = True, own_size: bool = True) -> "Guest":
    """Return what the options of `add_guest` tell; refuse them if the command has no model file that they are of."""
    from kerasnets.saving.guest import UNKNOWN, Guest, scaling_of

    if args.scale and (args.mean or args.std):
        raise UsageError("--scale and --mean with --std say the same; give one of them")
    scaling: Scaling | None = None
    if args.scale:
        scaling = scale_and_offset(args.scale)
    elif args.mean or args.std:
        mean, std = args.mean or [0.0], args.std or [1.0]
        scaling = scaling_of(mean, std, max(len(mean), len(std)))
    size = image_size(args) if own_size else None
    result = Guest(args.input_kind or "", class_names(args.classes), scaling, args.bgr, args.multi_label, size)
    if result != UNKNOWN and not of_file:
        listed = "--input-kind, --classes, --scale, --mean, --std, --image-size, --bgr and --multi-label"
        raise UsageError(f"{listed} go with a model file")
    return result


def class_names(words: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of --classes: words, or one word with commas."""
    words = words or ()
    return tuple(words[0].split(",") if len(words) == 1 else words)


def scale_and_offset(words: Sequence[str]) -> tuple[float, float]:
    try:
        scale, offset = (float(Fraction(word)) if "." not in word else decimal(word) for word in (*words, "0")[:2])
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"--scale takes numbers, such as 1/255, or 1/127.5 -1, not {' '.join(words)!r}") from None
    if len(words) > 2 or not 0 < scale <= 1:
        raise UsageError("--scale multiplies pixels of 0..255: one number up to 1, such as 1/255, and an offset")
    return scale, offset


def decimal(word: str) -> float:
    """Return the number of "1/127.5" or "0.5"."""
    above, _, below = word.partition("/")
    return float(above) / float(below or 1)


def add_report(parser: argparse.ArgumentParser) -> None:
    """Add --full-report."""
    text = "in the report, also draw a map of the test pictures, and judge the labels of up to 5,000 training pictures"
    parser.add_argument("--full-report", action="store_true", help=f"{text} (may take a minute)")
