"""A backward pass through a network, by what each backend differentiates with: the one place that knows of it."""

from dataclasses import dataclass

import keras
import numpy as np


@dataclass(frozen=True)
class Backward:
    """What one backward pass gave, as NumPy arrays.

    outputs: what the network gave for the pictures. pictures: the derivative by them, of their shape.
    before, weights: the gradient of each trainable weight, in the order of `network.trainable_variables`, as it lay on
    the weight before the pass, and after it; None where there is none.
    """

    outputs: np.ndarray
    pictures: np.ndarray
    before: list[np.ndarray | None]
    weights: list[np.ndarray | None]


def backward(network, scalar, training):
    """A function: float32 pictures, as the network takes them -> Backward of `scalar(network(pictures))`.

    scalar: function, in keras.ops, of what the network gives -> a tensor of one number. training: whether batch
    normalization takes the batch's own statistics, and so on. JAX compiles once for all calls of one shape.
    """
    differentiated = BACKWARD[keras.backend.backend()](network, scalar, training)
    return lambda pictures: Backward(*keras.tree.map_structure(as_array, differentiated(pictures)))


def as_array(tensor):
    return None if tensor is None else keras.ops.convert_to_numpy(tensor)


def by_torch(network, scalar, training):
    """PyTorch leaves a gradient on the weight itself, where it adds to the one that is there."""

    def differentiated(pictures):
        pictures = keras.ops.convert_to_tensor(pictures).requires_grad_()
        weights = values(network.trainable_variables)
        before = [weight.grad for weight in weights]
        outputs = network(pictures, training=training)
        scalar(outputs).backward()
        after = [weight.grad for weight in weights]
        for weight in weights:
            weight.grad = None
        return outputs.detach(), pictures.grad, before, after

    return differentiated


def by_tensorflow(network, scalar, training):
    """TensorFlow gives a gradient to who asks the tape; on the weight there is none, before or after."""
    import tensorflow as tf

    def on_tape(pictures):
        with tf.GradientTape() as tape:
            tape.watch(pictures)
            outputs = network(pictures, training=training)
            value = scalar(outputs)
        return outputs, *tape.gradient(value, [pictures, *values(network.trainable_variables)])

    if in_channels_first(network):  # whose gradient TensorFlow's own kernels do not know on a CPU; XLA's do
        on_tape = tf.function(on_tape, jit_compile=True)

    def differentiated(pictures):
        outputs, to_pictures, *after = on_tape(tf.convert_to_tensor(pictures))
        return outputs, to_pictures, [None] * len(after), after

    return differentiated


def by_jax(network, scalar, training):
    """JAX differentiates a function of the weights; on the weight there is no gradient, before or after."""
    import jax

    def value(weights, pictures, others):
        outputs, _ = network.stateless_call(weights, others, pictures, training=training)
        return scalar(outputs), outputs

    compiled = jax.jit(jax.value_and_grad(value, argnums=(0, 1), has_aux=True))

    def differentiated(pictures):
        weights, others = values(network.trainable_variables), values(network.non_trainable_variables)
        (_, outputs), (after, to_pictures) = compiled(weights, pictures, others)
        return outputs, to_pictures, [None] * len(after), after

    return differentiated


# backend -> maker of a function that gives (outputs, gradient by the pictures, those of the weights before, and after)
BACKWARD = {"torch": by_torch, "tensorflow": by_tensorflow, "jax": by_jax}


def in_channels_first(network):
    """Whether graph.rebuild has moved the channels of `network`."""
    return any(layer.name == "channels_first" for layer in network.layers)


def values(variables):
    """What the backend keeps in Keras' variables."""
    return [variable.value for variable in variables]
