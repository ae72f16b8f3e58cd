"""Own pictures: a folder, or a zip, with a folder of pictures for each class.

pets/cat/001.jpg, pets/dog/001.jpg            a fifth of each class becomes the test part
pets/train/cat/..., pets/test/cat/...         the test part is given; it may be called "val" or "validation" too
"""

import contextlib
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np

from kerasnets import pictures
from kerasnets.data.dataset import Data
from kerasnets.data.picture_sources import Ration, Source, TooManyPixelsError, open_source, picture_names
from kerasnets.errors import BadInputError, shorten, visible

TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "val", "valid", "validation")
TEST_SHARE = 0.2  # of each class, if no test part is given
MOST_BYTES = 16e9  # of all pixels together, which are in memory at once

Folder = tuple[str, ...]  # the parts of a relative path


def read_classes(
    path: str | Path, shape: tuple[int, ...] | None = None, title: str | None = None, input_kind: str = "picture"
) -> Data:
    """Read the pictures of a folder or zip.

    Args:
        path: The folder or zip. Classes are numbered in the alphabetical order of their folders.
        shape: (height, width) or (height, width, channels) to which the pictures are resized; None if all have the
            same size. Without channels they become RGB, or grey if all are grey.
        title: Title of the Data; None is the name of the folder or zip.
        input_kind: How a picture is resized: a name in pictures.KINDS.

    Raises:
        BadInputError: Pictures cannot be read (the message has their count and the first name), a class has no
            pictures, there is only one class, or the folders do not show which are the classes.
    """
    path = Path(path)
    source = open_source(path)
    parts = parts_of(source)
    class_names = tuple(sorted(parts["train"]))
    check_classes(path, class_names, parts["test"])
    names = {part: [(name, i) for i, c in enumerate(class_names) for name in classes.get(c, ())]
             for part, classes in parts.items()}  # fmt: skip
    every = [name for part in names.values() for name, _ in part]
    labels = np.array([label for part in names.values() for _, label in part], "int64")
    if parts["test"]:
        train, test = np.split(np.arange(len(every)), [len(names["train"])])
    else:
        train, test = split_off_test(labels, class_names, path)
    order = np.concatenate([train, test])
    images = read_all(source, every, np.argsort(order), shape, input_kind)
    return Data(
        images[: len(train)],
        labels[train],
        images[len(train) :],
        labels[test],
        title=title or path.resolve().name.removesuffix(".zip"),
        class_names=class_names,
        input_kind=input_kind,
        test_files=tuple(every[i] for i in test),
    )


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
    chosen = [shuffled[labels[shuffled] == i][: max(1, round(TEST_SHARE * count))] for i, count in enumerate(counts)]
    is_test = np.isin(shuffled, np.concatenate(chosen))
    return shuffled[~is_test], shuffled[is_test]


def parts_of(source: Source) -> dict[str, dict[str, list[str]]]:
    """Return {"train": {class: names of pictures}, "test": {...}}; the test part is empty if none is given."""
    pictures_in: dict[Folder, list[str]] = {}
    for name in picture_names(source):
        *above, _ = PurePosixPath(name).parts
        pictures_in.setdefault(tuple(above), []).append(name)
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


# ---- the pictures ----


def read_all(
    source: Source, names: Sequence[str], places: np.ndarray, shape: tuple[int, ...] | None, input_kind: str
) -> np.ndarray:
    """Read pictures into one array uint8 (n, height, width, channels), without a second copy: they may fill the memory.

    Args:
        source: Where they are read from.
        names: Their names.
        places: int (n,), the index of each in the result.
        shape: As in `read_classes`, like `input_kind`.
        input_kind: How each is resized.
    """
    any_size = shape is not None
    shape = shape or first_size(source, names)
    height, width, channels = (*shape, 3)[:3]
    if len(names) * height * width * channels > MOST_BYTES:
        raise BadInputError(
            f"{shorten(source.path)}: {len(names)} pictures of {height}x{width} are more than {MOST_BYTES / 1e9:.0f} "
            "GB of pixels, and all are held in memory",
            remedy="take a smaller --image-size",
        )
    images = np.empty((len(names), height, width, channels if len(shape) == 3 else 1), np.uint8)
    sizes: set[tuple[int, ...]] = set()
    lock = threading.Lock()

    def read_into(i: int, picture: np.ndarray) -> None:
        nonlocal images
        if not any_size:
            sizes.add(picture.shape[:2])
        if len(sizes) > 1:
            return  # an error, which is raised below
        pixels = pictures.prepare(picture, input_kind, (height, width, channels), names[i])
        with lock:
            if images.shape[3] < channels and (pixels != pixels[..., :1]).any():  # all before it were grey
                images = np.repeat(images, channels, axis=3)
            images[places[i]] = pixels[..., : images.shape[3]]

    for_each(source, names, read_into)
    if len(sizes) > 1:
        examples = " and ".join(f"{height}x{width}" for height, width in sorted(sizes)[:2])
        raise BadInputError(
            f"{shorten(source.path)}: the pictures have {len(sizes)} sizes, as {examples}",
            remedy="choose one size by --image-size",
        )
    return images


def first_size(source: Source, names: Sequence[str]) -> tuple[int, ...]:
    """Return (height, width) of the first picture that can be read; (1, 1) if none can, which `for_each` reports."""
    for name in names:
        with contextlib.suppress(BadInputError), Ration().picture(source, name) as picture:
            return picture.shape[:2]
    return 1, 1


def for_each(source: Source, names: Sequence[str], do: Callable[[int, np.ndarray], None]) -> None:
    """Call do(i, picture) for all pictures; raise one BadInputError for all that cannot be read."""

    ration = Ration()

    def read_one(i: int) -> str:
        try:
            with ration.picture(source, names[i]) as picture:
                do(i, picture)
        except BadInputError as error:
            return str(error)
        return ""

    # OpenCV and Pillow decode without Python's lock. Each decoding silences warnings and then restores the filters that
    # it found, which in threads may be the silence of another: the outer block restores the right ones.
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor() as threads:
        try:
            errors = [error for error in threads.map(read_one, range(len(names))) if error]
        except TooManyPixelsError as error:
            threads.shutdown(cancel_futures=True)
            problem = "holds pictures of far more pixels than files of their size have"
            raise BadInputError(
                problem, path=source.path, remedy="shrink the pictures, or save them as JPEG"
            ) from error
    if errors:
        raise BadInputError(f"{len(errors)} of {len(names)} pictures cannot be read: {errors[0]}")
