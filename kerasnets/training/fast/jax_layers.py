"""Convolution and max pooling on a CPU in JAX, where XLA's own take longer. Their numbers equal XLA's up to rounding.

XLA computes most convolutions on a CPU as fast as the processor can, and some very slowly. CPU time in ms on two cores
of an Intel Xeon (Sapphire Rapids), jax 0.10.2:

| what | batch | XLA | here |
|---|---|---|---|
| 3x3, 512 to 512 channels on 2x2 pixels, smaller than the kernel: outputs, gradient of inputs | 128 | 7,240 | 34 |
| 1x1, 216 to 48 channels on 32x32 pixels: gradient of the kernel | 64 | 221 | 22 |
| 3x3, 64 to 128 channels on 16x16 pixels: gradient of the kernel | 128 | 209 | 63 |
| maximum of 2x2 of 24x24 pixels in 64 channels: gradient | 128 | 93 | 3 |
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Kind = tuple[tuple[int, int], str]  # strides, padding ("SAME" or "VALID")

BLOCK_ROWS = 512  # of a product in the gradient of a kernel: about as many as fit into a processor's cache
MANY_FILTERS = 32  # with fewer, the patches cost more than their product saves
LARGE_MAP = 32  # pixels of an output from which the gradient of the kernel is a sum over blocks


def convolution(inputs: Any, kernel: Any, strides: tuple[int, int], padding: str) -> Any:
    """Return the convolution of (n, height, width, channels) with a kernel (height, width, channels, filters).

    Args:
        inputs: float32.
        kernel: float32.
        strides: Along height and width.
        padding: "same" or "valid", as in Keras.
    """
    kind = strides, padding.upper()
    if is_product(inputs.shape, kernel.shape, kind):
        return product(inputs, kernel, kind)
    return by_xla_and_blocks(inputs, kernel, kind)


def is_product(shape: tuple[int, ...], kernel: tuple[int, ...], kind: Kind) -> bool:
    """Whether a convolution is computed as one product: of 1x1, or if a map is smaller than its kernel."""
    smallest = min(*shape[1:3], *output_size(shape, kernel, kind))
    return max(kernel[:2]) == 1 or smallest < max(kernel[:2])


def output_size(shape: tuple[int, ...], kernel: tuple[int, ...], kind: Kind) -> tuple[int, int]:
    """Return (height, width) of the output."""
    rows, columns = (
        -(-(size if kind[1] == "SAME" else size - length + 1) // stride)
        for size, length, stride in zip(shape[1:3], kernel[:2], kind[0], strict=True)
    )
    return rows, columns


def product(inputs: Any, kernel: Any, kind: Kind) -> Any:
    """Return the convolution as one matrix product over patches, which XLA also differentiates as products."""
    patches = patches_of(inputs, kernel.shape, kind)
    outputs = patches.reshape(-1, patches.shape[-1]) @ kernel.reshape(-1, kernel.shape[-1])
    return outputs.reshape(*patches.shape[:3], -1)


def patches_of(inputs: Any, kernel: tuple[int, ...], kind: Kind) -> Any:
    """Return what the kernel sees at each output: (n, height, width, kernel height x kernel width x channels)."""
    strides, padding = kind
    (rows, columns), (row_step, column_step) = output_size(inputs.shape, kernel, kind), strides
    pads = lax.padtype_to_pads(inputs.shape[1:3], kernel[:2], strides, padding)
    padded = jnp.pad(inputs, ((0, 0), *pads, (0, 0)))
    height, width = row_step * (rows - 1) + 1, column_step * (columns - 1) + 1
    parts = [
        padded[:, top : top + height : row_step, left : left + width : column_step]
        for top in range(kernel[0])
        for left in range(kernel[1])
    ]
    return jnp.concatenate(parts, axis=-1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def by_xla_and_blocks(inputs: Any, kernel: Any, kind: Kind) -> Any:
    """Return the convolution by XLA; the gradient of the kernel is the sum of products over a few images each."""
    return lax.conv_general_dilated(inputs, kernel, *kind, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def forward(inputs: Any, kernel: Any, kind: Kind) -> tuple[Any, tuple[Any, Any]]:
    return by_xla_and_blocks(inputs, kernel, kind), (inputs, kernel)


def backward(kind: Kind, kept: tuple[Any, Any], gradient: Any) -> tuple[Any, Any]:
    """Return the gradients of the inputs and of the kernel."""
    inputs, kernel = kept
    conv = functools.partial(lax.conv_general_dilated, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    [of_inputs] = jax.vjp(lambda inputs: conv(inputs, kernel, *kind), inputs)[1](gradient)
    if gradient.shape[-1] >= MANY_FILTERS and gradient.shape[1] * gradient.shape[2] >= LARGE_MAP:
        return of_inputs, kernel_gradient(inputs, gradient, kernel.shape, kind)
    [of_kernel] = jax.vjp(lambda kernel: conv(inputs, kernel, *kind), kernel)[1](gradient)
    return of_inputs, of_kernel


by_xla_and_blocks.defvjp(forward, backward)


def kernel_gradient(inputs: Any, gradient: Any, kernel: tuple[int, ...], kind: Kind) -> Any:
    """Return the gradient of the kernel, by blocks of images whose patches stay in the cache."""
    count, rows, columns, filters = gradient.shape
    size = max(1, min(count, BLOCK_ROWS // (rows * columns)))

    def of_block(images: Any, gradient: Any) -> Any:
        patches = patches_of(images, kernel, kind)
        return patches.reshape(-1, patches.shape[-1]).T @ gradient.reshape(-1, filters)

    def add(total: Any, block: Any) -> tuple[Any, None]:
        return total + of_block(*block), None

    whole = count - count % size
    blocks = [each[:whole].reshape(-1, size, *each.shape[1:]) for each in (inputs, gradient)]
    total, _ = lax.scan(add, jnp.zeros((kernel[0] * kernel[1] * kernel[2], filters), inputs.dtype), blocks)
    if count > whole:
        total += of_block(inputs[whole:], gradient[whole:])
    return total.reshape(kernel)


# ---- max pooling of windows that do not overlap; rows and columns that fill no window are left out ----


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def maximum(inputs: Any, size: tuple[int, int]) -> Any:
    """Return the maximum of each window."""
    return functools.reduce(jnp.maximum, windows(inputs, size))


def windows(inputs: Any, size: tuple[int, int]) -> list[Any]:
    """Return the parts of the maps that hold the first, second, ... pixel of each window, in the order of rows."""
    rows, columns = (length // step * step for length, step in zip(inputs.shape[1:3], size, strict=True))
    return [
        inputs[:, top : rows : size[0], left : columns : size[1]] for top in range(size[0]) for left in range(size[1])
    ]


def maximum_forward(inputs: Any, size: tuple[int, int]) -> tuple[Any, Any]:
    return maximum(inputs, size), inputs


def maximum_backward(size: tuple[int, int], inputs: Any, gradient: Any) -> tuple[Any]:
    """Give each window's gradient to its first pixel that is the maximum, as XLA does."""
    parts = windows(inputs, size)
    largest = functools.reduce(jnp.maximum, parts)
    taken = jnp.zeros(largest.shape, bool)
    shares = []
    for part in parts:
        is_first = (part == largest) & ~taken
        taken |= is_first
        shares.append(jnp.where(is_first, gradient, 0))
    count, rows, columns, channels = largest.shape
    grid = jnp.stack(shares, axis=3).reshape(count, rows, columns, *size, channels)
    maps = grid.transpose(0, 1, 3, 2, 4, 5).reshape(count, rows * size[0], columns * size[1], channels)
    missing = ((0, full - covered) for full, covered in zip(inputs.shape[1:3], maps.shape[1:3], strict=True))
    return (jnp.pad(maps, ((0, 0), *missing, (0, 0))),)


maximum.defvjp(maximum_forward, maximum_backward)
