"""Weights of a network: counted, and not drawn where they are to be replaced."""

import contextlib
import math
from unittest import mock

import keras
import numpy as np


def count(weights):
    """How many numbers `weights` hold."""
    return sum(math.prod(weight.shape) for weight in weights)


@contextlib.contextmanager
def drawing_nothing():
    """Let initial weights be NumPy's zeros and ones: to draw them, only to replace them, costs JAX seconds a network,
    and to fill them with a constant does too, since it compiles for each shape.
    """
    initializers = keras.initializers
    with contextlib.ExitStack() as stack:
        for initializer in (initializers.VarianceScaling, initializers.RandomNormal, initializers.Zeros):
            stack.enter_context(mock.patch.object(initializer, "__call__", zeros))
        stack.enter_context(mock.patch.object(initializers.Ones, "__call__", ones))
        yield


def zeros(initializer, shape, dtype=None):
    return np.zeros(shape, dtype or keras.config.floatx())


def ones(initializer, shape, dtype=None):
    return np.ones(shape, dtype or keras.config.floatx())
