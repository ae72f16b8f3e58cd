"""The layout of own data: which pictures a folder or zip has, of which class, and in which part.

pets/cat/001.jpg, pets/dog/001.jpg            a fifth of each class becomes the test part
pets/train/cat/..., pets/test/cat/...         the test part is given; `parts` has the names that it may have
pets/train/..., pets/val/..., pets/test/...   the validation part is given too
pets/train/cat/..., pets/test/001.jpg         the pictures in "test" are left out: no folder says what they show

A million names take seconds: whatever depends on the folder alone is worked out once for each folder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from kerasnets.data.parts import TEST, TRAIN, UNLABELLED, VALIDATION, Parts
from kerasnets.data.picture_sources import Source
from kerasnets.errors import BadInputError, note, shorten
from kerasnets.pictures.files import HIDDEN, SUFFIXES

USUAL = (".jpg", ".png", ".bmp", ".webp", ".tif", ".gif")  # of SUFFIXES, for a message
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
        validation: int64, those of the training part that are given for validation.
        class_names: In alphabetical order.
    """

    names: list[str]
    labels: np.ndarray
    train: np.ndarray
    test: np.ndarray
    validation: np.ndarray
    class_names: tuple[str, ...]
    is_split: bool  # whether the test part was not given, but split off


def list_pictures(source: Source, whole: bool = False) -> Listing:
    """Return the Listing of a folder or zip.

    Args:
        source: The folder or zip.
        whole: Whether it is for a test: it may have one class alone, and all of it is the test part if none is given.

    Raises:
        BadInputError: A class has no pictures, there are too few classes, or the folders do not show which they are.
    """
    parts = parts_of(source)
    class_names = tuple(sorted(parts[TRAIN]))
    check_classes(source.path, class_names, parts, least=1 if whole else 2)
    lists = [classes.get(name, []) for classes in parts.values() for name in class_names]
    names = [name for part in lists for name in part]
    labels = np.repeat(np.tile(np.arange(len(class_names)), len(parts)), [len(part) for part in lists])
    ends = np.cumsum([sum(map(len, classes.values())) for classes in parts.values()])
    every = np.arange(len(names))
    train, validation, test, _ = np.split(every, ends)
    is_split = not len(test) and not whole
    if not len(test):
        train, test = (every[:0], every) if whole else split_off_test(labels, class_names, source.path)
    return Listing(names, labels, np.concatenate([train, validation]), test, validation, class_names, is_split)


def check_classes(
    path: Path, class_names: Sequence[str], parts: Mapping[str, Mapping[str, Sequence[str]]], least: int
) -> None:
    """Raise BadInputError unless there are at least so many classes, the same in all parts that are given."""
    if len(class_names) < least:
        content = f"one class alone, {class_names[0]!r}" if class_names else "no pictures"
        remedy = f"give each {'class' if least == 1 else 'of two or more classes'} a folder, as cat/1.jpg, dog/1.jpg"
        raise BadInputError(f"holds {content}", path=path, remedy=remedy)
    for part, classes in parts.items():
        beyond = sorted(set(classes) - set(class_names))
        missing = sorted(set(class_names) - set(classes)) if classes and part == TEST else []
        if beyond or missing:
            names, where = (beyond, part) if beyond else (missing, TRAIN)
            which = (
                f"class {names[0]!r} is" if len(names) == 1 else f"classes {some([repr(name) for name in names])} are"
            )
            remedy = "give both parts the same class folders"
            raise BadInputError(f"{{path}}: {which} in the {where} part alone", path=path, remedy=remedy)


