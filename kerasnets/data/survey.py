"""Each picture of a folder or zip, decoded once by threads: which can be read, and what the index of a stream needs."""

import contextlib
import io
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from kerasnets import pictures
from kerasnets.data.index_files import Index
from kerasnets.data.picture_sources import Ration, Source, TooManyPixelsError
from kerasnets.errors import BadInputError, note, shorten, visible

WHOLE = ("picture", "crop", "crop256", "crop232")  # kinds that take any picture that is not thin
THIN = 20  # times as long as wide
MOST_NAMED = 1000  # pictures that cannot be read
BLOCK = 4096  # pictures whose reading is planned at once

Faults = Mapping[int, str]  # index of a picture -> why it cannot be read


class Target(NamedTuple):
    """What each picture becomes."""

    height: int
    width: int
    channels: int  # 3 if only the pictures can tell
    has_channels: bool  # whether the number of channels is given
    any_size: bool  # whether the pictures may differ in size
    kind: str  # a name in pictures.KINDS

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels


def survey(source: Source, index: Index, target: Target) -> Faults:
    """Decode each picture that the index does not know yet, once, and note its size in the index; return the faults."""
    unknown = np.flatnonzero(index.heights == 0)
    if len(unknown) > BLOCK:
        note(f"checking {len(unknown):,} pictures of {shorten(source.path)} before they are streamed")

    is_decided = target.has_channels or bool(index.coloured.any())

    def look(i: int, picture: np.ndarray, content: bytes) -> None:
        nonlocal is_decided
        if not is_decided or may_be_refused(picture, target.kind):
            pixels = pictures.prepare(picture, target.kind, target.shape, index.names[i])
            index.coloured[i] = not is_decided and is_coloured(pixels)
            is_decided = is_decided or bool(index.coloured[i])
        index.checksums[i] = zlib.crc32(content)
        index.heights[i], index.widths[i] = picture.shape[:2]

    return for_each(source, index.names, unknown, look)


def may_be_refused(picture: np.ndarray, kind: str) -> bool:
    """Whether the preparation may refuse a picture: if it looks for something, or the picture is thin."""
    return kind not in WHOLE or max(picture.shape[:2]) > THIN * min(picture.shape[:2])


def is_coloured(pixels: np.ndarray) -> bool:
    """Whether channels differ; a few pixels of a photo tell."""
    return any(bool((part != part[..., :1]).any()) for part in (pixels[::16, ::16], pixels))


def first_size(source: Source, names: Sequence[str]) -> tuple[int, ...]:
    """Return (height, width) of the first picture that can be read; (1, 1) if none can, which `for_each` reports."""
    for name in names:
        with contextlib.suppress(BadInputError), Ration().picture(source, name) as picture:
            return picture.shape[:2]
    return 1, 1


def sizes(source: Source, names: Sequence[str]) -> list[tuple[int, int]]:
    """Return (height, width) by the headers of pictures, not turned upright; of one that cannot be read none."""
    from PIL import Image

    found = []
    with warnings.catch_warnings(action="ignore"):
        for name in names:
            with contextlib.suppress(Exception), Image.open(io.BytesIO(source.content(name))) as image:
                found.append((image.height, image.width))  # Pillow raises many classes; `for_each` words the fault
    return found


def for_each(
    source: Source, names: Sequence[str], chosen: np.ndarray, do: Callable[[int, np.ndarray, bytes], None]
) -> dict[int, str]:
    """Decode the pictures at `chosen` and call do(i, picture, file content) for each; return {i: fault} of bad ones."""
    ration = Ration()
    faults: dict[int, str] = {}

    def read_one(i: int) -> str:
        try:
            content = source.content(names[i])
            with ration.decoded(content, source.label(names[i])) as picture:
                do(i, picture, content)
        except BadInputError as error:
            return str(error)
        return ""

    # OpenCV and Pillow decode without Python's lock. Each decoding silences warnings and then restores the filters that
    # it found, which in threads may be the silence of another: the outer block restores the right ones.
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor() as threads:
        try:
            for block in np.split(chosen, np.arange(BLOCK, len(chosen), BLOCK)):  # a plan of a million takes a GB
                indices = block.tolist()
                faults.update(zip(indices, threads.map(read_one, indices), strict=True))
        except TooManyPixelsError as error:
            threads.shutdown(cancel_futures=True)
            problem = "holds pictures of far more pixels than files of their size have"
            raise BadInputError(
                problem, path=source.path, remedy="shrink the pictures, or save them as JPEG"
            ) from error
    return {i: fault for i, fault in faults.items() if fault}


def refuse_or_tell(source: Source, names: Sequence[str], faults: Faults, most: int) -> None:
    """Raise one BadInputError if more than `most` pictures cannot be read; print a note on fewer.

    Several are named one by one on stderr first.
    """
    if not faults:
        return
    count, first = len(names), next(iter(faults.values()))
    if len(faults) == 1 and not most:
        raise BadInputError(f"1 of {count} pictures cannot be read: {first}")
    if len(faults) > most:
        for fault in list(faults.values())[:MOST_NAMED]:
            note(str(fault))
        problem = f"{len(faults)} of {count} pictures cannot be read: {in_short([names[i] for i in sorted(faults)])}"
        remedy = f"replace them, or leave them out of a training by --skip-broken {len(faults)}"
        raise BadInputError(problem, remedy=remedy)
    which = f"{in_short([names[i] for i in sorted(faults)])}; the first: " if len(faults) > 1 else ""
    note(f"left out of {source.path.name}: {len(faults)} of {count} pictures that cannot be read: {which}{first}")


def in_short(names: Sequence[str], length: int = 70) -> str:
    """Return the names, each with its folder, in about `length` characters; "..." stands for others."""
    text = shorten(names[0], length)
    for name in map(visible, names[1:]):
        if len(text) + len(name) > length:
            return f"{text}, ..."
        text += f", {name}"
    return text
