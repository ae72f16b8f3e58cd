"""The layout of own data: which pictures a folder or zip has, of which class, and in which part.

pets/cat/001.jpg, pets/dog/001.jpg            a fifth of each class becomes the test part
pets/train/cat/..., pets/test/cat/...         the test part is given; it may be called "val" or "validation" too

A million names take seconds: whatever depends on the folder alone is worked out once for each folder.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from kerasnets.data.picture_sources import Source
from kerasnets.errors import BadInputError, shorten, visible

HIDDEN = (".", "__MACOSX")  # how the name of a hidden file or folder begins
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "val", "valid", "validation")
TEST_SHARE = 0.2  # of each class, if no test part is given

Folder = tuple[str, ...]  # the parts of a relative path


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder or zip, in the order of their parts and classes.

    Args:
        names: Relative paths.
        labels: int64 (n,).
        train: int64 (k,), the indices of the training part in its order.
        test: int64 (n - k,), likewise.
        class_names: In alphabetical order.
    """

    names: list[str]
    labels: np.ndarray
    train: np.ndarray
    test: np.ndarray
    class_names: tuple[str, ...]


def list_pictures(source: Source) -> Listing:
    """Return the Listing of a folder or zip.

    Raises:
        BadInputError: A class has no pictures, there is only one class, or the folders do not show which are the
            classes.
    """
    parts = parts_of(source)
    class_names = tuple(sorted(parts["train"]))
    check_classes(source.path, class_names, parts["test"])
    lists = [classes.get(name, []) for classes in parts.values() for name in class_names]
    names = [name for part in lists for name in part]
    labels = np.repeat(np.tile(np.arange(len(class_names)), len(parts)), [len(part) for part in lists])
    if parts["test"]:
        train, test = np.split(np.arange(len(names)), [sum(map(len, parts["train"].values()))])
    else:
        train, test = split_off_test(labels, class_names, source.path)
    return Listing(names, labels, train, test, class_names)


def check_classes(path: Path, class_names: Sequence[str], test_classes: Mapping[str, Sequence[str]]) -> None:
    """Raise BadInputError unless there are two classes or more, the same in both parts."""
    if len(class_names) < 2:
        content = f"one class alone, {class_names[0]!r}" if class_names else "no pictures"
        remedy = "give each of two or more classes a folder, as cat/1.jpg, dog/1.jpg"
        raise BadInputError(f"holds {content}", path=path, remedy=remedy)
    only_test = sorted(set(test_classes) - set(class_names))
    only_train = sorted(set(class_names) - set(test_classes)) if test_classes else []
    if only_test or only_train:
        name, part = (only_test or only_train)[0], "test" if only_test else "train"
        raise BadInputError(
            f"{{path}}: class {name!r} is in the {part} part alone",
            path=path,
            remedy="give both parts the same class folders",
        )


