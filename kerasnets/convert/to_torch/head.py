"""The docstring of a written file: what goes in and what comes out."""

import keras

from kerasnets.convert.to_torch.program import Block


def head(model: keras.Model, network: Block, name: str) -> str:
    return f"{name}, from Keras."
