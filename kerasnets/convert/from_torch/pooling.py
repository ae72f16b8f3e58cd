"""Pooling: PyTorch's padding, rounding up, counting of the padding, and adaptive windows."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasnets.convert.from_torch.builder import Builder
from kerasnets.convert.from_torch.convolutions import pad, spread
from kerasnets.convert.from_torch.resizing import EINSUMS
from kerasnets.convert.from_torch.values import Value

LOWEST = float(np.finfo("float32").min)  # pads a maximum; an infinity would not pass every exporter
MAXIMA = {1: keras.layers.MaxPooling1D, 2: keras.layers.MaxPooling2D, 3: keras.layers.MaxPooling3D}
AVERAGES = {1: keras.layers.AveragePooling1D, 2: keras.layers.AveragePooling2D, 3: keras.layers.AveragePooling3D}
GLOBAL_MAXIMA = {1: keras.layers.GlobalMaxPooling1D, 2: keras.layers.GlobalMaxPooling2D}
GLOBAL_AVERAGES = {1: keras.layers.GlobalAveragePooling1D, 2: keras.layers.GlobalAveragePooling2D}


def _windows(net: Builder, x: Value, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool) -> Any:
    """Return the kernel, strides and padding by axis; a window that begins inside may need more on the right."""
    rank = x.rank - 2
    kernel = spread(kernel_size, rank)
    strides = spread(stride, rank) if stride not in (None, [], ()) else kernel
    before = spread(padding, rank)
    pads = []
    for size, k, s, p in zip(x.tensor.shape[1:-1], kernel, strides, before, strict=True):
        more = 0
        if ceil_mode:
            count = math.ceil((size + 2 * p - k) / s) + 1
            count -= (count - 1) * s >= size + p  # PyTorch drops a window that begins in the right padding
            more = max(0, (count - 1) * s + k - size - 2 * p)
        pads.append((p, p + more))
    net.sized |= any(right > left for left, right in pads)
    return kernel, strides, pads


def max_pool(
    net: Builder, x: Value, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False,
) -> Value:  # fmt: skip
    x = net.to_channels_last(x)
    rank = x.rank - 2
    if set(spread(dilation, rank)) != {1}:
        raise net.refuse("a maximum over every second pixel has no Keras layer")
    kernel, strides, pads = _windows(net, x, kernel_size, stride, padding, ceil_mode)
    nonnegative, border = x.nonnegative, "valid"
    if set(strides) == {1} and all(
        left == right and 2 * left == k - 1 for (left, right), k in zip(pads, kernel, strict=True)
    ):
        border = "same"  # pads by -inf
    elif nonnegative:
        x = pad(net, x, pads)
    elif any(map(any, pads)):
        x = x.same(ops.pad(x.tensor, ((0, 0), *pads, (0, 0)), constant_values=LOWEST))
    return x.same(net.layer(MAXIMA[rank], x.tensor, **_options(kernel, strides, border)), nonnegative)


def _options(kernel: Sequence[int], strides: Sequence[int], border: str) -> dict[str, Any]:
    single = len(kernel) == 1
    size, step = (kernel[0], strides[0]) if single else (tuple(kernel), tuple(strides))
    return {"pool_size": size, "strides": step, "padding": border, "data_format": "channels_last"}


def average_pool(
    net: Builder, x: Value, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Value:  # fmt: skip
    x = net.to_channels_last(x)
    kernel, strides, pads = _windows(net, x, kernel_size, stride, padding, ceil_mode)
    sizes = x.tensor.shape[1:-1]
    counts = [
        _counts(size, k, s, left, spread(padding, len(kernel))[i], right, count_include_pad)
        for i, (size, k, s, (left, right)) in enumerate(zip(sizes, kernel, strides, pads, strict=True))
    ]
    x = pad(net, x, pads)
    x = x.same(net.layer(AVERAGES[len(kernel)], x.tensor, **_options(kernel, strides, "valid")), x.nonnegative)
    whole = math.prod(kernel)
    if divisor_override:
        scale = whole / divisor_override
        return x if scale == 1 else x.same(net.layer(keras.layers.Rescaling, x.tensor, "divisor", scale=scale))
    divisors = np.ones(())
    for axis in counts:
        divisors = np.multiply.outer(divisors, axis)
    if (divisors == whole).all():
        return x
    net.sized = True
    factors = (whole / divisors).astype("float32")[None, ..., None]
    return x.same(ops.multiply(x.tensor, factors), x.nonnegative)


def _counts(size: int, kernel: int, stride: int, left: int, torch_right: int, right: int, with_pad: bool) -> Any:
    """Return the number of pixels of one axis that PyTorch counts in each window."""
    starts = np.arange((size + left + right - kernel) // stride + 1) * stride - left
    ends = np.minimum(starts + kernel, size + torch_right)
    if with_pad:
        return ends - starts
    return np.minimum(ends, size) - np.maximum(starts, 0)


def adaptive_average(net: Builder, x: Value, output_size: Any) -> Value:
    x = net.to_channels_last(x)
    sizes = [int(size) for size in x.tensor.shape[1:-1]]
    target = _target(output_size, sizes)
    if target == [1] * len(sizes) and len(sizes) in GLOBAL_AVERAGES:
        if sizes == target:
            net.sized = True
        kind = GLOBAL_AVERAGES[len(sizes)]
        options: dict[str, Any] = {"keepdims": True, "data_format": "channels_last"}
        return x.same(net.layer(kind, x.tensor, **options), x.nonnegative)
    net.sized = True
    if sizes == target:
        return x
    if all(size % count == 0 for size, count in zip(sizes, target, strict=True)):
        window = [size // count for size, count in zip(sizes, target, strict=True)]
        options = _options(window, window, "valid")
        return x.same(net.layer(AVERAGES[len(sizes)], x.tensor, **options), x.nonnegative)
    if len(sizes) == 2 and all(count % size == 0 for size, count in zip(sizes, target, strict=True)):
        factors = tuple(count // size for size, count in zip(sizes, target, strict=True))
        return x.same(net.layer(keras.layers.UpSampling2D, x.tensor, size=factors), x.nonnegative)
    shares = [_shares(size, count) for size, count in zip(sizes, target, strict=True)]
    return x.same(ops.einsum(EINSUMS[len(sizes)], x.tensor, *shares), x.nonnegative)


def _target(output_size: Any, sizes: Sequence[int]) -> list[int]:
    counts = list(output_size) if isinstance(output_size, (tuple, list)) else [output_size] * len(sizes)
    return [size if count is None else int(count) for count, size in zip(counts, sizes, strict=True)]


def _shares(size: int, count: int) -> np.ndarray:
    """Return the matrix (count, size) that averages PyTorch's adaptive windows of one axis."""
    matrix = np.zeros((count, size), "float32")
    for i in range(count):
        begin, end = i * size // count, -(-(i + 1) * size // count)
        matrix[i, begin:end] = 1 / (end - begin)
    return matrix


