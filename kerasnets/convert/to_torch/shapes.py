"""Layers that move numbers: Flatten, Reshape, Permute, padding, cropping and enlarging."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import layers

from kerasnets.convert.to_torch.convolutions import pad
from kerasnets.convert.to_torch.names import literal, once
from kerasnets.convert.to_torch.program import Shape, Value, channels_first, identity
from kerasnets.convert.to_torch.translate import Translator


def flatten(t: Translator, layer: layers.Flatten, x: Value) -> Value:
    """In PyTorch's order: the next layer's weights are permuted. In Keras' order if a layer after it needs that."""
    if x.rank == 2 and x.shape[1] is not None:
        return x
    last = identity(x.rank) if layer.data_format == "channels_last" or x.rank < 3 else (0, *range(2, x.rank), 1)
    name = str(id(layer))
    if None in x.shape[1:] or name in t.in_keras_order:
        x = t.arrange(x, last)
    value = t.apply("{0}.flatten(1)" if x.rank > 1 else "{0}[:, None]", [x], shape=t.shape, order=(0, 1), mixes=True)
    if x.order != last:
        sizes = [x.shape[axis] for axis in last[1:]]
        kept = np.arange(math.prod(filter(None, sizes))).reshape(sizes)  # type: ignore[arg-type]
        rows = kept.transpose([last.index(axis) - 1 for axis in x.order[1:]]).reshape(-1)
        if not np.array_equal(rows, np.arange(len(rows))):
            value.rows, value.flattens = rows, frozenset([name])
    value.non_negative = x.non_negative
    return value


def reshape(t: Translator, layer: Any, x: Value) -> Value:
    return to_shape(t, x, t.shape)


def to_shape(t: Translator, x: Value, shape: Shape) -> Value:
    """`x` in another shape; where the channels stay the last axis, PyTorch's stay the second."""
    sizes = [-1 if size is None else size for size in shape[1:]]
    pixels = math.prod(size or 0 for size in x.shape[1:-1])
    first = x.rank > 2 and x.order == channels_first(x.rank)
    if x.rank > 2 and len(shape) == 2 and pixels == 1 and first:
        return t.apply("{0}.flatten(1)", [x], shape=shape, order=(0, 1), mixes=True)
    if x.rows is None and x.rank == 2 and len(shape) == 4 and shape[1:3] == (1, 1):
        return widen(t, x, shape)
    if x.rows is None and len(shape) > 2 and shape[-1] == x.shape[-1] and first:
        new = (sizes[-1], *sizes[:-1])
        return reshape_to(t, x, new, shape, channels_first(len(shape)))
    return reshape_to(t, t.plain(x), tuple(sizes), shape, identity(len(shape)))


def widen(t: Translator, x: Value, shape: Shape) -> Value:
    """A row of channels as a map of one pixel; the mean of a map that only this layer takes keeps its axes instead."""
    last = t.steps[-1] if t.steps else None
    if last and last.outputs[0] is x and last.expression == "{0}.mean((2, 3))" and t.uses[id(x.tensor)] == 1:
        t.steps.pop()
        return t.apply("{0}.mean((2, 3), keepdim=True)", last.inputs, shape=shape, order=channels_first(4))
    return t.apply("{0}[:, :, None, None]", [x], shape=shape, order=channels_first(4), non_negative=x.non_negative)


def reshape_to(t: Translator, x: Value, sizes: tuple[int, ...], shape: Shape, order: tuple[int, ...]) -> Value:
    if -1 in sizes:
        text = f"{{0}}.reshape(len({{0}}), {', '.join(map(literal, sizes))})"
    else:
        text = f"{{0}}.reshape(-1, {', '.join(map(literal, sizes))})"
    return t.apply(text, [x], shape=shape, order=order, mixes=True, non_negative=x.non_negative)


def permute(t: Translator, layer: layers.Permute, x: Value) -> Value:
    return permute_axes(t, x, (0, *layer.dims))


def permute_axes(t: Translator, x: Value, dims: tuple[int, ...]) -> Value:
    """Keras' new axis i is its old axis dims[i]: the tensor of PyTorch can stay as it is."""
    if x.rows is not None:
        x = t.plain(x)
    shape = tuple(x.shape[axis] for axis in dims)
    return Value(shape, tuple(dims.index(axis) for axis in x.order), non_negative=x.non_negative, source=x.root)


def zero_padding(t: Translator, layer: Any, x: Value) -> Value:
    source = t.spatial(x) if hasattr(layer, "data_format") else t.arrange(x, channels_first(x.rank))
    amounts = layer.padding if isinstance(layer.padding[0], (tuple, list)) else [layer.padding]
    pads = [(int(before), int(after)) for before, after in amounts]
    value = pad(t, source, pads)
    if value is not source:
        value.non_negative = source.non_negative
        t.zero_pads[id(value)] = source, t.steps[-1], pads
    return value


def cropping(t: Translator, layer: Any, x: Value) -> Value:
    x = t.spatial(x) if hasattr(layer, "data_format") else t.arrange(x, channels_first(x.rank))
    amounts = layer.cropping if isinstance(layer.cropping[0], (tuple, list)) else [layer.cropping]
    cuts = ", ".join(f"{int(before) or ''}:{-int(after) or ''}" for before, after in amounts)
    return t.apply(f"{{0}}[:, :, {cuts}]", [x], shape=t.shape, non_negative=x.non_negative)


def up_sampling(t: Translator, layer: Any, x: Value) -> Value:
    x = t.spatial(x) if hasattr(layer, "data_format") else t.arrange(x, channels_first(x.rank))
    size = layer.size if isinstance(layer.size, (tuple, list)) else (layer.size,)
    mode = getattr(layer, "interpolation", "nearest")
    if mode not in ("nearest", "bilinear"):
        raise t.unknown("layer {} enlarges by an interpolation that has no translation to PyTorch")
    more = "" if mode == "nearest" else ', mode="bilinear"'
    factor = literal(once(tuple(size)))
    return t.apply(f"F.interpolate({{0}}, scale_factor={factor}{more})", [x], shape=t.shape)


def repeat_vector(t: Translator, layer: layers.RepeatVector, x: Value) -> Value:
    text = f"{{0}}[:, None].repeat(1, {int(layer.n)}, 1)"
    return t.apply(text, [t.plain(x)], shape=t.shape, order=identity(3), mixes=True)


LAYERS: dict[type, Callable[..., Value]] = {
    layers.Flatten: flatten,
    layers.Reshape: reshape,
    layers.Permute: permute,
    layers.RepeatVector: repeat_vector,
    layers.ZeroPadding1D: zero_padding,
    layers.ZeroPadding2D: zero_padding,
    layers.ZeroPadding3D: zero_padding,
    layers.Cropping1D: cropping,
    layers.Cropping2D: cropping,
    layers.Cropping3D: cropping,
    layers.UpSampling1D: up_sampling,
    layers.UpSampling2D: up_sampling,
    layers.UpSampling3D: up_sampling,
}
