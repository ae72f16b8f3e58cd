"""Engine: a model file, loaded, from pixels to class probabilities. The classes in `runtimes` say how each computes."""

import functools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasnets.errors import BadInputError, in_one_line, is_full_memory, name_path
from kerasnets.saving.guest import UNKNOWN, Guest, input_shape
from kerasnets.saving.onnx_file import Input

UNABLE = "cannot be run by"  # how the problem begins if another engine may be able to run the file
OPEN, FEED = 64, 5.0  # pixels of an open size, and the deviation of rows, that a file is tried with
DTYPES = ("uint8", "float32")  # of an input: pixels of 0..255, or of 0..1 as other programs take them; rows of a table


class Engine:
    """A model file, loaded. Threads may share one.

    Args:
        path: The model file.
        onnx_input: The Input of an ONNX file if it was read before; None to read it from the file.
        guest: What a person tells about the file.

    Attributes:
        shape: (height, width, channels) or (columns,) of one input, with None for a size that the file leaves open.
        dtype: "uint8" or "float32".
        step: Distance between two scores of a file that gives integers; else 0.
        title: Name of the library, for messages.
        multi_label: Whether each class has a probability by itself, so that they need not add up to 1.
    """

    title: str
    shape: tuple[int | None, ...]
    dtype: str
    step = 0.0
    takes_one: bool  # whether the file takes one picture at a time
    channels_first: bool
    is_flat: bool  # whether pictures enter the file as rows

    def __init__(self, path: str | Path, onnx_input: Input | None = None, guest: Guest = UNKNOWN) -> None:
        self.path = Path(path)
        self.onnx_input, self.guest = onnx_input, guest
        self.multi_label = guest.multi_label
        self.lock = threading.Lock()
        self.read()

    def read(self) -> None:
        """Load the file and call `set_input`."""
        raise NotImplementedError

    def compute(self, pixels: np.ndarray) -> Any:
        """Return the scores, convertible to an array (n, num_classes), for pixels as the file takes them."""
        raise NotImplementedError

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return the class probabilities of pictures or rows.

        Args:
            pixels: uint8 (n, height, width, channels), 0..255; or float32 rows (n, columns).

        Returns:
            float32 (n, num_classes).

        Raises:
            BadInputError: The file cannot be run, or gives no finite score for each class.
        """
        pixels = self.prepare(pixels)
        parts = np.split(pixels, len(pixels)) if self.takes_one else [pixels]
        try:
            scores = np.concatenate([np.atleast_1d(np.asarray(self.compute(part), np.float32)) for part in parts])
        except Exception as error:  # onnxruntime's exceptions have no other common base
            if is_full_memory(error):
                raise
            raise self.unreadable(error) from error
        if scores.ndim < 1 or len(scores) != len(pixels) or sum(size > 1 for size in scores.shape[1:]) > 1:
            problem = f"gives {scores.shape}, not a score for each class"
            raise BadInputError(problem, path=self.path, remedy="use a classifier's file")
        scores = scores.reshape(len(scores), -1)
        if not np.isfinite(scores).all():
            problem = "gives numbers that are not finite: its weights are damaged"
            raise BadInputError(problem, path=self.path, remedy="export or train it again")
        if scores.shape[1] == 1:  # of the second of two classes
            share = scores if self.gives_share else sigmoid(scores)
            return np.concatenate([1 - share, share], axis=1)
        if self.multi_label:
            return scores if scores.min() >= 0 and scores.max() <= 1 else sigmoid(scores)
        return scores if are_probabilities(scores, self.step) else softmax(scores)

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """Return the pixels in the file's layout and dtype; floats are divided by 255, the usual scaling."""
        if pixels.ndim != 4:
            return pixels
        if self.guest.bgr:
            pixels = np.ascontiguousarray(pixels[..., ::-1])
        if self.dtype != "uint8":
            pixels = self.scale(pixels.astype(self.dtype))
        if self.is_flat:
            return np.ascontiguousarray(pixels.reshape(len(pixels), -1))
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)) if self.channels_first else pixels

    @property
    def scale_words(self) -> str:
        """How pixels or rows are brought to the numbers that the file takes, for a person."""
        if len(self.shape) == 1:
            return "as they are"
        if self.dtype == "uint8":
            return "0 to 255"
        return "scaled as given" if self.guest.scaling else "divided by 255"

    def scale(self, pixels: np.ndarray) -> np.ndarray:
        if self.guest.scaling is None:
            return pixels / np.asarray(255, self.dtype)
        scale, offset = (np.asarray(each, self.dtype) for each in self.guest.scaling)
        return pixels * scale + offset

    def set_input(self, shape: Sequence[int | None], dtype: str) -> None:
        """Note the input: its `shape` with the batch first, None for an open size, and its `dtype`."""
        count, *sides = shape
        if count not in (None, 1) or dtype not in DTYPES:
            pictures = f"{dtype} of {count or 'any number of'} pictures at a time"
            problem = f"takes {pictures}, not {' or '.join(DTYPES)} of one or any number"
            raise BadInputError(problem, path=self.path, remedy="export it so")
        self.dtype, self.takes_one = dtype, count == 1
        self.channels_first = len(sides) == 3 and sides[0] in (1, 3)
        shape = (*sides[1:], sides[0]) if self.channels_first else tuple(sides)
        with name_path(self.path):
            self.shape = input_shape(shape, self.guest)
        self.is_flat = len(shape) == 1 and len(self.shape) == 3

    @functools.cached_property
    def gives_share(self) -> bool:
        """Whether the only score of a picture is a probability, not a logit: it is within 0..1 for any numbers."""
        rng, sizes = np.random.default_rng(0), [size or OPEN for size in self.shape]
        if len(sizes) == 1:
            pixels = rng.normal(0, FEED, (8, *sizes)).astype(np.float32)
        else:
            pixels = rng.integers(0, 256, (8, *sizes)).astype(np.uint8)
            pixels[:2] = np.array([0, 255]).reshape(2, 1, 1, 1)
        scores = np.concatenate([np.ravel(self.compute(self.prepare(each[None]))) for each in pixels])
        return bool(scores.min() >= 0 and scores.max() <= 1)

    def set_onnx_input(self) -> str:
        """Note the input of an ONNX file; return its name."""
        from kerasnets.saving import onnx_file

        onnx_input = self.onnx_input or onnx_file.read(self.path)[1]
        self.set_input(onnx_input.shape, onnx_input.dtype)
        return onnx_input.name

    def unreadable(self, error: Exception) -> BadInputError:
        problem = f"{UNABLE} {self.title} ({in_one_line(error)})"
        return BadInputError(problem, path=self.path, remedy="export it again")


def are_probabilities(scores: np.ndarray, step: float = 0.0) -> bool:
    """Whether rows of scores, which are multiples of `step`, lie in 0..1 and add up to 1."""
    tolerance = 0.02 + step * scores.shape[1] / 2
    return bool(scores.min() >= 0 and scores.max() <= 1 and abs(scores.sum(axis=1) - 1).max() <= tolerance)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the softmax of rows. Importing SciPy for it would double the time of a first prediction."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(logits / 2))
