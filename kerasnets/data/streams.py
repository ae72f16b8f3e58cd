"""Streamed pictures: batches decoded from a folder or zip when they are due, byte for byte those of an array in memory.

The way of a picture, with the module of each step:

    file -> bytes               picture_sources   a file, or an entry of a zip by its offset; at most MAX_BYTES
    bytes -> picture            pictures.decode   the one safe reading of the package, at most MAX_PIXELS
    picture -> shape            pictures.prepare  resized or cropped as the input kind says
    shape -> batch              training.batches  in an order by (seed, epoch); small changes by whole batches
    batch -> network's shape    fitting           if the data have another shape or kind

In memory, the first three steps are done once for all pictures (`folders.hold`). Streamed, they are done for each
batch by `Pictures`, which has the `shape`, `dtype` and indexing of that array: `images[chosen]` is the same bytes, so
everything behind it is the same code. Only three things differ: a part is taken by `select`, which decodes nothing;
the next batches are decoded ahead by threads of our own (`LookAhead`), because Keras' PyDataset with several workers
gives wrong batches; and what an array tells by itself is read from an index (`index_files`), for which each picture
is decoded once before training: sizes, colours, and whether it can be read at all. A broken picture is thus refused,
or left out, before the first epoch, like in memory. A file that changes later ends the training.

Photos that are cropped at their own size (`training.photos`) skip the preparation: `photo(i)` has the picture's
size from the index, and decodes no more than the crop needs. Such pictures are always streamed; "in memory" then
holds the bytes of their files.

Memory: the index (200 bytes a picture), AHEAD + 1 batches, and pictures at hand of at most MAX_PIXELS together.
"""

import contextlib
import copy
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from kerasnets import pictures
from kerasnets.data.index_files import Index
from kerasnets.data.picture_sources import Ration, Source
from kerasnets.errors import BadInputError
from kerasnets.runtime.cores import cores

AHEAD = 2  # batches that are decoded before they are asked for
CHUNK = 4  # pictures that a thread decodes in a row


