"""The rival in JAX: a step compiled by jax.jit, on arrays in memory, of Keras' functions without state."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from kerasnets import models
from kerasnets.graph import copy_weights
from kerasnets.training.optimizers import OPTIMIZERS


def rivals(network, row, pixels, labels):
    """{name: function that trains one epoch in an order of the pictures and returns its (loss, accuracy)}."""
    twin = models.build(
        row.model, input_shape=network.input_shape[1:], num_classes=network.output_shape[-1], **row.options
    )
    copy_weights(network, twin)
    scale, offset = (np.float32(each) for each in row.scaling)
    images, labels = jnp.asarray(pixels * scale + offset, jnp.float32), jnp.asarray(labels)
    optimizer = OPTIMIZERS[row.optimizer](row, row.learning_rate)
    optimizer.build(twin.trainable_variables)
    state = [[v.value for v in each] for each in
             (twin.trainable_variables, twin.non_trainable_variables, optimizer.variables)]  # fmt: skip

    def loss_of(weights, others, these, labels):
        logits, others = twin.stateless_call(weights, others, these, training=True)
        of_each = -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
        return of_each.mean(), (logits, others)

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, chosen):
        weights, others, moments = state
        these = labels[chosen]
        (loss, (logits, others)), gradients = jax.value_and_grad(loss_of, has_aux=True)(
            weights, others, images[chosen], these
        )
        weights, moments = optimizer.stateless_apply(moments, gradients, weights)
        return [weights, others, moments], loss, (logits.argmax(1) == these).mean()

    def train(order):
        figures = []
        for i in range(0, len(order), row.batch_size):
            state[:], *figure = step(state, order[i : i + row.batch_size])
            figures.append(figure)
        return tuple(np.mean([[float(one) for one in each] for each in figures], axis=0))

    return {"jax.jit": train}
