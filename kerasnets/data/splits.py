"""Setting a part of a data set apart, alike on every backend."""

import numpy as np


def split(labels, count, seed):
    """Return (rest, part) indices into `labels`: shuffled, stratified by class, the same on every backend.

    count: how many are in the part; 0 leaves it empty. seed: int; NumPy's legacy generator, whose stream never changes.
    Raises ValueError where a class has fewer than two members.
    """
    from sklearn.model_selection import train_test_split

    indices = np.arange(len(labels))
    if not count:
        return indices, indices[:0]
    return train_test_split(indices, test_size=count, random_state=seed, stratify=labels)