def split_off_test(labels: np.ndarray, class_names: Sequence[str], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return (train, test) indices, shuffled: a fifth of each class, at least one picture, is the test part.

    The seed is fixed, so that the split is the same in every run.
    """
    counts = np.bincount(labels)
    if counts.min() < 2:
        alone = [repr(class_names[i]) for i in np.flatnonzero(counts < 2).tolist()]
        which = f"class {alone[0]} has" if len(alone) == 1 else f"classes {some(alone)} have"
        remedy = f"{'it needs' if len(alone) == 1 else 'each needs'} two or more, for training and for the test"
        raise BadInputError(f"{shorten(path)}: {which} one picture", remedy=remedy)
    shuffled = np.random.RandomState(0).permutation(len(labels))  # its stream never changes
    by_class = np.split(np.argsort(labels[shuffled], kind="stable"), np.cumsum(counts)[:-1])
    is_test = np.zeros(len(labels), bool)
    for places in by_class:
        is_test[places[: max(1, round(TEST_SHARE * len(places)))]] = True
    return shuffled[~is_test], shuffled[is_test]


def parts_of(source: Source) -> dict[str, dict[str, list[str]]]:
    """Return {"train": {class: names of pictures}, "val": {...}, "test": {...}}; a part that is not given is empty."""
    name_of = source.path.name
    pictures_in, named = pictures_of(source)
    found = {named.nearest(folder) for folder in pictures_in}
    has_parts = TRAIN in found and bool(found & {TEST, VALIDATION})
    test_part = TEST if TEST in found else VALIDATION  # a part for validation beside none for the test is the test's
    result: dict[str, dict[str, list[str]]] = {TRAIN: {}, VALIDATION: {}, TEST: {}}
    places: dict[tuple[str, str], Folder] = {}
    for folder, names in pictures_in.items():
        part = named.nearest(folder) if has_parts else TRAIN
        if not part or part == UNLABELLED:
            raise BadInputError(f"{name_of}: {names[0]} lies in neither train nor {test_part}; move it")
        part = TEST if part == test_part else part
        if places.setdefault((part, folder[-1]), folder) != folder:
            both = " and ".join("/".join(place) for place in sorted({folder, places[part, folder[-1]]}))
            remedy = "give each class one folder, or name the parts train and test"
            raise BadInputError(f"{name_of}: {both} would be one class", remedy=remedy)
        result[part].setdefault(folder[-1], []).extend(sorted(names))
    if len({folder[:-1] for folder in places.values()}) > (len(found & {TRAIN, TEST, VALIDATION}) if has_parts else 1):
        note(f"the classes of {name_of} are its innermost folders: {some(sorted(result[TRAIN]))}")
    if result[VALIDATION]:
        count = sum(map(len, result[VALIDATION].values()))
        note(f"the {count} pictures of {name_of} in its part for validation are used for that")
    return result


def pictures_of(source: Source) -> tuple[dict[Folder, list[str]], Parts]:
    """Return ({folder: its pictures} of all class folders, the parts they name), and check that they are such."""
    named: dict[str, list[str]] = {}
    for name in picture_names(source):
        named.setdefault(name.rpartition("/")[0], []).append(name)
    pictures_in: dict[Folder, list[str]] = {}
    for path, names in named.items():
        pictures_in.setdefault(PurePosixPath(path).parts, []).extend(names)
    parts = Parts(pictures_in)
    classless = [folder for folder in pictures_in if is_unlabelled(folder, parts)]
    remaining = [folder for folder in pictures_in if folder not in classless and folder != ()]
    if classless and len({folder[-1] for folder in remaining}) > 1:
        count = sum(len(pictures_in.pop(folder)) for folder in classless)
        where = " and ".join("/".join(folder) for folder in classless)
        note(
            f"left out of {source.path.name}, because no class folder says what they show: {count} pictures in {where}"
        )
    check_layout(source, pictures_in, parts)
    return pictures_in, parts


def is_unlabelled(folder: Folder, parts: Parts) -> bool:
    """Whether pictures lie in a folder called test itself, as Kaggle has it, or in one of pictures to predict."""
    own, above = parts.of(folder[-1]) if folder else "", parts.nearest(folder)
    return above == UNLABELLED or (own in (TEST, VALIDATION, UNLABELLED) and above in ("", own))


def check_layout(source: Source, pictures_in: Mapping[Folder, Sequence[str]], parts: Parts) -> None:
    """Raise BadInputError if the folders do not show which are the classes; pictures_in: {folder: its pictures}."""
    if () in pictures_in:
        raise BadInputError(f"{source.path.name}: {pictures_in[()][0]} lies in no class folder; move it into one")
    outer = {folder[:depth] for folder in pictures_in for depth in range(len(folder))}
    for folder in sorted(outer & set(pictures_in)):
        problem = f"{source.path.name}: {'/'.join(folder)} holds both pictures and folders of them"
        raise BadInputError(problem, remedy="make it one class")
    arrange = "as train/cat/1.jpg, test/cat/1.jpg"
    between = [folder for folder in pictures_in if parts.nearest(folder) and not parts.of(folder[-2])]
    if between and len({parts.nearest(folder) for folder in between}) > 1:
        problem = f"{source.path.name}: in {'/'.join(between[-1])} there is a folder between the part and the class"
        raise BadInputError(problem, remedy=f"arrange the pictures {arrange}")
    if pictures_in and all(parts.of(folder[-1]) for folder in pictures_in):
        problem = f"{source.path.name}: the pictures lie in {min(pictures_in)[-1]!r} itself"
        raise BadInputError(problem, remedy=f"arrange them {arrange}")


def picture_names(source: Source) -> list[str]:
    """Return the names of all pictures in alphabetical order; print a note on other files.

    Raises:
        BadInputError: A folder has no pictures.
    """
    names, others, folders = sort_out(source)
    if others:
        note(f"left out of {source.path.name}, because it is not {', '.join(USUAL)} or the like: {some(others, 1)}")
    above = {PurePosixPath(folder) for folder in {name.rpartition("/")[0] for name in names}}
    above |= {parent for folder in above for parent in folder.parents}
    empty = sorted({PurePosixPath(folder) for folder in folders} - above - {PurePosixPath(".")})
    if empty:
        kinds = sorted({PurePosixPath(name).suffix for name in others if PurePosixPath(name).parent in empty} - {""})
        problem = f"has no pictures{f' but {some(kinds)}' if kinds else ''}"
        remedy = "save them as JPEG or PNG" if kinds else "fill or remove it"
        which = f"class folder {empty[0].name!r}"
        if empty[1:]:
            which, problem = (
                f"class folders {some([repr(path.name) for path in empty])}",
                problem.replace("has", "have"),
            )
            remedy = remedy.replace("it", "them")
        raise BadInputError(f"{{path}}: {which} {problem}", path=source.path, remedy=remedy)
    return names


def sort_out(source: Source) -> tuple[list[str], list[str], set[str]]:
    """Return (pictures, other files, folders) of a source in alphabetical order, without hidden ones."""
    names, others = [], []
    hidden: dict[str, bool] = {}  # by folder
    folders: set[str] = set()
    for path in sorted(source.paths()):
        folder, _, name = path.rpartition("/")
        if folder not in hidden:
            hidden[folder] = is_hidden(PurePosixPath(folder))
        if hidden[folder] or name.startswith(HIDDEN):
            continue
        folders.add(folder)
        if name.lower().endswith(SUFFIXES):
            names.append(path)
        elif name:
            others.append(path)
    return names, others, folders


def is_hidden(path: PurePosixPath) -> bool:
    """Whether a path has a hidden part (macOS adds __MACOSX/._1.jpg to a zip)."""
    return any(part.startswith(HIDDEN) for part in path.parts)


def some(names: Sequence[str], most: int = 3) -> str:
    """Return the first names, and the number of the others."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
