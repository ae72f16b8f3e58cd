"""The trainee: a copy of the network that computes as fast as the backend can, compiled for a recipe.

Nothing of it reaches a file: after the training, its weights are copied back to the network.
"""

from kerasnets.runtime.chosen import BACKEND as BACKEND

from typing import Any

import keras

from kerasnets.graph import Scaling, rebuild
from kerasnets.recipes import Recipe
from kerasnets.training.optimizers import Weights, compile_for
from kerasnets.training.sizes import of_any_size


def trainee_of(
    network: keras.Model,
    recipe: Recipe,
    scaling: Scaling | None,
    steps_per_epoch: int,
    class_weights: Weights = None,
    engine: Any = None,
) -> keras.Model:
    """Return the trainee of `network`, from raw pixels to logits, with the weights of `network`.

    `engine` computes with several workers; ValueError if they cannot split the network's computation. Several devices
    of one process, which JAX has, can split any.
    """
    if engine and engine.group.count > 1:
        check_divisible(network, recipe)
    if recipe.progressive_size:
        network = of_any_size(network)
    trainee, backend = None, keras.backend.backend()
    if backend == "torch":
        from kerasnets.training.fast.torch_model import torch_trainee

        trainee = torch_trainee(network, recipe, scaling, class_weights, engine)
        if trainee is None and engine:
            raise ValueError(
                f"{recipe.model} cannot be trained by several workers on torch: it has several outputs, or regularizers"
            )
    elif backend == "tensorflow":
        from kerasnets.training.fast.tensorflow_model import tensorflow_trainee

        trainee = tensorflow_trainee(network, recipe, scaling, class_weights, engine)
    elif backend == "jax":
        from kerasnets.training.fast.jax_model import jax_trainee

        trainee = jax_trainee(network, recipe, scaling)
    if trainee is None:
        trainee = rebuild(network, scaling=scaling, precision=recipe.precision)
    if engine and backend == "jax":
        trainee = engine.network(trainee)
    compile_for(trainee, recipe, steps_per_epoch, recipe.epochs, class_weights)
    return trainee


def is_dropout(layer: keras.Layer) -> bool:
    """Whether a layer multiplies its input by random numbers that do not depend on it, and does nothing else."""
    return "Dropout" in type(layer).__name__ and isinstance(layer, keras.layers.Dropout)


def check_divisible(network: keras.Model, recipe: Recipe) -> None:
    """Raise ValueError if several workers cannot compute each a part of a batch as one computes the whole."""
    reason = ""
    for layer in network.layers:
        if any(isinstance(each, keras.random.SeedGenerator) for each in vars(layer).values()) and not is_dropout(layer):
            reason = f"layer {layer.name} draws random numbers in a way of its own"
        elif getattr(layer, "renorm", False) or isinstance(layer, keras.Model):
            reason = f"layer {layer.name} is a {type(layer).__name__} within the network"
    if keras.backend.backend() != "jax" and recipe.compiled:
        reason = f"a compiled step cannot exchange gradients on {keras.backend.backend()}; leave out --compile"
    if reason:
        raise ValueError(f"{recipe.model} cannot be trained by several workers: {reason}")
