"""Normalization: of batches, layers and groups, and by fixed numbers."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from kerasnets.convert.to_torch.names import number, quotient
from kerasnets.convert.to_torch.program import Value, array, channels_first, identity
from kerasnets.convert.to_torch.translate import Translator


def batch_norm(t: Translator, layer: layers.BatchNormalization, x: Value) -> Value:
    if layer.renorm:
        raise t.unknown("layer {} is a batch renormalization, which has no translation to PyTorch")
    axis = layer.axis % x.rank
    if x.rank > 2 and x.order[1] != axis:
        x = t.arrange(x, channels_first(x.rank) if axis == x.rank - 1 else identity(x.rank))
    if x.rank < 2 or x.order[1] != axis or (t.is_shared() and x.rows is not None):
        raise t.unknown("layer {} normalizes another axis than the channels, which has no translation to PyTorch")
    names = {"weight": layer.gamma, "bias": layer.beta, "running_mean": layer.moving_mean,
             "running_var": layer.moving_variance}  # fmt: skip
    weights = {name: array(weight) for name, weight in names.items() if weight is not None}
    channels = len(weights["running_mean"])
    if layer.scale != layer.center:
        weights |= {"weight": weights.get("weight", np.ones(channels, "float32"))}
        weights |= {"bias": weights.get("bias", np.zeros(channels, "float32"))}
    if x.rows is not None:
        weights = {name: weight[x.rows] for name, weight in weights.items()}
    weights["num_batches_tracked"] = np.array(0)
    args: dict[str, Any] = {"num_features": channels}
    args |= {"eps": layer.epsilon} if layer.epsilon != 1e-5 else {}
    momentum = round(1 - layer.momentum, 12)
    args |= {"momentum": momentum} if momentum != 0.1 else {}
    args |= {} if layer.scale or layer.center else {"affine": False}
    kind = f"BatchNorm{max(x.rank - 2, 1)}d"
    kind = f"nn.{kind}" if layer.scale == layer.center else f"{'Unscaled' if layer.center else 'Uncentered'}{kind}"
    order = ("running_mean", "running_var", "num_batches_tracked")
    weights = {name: weights[name] for name in ("weight", "bias", *order) if name in weights}
    return t.call(kind, [x], args, weights, encloses=True)


def layer_norm(t: Translator, layer: layers.LayerNormalization, x: Value) -> Value:
    axes = sorted(axis % x.rank for axis in (layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]))
    x = t.plain(x)
    if axes != list(range(x.rank - len(axes), x.rank)) or getattr(layer, "rms_scaling", False):
        raise t.unknown("layer {} normalizes other axes than the last ones, which has no translation to PyTorch")
    if layer.center and not layer.scale:
        raise t.unknown("layer {} has a center without a scale, which has no translation to PyTorch")
    shape = tuple(x.shape[axis] for axis in axes)
    args: dict[str, Any] = {"normalized_shape": shape if len(shape) > 1 else shape[0]}
    args |= {"eps": layer.epsilon} if layer.epsilon != 1e-5 else {}
    args |= {} if layer.scale else {"elementwise_affine": False}
    args |= {"bias": False} if layer.scale and not layer.center else {}
    weights = {"weight": array(layer.gamma)} if layer.scale else {}
    weights |= {"bias": array(layer.beta)} if layer.center else {}
    return t.call("nn.LayerNorm", [x], args, weights, encloses=True, mixes=True)


def group_norm(t: Translator, layer: layers.GroupNormalization, x: Value) -> Value:
    axis = layer.axis % x.rank
    if x.rank < 3 or axis not in (1, x.rank - 1) or not (layer.scale and layer.center):
        raise t.unknown("layer {} has options of a GroupNormalization that have no translation to PyTorch")
    x = t.arrange(x, channels_first(x.rank) if axis > 1 else identity(x.rank))
    channels = x.shape[axis]
    args = {"num_groups": channels if layer.groups == -1 else layer.groups, "num_channels": channels}
    args |= {"eps": layer.epsilon} if layer.epsilon != 1e-5 else {}
    return t.call("nn.GroupNorm", [x], args, {"weight": array(layer.gamma), "bias": array(layer.beta)}, encloses=True)


def rescaling(t: Translator, layer: layers.Rescaling, x: Value) -> Value:
    scale, offset = (np.asarray(value, "float64") for value in (layer.scale, layer.offset))
    if scale.size == offset.size == 1:
        scale, offset = scale.item(), offset.item()
        if scale == offset == 0:
            return t.apply("torch.zeros_like({0})", [x], enclosed=True, non_negative=True)
        text = "{0}" if scale == 1 else quotient(scale)
        text += f" {'-' if offset < 0 else '+'} {number(abs(offset))}" if offset else ""
        return x if text == "{0}" else t.apply(text, [x])
    channels = int(x.shape[-1] or 1)
    return affine(t, x, np.broadcast_to(scale, channels), np.broadcast_to(offset, channels))


def normalization(t: Translator, layer: layers.Normalization, x: Value) -> Value:
    if layer.invert:
        raise t.unknown("layer {} is inverted, which has no translation to PyTorch")
    mean, variance = (array(value).astype("float64").reshape(-1) for value in (layer.mean, layer.variance))
    std = np.maximum(np.sqrt(variance), keras.config.epsilon())
    axes = tuple(layer.axis) if isinstance(layer.axis, (list, tuple)) else (layer.axis,)
    if any(axis % x.rank != x.rank - 1 for axis in axes):
        raise t.unknown("layer {} normalizes another axis than the last, which has no translation to PyTorch")
    return affine(t, x, 1 / std, -mean / std)


def affine(t: Translator, x: Value, scale: np.ndarray, offset: np.ndarray) -> Value:
    """x * scale + offset for each channel, the last axis in Keras."""
    x = t.plain(x) if x.rank < 3 else x
    if (scale == 1).all() and (offset == 0).all():
        return x
    trailing = x.rank - 1 - x.dim(-1)
    args = {"scale": tuple(map(short, scale)), "offset": tuple(map(short, offset)), "trailing_axes": trailing}
    return t.call("Affine", [x], args, encloses=True)


def short(value: float) -> float:
    """Return the shortest number that is the same in float32."""
    return float(str(np.float32(value))) + 0.0  # no -0.0


def layer_scale(t: Translator, layer: Any, x: Value) -> Value:
    """The layer of keras.applications' ConvNeXt: x * gamma for each channel."""
    x = t.plain(x)
    gamma = array(layer.gamma)
    return t.call("LayerScale", [x], {"channels": len(gamma)}, {"gamma": gamma}, encloses=True)


LAYERS: dict[type, Callable[..., Value]] = {
    layers.BatchNormalization: batch_norm,
    layers.LayerNormalization: layer_norm,
    layers.GroupNormalization: group_norm,
    layers.Rescaling: rescaling,
    layers.Normalization: normalization,
}
