"""The split of a data set into two parts, the same on every backend."""

import numpy as np

from kerasnets.runtime import backends


def split(labels: np.ndarray, count: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split a data set at random, stratified by class.

    Args:
        labels: int64 (n,).
        count: Size of the second part; its share of the data if below 1; 0 leaves it empty.
        seed: Of NumPy's legacy generator, whose stream never changes.

    Returns:
        (indices of the rest, indices of the part), both shuffled.

    The rest has a member of each class. If the part is too small for one of each, or a class has one member alone, the
    part is drawn from all members that the rest can spare.

    Raises:
        ValueError: No class has two members.
        ImportError: scikit-learn is not installed.
    """
    backends.check_packages("sklearn")
    from sklearn.model_selection import train_test_split

    indices = np.arange(len(labels))
    if not count:
        return indices, indices[:0]
    size = int(count) if count >= 1 else int(np.ceil(count * len(labels)))
    members = np.bincount(labels)[np.unique(labels)]
    if members.min() < 2 or size < len(members) or len(labels) - size < len(members):
        return split_unevenly(labels, size, seed)
    rest, part = train_test_split(indices, test_size=count, random_state=seed, stratify=labels)
    return rest, part


def split_unevenly(labels: np.ndarray, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split off `size` members at random, or fewer: the first of each class in a random order stay."""
    order = np.random.RandomState(seed).permutation(len(labels))
    _, firsts = np.unique(labels[order], return_index=True)
    spare = np.delete(np.arange(len(order)), firsts)[:size]
    if not len(spare):
        raise ValueError("no class has two pictures")
    return np.delete(order, spare), order[spare]
