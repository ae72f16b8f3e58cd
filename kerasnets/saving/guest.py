"""Guest: what a person tells about a model file of another program, which has no card."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerasnets.errors import BadInputError, shorten

if TYPE_CHECKING:
    from kerasnets.graph import Scaling


@dataclass(frozen=True)
class Guest:
    """The facts about another program's model file that its card would hold. An empty one tells nothing.

    Args:
        input_kind: How a picture is prepared, a name in `pictures.KINDS`; "" to resize it.
        class_names: One name for each output, in their order; () to number them.
        scaling: (scale, offset): the network takes pixel * scale + offset of a pixel 0..255, numbers or lists by
            channel; None to find it in the file.
        bgr: Whether the network takes blue first, as OpenCV's own pictures are.
        multi_label: Whether each class has a probability by itself; found in .keras and .h5 files.
        image_size: (height, width) of the pictures, if the file leaves it open or takes their pixels as a row.

    Example:
        >>> Guest(input_kind="mnist", class_names=tuple("0123456789"), scaling=(1 / 255, 0.0)).bgr
        False
    """

    input_kind: str = ""
    class_names: tuple[str, ...] = ()
    scaling: "Scaling | None" = None
    bgr: bool = False
    multi_label: bool = False
    image_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not self.input_kind:  # a card is read without OpenCV
            return
        from kerasnets.pictures import KINDS

        if self.input_kind not in KINDS:
            raise ValueError(f"unknown input kind {self.input_kind!r}; choose one of: {', '.join(KINDS)}")


UNKNOWN = Guest()


def check_own(guest: Guest | None) -> None:
    """Raise BadInputError if `guest` tells about a file of our own what its card tells already."""
    if guest and (guest.class_names or guest.scaling or guest.bgr or guest.multi_label):
        problem = "was made by kerasnets, and has its classes and the scale of its pixels inside"
        raise BadInputError(problem, remedy="leave --classes, --scale, --mean, --std and --bgr out")


LONGEST_SIDE = 2**14  # pixels; OpenCV keeps tables of 50 bytes for each pixel of a side that it resizes to
NUMBERED = " and names no classes: they are numbered"


def note_on(path: str | Path, shape: Sequence[int | None], guest: Guest, scale_words: str, classes: str = "") -> str:
    """Return what is assumed about another program's file, for whoever reads its answers.

    Args:
        path: The file.
        shape: (height, width, channels) of the network's input, or (columns,) of a row.
        guest: What a person tells about the file.
        scale_words: How its input is scaled, as `load_with_scale` says.
        classes: What is assumed about its classes: " and ...", as NUMBERED.
    """
    if len(shape) == 1:
        inputs = f"rows are taken {scale_words}"
    elif guest.input_kind:
        inputs = f"pictures are prepared as {guest.input_kind}, pixels {scale_words}"
    else:
        inputs = f"pictures are resized to {'x'.join(map(str, shape))}, pixels {scale_words}"
    return f"{shorten(path, 40)} was not made by kerasnets{classes}; {inputs}"


def input_shape(shape: Sequence[int | None], guest: Guest) -> tuple[int | None, ...]:
    """Return the shape of what enters a network whose input is `shape`: with the size of pictures that it leaves open.

    A row of numbers is a flat picture if `guest` tells its kind or size; of one channel if that can be, else of three.

    Raises:
        BadInputError: The network takes pictures of another size, or no picture has as many numbers as a row, or such
            long sides.
    """
    taken = with_size(shape, guest)
    if len(taken) == 3 and max(side or 0 for side in taken) > LONGEST_SIDE:
        problem = f"takes pictures of {taken[0]}x{taken[1]}, longer than any picture"
        raise BadInputError(problem, remedy="make it for smaller ones")
    return taken


def with_size(shape: Sequence[int | None], guest: Guest) -> tuple[int | None, ...]:
    """Return the shape of a network's input with the size and kind that `guest` tells, as `input_shape`, unchecked."""
    size = guest.image_size
    if len(shape) == 3 and size:
        if any(own not in (None, given) for own, given in zip(shape, size, strict=False)):
            problem = f"takes pictures of {shape[0]}x{shape[1]}, not {size[0]}x{size[1]}"
            raise BadInputError(problem, remedy="leave --image-size out")
        return (*size, shape[2])
    if len(shape) != 1 or not shape[0] or not (size or guest.input_kind not in ("", "row")):
        return tuple(shape)
    for channels in (1, 3):
        height, width = size or (math.isqrt(shape[0] // channels),) * 2
        if height * width * channels == shape[0]:
            return height, width, channels
    problem = f"takes rows of {shape[0]} numbers, which are no {'x'.join(map(str, size or ('square',)))} picture"
    raise BadInputError(problem, remedy="leave --input-kind out, or give another --image-size")


def scaling_of(mean: Sequence[float], std: Sequence[float], channels: int) -> "Scaling":
    """Return (scale, offset) for (pixel / 255 - mean) / std of a pixel 0..255: numbers, or lists by channel."""
    for name, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, channels) or not np.isfinite(values).all():
            raise ValueError(f"{name} must be one number or {channels}, one per channel, not {shorten(list(values))}")
    if max(map(abs, mean)) > 1:
        raise ValueError(f"mean is of pixels 0..1, not {shorten(list(mean))}; divide one of pixels 0..255 by 255")
    if min(std) <= 0:
        raise ValueError(f"std must be above 0, not {min(std)}")
    scale = 1 / (255 * np.asarray(std, "float64"))
    offset = 0 - np.asarray(mean, "float64") / np.asarray(std, "float64")  # 0 instead of -0 if the mean is 0
    if len(mean) == len(std) == 1:
        return float(scale[0]), float(offset[0])
    return (scale + np.zeros(channels)).tolist(), (offset + np.zeros(channels)).tolist()
