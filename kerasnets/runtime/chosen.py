"""Importing this chooses Keras' backend; a module that imports Keras imports this first."""

from kerasnets.runtime import backends

BACKEND = backends.choose()
