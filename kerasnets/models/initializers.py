"""How the papers and PyTorch draw the first weights, where Keras' own way (glorot_uniform) differs or does not do."""

import keras


def pytorch_uniform():
    """U(+-1/sqrt(fan_in)): how torch.nn.Conv2d and torch.nn.Linear draw their weights."""
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


def he_normal(mode):
    """N(0, sqrt(2 / fan)) of He et al. 2015, arXiv:1502.01852, whole; Keras' own he_normal is truncated.

    mode: "fan_in" or "fan_out".
    """
    return keras.initializers.VarianceScaling(2.0, mode, "untruncated_normal")
