"""LAYERS: for each layer of Keras, the function that translates it."""

from collections.abc import Callable

from keras import layers

from kerasnets.convert.to_torch import convolutions, dropouts, merges, norms, parameters, pools, shapes
from kerasnets.convert.to_torch.activations import ACTIVATION_LAYERS, activate, activation
from kerasnets.convert.to_torch.program import Value, array
from kerasnets.convert.to_torch.translate import Translator

Translation = Callable[..., Value]


def dense(t: Translator, layer: layers.Dense, x: Value) -> Value:
    if parameters.is_parameter(layer, x):
        return parameters.parameter(t, layer)
    if x.rows is None or t.is_shared():
        x = t.plain(x)
    if getattr(layer, "quantization_mode", None):
        raise t.unknown("layer {} is quantized, which has no translation to PyTorch")
    kernel = array(layer.kernel)
    kernel = kernel if x.rows is None else kernel[x.rows]
    args = {"in_features": kernel.shape[0], "out_features": layer.units}
    weights = {"weight": kernel.T} | ({"bias": array(layer.bias)} if layer.use_bias else {})
    args |= {} if layer.use_bias else {"bias": False}
    x = t.call("nn.Linear", [x], args, weights, shape=(*x.shape[:-1], layer.units), mixes=True)
    return activate(t, x, layer.activation)


def embedding(t: Translator, layer: layers.Embedding, x: Value) -> Value:
    if layer.mask_zero:
        raise t.unknown("layer {} masks zeros, which has no translation to PyTorch")
    args = {"num_embeddings": layer.input_dim, "embedding_dim": layer.output_dim}
    order = tuple(range(len(t.shape)))
    return t.call("nn.Embedding", [t.plain(x)], args, {"weight": array(layer.embeddings)}, shape=t.shape, order=order)


LAYERS: dict[type, Translation] = {
    layers.Dense: dense,
    layers.Embedding: embedding,
    layers.Activation: activation,
    **ACTIVATION_LAYERS,
    **convolutions.LAYERS,
    **norms.LAYERS,
    **pools.LAYERS,
    **shapes.LAYERS,
    **merges.LAYERS,
    **dropouts.LAYERS,
}

# Layers that keras.applications defines for itself, by their names in its modules
LAYERS_OF_APPLICATIONS: dict[str, Translation] = {
    "convnext.LayerScale": norms.layer_scale,
    "convnext.StochasticDepth": dropouts.stochastic_depth,
    "inception_resnet_v2.CustomScaleLayer": merges.custom_scale,
}


def translation(layer: layers.Layer) -> Translation | None:
    """Return the function that translates a layer of exactly this class; None if it is not known."""
    module = type(layer).__module__.removeprefix("keras.src.applications.")
    return LAYERS.get(type(layer)) or LAYERS_OF_APPLICATIONS.get(f"{module}.{type(layer).__name__}")
