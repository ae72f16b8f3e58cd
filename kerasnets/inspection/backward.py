"""A backward pass through a network, by each backend's own automatic differentiation."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

Tensor = Any  # of the backend
Scalar = Callable[[Tensor], Tensor]  # the network's outputs -> a tensor of one number, in keras.ops
# pictures -> (outputs, gradient by the pictures, gradients by the weights before the pass, and after it)
Pass = Callable[[np.ndarray], tuple[Tensor, Tensor, list[Tensor], list[Tensor]]]


@dataclass(frozen=True)
class Backward:
    """The results of one backward pass.

    Attributes:
        outputs: The network's outputs for the pictures.
        pictures: The derivative by the pictures, of the same shape.
        before: The gradient stored on each trainable weight before the pass, in the order of
            `network.trainable_variables`; None for a weight without one.
        weights: The gradient of each trainable weight after the pass, likewise.
    """

    outputs: np.ndarray
    pictures: np.ndarray
    before: list[np.ndarray | None]
    weights: list[np.ndarray | None]


def backward(network: keras.Model, scalar: Scalar, training: bool) -> Callable[[np.ndarray], Backward]:
    """Return a function of pictures that differentiates `scalar(network(pictures))`.

    JAX compiles once for all calls with pictures of one shape.

    Args:
        network: The network; its weights do not change.
        scalar: The function of the network's outputs to differentiate.
        training: Whether the network runs in training mode: batch normalization then uses the statistics of the batch.

    Returns:
        A function of float32 pictures, in the shape that the network takes.
    """
    differentiate = BACKWARD[keras.backend.backend()](network, scalar, training)
    return lambda pictures: Backward(*keras.tree.map_structure(as_array, differentiate(pictures)))


def as_array(tensor: Tensor) -> np.ndarray | None:
    return None if tensor is None else keras.ops.convert_to_numpy(tensor)


def by_torch(network: keras.Model, scalar: Scalar, training: bool) -> Pass:
    """PyTorch stores gradients on the weights, and adds to a gradient that is there already."""

    def differentiate(pictures: np.ndarray) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor]]:
        inputs = keras.ops.convert_to_tensor(pictures).requires_grad_()
        weights = values(network.trainable_variables)
        before = [weight.grad for weight in weights]
        outputs = network(inputs, training=training)
        scalar(outputs).backward()
        after = [weight.grad for weight in weights]
        for weight in weights:
            weight.grad = None
        return outputs.detach(), inputs.grad, before, after

    return differentiate


def by_tensorflow(network: keras.Model, scalar: Scalar, training: bool) -> Pass:
    """TensorFlow returns gradients from a tape; none is stored on the weights."""
    import tensorflow as tf

    def on_tape(pictures: Tensor) -> tuple[Tensor, ...]:
        with tf.GradientTape() as tape:
            tape.watch(pictures)
            outputs = network(pictures, training=training)
            value = scalar(outputs)
        return outputs, *tape.gradient(value, [pictures, *values(network.trainable_variables)])

    if in_channels_first(network):  # TensorFlow's own kernels have no such gradient on a CPU; XLA's have
        on_tape = tf.function(on_tape, jit_compile=True)

    def differentiate(pictures: np.ndarray) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor]]:
        outputs, to_pictures, *after = on_tape(tf.convert_to_tensor(pictures))
        return outputs, to_pictures, [None] * len(after), after

    return differentiate


def by_jax(network: keras.Model, scalar: Scalar, training: bool) -> Pass:
    """JAX differentiates a function of the weights; no gradient is stored on the weights."""
    import jax

    def value(weights: list[Tensor], pictures: Tensor, others: list[Tensor]) -> tuple[Tensor, Tensor]:
        outputs, _ = network.stateless_call(weights, others, pictures, training=training)
        return scalar(outputs), outputs

    compiled = jax.jit(jax.value_and_grad(value, argnums=(0, 1), has_aux=True))

    def differentiate(pictures: np.ndarray) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor]]:
        weights, others = values(network.trainable_variables), values(network.non_trainable_variables)
        (_, outputs), (after, to_pictures) = compiled(weights, pictures, others)
        return outputs, to_pictures, [None] * len(after), after

    return differentiate


BACKWARD: dict[str, Callable[[keras.Model, Scalar, bool], Pass]] = {
    "torch": by_torch,
    "tensorflow": by_tensorflow,
    "jax": by_jax,
}


def in_channels_first(network: keras.Model) -> bool:
    """Return whether graph.rebuild has moved the channels of `network`."""
    return any(layer.name == "channels_first" for layer in network.layers)


def values(variables: Iterable[keras.Variable]) -> list[Tensor]:
    """Return the backend's tensors of Keras' variables."""
    return [variable.value for variable in variables]