def adaptive_maximum(net: Builder, x: Value, output_size: Any) -> list[Value | None]:
    """The maxima; their positions are not converted."""
    x = net.to_channels_last(x)
    sizes = [int(size) for size in x.tensor.shape[1:-1]]
    target = _target(output_size, sizes)
    if target == [1] * len(sizes) and len(sizes) in GLOBAL_MAXIMA:
        options: dict[str, Any] = {"keepdims": True, "data_format": "channels_last"}
        return [x.same(net.layer(GLOBAL_MAXIMA[len(sizes)], x.tensor, **options), x.nonnegative), None]
    net.sized = True
    if any(size % count for size, count in zip(sizes, target, strict=True)):
        return [_uneven_maximum(x, sizes, target), None]
    window = [size // count for size, count in zip(sizes, target, strict=True)]
    return [x.same(net.layer(MAXIMA[len(sizes)], x.tensor, **_options(window, window, "valid")), x.nonnegative), None]


def _uneven_maximum(x: Value, sizes: Sequence[int], target: Sequence[int]) -> Value:
    """Return the maxima over windows of several sizes, one axis after the other."""
    tensor = x.tensor
    for axis, (size, count) in enumerate(zip(sizes, target, strict=True), start=1):
        windows = [slice(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
        before = (slice(None),) * axis
        tensor = ops.concatenate([ops.max(tensor[(*before, w)], axis=axis, keepdims=True) for w in windows], axis=axis)
    return x.same(tensor, x.nonnegative)


def max_pool_with_indices(net: Builder, x: Value, *args: Any, **kwargs: Any) -> list[Value | None]:
    return [max_pool(net, x, *args, **kwargs), None]


OPERATORS = {
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d"), max_pool),
    **dict.fromkeys(("max_pool2d_with_indices", "max_pool3d_with_indices"), max_pool_with_indices),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d"), average_pool),
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"), adaptive_average),
    **dict.fromkeys(("adaptive_max_pool1d", "adaptive_max_pool2d"), adaptive_maximum),
}
