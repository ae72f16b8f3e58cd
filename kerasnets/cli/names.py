"""Names in the arguments, of networks, models and files: checked before a framework is loaded, which takes seconds."""

from pathlib import Path

from kerasnets.errors import BadInputError, nearest_first


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


def check_file(path: str) -> None:
    """Raise BadInputError if there is no file at `path`."""
    if not Path(path).exists():
        raise BadInputError("no file {path}", path=path, remedy="check the name")
