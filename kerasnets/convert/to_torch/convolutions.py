"""Convolutions of one to three dimensions: grouped, by depth, separable and transposed."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import layers

from kerasnets.convert.to_torch.activations import activate
from kerasnets.convert.to_torch.names import literal, once
from kerasnets.convert.to_torch.program import Value, array
from kerasnets.convert.to_torch.translate import Translator

Pads = list[tuple[int, int]]  # (before, after) on each axis of a map


def convolution(t: Translator, layer: Any, x: Value) -> Value:
    x = convolve(t, layer, t.spatial(x), kernel_of(layer.kernel), layer.bias if layer.use_bias else None, layer.groups)
    return activate(t, x, layer.activation)


def depthwise(t: Translator, layer: Any, x: Value) -> Value:
    kernel, channels = by_depth(layer.kernel)
    x = convolve(t, layer, t.spatial(x), kernel, layer.bias if layer.use_bias else None, channels)
    return activate(t, x, layer.activation)


def separable(t: Translator, layer: Any, x: Value) -> Value:
    kernel, channels = by_depth(layer.depthwise_kernel)
    x = convolve(t, layer, t.spatial(x), kernel, None, channels, suffix="_depthwise")
    kernel = kernel_of(layer.pointwise_kernel)
    args, weights = arguments(kernel, layer.bias if layer.use_bias else None, 1)
    rank = kernel.ndim - 2
    args["kernel_size"] = 1
    x = t.call(
        f"nn.Conv{rank}d", [x], sort_arguments(args), weights, suffix="_pointwise", shape=with_channels(x, len(kernel))
    )
    return activate(t, x, layer.activation)


def convolve(t: Translator, layer: Any, x: Value, kernel: np.ndarray, bias: Any, groups: int,
             suffix: str = "") -> Value:  # fmt: skip
    sizes, strides, dilation = kernel.shape[2:], layer.strides, layer.dilation_rate
    args, weights = arguments(kernel, bias, groups)
    args |= {"kernel_size": once(sizes), "stride": once(strides), "dilation": once(dilation)}
    removed = t.without_zeros(x) if layer.padding == "valid" else None
    if removed and all(before == after for before, after in removed[1]):
        t.leave_out(x)
        x, pads = removed
        args["padding"] = once(tuple(before for before, _ in pads))
    elif layer.padding == "causal":
        x = pad(t, x, [((sizes[0] - 1) * dilation[0], 0)])
    elif layer.padding == "same":
        x, args["padding"] = pad_same(t, x, sizes, strides, dilation)
    channels_axis = x.order[1]
    shape = tuple(len(kernel) if axis == channels_axis else None for axis in range(x.rank))
    shape = t.shape if not suffix else between(t.shape, shape, channels_axis)
    return t.call(f"nn.Conv{len(sizes)}d", [x], sort_arguments(args), weights, suffix=suffix, shape=shape)


def transposed_convolution(t: Translator, layer: Any, x: Value) -> Value:
    x = t.spatial(x)
    if layer.output_padding is not None or set(layer.dilation_rate) != {1}:
        raise t.unknown("layer {} has an output padding or a dilation, which has no translation to PyTorch")
    kernel = kernel_of(layer.kernel)
    sizes, strides = kernel.shape[2:], layer.strides
    args = {"in_channels": kernel.shape[0], "out_channels": kernel.shape[1], "kernel_size": once(sizes)}
    crops = [max(k - s, 0) if layer.padding == "same" else 0 for k, s in zip(sizes, strides, strict=True)]
    more = tuple(max(s - k, 0) for k, s in zip(sizes, strides, strict=True))
    even = all(crop % 2 == 0 for crop in crops)
    args |= {"stride": once(strides), "padding": once(tuple(crop // 2 for crop in crops)) if even else 0}
    args |= {"output_padding": once(more)}
    bias = layer.bias if layer.use_bias else None
    weights = {"weight": kernel} | ({} if bias is None else {"bias": array(bias)})
    args |= {"bias": bool(layer.use_bias)}
    x = t.call(f"nn.ConvTranspose{len(sizes)}d", [x], sort_arguments(args), weights, shape=t.shape)
    if not even:  # Keras takes the odd pixel off the end
        cuts = ", ".join(f"{crop // 2}:{crop // 2 - crop or None}".replace("None", "") for crop in crops)
        x = t.apply(f"{{0}}[:, :, {cuts}]", [x], encloses=False)
    return activate(t, x, layer.activation)


# ---- parts ----


def kernel_of(weight: Any) -> np.ndarray:
    """(..., in, out) of Keras as (out, in, ...)."""
    kernel = array(weight)
    return kernel.transpose(-1, -2 % kernel.ndim, *range(kernel.ndim - 2))


def by_depth(weight: Any) -> tuple[np.ndarray, int]:
    """Return (kernel, channels) of (..., channels, multiplier): (channels * multiplier, 1, ...)."""
    kernel = array(weight)
    sizes, channels = kernel.shape[:-2], kernel.shape[-2]
    return np.moveaxis(kernel, (-2, -1), (0, 1)).reshape(-1, 1, *sizes), channels


def arguments(kernel: np.ndarray, bias: Any, groups: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    args = {"in_channels": kernel.shape[1] * groups, "out_channels": kernel.shape[0], "groups": groups}
    args["bias"] = bias is not None
    return args, {"weight": kernel} | ({} if bias is None else {"bias": array(bias)})


ORDER = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "output_padding", "dilation", "groups",
         "bias")  # fmt: skip
DEFAULTS = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1, "bias": True}


def sort_arguments(args: dict[str, Any]) -> dict[str, Any]:
    """Return arguments in PyTorch's order, without those that are PyTorch's defaults."""
    return {name: args[name] for name in ORDER if name in args and args[name] != DEFAULTS.get(name)}


def with_channels(x: Value, channels: int) -> tuple[int | None, ...]:
    return tuple(channels if axis == x.order[1] else size for axis, size in enumerate(x.shape))


def between(shape: tuple[int | None, ...], channels: tuple[int | None, ...], axis: int) -> tuple[int | None, ...]:
    return tuple(channels[i] if i == axis else size for i, size in enumerate(shape))


def same_pads(x: Value, sizes: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> Pads | None:
    """Return Keras' padding "same" on each axis, the odd pixel at the end; None if it depends on an unknown size."""
    pads = []
    for axis, size, stride, rate in zip(x.order[2:], sizes, strides, dilation, strict=True):
        length, reach = x.shape[axis], (size - 1) * rate + 1
        if length is None and stride > 1:
            return None
        steps = stride * ((length - 1) // stride) - length if length is not None else -1
        total = max(steps + reach, 0)
        pads.append((total // 2, total - total // 2))
    return pads


def pad_same(t: Translator, x: Value, sizes: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
             ) -> tuple[Value, Any]:  # fmt: skip
    """Return (value, padding=) for padding "same": an argument if both ends are alike, else a step before."""
    pads = same_pads(x, sizes, strides, dilation)
    if pads is None:
        reach = tuple((size - 1) * rate + 1 for size, rate in zip(sizes, dilation, strict=True))
        shape = tuple(None if i in x.order[2:] else size for i, size in enumerate(x.shape))
        text = f"pad_same({{0}}, {literal(reach)}, {literal(tuple(strides))})"
        return t.apply(text, [x], shape=shape), 0
    if all(before == after for before, after in pads):
        return x, once(tuple(before for before, _ in pads))
    return pad(t, x, pads), 0


def pad(t: Translator, x: Value, pads: Pads, value: float = 0) -> Value:
    """Pad the axes of a map, the first of them first in `pads`."""
    amounts = tuple(amount for pair in reversed(pads) for amount in pair)
    if not any(amounts):
        return x
    by_axis = dict(zip(x.order[2:], pads, strict=True))
    shape = tuple(
        size if size is None or i not in by_axis else size + sum(by_axis[i]) for i, size in enumerate(x.shape)
    )
    more = f", value={literal(value)}" if value else ""
    return t.apply(f"F.pad({{0}}, {literal(amounts)}{more})", [x], shape=shape)


LAYERS: dict[type, Callable[..., Value]] = {
    layers.Conv1D: convolution,
    layers.Conv2D: convolution,
    layers.Conv3D: convolution,
    layers.Conv1DTranspose: transposed_convolution,
    layers.Conv2DTranspose: transposed_convolution,
    layers.Conv3DTranspose: transposed_convolution,
    layers.DepthwiseConv1D: depthwise,
    layers.DepthwiseConv2D: depthwise,
    layers.SeparableConv1D: separable,
    layers.SeparableConv2D: separable,
}
