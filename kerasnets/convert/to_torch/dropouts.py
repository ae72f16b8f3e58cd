"""Layers that do something in training alone."""

from collections.abc import Callable
from typing import Any

from keras import layers

from kerasnets.convert.to_torch.program import Value, channels_first
from kerasnets.convert.to_torch.translate import Translator


def dropout(t: Translator, layer: layers.Dropout, x: Value) -> Value:
    if not layer.rate:
        return x
    shape = tuple(layer.noise_shape or ())
    if not shape:
        return call_dropout(t, "nn.Dropout", layer.rate, x)
    if len(shape) == x.rank and shape[0] is None and set(shape[1:]) == {1}:
        return call_dropout(t, "DropPath", layer.rate, x)
    raise t.unknown("layer {} has a noise shape that has no translation to PyTorch")


def spatial(t: Translator, layer: Any, x: Value) -> Value:
    if not layer.rate:
        return x
    last = getattr(layer, "data_format", "channels_last") == "channels_last"
    x = t.arrange(x, channels_first(x.rank)) if last else t.plain(x)
    return call_dropout(t, f"nn.Dropout{x.rank - 2}d", layer.rate, x)


def stochastic_depth(t: Translator, layer: Any, x: Value) -> Value:
    """The layer of keras.applications' ConvNeXt."""
    return call_dropout(t, "DropPath", layer.drop_path_rate, x) if layer.drop_path_rate else x


def call_dropout(t: Translator, kind: str, rate: float, x: Value) -> Value:
    return t.call(kind, [x], {"p": float(f"{float(rate):.12g}")}, encloses=True)


def nothing(t: Translator, layer: Any, x: Value) -> Value:
    return x


LAYERS: dict[type, Callable[..., Value]] = {
    layers.Dropout: dropout,
    layers.SpatialDropout1D: spatial,
    layers.SpatialDropout2D: spatial,
    layers.SpatialDropout3D: spatial,
    layers.ActivityRegularization: nothing,
    layers.Identity: nothing,
}
