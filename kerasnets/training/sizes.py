"""Photos that grow during the training, so that early epochs take less time; and the networks that can take them.

Source: ffcv's training on ImageNet (`get_resolution`), after Howard's for DAWNBench (2018). The photos of an epoch have
one size, which depends on the recipe and the epoch alone; validation and test have the size of the network's input.

One model trains on all sizes: the network rebuilt with an open height and width. Only weights that depend on neither
allow that, as those of convolutions do, up to a pooling of the whole map.
"""

from kerasnets.runtime.chosen import BACKEND as BACKEND

import functools
from collections.abc import Callable, Sequence

import keras

from kerasnets.graph import rebuild
from kerasnets.recipes import Recipe
from kerasnets.training.photos import PHOTOS

MULTIPLE = 32  # pixels, of all sizes between the first and the last


def side_in(recipe: Recipe) -> Callable[[int], int] | None:
    """Return a function from an epoch, counted from 0, to height and width of its photos; None if they do not grow."""
    return functools.partial(side_between, *recipe.growth) if recipe.growth else None


def side_between(first: int, last: int, start: int, end: int, epoch: int) -> int:
    """Return the size in an epoch, from `first` at epoch `start` to `last` at epoch `end`, along a line."""
    if epoch <= start:
        return first
    if epoch >= end:
        return last
    side = first + (last - first) * (epoch - start) / (end - start)
    return min(max(MULTIPLE * round(side / MULTIPLE), first), last)


def of_any_size(network: keras.Model) -> keras.Model:
    """Return a copy of `network`, with its weights, that takes images of any height and width."""
    return rebuild(network, shape=(None, None, network.input_shape[-1]))


def check(recipe: Recipe, network: keras.Model) -> None:
    """Raise ValueError if the photos of a recipe cannot grow as it says, or if `network` cannot take them."""
    side = side_in(recipe)
    if side is None:
        return
    check_numbers(recipe)
    last = recipe.growth[1]
    if recipe.augmentation not in PHOTOS:
        raise ValueError("a progressive size goes with photos that are cropped at their own size: --augment-photos")
    height, width, _ = network.input_shape[1:]
    if height != width:
        raise ValueError(f"a progressive size is that of squares; the test has pictures of {height}x{width} pixels")
    if last > height:
        problem = f"photos that grow to {last}x{last} pixels exceed those of the test, {height}x{width}"
        raise ValueError(f"{problem}; name an --image-size of {last} or more, or another --progressive-size")
    check_network(recipe.model, network, sorted({side(epoch) for epoch in range(recipe.epochs)}))


def check_numbers(recipe: Recipe) -> None:
    """Raise ValueError if the numbers of a recipe's progressive size do not rise, or not within its epochs."""
    numbers, epochs = recipe.progressive_size, recipe.epochs
    if len(numbers) not in (2, 4):
        raise ValueError(f"progressive size has two or four numbers, not {len(numbers)}")
    first, last, start, end = (*numbers, 0, epochs - 1)[:4]
    if not (0 < first <= last and 0 <= start <= end):
        raise ValueError(f"progressive size must rise, in sizes and epochs, not {numbers}")
    if end >= epochs:
        raise ValueError(
            f"photos that grow until epoch {end}, counted from 0, take {end + 1} epochs or more, not {epochs}; "
            f"name --epochs {end + 1}, or --progressive-size {first}:{last}, which grows in all epochs"
        )


def check_network(name: str, network: keras.Model, sides: Sequence[int]) -> None:
    """Raise ValueError if the network with this name takes photos of one size alone, or none as small as of `sides`."""
    height, width, channels = network.input_shape[1:]
    try:
        copy = of_any_size(network)
        copy.compute_output_shape((1, 2 * height, 2 * width, channels))
    except Exception as error:  # of any kind: each layer and backend has its own
        raise ValueError(
            f"{name} cannot train on photos of several sizes: its weights are for {height}x{width} pixels; "
            "take one that ends in a pooling of the whole map, such as resnet18, or leave out the progressive size"
        ) from error
    for each in sides:
        try:
            copy.compute_output_shape((1, each, each, channels))
        except Exception as error:
            problem = f"photos of {each}x{each} pixels are too small for {name}"
            raise ValueError(f"{problem}; name a larger first size by --progressive-size") from error
