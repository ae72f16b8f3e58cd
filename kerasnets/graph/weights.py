"""Weights of a network: counted, and not drawn where they are to be replaced."""

import contextlib
import math
import threading
from unittest import mock

import keras
import numpy as np


def count(weights):
    """How many numbers `weights` hold."""
    return sum(math.prod(weight.shape) for weight in weights)


@contextlib.contextmanager
def drawing_nothing():
    """Let the initial weights of what this thread builds be NumPy's zeros and ones.

    To draw them, only to replace them, costs JAX seconds a network; to fill them with a constant does too, since it
    compiles for each shape.
    """
    initializers, owner = keras.initializers, threading.get_ident()
    values = dict.fromkeys((initializers.VarianceScaling, initializers.RandomNormal, initializers.Zeros), 0)
    with contextlib.ExitStack() as stack:
        for initializer, value in (values | {initializers.Ones: 1}).items():
            filling = filled(value, initializer.__call__, owner)
            stack.enter_context(mock.patch.object(initializer, "__call__", filling))
        yield


def filled(value, original, owner):
    """An initializer's __call__ that gives `value` in the thread `owner`, and in others what `original` does."""

    def call(initializer, shape, dtype=None, **options):
        if threading.get_ident() != owner:
            return original(initializer, shape, dtype, **options)
        return np.full(shape, value, dtype or keras.config.floatx())

    return call
