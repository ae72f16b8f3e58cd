"""Arrays of a data set as Keras, PyTorch and scikit-learn give them, in the one form that kerasnets trains on."""

import math
from typing import Any

import numpy as np

CHANNELS = (1, 3)


def as_images(images: np.ndarray) -> np.ndarray:
    """Return pictures as uint8 (n, height, width, channels) if they are such in another form; else `images`.

    Other forms are (n, height, width), channels first, rows of the pixels of square grey pictures, and whole numbers
    0..255, or 0..255 divided by 255, of other types. Rows of floats are a table and stay so.
    """
    if images.ndim == 2 and images.dtype.kind in "iu" and images.shape[1] == math.isqrt(images.shape[1]) ** 2 > 1:
        side = math.isqrt(images.shape[1])
        images = images.reshape(-1, side, side, 1)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4:
        return images
    if images.shape[1] in CHANNELS and images.shape[3] not in CHANNELS:
        images = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    return as_bytes(images)


def as_bytes(pixels: np.ndarray) -> np.ndarray:
    """Return pixels as uint8 if nothing is lost by it; else `pixels`."""
    if pixels.dtype == np.uint8 or not pixels.size or pixels.dtype.kind not in "iuf" or not pixels.shape[0]:
        return pixels
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 255):  # also NaN
        return pixels
    levels = pixels * 255 if pixels.dtype.kind == "f" and high <= 1 else pixels
    rounded = np.rint(levels)
    is_exact = bool(np.abs(levels - rounded).max() <= 0.01)
    return rounded.astype(np.uint8) if is_exact else pixels


def as_labels(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return labels (n,) as whole numbers, and the class names if the labels are text; else ().

    Other forms are columns (n, 1), one-hot rows, whole numbers of other types, and class names.
    """
    train, test = one_each(train), one_each(test)
    if train.dtype.kind != "U" or test.dtype.kind != "U":
        return train, test, ()
    names = np.unique(np.concatenate([train, test]))
    return np.searchsorted(names, train), np.searchsorted(names, test), tuple(map(str, names))


def one_each(labels: Any) -> np.ndarray:
    """Return one label for each picture, whole if it is so; other labels as they are, for `check` to refuse."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "iufb" and labels.size:
        is_one_hot = bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all())
        return labels.argmax(axis=1) if is_one_hot else labels
    if labels.dtype.kind == "f" and labels.size and (labels == np.floor(labels)).all() and abs(labels).max() < 2**31:
        return labels.astype("int64")
    return labels
