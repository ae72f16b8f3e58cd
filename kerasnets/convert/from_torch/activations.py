"""Activations and dropout."""

from typing import Any

import keras
from keras import ops

from kerasnets.convert.from_torch.builder import Builder
from kerasnets.convert.from_torch.programs import RANDOM_DEPTH
from kerasnets.convert.from_torch.values import Value

# operator -> the name of Keras' activation, for those without options
NAMES = {
    "silu": "silu", "sigmoid": "sigmoid", "tanh": "tanh", "hardswish": "hard_silu", "hardsigmoid": "hard_sigmoid",
    "mish": "mish", "selu": "selu", "log_sigmoid": "log_sigmoid",
}  # fmt: skip
NONNEGATIVE = ("sigmoid", "hardsigmoid")

# operator -> keras.ops' function of one tensor
FUNCTIONS = {
    "exp": ops.exp, "sqrt": ops.sqrt, "rsqrt": ops.rsqrt, "abs": ops.abs, "neg": ops.negative, "log": ops.log,
    "square": ops.square, "reciprocal": ops.reciprocal, "sin": ops.sin, "cos": ops.cos, "erf": ops.erf,
    "floor": ops.floor, "sign": ops.sign, "log1p": ops.log1p,
}  # fmt: skip


def _activation(name: str, nonnegative: bool) -> Any:
    def activation(net: Builder, x: Value) -> Value:
        return x.same(net.layer(keras.layers.Activation, x.tensor, activation=name), nonnegative)

    return activation


def _function(function: Any) -> Any:
    def operation(net: Builder, x: Value) -> Value:
        return x.same(function(x.tensor))

    return operation


def relu(net: Builder, x: Value) -> Value:
    return x.same(net.layer(keras.layers.ReLU, x.tensor), True)


def relu6(net: Builder, x: Value) -> Value:
    return x.same(net.layer(keras.layers.ReLU, x.tensor, max_value=6.0), True)


def hardtanh(net: Builder, x: Value, min_val: float = -1, max_val: float = 1) -> Value:
    if min_val == 0:
        return x.same(net.layer(keras.layers.ReLU, x.tensor, max_value=float(max_val)), True)
    return x.same(ops.clip(x.tensor, min_val, max_val))


def clamp(net: Builder, x: Value, min: float | None = None, max: float | None = None) -> Value:
    if min == 0 and (max is None or max > 0):
        return x.same(net.layer(keras.layers.ReLU, x.tensor, max_value=None if max is None else float(max)), True)
    tensor = x.tensor if min is None else ops.maximum(x.tensor, float(min))
    return x.same(tensor if max is None else ops.minimum(tensor, float(max)), bool(min is not None and min >= 0))


def gelu(net: Builder, x: Value, *, approximate: str = "none") -> Value:
    if approximate == "none":
        return x.same(net.layer(keras.layers.Activation, x.tensor, activation="gelu"))
    return x.same(ops.gelu(x.tensor, approximate=True))


def leaky_relu(net: Builder, x: Value, negative_slope: float = 0.01) -> Value:
    return x.same(net.layer(keras.layers.LeakyReLU, x.tensor, negative_slope=float(negative_slope)))


