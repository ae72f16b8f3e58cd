"""Pictures made larger or smaller: by repetition, interpolation, or from and into channels."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kerasnets.convert.from_torch.builder import Builder
from kerasnets.convert.from_torch.values import Value

# ATen's operator -> the mode of F.interpolate
MODES = {
    "upsample_nearest1d": "nearest", "upsample_nearest2d": "nearest", "upsample_nearest3d": "nearest",
    "_upsample_nearest_exact2d": "nearest-exact", "upsample_linear1d": "linear", "upsample_bilinear2d": "bilinear",
    "upsample_trilinear3d": "trilinear", "upsample_bicubic2d": "bicubic", "_upsample_bilinear2d_aa": "bilinear",
    "_upsample_bicubic2d_aa": "bicubic",
}  # fmt: skip
BY_LAYER = ("nearest", "nearest-exact", "bilinear")  # if a picture grows a whole number of times
EINSUMS = {1: "nhc,ih->nic", 2: "nhwc,ih,jw->nijc", 3: "ndhwc,id,jh,kw->nijkc"}


def resize(net: Builder, x: Value, output_size: Any, *options: Any) -> Value:
    """F.interpolate; the options are align_corners, if the mode has it, and the scale of each axis."""
    x = net.to_channels_last(x)
    mode = MODES[net.step.operator]
    aligned = bool(options[0]) if "nearest" not in mode and options else False
    before, after = [int(size) for size in x.shape[2:]], [int(size) for size in net.step.shape[2:]]
    if before == after:
        return x
    whole = len(before) == 2 and not any(b % a for a, b in zip(before, after, strict=True))
    if whole and mode in BY_LAYER and not aligned:
        settings: dict[str, Any] = {
            "size": tuple(b // a for a, b in zip(before, after, strict=True)),
            "interpolation": mode.removesuffix("-exact"), "data_format": "channels_last",
        }  # fmt: skip
        return x.same(net.layer(keras.layers.UpSampling2D, x.tensor, **settings), x.nonnegative)
    net.sized = True
    scales = options[-1] if not output_size and options else None
    matrices = [
        _matrix(net, axis, len(before), size, output_size[axis] if output_size else None, scales, aligned)
        for axis, size in enumerate(before)
    ]
    constants = [net.constant(matrix, 2, (0, 1)) if matrix.numel() > 1 else matrix.numpy() for matrix in matrices]
    return x.same(ops.einsum(EINSUMS[len(before)], x.tensor, *constants), x.nonnegative and mode != "bicubic")


def _matrix(net: Builder, axis: int, rank: int, size: int, target: Any, scales: Any, aligned: bool) -> Any:
    """Return the share of each old pixel in each new one of an axis, (new, old), as PyTorch resizes single pixels."""
    import torch

    mode = MODES[net.step.operator]
    shape = [1] * rank
    shape[axis] = size
    ones = torch.eye(size).reshape(1, size, *shape)
    more: dict[str, Any] = {} if "nearest" in mode else {"align_corners": aligned}
    more |= {"antialias": True} if net.step.operator.endswith("_aa") else {}
    if target is not None:
        more["size"] = [int(target) if i == axis else 1 for i in range(rank)]
    else:
        more["scale_factor"] = [float(scales[axis]) if i == axis else 1.0 for i in range(rank)]
    return torch.nn.functional.interpolate(ones, mode=mode, **more).reshape(size, -1).T.contiguous()


def shuffle(net: Builder, x: Value, groups: int) -> Value:
    """nn.ChannelShuffle."""
    x = net.to_channels_last(x)
    *inner, channels = x.tensor.shape[1:]
    net.sized = True
    tensor = net.layer(keras.layers.Reshape, x.tensor, "split", target_shape=(*inner, groups, channels // groups))
    tensor = net.layer(keras.layers.Permute, tensor, "swap", dims=(1, 2, 4, 3))
    return x.same(net.layer(keras.layers.Reshape, tensor, target_shape=(*inner, channels)), x.nonnegative)


def enlarge_by_channels(net: Builder, x: Value, factor: int) -> Value:
    """nn.PixelShuffle."""
    x = net.to_channels_last(x)
    height, width, channels = x.tensor.shape[1:]
    net.sized, less = True, channels // factor**2
    tensor = net.layer(keras.layers.Reshape, x.tensor, "split", target_shape=(height, width, less, factor, factor))
    tensor = net.layer(keras.layers.Permute, tensor, "swap", dims=(1, 4, 2, 5, 3))
    shape = (height * factor, width * factor, less)
    return x.same(net.layer(keras.layers.Reshape, tensor, target_shape=shape), x.nonnegative)


def shrink_into_channels(net: Builder, x: Value, factor: int) -> Value:
    """nn.PixelUnshuffle."""
    x = net.to_channels_last(x)
    height, width, channels = x.tensor.shape[1:]
    net.sized, rows, columns = True, height // factor, width // factor
    shape: Sequence[int] = (rows, factor, columns, factor, channels)
    tensor = net.layer(keras.layers.Reshape, x.tensor, "split", target_shape=shape)
    tensor = net.layer(keras.layers.Permute, tensor, "swap", dims=(1, 3, 5, 2, 4))
    shape = (rows, columns, channels * factor**2)
    return x.same(net.layer(keras.layers.Reshape, tensor, target_shape=shape), x.nonnegative)


OPERATORS = {
    **dict.fromkeys(MODES, resize),
    "pixel_shuffle": enlarge_by_channels, "pixel_unshuffle": shrink_into_channels, "channel_shuffle": shuffle,
}  # fmt: skip
