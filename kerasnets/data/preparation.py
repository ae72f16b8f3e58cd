"""Images prepared for a network's input shape. No framework is loaded."""

import functools
from collections.abc import Callable

import numpy as np

from kerasnets import pictures
from kerasnets.data.streams import Pictures

AT_ONCE = 1e9  # bytes: more prepared images than this are prepared anew in each epoch

Prepare = Callable[[np.ndarray], np.ndarray]


def fit_to_network(
    images: np.ndarray, own_kind: str, kind: str, shape: tuple[int, ...]
) -> tuple[np.ndarray, Prepare | None]:
    """Prepare images for a network, like pictures.prepare prepares one picture.

    Args:
        images: uint8 (n, height, width, channels), or float32 (n, columns).
        own_kind: Their input kind. Images of the network's kind and shape stay unchanged.
        kind: The network's input kind.
        shape: The network's input shape.

    Returns:
        (prepared images, None), or (`images`, function that prepares a batch) if all together take much memory.
    """
    if images.shape[1:] == tuple(shape) and own_kind == kind:
        return images, None
    prepare = functools.partial(prepare_all, kind=kind, shape=tuple(shape))
    if isinstance(images, Pictures) or len(images) * np.prod(shape, dtype=float) > AT_ONCE:
        return images, prepare
    return prepare(images), None


def draw_for_network(
    images: np.ndarray, own_kind: str, kind: str, shape: tuple[int, ...], most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return (indices, those images prepared for a network): at most so many, drawn at random, always the same.

    Args:
        images: As in `fit_to_network`, like `own_kind`, `kind` and `shape`.
        own_kind: Their input kind.
        kind: The network's input kind.
        shape: The network's input shape.
        most: At least 1.
    """
    chosen = np.sort(np.random.default_rng(0).permutation(len(images))[:most])
    drawn, prepare = fit_to_network(images[chosen], own_kind, kind, shape)
    return chosen, prepare(drawn) if prepare else drawn


def prepare_all(images: np.ndarray, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.stack([pictures.prepare(image, kind, shape) for image in images])