class Pictures:
    """Pictures in files, which look like an array uint8 (n, height, width, channels) and are decoded by indexing.

    Args:
        source: Where they are read from.
        index: Of all pictures of the source.
        image_shape: (height, width, channels) of each.
    """

    dtype = np.dtype("uint8")
    ndim = 4

    def __init__(self, source: Source, index: Index, image_shape: tuple[int, int, int]) -> None:
        self.source, self.index, self.image_shape = source, index, image_shape
        self.places = np.arange(len(index.names))  # in the index
        self.ration = Ration()
        self.threads = ThreadPoolExecutor(cores(), "decode")

    def __len__(self) -> int:
        return len(self.places)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return len(self), *self.image_shape

    @property
    def size(self) -> int:
        return len(self) * int(np.prod(self.image_shape))

    nbytes = size

    @property
    def digest(self) -> str:
        """SHA-256 of everything that determines the pixels."""
        return self.index.digest(self.places)

    def select(self, chosen: np.ndarray) -> "Pictures":
        """Return the part at `chosen`, int (k,); nothing is decoded."""
        part = copy.copy(self)
        part.places = self.places[chosen]
        return part

    def __getitem__(self, chosen: Any) -> np.ndarray:
        """Decode pictures: one at an int, or several at a slice or an array of indices."""
        if isinstance(chosen, (int, np.integer)):
            return self.prepared(int(chosen))
        return self.map(self.prepared, np.arange(len(self))[chosen], self.image_shape)

    def map(self, of: Callable[[int], np.ndarray], chosen: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return of(i), uint8 `shape`, for each i in `chosen` as one array, computed by all threads."""
        images = np.empty((len(chosen), *shape), np.uint8)

        def fill(start: int) -> None:
            for place in range(start, min(start + CHUNK, len(chosen))):
                images[place] = of(int(chosen[place]))

        for _ in self.threads.map(fill, range(0, len(chosen), CHUNK)):
            pass  # raises what a thread has raised
        return images

    def prepared(self, i: int) -> np.ndarray:
        """Return the picture at `i` as the network takes it: uint8 `image_shape`."""
        height, width, channels = self.image_shape
        with self.content(i) as (content, path):
            picture = self.ration.call(self.pixels_of(i), pictures.decode, content, path)
            self.check(picture.shape[:2], i)
            pixels = pictures.prepare(picture, self.index.kind, (height, width, self.index.shape[2]), path)
        return pixels[..., :channels]

    def photo(self, i: int) -> "Photo":
        """Return the picture at `i` at its own size; nothing is decoded yet."""
        return Photo(self, i)

    @contextlib.contextmanager
    def content(self, i: int) -> Iterator[tuple[bytes, str | Path]]:
        """Yield (bytes of the file at `i`, its path), when there is memory for its pixels."""
        place = self.places[i]
        name = self.index.names[place]
        content, path = self.source.content(name), self.source.label(name)
        if len(content) != self.index.marks[place, 0]:
            raise changed(path)
        with self.ration.hold(self.pixels_of(i)):
            yield content, path

    def pixels_of(self, i: int) -> int:
        height, width = self.size_of(i)
        return min(height * width, pictures.MAX_PIXELS)

    def size_of(self, i: int) -> tuple[int, int]:
        """Return (height, width) of the picture at `i` in its file."""
        return int(self.index.heights[self.places[i]]), int(self.index.widths[self.places[i]])

    def check(self, size: tuple[int, ...], i: int) -> None:
        """Raise BadInputError if a decoded picture has another size than it had when the index was made."""
        if size != self.size_of(i):
            raise changed(self.source.label(self.index.names[self.places[i]]))


def changed(path: str | Path) -> BadInputError:
    return BadInputError("has changed since the training began", path=path, remedy="start again without --resume")


class Photo:
    """A picture of some `Pictures` at its own size (height, width)."""

    def __init__(self, of: Pictures, i: int) -> None:
        self.of, self.i, self.size = of, i, of.size_of(i)

    def cut(self, box: pictures.Box, shape: tuple[int, int, int]) -> np.ndarray:
        """Return the pixels in `box` (top, left, height, width), resized to `shape`."""
        with self.of.content(self.i) as (content, path):
            arguments = content, path, self.size, box, shape
            pixels = self.of.ration.call(self.of.pixels_of(self.i), pictures.cut_from_file, *arguments)
        if pixels is None:
            raise changed(path)
        return pixels


class ArrayPhoto:
    """A picture in memory, uint8 (height, width, channels), with the same method."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels, self.size = pixels, pixels.shape[:2]

    def cut(self, box: pictures.Box, shape: tuple[int, int, int]) -> np.ndarray:
        return pictures.cut(self.pixels, box, shape)


Change = Callable[[Any, int], np.ndarray]  # (Photo or ArrayPhoto, its index) -> pixels


def map_photos(images: Any, chosen: np.ndarray, change: Change, shape: tuple[int, ...]) -> np.ndarray:
    """Return change(photo, i), uint8 `shape`, of the photos at `chosen` in an array or in Pictures, as one array."""
    if isinstance(images, Pictures):
        return images.map(lambda i: change(images.photo(i), i), chosen, shape)
    return np.stack([change(ArrayPhoto(images[i]), i) for i in chosen.tolist()])


class Part:
    """The part of an array, or of Pictures, at `chosen`, which is copied or read only when it is indexed."""

    def __init__(self, images: Any, chosen: np.ndarray) -> None:
        self.images, self.chosen = images, chosen
        self.shape = (len(chosen), *images.shape[1:])
        self.nbytes = math.prod(self.shape) * images.dtype.itemsize

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, places: Any) -> np.ndarray:
        return self.images[self.chosen[places]]


def select(images: Any, chosen: np.ndarray) -> Any:
    """Return the part of an array, or of Pictures, at `chosen`, without a copy."""
    return images.select(chosen) if isinstance(images, Pictures) else Part(images, chosen)


class LookAhead:
    """The batches of a sequence, made by threads before they are asked for in order.

    Keras' `fit` asks for the first batch twice, so a batch is kept until a later one is asked for.

    Args:
        make: Function from index to batch.
        count: Batches in the sequence.
    """

    def __init__(self, make: Callable[[int], Any], count: int) -> None:
        self.make, self.count = make, count
        self.threads = ThreadPoolExecutor(AHEAD, "ahead")
        self.batches: dict[int, Future[Any]] = {}
        self.fault: Exception | None = None  # that ended the making of a batch

    def __getitem__(self, index: int) -> Any:
        wanted = range(index, min(index + AHEAD + 1, self.count))
        for other in [other for other in self.batches if other not in wanted]:
            self.batches.pop(other).cancel()
        for other in wanted:
            if other not in self.batches:
                self.batches[other] = self.threads.submit(self.make, other)
        try:
            return self.batches[index].result()
        except Exception as error:
            self.fault = error
            raise

    def close(self) -> None:
        """Make no more batches."""
        self.threads.shutdown(cancel_futures=True)
        self.batches.clear()


@contextlib.contextmanager
def original_faults(*sequences: Any) -> Iterator[None]:
    """Raise the fault of a batch that was made ahead itself, of which TensorFlow passes on the words alone."""
    try:
        yield
    except Exception as error:
        faults = (sequence.ahead.fault for sequence in sequences if sequence.ahead)
        fault = next(filter(None, faults), None)
        if fault is None or fault is error:
            raise
        raise fault from error
