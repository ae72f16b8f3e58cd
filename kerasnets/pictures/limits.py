"""The largest pictures that are read, and the remedies of a refusal."""

from kerasnets.errors import BadInputError

MAX_BYTES = 64_000_000  # of a file
MAX_PIXELS = 50_000_000  # of a picture, checked before it is decoded
MAX_SIDE = 2**20  # OpenCV's limit
SECONDS = 1.3  # of computing for decoding, where the structure of a file does not bound it; 2 with the process' start
MEMORY = 900_000_000  # bytes, likewise
MOST_NOTES = 2**16  # bytes of notes, as a camera's: one entry of them may refer to all others

AGAIN = "save or copy it again"  # the remedy for a damaged file
SIMPLER = "save it again as PNG or JPEG"  # the remedy for a file that no camera or ordinary program writes


def check_size(width: float, height: float) -> None:
    """Raise BadInputError, without a path, if a picture has too many pixels."""
    if width * height > MAX_PIXELS:
        raise BadInputError(f"is too large; a picture may have {MAX_PIXELS / 1e6:.0f} million pixels")
    if max(width, height) > MAX_SIDE:
        raise BadInputError(f"is too large; a side may have {MAX_SIDE:,} pixels")


def refuse_beyond(count: int, most: int, things: str) -> None:
    """Raise BadInputError, without a path, if a file has more than `most` of some parts."""
    if count > most:
        raise BadInputError(f"has more than {most:,} {things}", remedy=SIMPLER)
