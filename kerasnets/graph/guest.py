"""Any network for pictures, as a file of ours holds one: from raw pixels to a probability for each class.

The scale of the pixels that a network takes, and whether it gives logits or probabilities, are found by computing with
the first and the last part of its graph, whatever layers or operations they are made of.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from kerasnets.graph.flat import flatten
from kerasnets.graph.head import NEAR, head_of, probabilities
from kerasnets.graph.layout import PROOF, Scaling, in_full_precision
from kerasnets.graph.steps import as_numbers, close_sizes, cuts, learns, run
from kerasnets.graph.walk import Node, nodes, register_parameters

TURN = "rgb_to_bgr"  # the layer that turns the channels round; it is never trained
OWN_NAMES = ("pixels", "rescaling", TURN, "sizes", "sizes_of_logits", "two_classes", "probabilities")
SCALINGS: dict[str, Scaling] = {"0..255": (1.0, 0.0), "0..1": (1 / 255, 0.0), "-1..1": (1 / 127.5, -1.0)}
USUAL = "0..1"  # the values that a network takes whose graph does not tell


@dataclass(frozen=True)
class Preprocessing:
    """What a network does to pixels first: pixel * scale + offset by channel, and perhaps the channels turned round."""

    tensor: keras.KerasTensor  # the pixels prepared
    scale: np.ndarray  # (channels,), by the channels of the result
    offset: np.ndarray
    bgr: bool
    values: str  # that the network takes, a name in SCALINGS; "" if the graph does not tell


@dataclass(frozen=True)
class Whole:
    """A network from uint8 pixels, or rows of numbers, to the probabilities of at least two classes.

    Attributes:
        model: The network: flat, of copies of its layers.
        values: The pixels that the original takes, a name in SCALINGS; "" if they are unknown, or given by a scaling.
        kind: The original's Head.kind.
        units: The number of its outputs.
        exclusive: Whether one class excludes the others.
    """

    model: keras.Model
    values: str
    kind: str
    units: int
    exclusive: bool


@in_full_precision(PROOF)
def make_whole(
    network: keras.Model,
    *,
    scaling: Scaling | None = None,
    bgr: bool = False,
    shape: Sequence[int | None] | None = None,
) -> Whole:
    """Return `network` as a Whole of copies of its layers.

    Args:
        network: Any model with a graph, one input and one output of (n, units).
        scaling: (scale, offset) for pixels 0..255 to the values that `network` takes; found in its graph by default,
            and (1 / 255, 0) if the graph does not tell.
        bgr: Whether `network` takes blue first.
        shape: (height, width, channels) of the pictures, if its input has another form or leaves sizes open.

    Raises:
        ValueError: `network` has several inputs, or gives something other than a number for each class.
    """
    flat = flatten(network, OWN_NAMES)
    head = head_of(flat)
    given = flat.inputs[0]
    picture = tuple(shape or picture_shape(given.shape[1:]))  # a row of numbers is a flat picture if `shape` says so
    if picture:
        preprocessing = preprocessing_of(flat)
        taken = scaling or SCALINGS["0..255" if given.dtype == "uint8" else preprocessing.values or USUAL]
        inputs = keras.Input(picture, dtype="uint8", name="pixels")
        x = prepare(inputs, preprocessing, taken, bgr)
        inner = preprocessing.tensor.shape[1:]
        if None in inner:
            inner = picture
        if tuple(x.shape[1:]) != tuple(inner):
            x = layers.Reshape(inner, name="sizes")(x)
        values, known = {id(preprocessing.tensor): x}, "" if scaling else preprocessing.values
    else:
        inputs = keras.Input(given.shape[1:], dtype=given.dtype, name="input")
        values, known = {id(given): inputs}, ""
    run(nodes(flat), values)
    model = keras.Model(inputs, probabilities(head, values), name=network.name)
    register_parameters(model)
    return Whole(model, known, head.kind, math.prod(flat.outputs[0].shape[1:]), head.exclusive)


def picture_shape(sizes: Sequence[int | None]) -> tuple[int | None, ...]:
    """Return the shape of pictures for the input of a network: of (height, width), one channel; () for rows."""
    return {1: (), 2: (*sizes, 1)}.get(len(sizes), tuple(sizes))


# ---- what a network does to pixels first -----------------------------------------------------------------------------


def preprocessing_of(network: keras.Model) -> Preprocessing:
    """Return what a flat network does to its pixels before its first layer with weights."""
    steps, given = nodes(network), network.inputs[0]
    channels = (given.shape[-1] or 3) if len(given.shape) == 4 else 1
    result = Preprocessing(given, np.ones(channels), np.zeros(channels), False, "")
    places = cuts(steps)
    beyond = next((i for i, node in enumerate(steps) if learns(node.operation)), len(steps))
    first = [i for i in places if i < beyond and steps[i].outputs[0].shape == given.shape]
    if first:
        pixels = np.random.default_rng(0).integers(0, 256, (4, *close_sizes(given.shape[1:])))
        pixels[:2] = np.arange(2).reshape(2, *[1] * (len(given.shape) - 1))
        values = {id(given): ops.convert_to_tensor(pixels.astype(given.dtype))}
        run(steps[: first[-1] + 1], values, training=False)
        for i in first:
            tensor = steps[i].outputs[0]
            affine = affine_of(pixels, as_numbers(values[id(tensor)]), channels)
            if affine is None:
                break
            result = Preprocessing(tensor, *affine, values_taken(*affine[:2]))
    if not result.values and beyond < len(steps):
        result = with_statistics(result, steps[beyond])
    return result


def affine_of(pixels: np.ndarray, result: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray, bool] | None:
    """Return (scale, offset, whether the channels are turned round) if they make `result` of `pixels`; else None."""
    if result.shape != pixels.shape or not np.isfinite(result).all():
        return None
    offset, scale = (each.reshape(-1, channels)[0] for each in (result[0], result[1] - result[0]))
    allowed = NEAR * max(1.0, abs(result).max())
    for bgr in (False, True)[: 2 if channels == 3 else 1]:
        expected = (pixels[..., ::-1] if bgr else pixels).reshape(-1, channels) * scale + offset
        if abs(expected - result.reshape(-1, channels)).max() <= allowed:
            return scale, offset, bgr
    return None


def values_taken(scale: np.ndarray, offset: np.ndarray) -> str:
    """Return which pixels, a name in SCALINGS, are brought to the usual numbers, about 1, by scale and offset."""
    if np.allclose(scale, 1, atol=0.02) and np.allclose(offset, 0, atol=0.02):
        return ""
    size, shift = float(abs(scale).mean()), float(offset.mean())
    if size < 1 / 20 or (size < 2 and abs(shift) > 20):
        return "0..255"
    return "-1..1" if scale.mean() > 0 and shift > 0.1 * size else "0..1"


def with_statistics(preprocessing: Preprocessing, node: Node) -> Preprocessing:
    """Add what a batch normalization of the pixels has learned of them."""
    layer = node.operation
    if not isinstance(layer, layers.BatchNormalization) or node.input_tensors[0] is not preprocessing.tensor:
        return preprocessing
    mean, variance = as_numbers(layer.moving_mean), as_numbers(layer.moving_variance)
    scale = 1 / np.sqrt(variance + layer.epsilon)
    values = values_taken(scale, -mean * scale)
    return Preprocessing(preprocessing.tensor, preprocessing.scale, preprocessing.offset, preprocessing.bgr, values)


def prepare(pixels: Any, preprocessing: Preprocessing, taken: Scaling, bgr: bool) -> Any:
    """Return what the network's other layers take: one Rescaling of raw pixels, and the channels turned round."""
    scale, offset = np.asarray(taken[0], "float64"), np.asarray(taken[1], "float64")
    is_turned = preprocessing.bgr != bgr
    own_scale, own_offset = preprocessing.scale, preprocessing.offset
    if preprocessing.bgr:  # the network turns the channels before it scales them: by the channels as they come in
        own_scale, own_offset = own_scale[::-1], own_offset[::-1]
    both = plain(scale * own_scale), plain(offset * own_scale + own_offset)
    if bgr:  # it takes blue first, and the Rescaling red
        both = tuple(each[::-1] if isinstance(each, list) else each for each in both)  # type: ignore[assignment]
    x = layers.Rescaling(*both, name="rescaling")(pixels)
    if not is_turned:
        return x
    turn = layers.Conv2D(3, 1, use_bias=False, trainable=False, name=TURN)
    x = turn(x)
    turn.set_weights([np.eye(3)[::-1].reshape(1, 1, 3, 3)])
    return x


def plain(values: np.ndarray) -> float | list[float]:
    """Return an array as a number if all of it is one, else as a list."""
    values = np.atleast_1d(values)
    return float(values[0]) if np.allclose(values, values[0], rtol=1e-9, atol=0) else values.tolist()
