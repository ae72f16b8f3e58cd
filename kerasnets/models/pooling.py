"""Average pooling from a map of any size to a fixed height and width.

Source: torch.nn.AdaptiveAvgPool2d: window i of m over n pixels reaches from floor(i*n/m) to ceil((i+1)*n/m).
Keras' own AdaptiveAveragePooling2D gives NaN on JAX at ordinary sizes. Here sizes are known when the network is built.
"""

import keras
from keras import layers


def adaptive_average_pool(x: keras.KerasTensor, height: int, width: int, name: str) -> keras.KerasTensor:
    """Average (n, rows, columns, channels) to (n, height, width, channels). Layer names begin with `name`."""
    rows, columns = x.shape[1:3]
    if (rows, columns) == (height, width):
        return x
    if rows % height == 0 and columns % width == 0:
        return layers.AveragePooling2D((rows // height, columns // width), name=name)(x)
    x = average_windows(x, height, axis=1, name=f"{name}_rows")
    return average_windows(x, width, axis=2, name=f"{name}_columns")


def average_windows(x: keras.KerasTensor, size: int, axis: int, name: str) -> keras.KerasTensor:
    """Average axis 1 (rows) or 2 (columns) to `size`. Windows overlap or repeat if `size` does not divide the axis."""
    pixels = x.shape[axis]
    if pixels == size:
        return x
    windows = []
    for i in range(size):
        start, end = i * pixels // size, -(-(i + 1) * pixels // size)
        cropping, pool_size = [(0, 0), (0, 0)], [1, 1]
        cropping[axis - 1], pool_size[axis - 1] = (start, pixels - end), end - start
        window = layers.Cropping2D(cropping, name=f"{name}_crop{i + 1}")(x)
        windows.append(layers.AveragePooling2D(pool_size, name=f"{name}_mean{i + 1}")(window))
    return layers.Concatenate(axis=axis, name=name)(windows)
