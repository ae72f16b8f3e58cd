"""The trainee: a copy of the network that computes as fast as the backend can, compiled for a recipe.

Nothing of it reaches a file: after the training, its weights are copied back to the network.
"""

from kerasnets.runtime.chosen import BACKEND as BACKEND

import keras

from kerasnets.graph import Scaling, rebuild
from kerasnets.recipes import Recipe
from kerasnets.training.optimizers import Weights, compile_for


def trainee_of(
    network: keras.Model, recipe: Recipe, scaling: Scaling | None, steps_per_epoch: int, class_weights: Weights = None
) -> keras.Model:
    """Return the trainee of `network`, from raw pixels to logits, with the weights of `network`."""
    trainee, backend = None, keras.backend.backend()
    if backend == "torch":
        from kerasnets.training.fast.torch_model import torch_trainee

        trainee = torch_trainee(network, recipe, scaling, class_weights)
    elif backend == "tensorflow":
        from kerasnets.training.fast.tensorflow_model import tensorflow_trainee

        trainee = tensorflow_trainee(network, recipe, scaling)
    elif backend == "jax":
        from kerasnets.training.fast.jax_model import jax_trainee

        trainee = jax_trainee(network, recipe, scaling)
    if trainee is None:
        trainee = rebuild(network, scaling=scaling, precision=recipe.precision)
    compile_for(trainee, recipe, steps_per_epoch, recipe.epochs, class_weights)
    return trainee
