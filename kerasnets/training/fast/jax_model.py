"""The trainee on JAX: on a CPU, convolutions and max pooling that XLA computes slowly are computed in another way.

Its numbers equal Keras' up to rounding; `jax_layers` has what is measured. In bfloat16 sums are in float32.
"""

from typing import Any

import jax
import keras
from keras import layers

from kerasnets import graph
from kerasnets.recipes import Recipe
from kerasnets.training.fast import jax_layers
from kerasnets.training.fast.bfloat16_layers import exact_kind


def jax_trainee(network: keras.Model, recipe: Recipe, scaling: graph.Scaling | None) -> keras.Model | None:
    """Return a copy of `network`, from raw pixels to logits, for `recipe`; None if nothing of it would be better."""
    if jax.default_backend() != "cpu":
        return None
    copy = graph.rebuild(network, scaling=scaling, precision=recipe.precision)
    if not any(fast_kind(layer) for layer in copy.layers):
        return None
    fast = keras.models.clone_model(copy, clone_function=clone)
    graph.copy_weights(copy, fast)
    return fast


def clone(layer: layers.Layer) -> layers.Layer:
    kind: type[layers.Layer] = fast_kind(layer) or type(layer)
    return kind.from_config(layer.get_config())


def fast_kind(layer: layers.Layer) -> type[layers.Layer] | None:
    """Return the class that computes a layer faster, or more exactly, if there is one."""
    if kind := exact_kind(layer):
        return kind
    if getattr(layer, "data_format", "") != "channels_last" or layer.compute_dtype != "float32":
        return None
    if type(layer) is layers.Conv2D and layer.groups == 1 and layer.dilation_rate == (1, 1):
        return FastConv2D
    if type(layer) is layers.MaxPooling2D and layer.pool_size == layer.strides and layer.padding == "valid":
        return FastMaxPooling2D
    return None


class FastConv2D(layers.Conv2D):
    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        return jax_layers.convolution(inputs, keras.ops.convert_to_tensor(kernel), self.strides, self.padding)


class FastMaxPooling2D(layers.MaxPooling2D):
    def call(self, inputs: Any) -> Any:
        return jax_layers.maximum(inputs, self.pool_size)
