"""Batch, layer, group and instance normalization, with PyTorch's epsilon and momentum."""

from typing import Any

import keras
import numpy as np
from keras import ops

from kerasnets.convert.from_torch.builder import Builder
from kerasnets.convert.from_torch.values import Value


def batch_norm(
    net: Builder, x: Value, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool = False,
    momentum: float = 0.1, eps: float = 1e-5, cudnn_enabled: bool = False,
) -> Value:  # fmt: skip
    """BatchNormalization: Keras keeps what share of the old statistics PyTorch replaces.

    Departure: PyTorch keeps the unbiased variance of a batch, Keras the biased one; the running variance of later
    training differs by n / (n - 1) for n numbers in a channel.
    """
    rows = x.rows
    if running_mean is None:
        return _of_the_batch(net, x, weight, bias, eps)
    if any(isinstance(part, Value) for part in (weight, bias)):
        raise net.refuse("its weight is computed, not stored")
    if getattr(net.program.modules.get(net.step.path), "momentum", momentum) is None:
        raise net.refuse("a cumulative average (momentum=None) has no Keras layer", "set its momentum to 0.1")
    x = x if rows is not None else net.to_channels_last(x)
    tensors = [weight, bias, running_mean, running_var]
    arrays = [net.array(part) if rows is None else net.array(part)[rows] for part in tensors if part is not None]
    options: dict[str, Any] = {
        "axis": -1, "momentum": 1 - momentum, "epsilon": eps, "scale": weight is not None, "center": bias is not None,
    }  # fmt: skip
    kind = keras.layers.BatchNormalization
    frozen = False  # else Keras would also keep the statistics as they are, which PyTorch does not
    return x.same(net.layer_with_weights(kind, x.tensor, tensors, arrays, frozen=frozen, **options))


def _of_the_batch(net: Builder, x: Value, weight: Any, bias: Any, eps: float) -> Value:
    """Return what is normalized by its own mean and variance, as in weight standardization."""
    x = net.in_order(x)
    axes = [i for i, axis in enumerate(x.axes) if axis != 1]
    mean = ops.mean(x.tensor, axis=axes, keepdims=True)
    centred = ops.subtract(x.tensor, mean)
    variance = ops.mean(ops.square(centred), axis=axes, keepdims=True)
    tensor = ops.multiply(centred, ops.rsqrt(ops.add(variance, eps)))
    return _scale(net, x.same(tensor), weight, bias, [1])


def _factor(net: Builder, part: Any) -> Any:
    """Return a weight for an operation: computed, trained or constant."""
    if isinstance(part, Value):
        return part.tensor
    return net.parameter(part).tensor if part.requires_grad else net.array(part)


def _scale(net: Builder, x: Value, weight: Any, bias: Any, dims: list[int]) -> Value:
    """Return x * weight + bias, whose axes are PyTorch's axes `dims`."""
    shape = [x.tensor.shape[i] if axis in dims else 1 for i, axis in enumerate(x.axes)]
    for part, function in ((weight, ops.multiply), (bias, ops.add)):
        if part is not None:
            x = x.same(function(x.tensor, ops.reshape(_factor(net, part), shape)))
    return x


def layer_norm(
    net: Builder, x: Value, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    cudnn_enable: bool = False,
) -> Value:  # fmt: skip
    x = net.in_order(x)
    count = len(normalized_shape)
    if any(isinstance(part, Value) for part in (weight, bias)):
        raise net.refuse("its weight is computed, not stored")
    last = tuple(range(x.rank - count, x.rank))
    if x.axes[-count:] != last:  # on torch, Keras normalizes the last axes alone
        x = net.arrange(x, (*(axis for axis in x.axes if axis not in last), *last))
    tensors = [weight, bias]
    arrays = [net.array(part) for part in tensors if part is not None]
    options: dict[str, Any] = {
        "axis": list(range(x.rank - count, x.rank)) if count > 1 else -1, "epsilon": eps,
        "scale": weight is not None, "center": bias is not None,
    }  # fmt: skip
    return x.same(net.layer_with_weights(keras.layers.LayerNormalization, x.tensor, tensors, arrays, **options))


def group_norm(
    net: Builder, x: Value, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    cudnn_enabled: bool = False,
) -> Value:  # fmt: skip
    x = net.to_channels_last(net.in_order(x))
    tensors = [weight, bias]
    arrays = [net.array(part) for part in tensors if part is not None]
    options: dict[str, Any] = {
        "groups": num_groups, "axis": -1, "epsilon": eps, "scale": weight is not None, "center": bias is not None,
    }  # fmt: skip
    return x.same(net.layer_with_weights(keras.layers.GroupNormalization, x.tensor, tensors, arrays, **options))


def instance_norm(
    net: Builder, x: Value, weight: Any, bias: Any, running_mean: Any, running_var: Any, use_input_stats: bool,
    momentum: float, eps: float, cudnn_enabled: bool = False,
) -> Value:  # fmt: skip
    if running_mean is not None:
        raise net.refuse("running statistics of single pictures have no Keras layer")
    return group_norm(net, x, int(x.shape[1]), weight, bias, eps)


def rms_norm(net: Builder, x: Value, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Value:
    x = net.in_order(x)
    dims = list(range(x.rank - len(normalized_shape), x.rank))
    axes = [x.position(dim) for dim in dims]
    square = ops.mean(ops.square(x.tensor), axis=axes, keepdims=True)
    eps = float(np.finfo("float32").eps) if eps is None else eps
    x = x.same(ops.multiply(x.tensor, ops.rsqrt(ops.add(square, eps))))
    return _scale(net, x, weight, None, dims) if len(dims) == 1 else x


def weight_norm(net: Builder, direction: Value, length: Value, dim: int = 0) -> Value:
    """nn.utils.parametrizations.weight_norm: the length of a kernel is trained apart from its direction."""
    axes = [axis for axis in range(direction.rank) if axis != dim % direction.rank]
    norm = ops.sqrt(ops.sum(ops.square(direction.tensor), axis=axes, keepdims=True))
    return direction.same(ops.multiply(direction.tensor, ops.divide(length.tensor, norm)))


OPERATORS = {
    "_weight_norm": weight_norm,
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "rms_norm": rms_norm,
}
