"""A data set at a glance: how many of each class, and the mean and deviation of each channel."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Summary:
    """Of a data.Data. counts: {part: int (classes,)}. mean, deviation: of each channel of the training pixels / 255,
    as the Normalize of PyTorch takes them; of each column of a table as it is."""

    title: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, ...]
    counts: dict[str, np.ndarray]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def lines(self):
        """For a person: a line for each class, and the result as one greppable line."""
        width = max(map(len, self.class_names))
        for i, name in enumerate(self.class_names):
            yield f"{name:{width}}  train {self.counts['train'][i]:6,}  test {self.counts['test'][i]:6,}"
        shape = "x".join(map(str, self.image_shape))
        train, test = (int(counts.sum()) for counts in self.counts.values())
        yield (
            f"result data={self.title!r} train={train} test={test} classes={len(self.class_names)} shape={shape} "
            f"mean={figures(self.mean)} deviation={figures(self.deviation)}"
        )

    def as_dict(self):
        """For a program to read."""
        counts = {part: [int(count) for count in counts] for part, counts in self.counts.items()}
        return {**vars(self), "counts": counts}


def summarize(data):
    """The Summary of a data.Data."""
    count = len(data.class_names)
    images = data.train_images
    scale = 255 if images.dtype == np.uint8 else 1
    pixels = images.reshape(-1, images.shape[-1])
    parts = np.array_split(pixels, -(-len(pixels) // 2**20))  # of a MB or a few: float64 of all would be GBs
    total = sum(part.sum(axis=0, dtype="float64") for part in parts) / len(pixels)
    squares = sum((part.astype("float64") ** 2).sum(axis=0) for part in parts) / len(pixels)
    return Summary(
        title=data.title,
        class_names=tuple(data.class_names),
        image_shape=data.image_shape,
        counts={
            "train": np.bincount(data.train_labels, minlength=count),
            "test": np.bincount(data.test_labels, minlength=count),
        },
        mean=tuple((total / scale).tolist()),
        deviation=tuple((np.sqrt(np.maximum(squares - total**2, 0)) / scale).tolist()),
    )


def figures(values):
    return ",".join(f"{value:.4f}" for value in values)
