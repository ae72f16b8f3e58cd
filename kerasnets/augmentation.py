"""AUGMENTATIONS: pictures changed a little in each epoch, whole batches at once, the same on every backend."""

import numpy as np

MARGIN = 4  # pixels of black on each side, from which the crop is cut


def crop_flip(images, shifts, mirrored):
    """Crops of the same size out of the padded pictures, some of them mirrored: shift and flip of the CIFAR papers.

    images: uint8 (n, height, width, channels). shifts: int (n, 2), 0..8, down and right; 4 leaves a picture in its
    place. mirrored: bool (n,).
    """
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)))
    changed = np.empty_like(images)
    for i, ((top, left), flip) in enumerate(zip(shifts.tolist(), mirrored.tolist(), strict=True)):
        crop = padded[i, top : top + height, left : left + width]
        changed[i] = crop[:, ::-1] if flip else crop
    return changed


def crop_flip_draws(count, rng):
    """What `crop_flip` does to each of `count` pictures in one epoch."""
    return rng.integers(0, 2 * MARGIN + 1, (count, 2)), rng.random(count) < 0.5


# name in a recipe -> (function of images and their draws, function that draws for all pictures of an epoch)
AUGMENTATIONS = {"crop_flip": (crop_flip, crop_flip_draws)}
