"""Own pictures: a folder, or a zip, with a folder of pictures for each class (`layout` says how they may lie).

They are held in memory as one array, or streamed: `streams` has the design.
"""

import os
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasnets import pictures
from kerasnets.data import index_files, synsets
from kerasnets.data.dataset import Data
from kerasnets.data.index_files import Index
from kerasnets.data.layout import Listing, list_pictures
from kerasnets.data.picture_sources import (
    FolderSource,
    HeldSource,
    Source,
    ZipSource,
    open_source,
)
from kerasnets.data.streams import Pictures
from kerasnets.data.survey import Faults, Target, first_size, for_each, refuse_or_tell, survey
from kerasnets.errors import BadInputError, note, shorten
from kerasnets.runtime.workers import place

MOST_BYTES = 16e9  # of all pixels together that are held in memory


@dataclass(frozen=True)
class Reading:
    """How own pictures are read.

    Args:
        stream: True reads each batch from the disk, False holds all pictures in memory, None chooses by their size.
        native: Whether training changes the pictures at their own sizes. In memory, they are then held as files.
        skip_broken: The most pictures that are left out because they cannot be read.
        index: The index file of an earlier run, which spares the check of unchanged pictures; it may be missing.
        whole: Whether all pictures are the test part, and none the training part, if no test part is given.
        synsets: A file with names for the class folders, as in `synsets`; None finds one beside the data.
    """

    stream: bool | None = None
    native: bool = False
    skip_broken: int = 0
    index: Path | None = None
    whole: bool = False
    synsets: Path | None = None


BY_SIZE = Reading()


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
            pictures, there is only one class to train on, or the folders do not show which are the classes.
    """
    path = Path(path)
    source = open_source(path)
    listing = list_pictures(source, reading.whole)
    height, width, channels = (*(shape or first_size(source, listing.names)), 3)[:3]
    target = Target(height, width, channels, len(shape or ()) == 3, shape is not None, input_kind)
    read: Any = stream if is_streamed(source, len(listing.names), target, reading) else hold
    train_images, test_images, faults, index = read(source, listing, target, reading)
    train, test = (without(part, faults) for part in (listing.train, listing.test))
    return Data(
        train_images,
        listing.labels[train],
        test_images,
        listing.labels[test],
        title=title or path.resolve().name.removesuffix(".zip"),
        class_names=synsets.class_names_of(listing.class_names, path, reading.synsets),
        input_kind=input_kind,
        test_files=tuple(listing.names[i] for i in test),
        left_out=tuple(listing.names[i] for i in sorted(faults)),
        is_split=listing.is_split,
        validation=np.flatnonzero(np.isin(train, listing.validation)),
        content=index.digest(train),
        train_files=tuple(listing.names[i] for i in train),
        test_sizes=np.stack([index.heights, index.widths], axis=1)[test],
    )


def is_streamed(source: Source, count: int, target: Target, reading: Reading) -> bool:
    """Whether the pictures are streamed; print a note if their size decides so. Each worker would hold all of them."""
    if reading.native or reading.stream is not None:
        return reading.native or bool(reading.stream)
    size, workers = count * target.height * target.width * target.channels, place().local_count
    if size <= min(MOST_BYTES, memory() / 2 / workers):
        return False
    each = f" in each of {workers} workers" if workers > 1 else ""
    words = f"{count:,} pictures of {shorten(source.path)} would take {size / 1e9:.1f} GB of memory{each}"
    note(f"{words}: each batch is read when it is due")
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
) -> tuple[Pictures, Pictures, Faults, Index]:
    """Return (training part, test part, faults, index), of which nothing is in memory but the index."""
    marks = source.marks(listing.names)
    files = source if reading.stream is not False else hold_files(source, int(marks[:, 0].sum()))
    index = Index.of(listing.names, marks, target.shape, target.kind)
    earlier = index_files.load(reading.index) if reading.index else None
    if earlier:
        index.take_over(earlier)
    faults = survey(files, index, target)
    refuse_or_tell(source, listing.names, faults, reading.skip_broken)
    check_sizes(source, index.sizes_of(without(np.arange(len(listing.names)), faults)), target)
    channels = target.channels if target.has_channels or index.coloured.any() else 1
    every = Pictures(files, index, (target.height, target.width, channels))
    train, test = (every.select(without(part, faults)) for part in (listing.train, listing.test))
    return train, test, faults, index


def hold_files(source: FolderSource | ZipSource, size: int) -> HeldSource:
    """Return a source that holds files of `size` bytes together in memory."""
    if size > MOST_BYTES:
        problem = f"holds {size / 1e9:.1f} GB of files, more than {MOST_BYTES / 1e9:.0f} GB in memory"
        raise BadInputError(problem, path=source.path, remedy="use --stream")
    return HeldSource(source)


# ---- held in memory ----


def hold(
    source: Source, listing: Listing, target: Target, reading: Reading
) -> tuple[np.ndarray, np.ndarray, Faults, Index]:
    """Return (training part, test part, faults, index); the parts are two views of one array.

    uint8 (n, height, width, channels), without a second copy: they may fill the memory. The index has no marks.
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
    index = Index.of(names, np.zeros((len(names), 2), "int64"), target.shape, target.kind)
    sizes: set[tuple[int, ...]] = set()
    lock = threading.Lock()

    def read_into(i: int, picture: np.ndarray, content: bytes) -> None:
        nonlocal images
        index.checksums[i] = zlib.crc32(content)
        index.heights[i], index.widths[i] = picture.shape[:2]
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
    refuse_or_tell(source, names, faults, reading.skip_broken)
    check_sizes(source, sizes, target)
    if faults:
        for to, place in enumerate(places[without(order, faults)]):
            images[to] = images[place]
    first, last = (len(without(part, faults)) for part in (listing.train, order))
    return images[:first], images[first:last], faults, index


def check_sizes(source: Source, sizes: set[tuple[int, ...]], target: Target) -> None:
    """Raise BadInputError if pictures differ in size, and no size is given."""
    if len(sizes) > 1 and not target.any_size:
        examples = " and ".join(f"{height}x{width}" for height, width in sorted(sizes)[:2])
        raise BadInputError(
            f"{shorten(source.path)}: the pictures have {len(sizes)} sizes, as {examples}",
            remedy="choose one size by --image-size",
        )
