"""Layers in bfloat16 that sum in float32 where Keras, on TensorFlow and JAX, would sum in bfloat16 on a CPU.

bfloat16 keeps 8 bits, so a sum in it stops growing at 256 times its terms. PyTorch's autocast sums in float32. Measured
with Keras 3.15.1, TensorFlow 2.21 and jax 0.10.2, on an AMD EPYC without AVX-512, as a share of the true value:

| what | TensorFlow | JAX |
|---|---|---|
| the gradient of a bias, over 4 maps of 64x64 pixels | 0.02 | 0.06 |
| the mean of 56x56 pixels by AveragePooling2D | 2.0 | 0.16 |
| the gradient of a 1x1 kernel, over 8 maps of 64x64 pixels | 0.65 | 1.0 |
"""

from typing import Any

import keras
from keras import layers

from kerasnets.runtime.processor import has_bfloat16

HALF = "bfloat16"


def with_float_bias(kind: Any) -> type[keras.Layer]:
    """Return a class that computes like `kind`, and adds its bias in float32, in which its gradient is then summed."""

    class FloatBias(kind):
        def add_weight(self, *args: Any, **options: Any) -> Any:
            if options.get("name") == "bias":
                options["autocast"] = False
            return super().add_weight(*args, **options)

        def call(self, inputs: Any) -> Any:
            return keras.ops.cast(super().call(inputs), self.compute_dtype)

    FloatBias.__name__ = f"FloatBias{kind.__name__}"
    return FloatBias


def inside_float32(kind: Any) -> type[keras.Layer]:
    """Return a class that computes like `kind` in float32, from a bfloat16 input to a bfloat16 output."""

    class InsideFloat32(kind):
        def add_weight(self, *args: Any, **options: Any) -> Any:
            return super().add_weight(*args, **options | {"autocast": False})

        def call(self, inputs: Any) -> Any:
            return keras.ops.cast(super().call(keras.ops.cast(inputs, "float32")), self.compute_dtype)

    InsideFloat32.__name__ = f"InsideFloat32{kind.__name__}"
    return InsideFloat32


MULTIPLYING = (layers.Conv2D, layers.DepthwiseConv2D, layers.Conv2DTranspose, layers.Dense)
FLOAT_BIAS = {kind: with_float_bias(kind) for kind in MULTIPLYING}
INSIDE_FLOAT32 = {kind: inside_float32(kind) for kind in (*MULTIPLYING, layers.AveragePooling2D)}


def exact_kind(layer: Any) -> type[keras.Layer] | None:
    """Return the class that computes a layer in bfloat16 with sums in float32; None if its own kind does.

    On a CPU without instructions for bfloat16, TensorFlow's convolutions and dense layers are in float32 as a whole:
    its own in bfloat16 sum less exactly, and a convolution takes 6 to 18 times as long.
    """
    if getattr(layer, "compute_dtype", "") != HALF:
        return None
    kind = type(layer)
    is_slow = keras.backend.backend() == "tensorflow" and not has_bfloat16()
    if kind is layers.AveragePooling2D or (kind in MULTIPLYING and is_slow):
        return INSIDE_FLOAT32[kind]
    return FLOAT_BIAS.get(kind) if getattr(layer, "use_bias", False) else None
