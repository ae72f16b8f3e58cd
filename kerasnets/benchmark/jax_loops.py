"""The competitor in JAX: a step compiled by jax.jit, on arrays in memory, with Keras' stateless functions."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from kerasnets import models
from kerasnets.benchmark.train import Learn
from kerasnets.graph import copy_weights
from kerasnets.recipes import Recipe
from kerasnets.training.optimizers import OPTIMIZERS


def competitors(network: keras.Model, recipe: Recipe, pixels: np.ndarray, labels: np.ndarray) -> dict[str, Learn]:
    """Return {name: function that trains one epoch}; arguments as in torch_loops.competitors."""
    twin = models.build(
        recipe.model, input_shape=network.input_shape[1:], num_classes=network.output_shape[-1], **recipe.options
    )
    copy_weights(network, twin)
    scale, offset = (np.asarray(each, np.float32) for each in recipe.scaling)
    images, all_labels = jnp.asarray(pixels * scale + offset, jnp.float32), jnp.asarray(labels)
    optimizer = OPTIMIZERS[recipe.optimizer](recipe, recipe.learning_rate)
    optimizer.build(twin.trainable_variables)
    state = [[v.value for v in each] for each in
             (twin.trainable_variables, twin.non_trainable_variables, optimizer.variables)]  # fmt: skip

    def loss_of(weights: Any, others: Any, pictures: jax.Array, labels: jax.Array) -> Any:
        logits, others = twin.stateless_call(weights, others, pictures, training=True)
        losses = -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
        return losses.mean(), (logits, others)

    @functools.partial(jax.jit, donate_argnums=0)
    def step(
        state: list[Any], images: jax.Array, all_labels: jax.Array, chosen: np.ndarray
    ) -> tuple[list[Any], jax.Array, jax.Array]:
        weights, others, moments = state
        labels = all_labels[chosen]
        (loss, (logits, others)), gradients = jax.value_and_grad(loss_of, has_aux=True)(
            weights, others, images[chosen], labels
        )
        weights, moments = optimizer.stateless_apply(moments, gradients, weights)
        return [weights, others, moments], loss, (logits.argmax(1) == labels).mean()

    def train(order: np.ndarray) -> tuple[float, float]:
        figures = []
        for i in range(0, len(order), recipe.batch_size):
            state[:], *figure = step(state, images, all_labels, order[i : i + recipe.batch_size])
            figures.append(figure)
        loss, accuracy = np.mean([[float(value) for value in figure] for figure in figures], axis=0)
        return float(loss), float(accuracy)

    return {"jax.jit": train}
