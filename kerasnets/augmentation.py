"""AUGMENTATIONS: pictures changed a little in each epoch, whole batches at once, the same on every backend."""

import functools

import numpy as np


def crop(images, shifts, mirrored, margin):
    """Crops of the same size out of the pictures, padded by `margin` pixels of black; some of them mirrored.

    images: uint8 (n, height, width, channels). shifts: int (n, 2), 0..2 * margin, down and right; `margin` leaves a
    picture in its place. mirrored: bool (n,).
    """
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    changed = np.empty_like(images)
    for i, ((top, left), flip) in enumerate(zip(shifts.tolist(), mirrored.tolist(), strict=True)):
        cut = padded[i, top : top + height, left : left + width]
        changed[i] = cut[:, ::-1] if flip else cut
    return changed


def draws(count, rng, margin, flips):
    """(shifts, mirrored) of `crop` for each of `count` pictures in one epoch."""
    return rng.integers(0, 2 * margin + 1, (count, 2)), (rng.random(count) < 0.5) & flips


# name in a recipe -> (function of images and their draws, function that draws for all pictures of an epoch)
AUGMENTATIONS = {
    "crop_flip": (functools.partial(crop, margin=4), functools.partial(draws, margin=4, flips=True)),  # CIFAR's papers
    "shift": (functools.partial(crop, margin=2), functools.partial(draws, margin=2, flips=False)),  # digits have a side
}
