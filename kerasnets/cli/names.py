"""Names in the arguments, of networks, models and files: checked before a framework is loaded, which takes seconds."""

import argparse
import glob
import re
from pathlib import Path

from kerasnets.errors import BadInputError, nearest_first

FROM_SCRATCH, PRETRAINED = "resnet_mini", "resnet18"  # for own pictures, if none is named


def network_or_file(name: str, *, pattern: bool = False) -> str:
    """Return the name of a network, or the path of a model file; for the name of a shipped model, its file.

    Args:
        name: What the person named.
        pattern: Whether it may also be a shell-style pattern of networks.

    Raises:
        ValueError: No network and no shipped model has the name.
        BadInputError: The model file is missing.
    """
    from kerasnets.models import NETWORKS, list_models
    from kerasnets.saving import shipped
    from kerasnets.saving.card import check_present

    if shipped.is_name(name):
        return str(shipped.path_of(name, shipped.KERAS))
    if is_file(name):
        check_present(name)
    elif not (list_models(name) if pattern else name in NETWORKS):
        known = nearest_first(name, [*NETWORKS, *shipped.names()], 80)
        raise ValueError(f"unknown network {name!r:.60}; choose one of: {known}, or name a .keras or .h5 file")
    return name


def is_file(name: str) -> bool:
    """Whether a name from `network_or_file` is a model file, and not a network."""
    from kerasnets.saving import SUFFIXES

    return Path(name).suffix in SUFFIXES


def default_network(args: argparse.Namespace) -> str | None:
    """Return the network that `train` takes for a folder or zip of pictures if the options name none; else None.

    docs/own-pictures.md has the measurement. An .npz archive or a function may hold rows of numbers.
    """
    from kerasnets import data
    from kerasnets.data import own_code

    if args.recipe or args.model or args.weights or not args.dataset or args.dataset in data.DATASETS:
        return None
    if own_code.is_function(args.dataset) or Path(args.dataset).suffix.lower() == ".npz":
        return None
    data.check_name(args.dataset)
    return PRETRAINED if args.pretrained else FROM_SCRATCH


def title_of(model: str) -> str:
    """Return the name of a network, also of one's own in FILE.py:FUNCTION."""
    from kerasnets.data import own_code

    return own_code.title_of(model) if own_code.is_function(model) else model


def network_in(weights: str) -> str:
    """Return the name of the network in a model file."""
    from kerasnets.saving import load_card

    name = load_card(shipped_or_file(weights)).model
    return re.sub(r"[^\w.-]+", "_", name).lstrip(".")[:60] or "network"  # the model file is named after it


def shipped_or_file(weights: str) -> str:
    """Return the path of a model file, or that of the shipped model with a name."""
    from kerasnets.saving import shipped

    return str(shipped.path_of(weights, shipped.KERAS))


def check_file(path: str) -> None:
    """Raise BadInputError if there is no file at `path`."""
    if not Path(path).exists():
        raise BadInputError("no file {path}", path=path, remedy="check the name")


def expand(name: str, *, folders: bool = False) -> list[str]:
    """Return [name], or the files that it fits if it is a shell-style pattern which the shell has not expanded.

    Args:
        name: What the person named.
        folders: Whether a pattern fits folders too.

    Raises:
        BadInputError: Nothing fits the pattern.
    """
    if not glob.has_magic(name) or Path(name).exists():
        return [name]
    matching = paths_matching(name, folders=folders)
    if not matching:
        raise BadInputError("nothing matches {path}", path=name, remedy="check folder and pattern")
    return matching


def paths_matching(pattern: str, *, folders: bool) -> list[str]:
    """Return the files that a shell-style pattern fits, in order; "**" stands for folders, but for no links to them.

    `glob.glob` follows links, and does not end where two lead to their parents.
    """
    from kerasnets.pictures.files import HIDDEN

    is_wanted = Path.exists if folders else Path.is_file
    parts = Path(pattern).parts
    if "**" not in parts:
        return sorted(path for path in glob.glob(pattern) if is_wanted(Path(path)))
    start = Path(pattern).anchor
    rest = Path(*(part if part == "**" else part.replace("**", "*") for part in parts[bool(start) :]))
    paths = [path for path in Path(start or ".").glob(str(rest)) if is_wanted(path)]
    shows_hidden = any(part.startswith(".") and part != ".." for part in parts)
    hidden = [path for path in paths if any(part.startswith(HIDDEN) and part != ".." for part in path.parts)]
    return sorted({str(path) for path in paths} - {str(path) for path in hidden if not shows_hidden})
