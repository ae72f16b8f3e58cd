"""Whether a model was trained on own data, by their content: a folder may be renamed, and another may have its name."""

import contextlib
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from kerasnets.data.index_files import Index
from kerasnets.data.layout import Listing, list_pictures, split_off_test
from kerasnets.data.picture_sources import FolderSource, ZipSource, open_source
from kerasnets.runtime.digests import sha256

DIGITS = 16  # of a digest in a card, as `dataset.digest` gives it


class Card(Protocol):
    """The facts in a model's card (saving.Card) that tell what it was trained on."""

    @property
    def dataset(self) -> str: ...
    @property
    def input_shape(self) -> tuple[int, ...]: ...
    @property
    def input_kind(self) -> str: ...
    @property
    def data_digest(self) -> str: ...


def count_of_training(path: str | Path, card: Card) -> int:
    """Return how many pictures of a folder or zip without a test part are the training part of the model with `card`.

    They are all but a fifth of each class; 0 if it was trained on other pictures, or on some of these. The names within
    the folder and the content of each file decide. The files are read, and not decoded.
    """
    source = open_source(Path(path))
    with contextlib.redirect_stderr(io.StringIO()):  # the same notes come when the pictures are loaded
        listing = list_pictures(source, whole=True)
    if len(listing.train) or np.bincount(listing.labels).min() < 2:  # a test part is given, or none can be split off
        return 0
    train, _ = split_off_test(listing.labels, listing.class_names, source.path)
    return len(train) if card.data_digest in digests(source, listing, train, card) else 0


def digests(source: FolderSource | ZipSource, listing: Listing, train: np.ndarray, card: Card) -> Iterator[str]:
    """Yield the digests that a training on the pictures at `train` may have left in a card.

    A zip often holds the folder itself, so that each name in it starts with that. The channels are those before a
    training found that all pictures are grey, or those of a model that it started from.
    """
    marks, checksums = np.zeros((len(listing.names), 2), "int64"), np.zeros(len(listing.names), "uint32")
    chosen = [listing.names[i] for i in train.tolist()]
    is_zip = isinstance(source, ZipSource)
    checksums[train] = source.marks(chosen)[:, 1] if is_zip else [zlib.crc32(source.content(name)) for name in chosen]
    start = listing.names[0].partition("/")[0] + "/"
    is_common = all(name.startswith(start) for name in listing.names)
    inner = [name.removeprefix(start) for name in listing.names] if is_common else listing.names
    for names in (listing.names, inner, [f"{card.dataset}/{name}" for name in inner]):
        for channels in (3, 1):
            index = Index.of(names, marks, (*card.input_shape[:2], channels), card.input_kind)
            index.checksums[:] = checksums
            yield sha256(index.digest(train), listing.labels[train])[:DIGITS]
