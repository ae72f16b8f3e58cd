"""Own pictures: a folder, or a zip, with a folder of pictures for each class (`layout` says how they may lie).

They are held in memory as one array, or streamed: `streams` has the design.
"""

import contextlib
import os
import sys
import threading
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kerasnets import pictures
from kerasnets.data import index_files
from kerasnets.data.dataset import Data
from kerasnets.data.index_files import Index
from kerasnets.data.layout import Listing, list_pictures
from kerasnets.data.picture_sources import (
    FolderSource,
    HeldSource,
    Ration,
    Source,
    TooManyPixelsError,
    ZipSource,
    open_source,
)
from kerasnets.data.streams import Pictures
from kerasnets.errors import BadInputError, shorten, visible

MOST_BYTES = 16e9  # of all pixels together that are held in memory
WHOLE = ("picture", "crop", "crop256", "crop232")  # kinds that take any picture that is not thin
THIN = 20  # times as long as wide
BLOCK = 4096  # pictures whose reading is planned at once

Faults = Mapping[int, str]  # index of a picture -> why it cannot be read


@dataclass(frozen=True)
class Reading:
    """How own pictures are read.

    Args:
        stream: True reads each batch from the disk, False holds all pictures in memory, None chooses by their size.
        native: Whether training changes the pictures at their own sizes. In memory, they are then held as files.
        skip_broken: The most pictures that are left out because they cannot be read.
        index: The index file of an earlier run, which spares the check of unchanged pictures; it may be missing.
    """

    stream: bool | None = None
    native: bool = False
    skip_broken: int = 0
    index: Path | None = None


BY_SIZE = Reading()


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


def read_classes(
    path: str | Path, shape: tuple[int, ...] | None = None, title: str | None = None, input_kind: str = "picture",
    reading: Reading = BY_SIZE,
) -> Data:  # fmt: skip
    """Read the pictures of a folder or zip.

    Args:
        path: The folder or zip. Classes are numbered in the alphabetical order of their folders.
        shape: (height, width) or (height, width, channels) to which the pictures are resized; None if all have the
            same size. Without channels they become RGB, or grey if all are grey.
        title: Title of the Data; None is the name of the folder or zip.
        input_kind: How a picture is resized: a name in pictures.KINDS.
        reading: How they are read.

    Raises:
        BadInputError: Pictures cannot be read (the message has their count and the first name), a class has no
            pictures, there is only one class, or the folders do not show which are the classes.
    """
    path = Path(path)
    source = open_source(path)
    listing = list_pictures(source)
    height, width, channels = (*(shape or first_size(source, listing.names)), 3)[:3]
    target = Target(height, width, channels, len(shape or ()) == 3, shape is not None, input_kind)
    read: Any = stream if is_streamed(source, len(listing.names), target, reading) else hold
    train_images, test_images, faults = read(source, listing, target, reading)
    train, test = (without(part, faults) for part in (listing.train, listing.test))
    return Data(
        train_images,
        listing.labels[train],
        test_images,
        listing.labels[test],
        title=title or path.resolve().name.removesuffix(".zip"),
        class_names=listing.class_names,
        input_kind=input_kind,
        test_files=tuple(listing.names[i] for i in test),
        left_out=tuple(listing.names[i] for i in sorted(faults)),
    )


def is_streamed(source: Source, count: int, target: Target, reading: Reading) -> bool:
    """Whether the pictures are streamed; print a note if their size decides so."""
    size = count * target.height * target.width * target.channels
    if reading.native or reading.stream is not None or size <= min(MOST_BYTES, memory() / 2):
        return reading.native or bool(reading.stream)
    words = f"{count:,} pictures of {shorten(source.path)} would take {size / 1e9:.1f} GB of memory"
    print(f"note: {words}: each batch is read when it is due", file=sys.stderr)
    return True


