"""AUGMENTATIONS: pictures changed a little in each epoch, whole batches at once, the same on every backend."""

import functools

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

CUTOUT_SIDE = 16  # pixels: what DeVries and Taylor found best for CIFAR-10
CUTOUT_FILL = 121  # the mean of CIFAR-10's pixels and channels, 0..255: near 0 once normalized, as the paper has it


def crop(images, shifts, mirrored, margin):
    """Crops of the same size out of the pictures, padded by `margin` pixels of black; some of them mirrored.

    images: uint8 (n, height, width, channels), of NumPy, or a tensor of torch's or JAX' on an accelerator, where they
    stay. shifts: int (n, 2), 0..2 * margin, down and right; `margin` leaves a picture in its place. mirrored: bool
    (n,).
    """
    if not isinstance(images, np.ndarray):
        return crop_on_accelerator(images, shifts, mirrored, margin)
    count, height, width, channels = images.shape
    padded = np.zeros((count, height + 2 * margin, width + 2 * margin, channels), np.uint8)
    padded[:, margin : margin + height, margin : margin + width] = images
    rows = padded.reshape(count, height + 2 * margin, -1)
    windows = sliding_window_view(rows, (height, width * channels), axis=(1, 2))[:, :, ::channels]
    changed = windows[np.arange(count), *shifts.T].reshape(images.shape)
    if mirrored.any():
        lines = changed[mirrored].reshape(-1, width, channels)  # to OpenCV one picture
        changed[mirrored] = cv2.flip(lines, 1).reshape(-1, height, width, channels)
    return changed


def crop_on_accelerator(images, shifts, mirrored, margin):
    """The same of a tensor, by one gather."""
    from keras import ops

    count, height, width, channels = images.shape
    columns = np.where(mirrored[:, None], np.arange(width)[::-1], np.arange(width))
    rows = ops.convert_to_tensor((shifts[:, :1] - margin + np.arange(height)).astype("int32"))[:, :, None]
    columns = ops.convert_to_tensor((shifts[:, 1:] - margin + columns).astype("int32"))[:, None, :]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    places = ops.clip(rows, 0, height - 1) * width + ops.clip(columns, 0, width - 1)
    pixels = ops.reshape(images, (count, height * width, channels))
    found = ops.take_along_axis(pixels, ops.reshape(places, (count, -1, 1)), axis=1)
    return ops.where(inside[..., None], ops.reshape(found, images.shape), ops.cast(0, "uint8"))


def crop_and_cut_out(images, shifts, mirrored, centres, margin):
    """Crops as above, and in each a grey square around its place in `centres`, as far as it lies within.

    centres: float (n, 2), 0..1 of height and width.

    Source: DeVries and Taylor 2017, arXiv:1708.04552.
    """
    height, width = images.shape[1:3]
    near_row, near_column = within(centres[:, 0], height), within(centres[:, 1], width)
    changed = crop(images, shifts, mirrored, margin)
    if isinstance(changed, np.ndarray):
        changed[near_row[:, :, None] & near_column[:, None, :]] = CUTOUT_FILL
        return changed
    from keras import ops

    cut = ops.convert_to_tensor(near_row)[:, :, None] & ops.convert_to_tensor(near_column)[:, None, :]
    return ops.where(cut[..., None], ops.cast(CUTOUT_FILL, "uint8"), changed)


def within(centres, length):
    """bool (n, length): which places lie within half a side of each of the centres, shares of `length`."""
    offsets = np.arange(length) - (centres * length).astype(int)[:, None]
    return (offsets >= -CUTOUT_SIDE // 2) & (offsets < CUTOUT_SIDE // 2)


def draws(count, rng, margin, flips):
    """(shifts, mirrored) of `crop` for each of `count` pictures in one epoch."""
    return rng.integers(0, 2 * margin + 1, (count, 2)), (rng.random(count) < 0.5) & flips


def draws_with_centres(count, rng, margin):
    """(shifts, mirrored, centres) of `crop_and_cut_out` for each of `count` pictures in one epoch."""
    return *draws(count, rng, margin, flips=True), rng.random((count, 2))


# name in a recipe -> (function of images and their draws, function that draws for all pictures of an epoch)
AUGMENTATIONS = {
    "crop_flip": (functools.partial(crop, margin=4), functools.partial(draws, margin=4, flips=True)),  # CIFAR's papers
    "crop_flip_cutout": (
        functools.partial(crop_and_cut_out, margin=4),
        functools.partial(draws_with_centres, margin=4),
    ),
    "shift": (functools.partial(crop, margin=2), functools.partial(draws, margin=2, flips=False)),  # digits have a side
}
