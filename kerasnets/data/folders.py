"""Own pictures: a folder, or a zip, with a folder of pictures for each class.

pets/cat/001.jpg, pets/dog/001.jpg            a fifth of each class is set apart for the test
pets/train/cat/..., pets/test/cat/...         the test part is given; "val" and "validation" do as well
"""

import contextlib
import os
import sys
import threading
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np

from kerasnets import pictures
from kerasnets.data.dataset import Data
from kerasnets.errors import BadInputError, shorten

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "val", "valid", "validation")
TEST_SHARE = 0.2  # of each class, where no test part is given
MOST_BYTES = 16e9  # of all pixels together, which are held in memory


def read_classes(path, shape=None, title=None, input_kind="picture"):
    """Read the pictures of a folder or zip at `path`, each brought to `shape`: a Data of them all.

    shape: (height, width[, channels]); where None, the size of the pictures, which must then be one. Without channels,
        RGB, unless all are grey. Classes are numbered in the alphabetical order of their folders.
    input_kind: in which manner they are brought to it, a name in pictures.KINDS.
    Raises BadInputError for pictures that cannot be read (it names the first and counts them all), a class without
    pictures, one class alone, or an order of folders that does not tell the classes.
    """
    path = Path(path)
    source = ZipSource(path) if path.suffix.lower() == ".zip" else FolderSource(path)
    parts = parts_of(source)
    class_names = tuple(sorted(parts["train"]))
    if len(class_names) < 2:
        there = f"one class alone, {class_names[0]!r}" if class_names else "no pictures"
        raise BadInputError(
            f"{shorten(path)} holds {there}; give each of two or more classes a folder, as cat/1.jpg, dog/1.jpg"
        )
    strangers = sorted(set(parts["test"]) - set(class_names))
    missing = sorted(set(class_names) - set(parts["test"])) if parts["test"] else []
    if strangers or missing:
        raise BadInputError(
            f"{shorten(path)}: class {(strangers or missing)[0]!r} is in the {'test' if strangers else 'train'} part "
            "alone; give both parts the same class folders"
        )
    names = {part: [(name, i) for i, c in enumerate(class_names) for name in classes.get(c, ())]
             for part, classes in parts.items()}  # fmt: skip
    every = [name for part in names.values() for name, _ in part]
    labels = np.array([label for part in names.values() for _, label in part], "int64")
    if parts["test"]:
        train, test = np.split(np.arange(len(every)), [len(names["train"])])
    else:
        train, test = test_apart(labels, class_names, path)
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


def test_apart(labels, class_names, path):
    """(train, test) indices, shuffled: of each class a fifth, one picture at least, is for the test.

    By a seed of its own, so that it is the same in every run.
    """
    counts = np.bincount(labels)
    if counts.min() < 2:
        raise BadInputError(
            f"{shorten(path)}: class {class_names[counts.argmin()]!r} has one picture; it needs two or more, for "
            "training and for the test"
        )
    shuffled = np.random.RandomState(0).permutation(len(labels))  # whose stream never changes
    chosen = [shuffled[labels[shuffled] == i][: max(1, round(TEST_SHARE * count))] for i, count in enumerate(counts)]
    is_test = np.isin(shuffled, np.concatenate(chosen))
    return shuffled[~is_test], shuffled[is_test]