def split_off_test(labels: np.ndarray, class_names: Sequence[str], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return (train, test) indices, shuffled: a fifth of each class, at least one picture, is the test part.

    The seed is fixed, so that the split is the same in every run.
    """
    counts = np.bincount(labels)
    if counts.min() < 2:
        raise BadInputError(
            f"{shorten(path)}: class {class_names[int(counts.argmin())]!r} has one picture",
            remedy="it needs two or more, for training and for the test",
        )
    shuffled = np.random.RandomState(0).permutation(len(labels))  # its stream never changes
    by_class = np.split(np.argsort(labels[shuffled], kind="stable"), np.cumsum(counts)[:-1])
    is_test = np.zeros(len(labels), bool)
    for places in by_class:
        is_test[places[: max(1, round(TEST_SHARE * len(places)))]] = True
    return shuffled[~is_test], shuffled[is_test]


def parts_of(source: Source) -> dict[str, dict[str, list[str]]]:
    """Return {"train": {class: names of pictures}, "test": {...}}; the test part is empty if none is given."""
    named: dict[str, list[str]] = {}
    for name in picture_names(source):
        named.setdefault(name.rpartition("/")[0], []).append(name)
    pictures_in: dict[Folder, list[str]] = {}
    for path, names in named.items():
        pictures_in.setdefault(PurePosixPath(path).parts, []).extend(names)
    check_layout(source, pictures_in)
    tops = {folder[-2].lower() for folder in pictures_in if len(folder) > 1}
    parts: dict[str, dict[str, list[str]]] = {"train": {}, "test": {}}
    has_parts = any(top in TRAIN_NAMES for top in tops) and any(top in TEST_NAMES for top in tops)
    test_name = next((name for name in TEST_NAMES if name in tops), None)
    left_out = 0
    places: dict[tuple[str, str], Folder] = {}
    for folder, names in pictures_in.items():
        top = folder[-2].lower() if len(folder) > 1 else ""
        if has_parts and top not in (*TRAIN_NAMES, *TEST_NAMES):
            raise BadInputError(f"{source.path.name}: {names[0]} lies in neither train nor {test_name}; move it")
        if has_parts and top in TEST_NAMES and top != test_name:
            left_out += len(names)  # a third part, as validation beside test
            continue
        part = "test" if has_parts and top == test_name else "train"
        if places.setdefault((part, folder[-1]), folder) != folder:
            both = " and ".join("/".join(place) for place in sorted({folder, places[part, folder[-1]]}))
            raise BadInputError(f"{source.path.name}: {both} would be one class; give each class one folder")
        parts[part].setdefault(folder[-1], []).extend(sorted(names))
    if len({folder[:-1] for folder in places.values()}) > (2 if has_parts else 1):
        classes = ", ".join(sorted(parts["train"])[:3]) + ", ..." * (len(parts["train"]) > 3)
        print(visible(f"note: the classes of {source.path.name} are its innermost folders: {classes}"), file=sys.stderr)
    if left_out:
        note = f"note: {left_out} pictures of {source.path.name} are in neither train nor {test_name}"
        print(visible(note), file=sys.stderr)
    return parts


def check_layout(source: Source, pictures_in: Mapping[Folder, Sequence[str]]) -> None:
    """Raise BadInputError if the folders do not show which are the classes; pictures_in: {folder: its pictures}."""
    if () in pictures_in:
        raise BadInputError(f"{source.path.name}: {pictures_in[()][0]} lies in no class folder; move it into one")
    outer = {folder[:depth] for folder in pictures_in for depth in range(len(folder))}
    for folder in sorted(outer & set(pictures_in)):
        problem = f"{source.path.name}: {'/'.join(folder)} holds both pictures and folders of them"
        raise BadInputError(problem, remedy="make it one class")
    above = {name.lower() for folder in pictures_in for name in folder[:-2]}
    if above & set(TRAIN_NAMES) and above & set(TEST_NAMES):
        deepest: Folder = max(pictures_in, key=len)
        raise BadInputError(
            f"{source.path.name}: in {'/'.join(deepest)} there is a folder between the part and the class",
            remedy="arrange the pictures as train/cat/1.jpg, test/cat/1.jpg",
        )
    if pictures_in and all(folder[-1].lower() in (*TRAIN_NAMES, *TEST_NAMES) for folder in pictures_in):
        raise BadInputError(
            f"{source.path.name}: the pictures lie in {min(pictures_in)[-1]!r} itself",
            remedy="arrange them as train/cat/1.jpg, test/cat/1.jpg",
        )


def picture_names(source: Source) -> list[str]:
    """Return the names of all pictures in alphabetical order; print a note on other files.

    Raises:
        BadInputError: A folder has no pictures.
    """
    names, others = [], []
    hidden: dict[str, bool] = {}  # by folder
    filled: set[str] = set()
    seen: set[str] = set()  # and these other folders
    for path in sorted(source.paths()):
        folder, _, name = path.rpartition("/")
        if folder not in hidden:
            hidden[folder] = is_hidden(PurePosixPath(folder))
        if hidden[folder] or name.startswith(HIDDEN):
            continue
        if name.lower().endswith(SUFFIXES):
            names.append(path)
            filled.add(folder)
            continue
        seen.add(folder)
        if name:
            others.append(path)
    if others:
        more = f" and {len(others) - 1} more" if others[1:] else ""
        note = f"note: left out of {source.path.name}, because it is not {', '.join(SUFFIXES)}: {others[0]}{more}"
        print(visible(note), file=sys.stderr)
    above = {PurePosixPath(folder) for folder in filled}
    above |= {parent for folder in above for parent in folder.parents}
    for empty in sorted({PurePosixPath(folder) for folder in seen} - above - {PurePosixPath(".")}):
        raise BadInputError(
            f"{{path}}: class folder {empty.name!r} has no pictures", path=source.path, remedy="fill or remove it"
        )
    return names


def is_hidden(path: PurePosixPath) -> bool:
    """Whether a path has a hidden part (macOS adds __MACOSX/._1.jpg to a zip)."""
    return any(part.startswith(HIDDEN) for part in path.parts)