def memory() -> float:
    """Return the bytes of this machine's memory; infinity if the system does not say."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # Windows
        return float("inf")


def without(part: np.ndarray, faults: Faults) -> np.ndarray:
    """Return the indices in `part` of pictures that can be read."""
    return part[~np.isin(part, list(faults))] if faults else part


# ---- streamed ----


def stream(
    source: FolderSource | ZipSource, listing: Listing, target: Target, reading: Reading
) -> tuple[Pictures, Pictures, Faults]:
    """Return (training part, test part, faults), of which nothing is in memory but the index."""
    files = HeldSource(source) if reading.stream is False else source
    index = Index.of(listing.names, source.marks(listing.names), target.shape, target.kind)
    earlier = index_files.load(reading.index) if reading.index else None
    if earlier:
        index.take_over(earlier)
    faults = survey(files, index, target)
    refuse_or_tell(source, faults, len(listing.names), reading.skip_broken)
    check_sizes(source, index.sizes_of(without(np.arange(len(listing.names)), faults)), target)
    channels = target.channels if target.has_channels or index.coloured.any() else 1
    every = Pictures(files, index, (target.height, target.width, channels))
    train, test = (every.select(without(part, faults)) for part in (listing.train, listing.test))
    return train, test, faults


def survey(source: Source, index: Index, target: Target) -> Faults:
    """Decode each picture that the index does not know yet, once, and note its size in the index; return the faults."""
    unknown = np.flatnonzero(index.heights == 0)
    if len(unknown) > BLOCK:
        note = f"note: checking {len(unknown):,} pictures of {shorten(source.path)} before they are streamed"
        print(note, file=sys.stderr)

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


# ---- held in memory ----


def hold(source: Source, listing: Listing, target: Target, reading: Reading) -> tuple[np.ndarray, np.ndarray, Faults]:
    """Return (training part, test part, faults) as two views of one array.

    uint8 (n, height, width, channels), without a second copy: they may fill the memory.
    """
    names, (height, width, channels) = listing.names, target.shape
    if len(names) * height * width * channels > MOST_BYTES:
        raise BadInputError(
            f"{shorten(source.path)}: {len(names)} pictures of {height}x{width} are more than {MOST_BYTES / 1e9:.0f} "
            "GB of pixels, and all are held in memory",
            remedy="take a smaller --image-size, or --stream",
        )
    order = np.concatenate([listing.train, listing.test])
    places = np.argsort(order)
    images = np.empty((len(names), height, width, channels if target.has_channels else 1), np.uint8)
    sizes: set[tuple[int, ...]] = set()
    lock = threading.Lock()

    def read_into(i: int, picture: np.ndarray, content: bytes) -> None:
        nonlocal images
        if not target.any_size:
            sizes.add(picture.shape[:2])
        if len(sizes) > 1:
            return  # an error, which is raised below
        pixels = pictures.prepare(picture, target.kind, target.shape, names[i])
        with lock:
            if images.shape[3] < channels and (pixels != pixels[..., :1]).any():  # all before it were grey
                images = np.repeat(images, channels, axis=3)
            images[places[i]] = pixels[..., : images.shape[3]]

    faults = for_each(source, names, np.arange(len(names)), read_into)
    refuse_or_tell(source, faults, len(names), reading.skip_broken)
    check_sizes(source, sizes, target)
    if faults:
        for to, place in enumerate(places[without(order, faults)]):
            images[to] = images[place]
    first, last = (len(without(part, faults)) for part in (listing.train, order))
    return images[:first], images[first:last], faults


# ---- both ----


def first_size(source: Source, names: Sequence[str]) -> tuple[int, ...]:
    """Return (height, width) of the first picture that can be read; (1, 1) if none can, which `for_each` reports."""
    for name in names:
        with contextlib.suppress(BadInputError):
            return Ration().picture(source, name).shape[:2]
    return 1, 1


def for_each(
    source: Source, names: Sequence[str], chosen: np.ndarray, do: Callable[[int, np.ndarray, bytes], None]
) -> dict[int, str]:
    """Call do(i, picture, content of its file) for each i in `chosen`; return the faults of those that fail."""
    ration = Ration()
    faults: dict[int, str] = {}

    def read_one(i: int) -> str:
        try:
            content = source.content(names[i])
            do(i, ration.decode(content, source.label(names[i])), content)
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


def refuse_or_tell(source: Source, faults: Faults, count: int, most: int) -> None:
    """Raise one BadInputError if more than `most` pictures cannot be read; print a note on fewer."""
    if not faults:
        return
    first = next(iter(faults.values()))
    if len(faults) > most:
        raise BadInputError(f"{len(faults)} of {count} pictures cannot be read: {first}")
    note = f"note: left out of {source.path.name}: {len(faults)} of {count} pictures that cannot be read: {first}"
    print(visible(note), file=sys.stderr)


def check_sizes(source: Source, sizes: set[tuple[int, ...]], target: Target) -> None:
    """Raise BadInputError if pictures differ in size, and no size is given."""
    if len(sizes) > 1 and not target.any_size:
        examples = " and ".join(f"{height}x{width}" for height, width in sorted(sizes)[:2])
        raise BadInputError(
            f"{shorten(source.path)}: the pictures have {len(sizes)} sizes, as {examples}",
            remedy="choose one size by --image-size",
        )