def parts_of(source):
    """{"train": {class: names of pictures}, "test": {...}}; the test part is empty where none is given."""
    found = {}
    for name in picture_names(source):
        *above, _ = PurePosixPath(name).parts
        found.setdefault(tuple(above), []).append(name)
    check_order(source, found)
    roots = {above[:-1] for above in found}
    tops = {root[-1].lower() for root in roots if root}
    parts = {"train": {}, "test": {}}
    given = any(top in TRAIN_NAMES for top in tops) and any(top in TEST_NAMES for top in tops)
    test_name = next((name for name in TEST_NAMES if name in tops), None)
    left_out, places = 0, {}
    for above, names in found.items():
        root = above[-2].lower() if len(above) > 1 else ""
        if given and root not in (*TRAIN_NAMES, *TEST_NAMES):
            raise BadInputError(f"{source.path.name}: {names[0]} lies in neither train nor {test_name}; move it")
        if given and root in TEST_NAMES and root != test_name:
            left_out += len(names)  # of a third part, as validation beside test: the test part judges
            continue
        part = "test" if given and root == test_name else "train"
        if places.setdefault((part, above[-1]), above) != above:
            both = " and ".join("/".join(folder) for folder in sorted({above, places[part, above[-1]]}))
            raise BadInputError(f"{source.path.name}: {both} would be one class; give each class one folder")
        parts[part].setdefault(above[-1], []).extend(sorted(names))
    if len({above[:-1] for above in places.values()}) > (2 if given else 1):
        names = ", ".join(sorted(parts["train"])[:3]) + ", ..." * (len(parts["train"]) > 3)
        print(f"note: the classes of {source.path.name} are its innermost folders: {names}", file=sys.stderr)
    if left_out:
        print(f"note: {left_out} pictures of {source.path.name} are in neither train nor {test_name}", file=sys.stderr)
    return parts


def check_order(source, found):
    """Refuse an order of folders in which it is not plain what the classes are; found: {folder: pictures in it}."""
    if () in found:
        raise BadInputError(f"{source.path.name}: {found[()][0]} lies in no class folder; move it into one")
    outer = {folder[:depth] for folder in found for depth in range(len(folder))}
    for folder in sorted(outer & set(found)):
        raise BadInputError(
            f"{source.path.name}: {'/'.join(folder)} holds both pictures and folders of them; make it one class"
        )
    above = {name.lower() for folder in found for name in folder[:-2]}
    if above & set(TRAIN_NAMES) and above & set(TEST_NAMES):
        raise BadInputError(
            f"{source.path.name}: in {'/'.join(max(found, key=len))} there is a folder between the part and the class; "
            "arrange the pictures as train/cat/1.jpg, test/cat/1.jpg"
        )
    if found and all(folder[-1].lower() in (*TRAIN_NAMES, *TEST_NAMES) for folder in found):
        raise BadInputError(
            f"{source.path.name}: the pictures lie in {min(found)[-1]!r} itself; arrange them as train/cat/1.jpg, "
            "test/cat/1.jpg"
        )


# ---- the pictures ----


def read_all(source, names, places, shape, input_kind):
    """uint8 (n, height, width, channels) of the pictures called `names`; `shape` as in `read_classes`.

    places: int (n,), where each of them goes. They may fill the memory, so that nothing of their size is held beside.
    """
    any_size = shape is not None
    shape = shape or first_size(source, names)
    height, width, channels = (*shape, 3)[:3]
    if len(names) * height * width * channels > MOST_BYTES:
        raise BadInputError(
            f"{shorten(source.path)}: {len(names)} pictures of {height}x{width} are more than {MOST_BYTES / 1e9:.0f} "
            "GB of pixels, and all are held in memory; take a smaller --image-size"
        )
    images = np.empty((len(names), height, width, channels if len(shape) == 3 else 1), np.uint8)
    sizes, lock = set(), threading.Lock()

    def read_into(i, picture):
        nonlocal images
        if not any_size:
            sizes.add(picture.shape[:2])
        if len(sizes) > 1:
            return  # what is told below
        pixels = pictures.prepare(picture, input_kind, (height, width, channels), names[i])
        with lock:
            if images.shape[3] < channels and (pixels != pixels[..., :1]).any():  # all before it were grey
                images = np.repeat(images, channels, axis=3)
            images[places[i]] = pixels[..., : images.shape[3]]

    for_each(source, names, read_into)
    if len(sizes) > 1:
        examples = " and ".join(f"{height}x{width}" for height, width in sorted(sizes)[:2])
        raise BadInputError(
            f"{shorten(source.path)}: the pictures have {len(sizes)} sizes, as {examples}; say to which to resize them "
            "by --image-size"
        )
    return images