def elu(net: Builder, x: Value, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Value:
    if scale != 1 or input_scale != 1:
        raise net.refuse("its scale is not converted")
    return x.same(net.layer(keras.layers.ELU, x.tensor, alpha=float(alpha)))


def celu(net: Builder, x: Value, alpha: float = 1) -> Value:
    return x.same(ops.celu(x.tensor, alpha=float(alpha)))


def softplus(net: Builder, x: Value, beta: float = 1, threshold: float = 20) -> Value:
    if beta != 1:
        scaled = ops.multiply(x.tensor, float(beta))
        return x.same(ops.multiply(ops.softplus(scaled), 1 / float(beta)), True)
    return x.same(net.layer(keras.layers.Activation, x.tensor, activation="softplus"), True)


def hard_shrink(net: Builder, x: Value, lambd: float = 0.5) -> Value:
    return x.same(ops.hard_shrink(x.tensor, threshold=float(lambd)))


def soft_shrink(net: Builder, x: Value, lambd: float = 0.5) -> Value:
    return x.same(ops.soft_shrink(x.tensor, threshold=float(lambd)))


def threshold(net: Builder, x: Value, threshold: float, value: float) -> Value:
    return x.same(ops.threshold(x.tensor, float(threshold), float(value)))


def prelu(net: Builder, x: Value, weight: Any) -> Value:
    x = net.to_channels_last(net.in_order(x))
    inner = list(range(1, x.rank - 1 if weight.numel() > 1 else x.rank))
    array = net.array(weight).reshape((1,) * len(inner) + (-1,) * (weight.numel() > 1))
    return x.same(net.layer_with_weights(keras.layers.PReLU, x.tensor, [weight], [array], shared_axes=inner or None))


def softmax(net: Builder, x: Value, dim: int, dtype: Any = None, half_to_float: bool = False) -> Value:
    x = net.in_order(x)
    return x.same(net.layer(keras.layers.Softmax, x.tensor, axis=_axis(x, dim)), True)


def log_softmax(net: Builder, x: Value, dim: int, dtype: Any = None, half_to_float: bool = False) -> Value:
    x = net.in_order(x)
    if _axis(x, dim) == -1:
        return x.same(net.layer(keras.layers.Activation, x.tensor, activation="log_softmax"))
    return x.same(ops.log_softmax(x.tensor, axis=_axis(x, dim)))


def glu(net: Builder, x: Value, dim: int = -1) -> Value:
    x = net.in_order(x)
    first, second = ops.split(x.tensor, 2, axis=x.position(dim))
    gate = net.layer(keras.layers.Activation, second, "gate", activation="sigmoid")
    return x.same(net.layer(keras.layers.Multiply, [first, gate]))


def _axis(x: Value, dim: int) -> int:
    position = x.position(dim)
    return -1 if position == x.rank - 1 else position


def dropout(net: Builder, x: Value, p: float, train: bool) -> Value:
    if train:
        raise net.refuse("it drops numbers in evaluation too", "pass training=self.training to it")
    kind = net.step.kind.rpartition(".")[2]
    if p == 0:
        return x
    shape = None
    if kind in RANDOM_DEPTH:  # a whole branch for each picture, or for the batch
        batch = getattr(net.program.modules[net.step.path], "mode", "row") == "batch"
        shape = [1 if batch else None, *[1] * (x.rank - 1)]
    return x.same(net.layer(keras.layers.Dropout, x.tensor, rate=float(p), noise_shape=shape), x.nonnegative)


def feature_dropout(net: Builder, x: Value, p: float, train: bool) -> Value:
    """nn.Dropout2d: whole maps are dropped."""
    if train:
        raise net.refuse("it drops numbers in evaluation too", "pass training=self.training to it")
    if p == 0:
        return x
    if x.rank == 4:
        x = net.to_channels_last(x)
        options: dict[str, Any] = {"rate": float(p), "data_format": "channels_last"}
        return x.same(net.layer(keras.layers.SpatialDropout2D, x.tensor, **options), x.nonnegative)
    shape = [None if axis < 2 else 1 for axis in x.axes]
    return x.same(net.layer(keras.layers.Dropout, x.tensor, rate=float(p), noise_shape=shape), x.nonnegative)


def alpha_dropout(net: Builder, x: Value, p: float, train: bool) -> Value:
    if train:
        raise net.refuse("it drops numbers in evaluation too", "pass training=self.training to it")
    return x.same(net.layer(keras.layers.AlphaDropout, x.tensor, rate=float(p))) if p else x


OPERATORS = {
    **{operator: _activation(name, operator in NONNEGATIVE) for operator, name in NAMES.items()},
    **{operator: _function(function) for operator, function in FUNCTIONS.items()},
    "relu": relu, "relu6": relu6, "hardtanh": hardtanh, "clamp": clamp, "clamp_min": clamp, "gelu": gelu,
    "leaky_relu": leaky_relu, "elu": elu, "celu": celu, "softplus": softplus, "prelu": prelu, "softmax": softmax,
    "log_softmax": log_softmax, "glu": glu, "dropout": dropout, "feature_dropout": feature_dropout,
    "alpha_dropout": alpha_dropout, "hardshrink": hard_shrink, "softshrink": soft_shrink, "threshold": threshold,
}  # fmt: skip
