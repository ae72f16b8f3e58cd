"""The largest pictures that are read."""

from kerasnets.errors import BadInputError

MAX_BYTES = 64_000_000  # of a file
MAX_PIXELS = 50_000_000  # of a picture, checked before it is decoded


def check_size(width: float, height: float) -> None:
    """Raise BadInputError, without a path, if a picture has too many pixels."""
    if width * height > MAX_PIXELS:
        raise BadInputError(f"is too large; a picture may have {MAX_PIXELS / 1e6:.0f} million pixels")
