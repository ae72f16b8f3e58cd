"""Activations: functions of Keras, and layers of them, as expressions of PyTorch."""

from collections.abc import Callable
from typing import Any

from keras import activations, layers

from kerasnets.convert.to_torch.names import literal
from kerasnets.convert.to_torch.program import Value, array
from kerasnets.convert.to_torch.translate import Translator

# Keras' function -> the expression; "{dim}" is the axis of the channels
FUNCTIONS: dict[Any, str] = {
    activations.celu: "F.celu({0})",
    activations.elu: "F.elu({0})",
    activations.exponential: "torch.exp({0})",
    activations.gelu: "F.gelu({0})",
    activations.glu: "F.glu({0}, dim={dim})",
    activations.hard_shrink: "F.hardshrink({0})",
    activations.hard_sigmoid: "F.hardsigmoid({0})",
    activations.hard_silu: "F.hardswish({0})",
    activations.hard_tanh: "F.hardtanh({0})",
    activations.leaky_relu: "F.leaky_relu({0}, 0.2)",
    activations.log_sigmoid: "F.logsigmoid({0})",
    activations.log_softmax: "F.log_softmax({0}, dim={dim})",
    activations.mish: "F.mish({0})",
    activations.relu: "F.relu({0})",
    activations.relu6: "F.relu6({0})",
    activations.selu: "F.selu({0})",
    activations.sigmoid: "torch.sigmoid({0})",
    activations.silu: "F.silu({0})",
    activations.soft_shrink: "F.softshrink({0})",
    activations.softmax: "F.softmax({0}, dim={dim})",
    activations.softplus: "F.softplus({0})",
    activations.softsign: "F.softsign({0})",
    activations.tanh: "torch.tanh({0})",
    activations.tanh_shrink: "F.tanhshrink({0})",
}
NON_NEGATIVE = ("F.relu", "F.softplus", "torch.sigmoid", "F.hardsigmoid", "torch.exp", "F.softmax")
MIXING = ("F.softmax", "F.log_softmax", "F.glu")


def activation(t: Translator, layer: layers.Activation, x: Value) -> Value:
    return activate(t, x, layer.activation)


def activate(t: Translator, x: Value, function: Any) -> Value:
    """Return `x` after an activation, which is a function, or a layer such as keras.layers.LeakyReLU()."""
    if function is None or function is activations.linear:
        return x
    if type(function) in ACTIVATION_LAYERS and not function.weights:
        return ACTIVATION_LAYERS[type(function)](t, function, x)
    if function not in FUNCTIONS:
        raise t.unknown("the activation of layer {} has no translation to PyTorch")
    return express(t, x, FUNCTIONS[function])


def express(t: Translator, x: Value, expression: str, axis: int = -1) -> Value:
    if expression.startswith(MIXING) and x.rows is not None and expression.startswith("F.glu"):
        x = t.plain(x)
    shape = t.shape if expression.startswith("F.glu") else None
    expression = expression.replace("{dim}", str(x.dim(axis)))
    return t.apply(expression, [x], shape=shape, encloses=True, non_negative=expression.startswith(NON_NEGATIVE))


def relu(t: Translator, layer: layers.ReLU, x: Value) -> Value:
    slope, most, threshold = (
        getattr(layer, name) for name in ("negative_slope", "max_value", "threshold")
    )  # fmt: skip
    return express(t, x, relu_expression(slope or 0, most, threshold or 0, t))


def relu_expression(slope: float, most: float | None, threshold: float, t: Translator) -> str:
    if slope and not most and not threshold:
        return f"F.leaky_relu({{0}}, {literal(slope)})"
    if slope or threshold:
        raise t.unknown("{} is a ReLU with a threshold, which has no translation to PyTorch")
    if most is None:
        return "F.relu({0})"
    return "F.relu6({0})" if most == 6 else f"torch.clamp({{0}}, 0, {literal(most)})"


def leaky_relu(t: Translator, layer: layers.LeakyReLU, x: Value) -> Value:
    return express(t, x, f"F.leaky_relu({{0}}, {literal(layer.negative_slope)})")


def elu(t: Translator, layer: layers.ELU, x: Value) -> Value:
    return express(t, x, f"F.elu({{0}}, {literal(layer.alpha)})" if layer.alpha != 1 else "F.elu({0})")


def softmax(t: Translator, layer: layers.Softmax, x: Value) -> Value:
    if not isinstance(layer.axis, int):
        raise t.unknown("layer {} is a Softmax over several axes, which has no translation to PyTorch")
    return express(t, x, "F.softmax({0}, dim={dim})", layer.axis)


def prelu(t: Translator, layer: layers.PReLU, x: Value) -> Value:
    """One slope for each channel, as PyTorch has it, or one for all."""
    alpha = array(layer.alpha)
    x = t.arrange(x, (0, x.rank - 1, *range(1, x.rank - 1))) if x.rank > 2 else t.plain(x)
    if alpha.size not in (1, alpha.shape[-1]):
        raise t.unknown("layer {} has a slope for each pixel; PyTorch has one for each channel (shared_axes=[1, 2])")
    args = {"num_parameters": alpha.size} if alpha.size > 1 else {}
    return t.call("nn.PReLU", [x], args, {"weight": alpha.reshape(-1)}, encloses=True)


ACTIVATION_LAYERS: dict[type, Callable[..., Value]] = {
    layers.ReLU: relu,
    layers.LeakyReLU: leaky_relu,
    layers.ELU: elu,
    layers.Softmax: softmax,
    layers.PReLU: prelu,
}