def first_size(source, names):
    """(height, width) of the first picture that can be read; of none, any: what is wrong with them is told later."""
    for name in names:
        with contextlib.suppress(BadInputError):
            return source.picture(name).shape[:2]
    return 1, 1


def for_each(source, names, do):
    """Call do(i, picture) for all pictures; one error for all of them that cannot be read."""

    def read_one(i):
        try:
            do(i, source.picture(names[i]))
        except BadInputError as error:
            return str(error)

    # OpenCV and Pillow decode without Python's lock. Each decoding silences warnings and then restores what it found,
    # which in threads may be another's silence: the outer block has the last word.
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor() as threads:
        errors = [error for error in threads.map(read_one, range(len(names))) if error]
    if errors:
        raise BadInputError(f"{len(errors)} of {len(names)} pictures cannot be read: {errors[0]}")


class FolderSource:
    """Pictures below a folder."""

    def __init__(self, path):
        self.path = path
        if path.is_file():
            raise BadInputError(
                f"{shorten(path)} is no data set; name a folder or zip of class folders, an .npz archive, or a known "
                "set, as mnist"
            )
        if not path.is_dir():
            raise BadInputError(f"no folder or zip {shorten(path)}; check the name")

    def paths(self):
        """Of all files and folders, relative to this one, those of folders ending in a slash."""
        return [
            (Path(folder) / name).relative_to(self.path).as_posix() + slash
            for folder, folders, files in os.walk(self.path, followlinks=True)
            for names, slash in ((folders, "/"), (files, ""))
            for name in names
        ]

    def picture(self, name):
        return pictures.read(self.path / name)


class ZipSource:
    """Pictures inside a zip, read without unpacking it on disk."""

    def __init__(self, path):
        self.path = path
        try:
            self.archive = zipfile.ZipFile(path)
        except FileNotFoundError as error:
            raise BadInputError(f"no folder or zip {shorten(path)}; check the name") from error
        except Exception as error:  # OSError, BadZipFile, NotImplementedError, ValueError, ... by where it is damaged
            raise BadInputError(f"{shorten(path)} is damaged or no zip ({error}); copy it again") from error

    def paths(self):
        return self.archive.namelist()

    def picture(self, name):
        if self.archive.getinfo(name).file_size > pictures.MAX_BYTES:
            raise BadInputError(
                f"{shorten(name)} is larger than a picture may be, {pictures.MAX_BYTES / 1e6:.0f} MB; leave it out"
            )
        try:
            content = self.archive.read(name)
        except Exception as error:  # RuntimeError of an encrypted one, BadZipFile, zlib.error, EOFError, ...
            raise BadInputError(f"{shorten(name)} cannot be unpacked: {error}; make the zip again") from error
        return pictures.decode(content, name)


def picture_names(source):
    """The names of all pictures, in alphabetical order. A folder without any is refused, other files are told of."""
    paths = sorted(path for path in source.paths() if not is_hidden(PurePosixPath(path)))
    files = [path for path in paths if not path.endswith("/")]
    names = [path for path in files if PurePosixPath(path).suffix.lower() in SUFFIXES]
    others = [path for path in files if PurePosixPath(path).suffix.lower() not in SUFFIXES]
    if others:
        print(
            f"note: left out of {source.path.name}, for it is no {', '.join(SUFFIXES)}: {others[0]}"
            + (f" and {len(others) - 1} more" if others[1:] else ""),
            file=sys.stderr,
        )
    filled = {folder for name in names for folder in PurePosixPath(name).parents}
    folders = {PurePosixPath(path) if path.endswith("/") else PurePosixPath(path).parent for path in paths}
    for folder in sorted(folders - {PurePosixPath(".")}):
        if folder not in filled:
            raise BadInputError(
                f"{shorten(source.path)}: class folder {folder.name!r} has no pictures; fill or remove it"
            )
    return names


def is_hidden(path):
    """Whether a path leads through something hidden (macOS adds __MACOSX/._1.jpg to a zip)."""
    return any(part.startswith((".", "__MACOSX")) for part in path.parts)
