"""Convolutions: PyTorch's padding, groups and kernels as Keras has them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
from keras import ops

from kerasnets.convert.from_torch.builder import Builder
from kerasnets.convert.from_torch.values import Value

PADDINGS = {1: keras.layers.ZeroPadding1D, 2: keras.layers.ZeroPadding2D, 3: keras.layers.ZeroPadding3D}
CONVOLUTIONS = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}
TRANSPOSED = {1: keras.layers.Conv1DTranspose, 2: keras.layers.Conv2DTranspose, 3: keras.layers.Conv3DTranspose}
CROPPINGS = {1: keras.layers.Cropping1D, 2: keras.layers.Cropping2D, 3: keras.layers.Cropping3D}
POOLINGS = {1: keras.layers.MaxPooling1D, 2: keras.layers.MaxPooling2D, 3: keras.layers.MaxPooling3D}
MOST_GROUPS = 64  # of a transposed convolution, each of which becomes a layer
DEPTHWISE = {1: keras.layers.DepthwiseConv1D, 2: keras.layers.DepthwiseConv2D}


def convolution(
    net: Builder, x: Value, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Value:  # fmt: skip
    rank = len(weight.shape) - 2
    x = _with_batch(net, x, rank)
    strides, dilations = spread(stride, rank), spread(dilation, rank)
    kernel = [int(size) for size in weight.shape[2:]]
    x, border = pad_for(net, x, kernel, strides, dilations, padding)
    result = x.same(None)
    if isinstance(weight, Value):  # computed from a parameter, as in weight standardization
        return _by_operation(net, x, weight, bias, strides, dilations, border)
    both = max(strides) > 1 and max(dilations) > 1  # Keras refuses both: all results are computed, some taken
    options: dict[str, Any] = {
        "kernel_size": kernel, "strides": [1] * rank if both else strides, "padding": border,
        "dilation_rate": dilations, "use_bias": bias is not None, "data_format": "channels_last",
    }  # fmt: skip
    channels, per_group = int(x.tensor.shape[-1]), int(weight.shape[1])
    array = net.array(weight)
    inner = tuple(range(2, 2 + rank))
    if (
        groups == channels > 1
        and per_group == 1
        and rank in DEPTHWISE
        and _takes_depthwise(options["strides"], dilations)
    ):
        multiplier = len(array) // channels
        kind: Any = DEPTHWISE[rank]
        options["depth_multiplier"] = multiplier
        array = array.reshape(channels, multiplier, *kernel).transpose(*inner, 0, 1)
    else:
        kind = CONVOLUTIONS[rank]
        options |= {"filters": len(array), "groups": groups}
        array = array.transpose(*inner, 1, 0)
    arrays = [array] if bias is None else [array, net.array(bias)]
    tensor = net.layer_with_weights(kind, x.tensor, [weight, bias], arrays, **options)
    if both:
        tensor = net.layer(POOLINGS[rank], tensor, "stride", pool_size=1, strides=strides, data_format="channels_last")
    return replace(result, tensor=tensor)


def _takes_depthwise(strides: Sequence[int], dilations: Sequence[int]) -> bool:
    """Whether TensorFlow computes it: its depthwise kernel wants equal strides, and none with a dilation."""
    return len(set(strides)) == 1 and (max(strides) == 1 or max(dilations) == 1)


def _with_batch(net: Builder, x: Value, rank: int) -> Value:
    if x.rank != rank + 2:
        raise net.refuse(f"an input of {x.rank} axes is not converted", "give it a batch axis")
    return net.to_channels_last(x)


def spread(value: Any, rank: int) -> list[int]:
    """Return one number for each axis, from one number or several."""
    values = list(value) if isinstance(value, (tuple, list)) else [value]
    return [int(number) for number in (values * rank if len(values) == 1 else values)]


def pad_for(
    net: Builder, x: Value, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], padding: Any
) -> tuple[Value, str]:
    """Return the input, padded where Keras' "same" would pad otherwise, and Keras' `padding`."""
    rank = len(kernel)
    reach = [(size - 1) * dilation for size, dilation in zip(kernel, dilations, strict=True)]
    if isinstance(padding, str):
        return x, padding  # torch allows "same" for a stride of 1 alone, where Keras pads likewise
    pads = spread(padding, rank)
    if not any(pads):
        return x, "valid"
    if set(strides) == {1} and [2 * pad for pad in pads] == reach:
        return x, "same"
    return pad(net, x, [(pad, pad) for pad in pads]), "valid"


def pad(net: Builder, x: Value, pads: Sequence[tuple[int, int]]) -> Value:
    """Return a value in channels_last with zeros around each axis between batch and channels."""
    if not any(map(any, pads)):
        return x
    rank = len(pads)
    amount: Any = tuple(pads) if rank > 1 else pads[0]
    options: dict[str, Any] = {} if rank == 1 else {"data_format": "channels_last"}
    tensor = net.layer(PADDINGS[rank], x.tensor, "pad", padding=amount, **options)
    return x.same(tensor, x.nonnegative)


def _by_operation(
    net: Builder, x: Value, weight: Value, bias: Any, strides: Sequence[int], dilations: Sequence[int], border: str
) -> Value:
    rank = weight.rank - 2
    kernel = net.arrange(weight, (*range(2, 2 + rank), 1, 0)).tensor
    options: dict[str, Any] = {"strides": tuple(strides), "padding": border, "dilation_rate": tuple(dilations)}
    tensor = _grouped(x.tensor, kernel, data_format="channels_last", **options)
    if bias is not None:
        tensor = ops.add(tensor, bias.tensor if isinstance(bias, Value) else net.parameter(bias).tensor)
    return x.same(tensor)


def _grouped(tensor: Any, kernel: Any, **options: Any) -> Any:
    """Return a convolution by a tensor of as many groups as the shapes say: Keras' operation knows one group."""
    groups = int(tensor.shape[-1]) // int(kernel.shape[-2])
    if groups == 1:
        return ops.conv(tensor, kernel, **options)
    if kernel.shape[-2] == 1 and kernel.shape[-1] == groups and _takes_depthwise(*_both_steps(options)):
        order = [*range(len(kernel.shape) - 2), len(kernel.shape) - 1, len(kernel.shape) - 2]
        return ops.depthwise_conv(tensor, ops.transpose(kernel, order), **options)
    parts = zip(ops.split(tensor, groups, axis=-1), ops.split(kernel, groups, axis=-1), strict=True)
    return ops.concatenate([ops.conv(part, weights, **options) for part, weights in parts], axis=-1)


