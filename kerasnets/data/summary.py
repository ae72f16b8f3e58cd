"""A data set at a glance: the count of each class, and the mean and standard deviation of each channel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasnets.data.dataset import Data
from kerasnets.errors import visible


@dataclass(frozen=True)
class Summary:
    """Counts and moments of a Data."""

    title: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, ...]
    counts: dict[str, np.ndarray]  # {"train", "test": int (classes,)}, and "validation" if it is given
    mean: tuple[
        float, ...
    ]  # of each channel of the training pixels / 255, for PyTorch's Normalize; of a table's columns
    std: tuple[float, ...]  # the same

    def lines(self) -> Iterator[str]:
        """Yield a line for each class, and the result as one greppable line."""
        names = [visible(name) for name in self.class_names]
        width = max(map(len, names))
        for i, name in enumerate(names):
            yield f"{name:{width}}" + "".join(f"  {part} {counts[i]:6,}" for part, counts in self.counts.items())
        shape = "x".join(map(str, self.image_shape))
        sums = " ".join(f"{part}={counts.sum()}" for part, counts in self.counts.items())
        yield (
            f"result data={self.title!r} {sums} classes={len(self.class_names)} shape={shape} "
            f"mean={figures(self.mean)} std={figures(self.std)}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the summary for a program to read."""
        counts = {part: [int(count) for count in counts] for part, counts in self.counts.items()}
        return {**vars(self), "counts": counts}


def summarize(data: Data) -> Summary:
    count = len(data.class_names)
    validation = data.train_labels[[] if data.validation is None else data.validation]
    counts = {part: np.bincount(labels, minlength=count) for part, labels in
              (("train", data.train_labels), ("test", data.test_labels), ("validation", validation))}  # fmt: skip
    counts["train"] -= counts["validation"]
    images = data.train_images
    scale = 255 if images.dtype == np.uint8 else 1
    at_once = max(1, int(2**20 * images.shape[-1] / np.prod(images.shape[1:])))  # float64 of all pixels would be GBs
    count_of_pixels, total, squares = 0, np.zeros(images.shape[-1]), np.zeros(images.shape[-1])
    for start in range(0, len(images), at_once):
        part = images[start : start + at_once].reshape(-1, images.shape[-1]).astype("float64")
        count_of_pixels += len(part)
        total, squares = total + part.sum(axis=0), squares + (part**2).sum(axis=0)
    total, squares = total / count_of_pixels, squares / count_of_pixels
    return Summary(
        title=data.title,
        class_names=tuple(data.class_names),
        image_shape=data.image_shape,
        counts={part: of for part, of in counts.items() if part != "validation" or len(validation)},
        mean=tuple((total / scale).tolist()),
        std=tuple((np.sqrt(np.maximum(squares - total**2, 0)) / scale).tolist()),
    )


def figures(values: Sequence[float]) -> str:
    return ",".join(f"{value:.4f}" for value in values)
