"""Pooling: of windows with Keras' padding, and of whole maps."""

from collections.abc import Callable
from typing import Any

from keras import layers

from kerasnets.convert.to_torch.convolutions import pad, same_pads
from kerasnets.convert.to_torch.names import literal, once
from kerasnets.convert.to_torch.program import Value
from kerasnets.convert.to_torch.translate import Translator


def max_pool(t: Translator, layer: Any, x: Value) -> Value:
    x = t.spatial(x)
    sizes, strides = tuple(layer.pool_size), tuple(layer.strides)
    if layer.padding == "same":
        if is_every(sizes, strides):
            return every(t, x, strides)
        pads = same_pads(x, sizes, strides, (1,) * len(sizes))
        if pads is None:
            raise t.unknown("layer {} pads maps of unknown size, which has no translation to PyTorch")
        return pool_windows(t, x, "max", sizes, strides, pads)
    removed = t.without_zeros(x)
    if removed and removed[0].non_negative:  # padded by zero or by -inf, the maximum is the same
        source, pads = removed
        inside = all(before == after <= size // 2 for (before, after), size in zip(pads, sizes, strict=True))
        if inside or (not any(before for before, _ in pads) and reaches(t, source, sizes, strides)):
            t.leave_out(x)
            return pool_windows(t, source, "max", sizes, strides, pads)
    return pool_windows(t, x, "max", sizes, strides, [(0, 0)] * len(sizes))


def reaches(t: Translator, x: Value, sizes: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether PyTorch's ceil_mode gives the size that Keras gives by padding the ends of the axes."""
    for axis, new, size, stride in zip(x.order[2:], spatial_sizes(t), sizes, strides, strict=True):
        length = x.shape[axis]
        if length is None:
            return False
        steps = -((size - length) // stride) + 1
        if steps - (1 if (steps - 1) * stride >= length else 0) != new:
            return False
    return True


def spatial_sizes(t: Translator) -> tuple[int | None, ...]:
    return t.shape[1:-1] if t.node.operation.data_format == "channels_last" else t.shape[2:]


def average_pool(t: Translator, layer: Any, x: Value) -> Value:
    x = t.spatial(x)
    sizes, strides = tuple(layer.pool_size), tuple(layer.strides)
    pads: list[tuple[int, int]] | None = [(0, 0)] * len(sizes)
    if layer.padding == "same":
        pads = same_pads(x, sizes, strides, (1,) * len(sizes))
    if pads is None:
        raise t.unknown("layer {} pads maps of unknown size, which has no translation to PyTorch")
    return every(t, x, strides) if is_every(sizes, strides) else pool_windows(t, x, "avg", sizes, strides, pads)


def is_every(sizes: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    return set(sizes) == {1} and set(strides) != {1}


def every(t: Translator, x: Value, strides: tuple[int, ...]) -> Value:
    """A pooling of windows of one pixel takes every second, third, ..."""
    steps = ", ".join(f"::{int(stride)}" for stride in strides)
    return t.apply(f"{{0}}[:, :, {steps}]", [x], shape=t.shape, non_negative=x.non_negative)


def pool_windows(t: Translator, x: Value, kind: str, sizes: Any, strides: Any, pads: list[tuple[int, int]]) -> Value:
    """Ends that are padded alike become an argument; an end alone becomes ceil_mode; else a step before pads."""
    rank = len(sizes)
    options = ""
    uneven = any(before != after for before, after in pads)
    if uneven and not any(before for before, _ in pads) and reaches(t, x, sizes, strides):
        options = ", ceil_mode=True"
    elif uneven:
        if kind == "avg":
            text = f"average_pool_same({{0}}, {literal(sizes)}, {literal(strides)}, {literal(flat(pads))})"
            return t.apply(text, [x], shape=t.shape, non_negative=x.non_negative)
        x = pad(t, x, pads, value=float("-inf"))
    elif any(before for before, _ in pads):
        options = f", padding={literal(once(tuple(before for before, _ in pads)))}"
        options += ", count_include_pad=False" if kind == "avg" else ""
    stride = "" if strides == sizes else f", stride={literal(once(strides))}"
    text = f"F.{kind}_pool{rank}d({{0}}, {literal(once(sizes))}{stride}{options})"
    return t.apply(text, [x], shape=t.shape, non_negative=x.non_negative)


def flat(pads: list[tuple[int, int]]) -> tuple[int, ...]:
    return tuple(amount for pair in reversed(pads) for amount in pair)


def global_average(t: Translator, layer: Any, x: Value) -> Value:
    return of_all(t, layer, x, "mean")


def global_max(t: Translator, layer: Any, x: Value) -> Value:
    return of_all(t, layer, x, "amax")


def of_all(t: Translator, layer: Any, x: Value, method: str) -> Value:
    axes = range(1, x.rank - 1) if layer.data_format == "channels_last" else range(2, x.rank)
    if x.rows is not None:
        x = t.plain(x)
    return reduce_axes(t, x, method, tuple(axes), layer.keepdims)


def reduce_axes(t: Translator, x: Value, method: str, axes: tuple[int, ...], keepdims: bool) -> Value:
    """`x` with `axes` of Keras' reduced by a method of a tensor: "mean", "amax", "sum"."""
    dims = tuple(sorted(x.dim(axis) for axis in axes))
    more = ", keepdim=True" if keepdims else ""
    left = [axis for axis in x.order if axis not in axes]
    order = x.order if keepdims else tuple(sorted(left).index(axis) for axis in left)
    shape = tuple(1 if i in axes else size for i, size in enumerate(x.shape)) if keepdims else None
    shape = shape or tuple(x.shape[axis] for axis in sorted(left))
    return t.apply(f"{{0}}.{method}({literal(dims)}{more})", [x], shape=shape, order=order, mixes=True)


LAYERS: dict[type, Callable[..., Value]] = {
    layers.MaxPooling1D: max_pool,
    layers.MaxPooling2D: max_pool,
    layers.MaxPooling3D: max_pool,
    layers.AveragePooling1D: average_pool,
    layers.AveragePooling2D: average_pool,
    layers.AveragePooling3D: average_pool,
    layers.GlobalAveragePooling1D: global_average,
    layers.GlobalAveragePooling2D: global_average,
    layers.GlobalAveragePooling3D: global_average,
    layers.GlobalMaxPooling1D: global_max,
    layers.GlobalMaxPooling2D: global_max,
    layers.GlobalMaxPooling3D: global_max,
}
