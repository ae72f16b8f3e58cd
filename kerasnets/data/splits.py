"""The split of a data set into two parts, the same on every backend."""

import numpy as np


def split(labels: np.ndarray, count: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split a data set at random, stratified by class.

    Args:
        labels: int64 (n,).
        count: Size of the second part; its share of the data if below 1; 0 leaves it empty.
        seed: Of NumPy's legacy generator, whose stream never changes.

    Returns:
        (indices of the rest, indices of the part), both shuffled.

    Raises:
        ValueError: A class has fewer than two members.
    """
    from sklearn.model_selection import train_test_split

    indices = np.arange(len(labels))
    if not count:
        return indices, indices[:0]
    rest, part = train_test_split(indices, test_size=count, random_state=seed, stratify=labels)
    return rest, part
