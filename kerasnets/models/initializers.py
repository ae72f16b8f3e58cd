"""Initial weights as the papers and PyTorch draw them, for networks that need others than Keras' glorot_uniform."""

import keras


def pytorch_uniform() -> keras.initializers.Initializer:
    """U(+-1/sqrt(fan_in)), the default of torch.nn.Conv2d and torch.nn.Linear."""
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


def he_normal(mode: str) -> keras.initializers.Initializer:
    """N(0, sqrt(2 / fan)) of He et al. 2015, arXiv:1502.01852, not truncated as Keras' own he_normal is.

    Args:
        mode: "fan_in" or "fan_out".
    """
    return keras.initializers.VarianceScaling(2.0, mode, "untruncated_normal")
