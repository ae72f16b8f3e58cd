"""Pictures that are in two parts of a data set: equal ones, and re-encoded, resized, brighter or darker copies.

Each picture is shrunk to a small grey thumbnail, without its mean and contrast. The thumbnails of two copies correlate;
for each picture of one part, the nearest of the other is found among those that can be near, and is then compared at a
larger size.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

COARSE, FINE = 8, 32  # pixels of a side
LEAST = 0.99  # correlation of copies, of both sizes. No two pictures of MNIST's parts have it, three of CIFAR-10's do
CONTRAST = 4.0  # grey levels, the standard deviation of a picture that shows anything
BLOCK, TILE = 512, 1024  # pictures of the two parts that are compared at once
READ = 1024  # pictures that are shrunk at once


class Copy(NamedTuple):
    """A pair of near-duplicates: the indices in both parts, and their correlation."""

    test: int
    train: int
    correlation: float


def copies(test: Any, train: Any) -> list[Copy]:
    """Return the test pictures that have a copy in the training part, each with its nearest, the most alike first.

    Time grows with the product of both numbers, about a second for 10,000 and 60,000; memory does not.

    Args:
        test: uint8 (n, height, width, 1 or 3): an array, or an object that an array of indices indexes like one.
        train: The same with any n.
    """
    coarse_test, coarse_train = thumbnails(test, COARSE), thumbnails(train, COARSE)
    nearest, correlations = match(coarse_test, coarse_train)
    chosen = np.flatnonzero(correlations >= LEAST)
    if not len(chosen):
        return []
    side = side_of(min(test.shape[1:3]))
    pairs = zip(thumbnails(test, side, chosen), thumbnails(train, side, nearest[chosen]), strict=True)
    fine = np.array([float(first @ second) for first, second in pairs])
    order = np.argsort(-fine, kind="stable")
    return [Copy(int(chosen[i]), int(nearest[chosen[i]]), float(fine[i])) for i in order if fine[i] >= LEAST]


def side_of(side: int) -> int:
    """Return the side at which candidates are compared; pixels of larger pictures are averaged: JPEG adds noise."""
    return side if side <= FINE else max(FINE // 2, min(side // 3, FINE))


def match(test: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (place of the nearest row of `train`, its correlation) for each row of `test`, unit vectors.

    The correlation is 0 if no row has LEAST. Two such rows differ by little in any direction: rows are compared only if
    they are near each other along the direction of the largest variance.
    """
    nearest, correlations = np.zeros(len(test), int), np.zeros(len(test))
    if not len(test) or not len(train):
        return nearest, correlations
    axis = np.linalg.eigh(train.T @ train)[1][:, -1]
    reach = np.sqrt(2 * (1 - LEAST)) + 1e-4
    along, places = test @ axis, train @ axis
    order = np.argsort(places)
    places = places[order]
    for rows in np.array_split(np.argsort(along), -(-len(test) // BLOCK)):
        start, end = np.searchsorted(places, [along[rows[0]] - reach, along[rows[-1]] + reach])
        for left in range(start, end, TILE):
            products = test[rows] @ train[order[left : min(left + TILE, end)]].T
            best = products.argmax(axis=1)
            largest = products[np.arange(len(rows)), best]
            better = largest > correlations[rows]
            correlations[rows[better]] = largest[better]
            nearest[rows[better]] = order[left + best[better]]
    correlations[correlations < LEAST] = 0
    return nearest, correlations


def thumbnails(images: Any, side: int, chosen: np.ndarray | None = None) -> np.ndarray:
    """Return float32 (k, side * side): the pictures in grey, shrunk, without mean and of length 1; 0 if uniform."""
    chosen = np.arange(len(images)) if chosen is None else chosen
    height, width = images.shape[1:3]
    down, across = averages(height, side), averages(width, side)
    result = np.empty((len(chosen), side * side), "float32")
    for start, part in blocks(images, chosen):
        shrunk = (down @ part.mean(axis=3, dtype="float32") @ across.T).reshape(len(part), -1)
        shrunk -= shrunk.mean(axis=1, keepdims=True)
        lengths = np.linalg.norm(shrunk, axis=1, keepdims=True)
        result[start : start + len(part)] = np.where(lengths > CONTRAST * side, shrunk / np.maximum(lengths, 1e-6), 0)
    return result


def blocks(images: Any, chosen: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (place of the first, pictures) of the `chosen` ones, READ at a time."""
    for start in range(0, len(chosen), READ):
        yield start, images[chosen[start : start + READ]]


def averages(side: int, count: int) -> np.ndarray:
    """Return float32 (count, side): the weights that average `side` pixels to `count` of equal size."""
    edges, pixels = np.linspace(0, side, count + 1), np.arange(side)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.clip(overlap, 0, None) * (count / side)).astype("float32")


def brightness(images: Any) -> np.ndarray:
    """Return float64 (n,): the mean of the pixels of each picture, 0..255."""
    means = [part.reshape(len(part), -1).mean(axis=1) for _, part in blocks(images, np.arange(len(images)))]
    return np.concatenate(means) if means else np.zeros(0)
