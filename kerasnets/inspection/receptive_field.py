"""The receptive field of a layer's outputs: the pixels of the picture that one output depends on.

A window of k with stride s and dilation d turns a receptive field r and a stride j (the pixels between two neighbouring
outputs) into r + (k - 1) * d * j and j * s. If branches join, the largest field counts.

Source: Araujo, Norris and Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill 2019,
doi:10.23915/distill.00021.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from keras import Operation, layers

Pair = tuple[int, int]  # down and across

KERNELS = (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)
POOLINGS = (layers.MaxPooling2D, layers.AveragePooling2D)
GLOBAL_POOLINGS = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
RESIZING = (layers.ZeroPadding2D, layers.Cropping2D, layers.Concatenate)  # these change the size but move no pixel


@dataclass(frozen=True)
class Output:
    """The output of a layer for one picture.

    Args:
        layer: The name of the layer.
        layout: "channels_last" or "channels_first".
        field: The receptive field in pixels, padding included; None for a row of numbers.
        stride: The pixels between two neighbouring outputs; None if every output sees the whole picture.
        shape: (height, width, channels) in either layout, or (units,).
    """

    layer: str
    layout: str
    field: Pair | None
    stride: Pair | None
    shape: tuple[int, ...]


def field_and_stride(
    operation: Operation, sources: Sequence[Output], shape: tuple[int, ...], picture: tuple[int, ...]
) -> tuple[Pair | None, Pair | None]:
    """Return (receptive field, stride) of the output of an operation.

    Operations that are not in the tables above work on each pixel alone.

    Args:
        operation: A layer or an operation of keras.ops.
        sources: Its inputs; at least one.
        shape: The shape of its output.
        picture: The shape of the network's input.

    Raises:
        ValueError: The operation changes the size of its input in an unknown way.
    """
    field = largest(source.field for source in sources)
    stride = largest(source.stride for source in sources)
    is_dense = isinstance(operation, layers.Dense) and len(shape) == 1
    if field and (is_dense or isinstance(operation, GLOBAL_POOLINGS)):
        return (picture[0], picture[1]), None
    if isinstance(operation, (*KERNELS, *POOLINGS)) and field and stride and len(shape) == 3:
        (down, across), (rows, columns) = reach_and_strides(operation)
        return (
            (field[0] + down * stride[0], field[1] + across * stride[1]),
            (stride[0] * rows, stride[1] * columns),
        )
    is_map = len(shape) == len(sources[0].shape) == 3
    is_resized = is_map and shape[:2] != largest((source.shape[0], source.shape[1]) for source in sources)
    if is_resized and not isinstance(operation, RESIZING):
        raise ValueError(cannot_count(operation))
    return field, stride


def reach_and_strides(layer: layers.Layer) -> tuple[Pair, Pair]:
    """Return (reach, strides) of a convolution or pooling; the reach is the steps beyond the first one of a window."""
    if isinstance(layer, POOLINGS):
        rows, columns = layer.pool_size
        return (rows - 1, columns - 1), layer.strides
    if isinstance(layer, layers.Dense):  # on each pixel alone
        return (0, 0), (1, 1)
    down, across = ((size - 1) * rate for size, rate in zip(layer.kernel_size, layer.dilation_rate, strict=True))
    return (down, across), layer.strides


def largest(pairs: Iterable[Pair | None]) -> Pair | None:
    """Return the largest value in each direction, without regard to None."""
    known = [pair for pair in pairs if pair]
    return (max(down for down, _ in known), max(across for _, across in known)) if known else None


def cannot_count(operation: Operation) -> str:
    return f"describe cannot count layer {operation.name!r}: it does not know {type(operation).__name__}"