def _both_steps(options: Mapping[str, Any]) -> tuple[Sequence[int], Sequence[int]]:
    return options["strides"], options["dilation_rate"]


def transposed_convolution(
    net: Builder, x: Value, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Value:  # fmt: skip
    if isinstance(weight, Value):
        raise net.refuse("a transposed convolution by a computed kernel has no Keras layer")
    if groups > 1:
        options = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
        return _transposed_groups(net, x, weight, bias, groups, **options)
    rank = len(weight.shape) - 2
    x = _with_batch(net, x, rank)
    strides, dilations = spread(stride, rank), spread(dilation, rank)
    pads, more = spread(padding, rank), spread(output_padding, rank)
    kernel = [int(size) for size in weight.shape[2:]]
    reach = [(size - 1) * d + 1 for size, d in zip(kernel, dilations, strict=True)]
    # Keras' "valid" gives size * stride + max(kernel - stride, 0), PyTorch (size - 1) * stride + kernel + more
    ends = [p - m + max(s - r, 0) for p, m, s, r in zip(pads, more, strides, reach, strict=True)]
    array = net.array(weight).transpose(*range(2, 2 + rank), 1, 0)
    settings: dict[str, Any] = {
        "filters": int(weight.shape[1]), "kernel_size": kernel, "strides": strides, "dilation_rate": dilations,
        "use_bias": bias is not None and min(ends) >= 0, "data_format": "channels_last",
    }  # fmt: skip
    weights = [weight, bias] if settings["use_bias"] else [weight]
    arrays = [array, net.array(bias)] if settings["use_bias"] else [array]
    tensor = net.layer_with_weights(TRANSPOSED[rank], x.tensor, weights, arrays, **settings)
    if min(ends) < 0:  # pixels that no kernel reaches: the bias alone
        tensor = pad(net, x.same(tensor), [(0, max(0, -end)) for end in ends]).tensor
        tensor = tensor if bias is None else ops.add(tensor, net.parameter(bias).tensor)
        ends = [max(0, end) for end in ends]
    if any(pads) or any(ends):
        crops: Any = tuple(zip(pads, ends, strict=True))
        tensor = net.layer(CROPPINGS[rank], tensor, "crop", cropping=crops if rank > 1 else crops[0])
    return x.same(tensor)


def _transposed_groups(net: Builder, x: Value, weight: Any, bias: Any, groups: int, **options: Any) -> Value:
    """Return the results of one transposed convolution for each group, side by side."""
    if groups > MOST_GROUPS:
        raise net.refuse(f"a transposed convolution in {groups} groups has no Keras layer")
    x = _with_batch(net, x, len(weight.shape) - 2)
    parts = [x.same(part) for part in ops.split(x.tensor, groups, axis=-1)]
    weights = net.parts(weight, groups)
    biases = net.parts(bias, groups) if bias is not None else [None] * groups
    groups_of = zip(parts, weights, biases, strict=True)
    results = [transposed_convolution(net, part, kernel, offset, **options) for part, kernel, offset in groups_of]
    tensor = net.layer(keras.layers.Concatenate, [result.tensor for result in results], "groups", axis=-1)
    return results[0].same(tensor)


def embedding(net: Builder, weight: Any, indices: Value, *_: Any) -> Value:
    if isinstance(weight, Value):
        raise net.refuse("its table is computed")
    count, width = (int(size) for size in weight.shape)
    options: dict[str, Any] = {"input_dim": count, "output_dim": width}
    tensor = net.layer_with_weights(keras.layers.Embedding, indices.tensor, [weight], [net.array(weight)], **options)
    return Value(tensor, (*indices.axes, indices.rank))


OPERATORS = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), transposed_convolution),
    "embedding": embedding,
}
