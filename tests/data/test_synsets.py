"""Class folders called after WordNet's synsets get names; no framework is loaded."""

import zipfile

import cv2
import numpy as np
import pytest

from kerasnets import data
from kerasnets.data import synsets
from kerasnets.errors import BadInputError

# Lines of ImageNet's LOC_synset_mapping.txt; its two cranes are a bird and a machine
LINES = {
    "n01440764": "tench, Tinca tinca",
    "n02012849": "crane",
    "n03126707": "crane",
    "n03710637": "maillot",
    "n03710721": "maillot, tank suit",
}
NAMES = ("tench", "crane (n02012849)", "crane (n03126707)", "maillot", "maillot, tank suit")


def write(path, lines=LINES):
    path.write_text("".join(f"{synset} {words}\n" for synset, words in lines.items()), encoding="utf-8")
    return path


def write_pictures(folder, classes=LINES):
    for part in ("train", "val"):
        for i, name in enumerate(classes):
            (folder / part / name).mkdir(parents=True)
            for j in range(3):
                cv2.imwrite(str(folder / part / name / f"{j}.png"), np.full((20, 24 + j, 3), 40 * i, np.uint8))
    return folder


@pytest.mark.parametrize("place", ["ILSVRC/Data/CLS-LOC", "."])
def test_a_synset_file_in_or_above_the_folder_is_found(tmp_path, place):
    write(tmp_path / synsets.NAME)
    folder = write_pictures(tmp_path / place)
    found = data.load_data(folder, image_size=(8, 8))
    assert found.class_names == NAMES
    assert len(found.test_labels) == 15


def test_it_is_found_beside_a_zip(tmp_path):
    folder = write_pictures(tmp_path / "pictures")
    with zipfile.ZipFile(tmp_path / "imagenet.zip", "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, path.relative_to(folder))
    write(tmp_path / synsets.NAME)
    assert data.load_data(tmp_path / "imagenet.zip", image_size=(8, 8)).class_names == NAMES


def test_a_file_by_its_name_goes_with_any_folders(tmp_path):
    names = synsets.class_names_of(("a", "b"), tmp_path, write(tmp_path / "names.txt", {"b": "bee, Apis", "a": "ant"}))
    assert names == ("ant", "bee")


def test_without_a_file_the_folders_are_the_names(tmp_path):
    assert synsets.class_names_of(tuple(LINES), tmp_path / "a/b/c/d/e") == tuple(LINES)
    write(tmp_path / synsets.NAME)
    assert synsets.class_names_of(("n01440764", "cat"), tmp_path) == ("n01440764", "cat")


BAD = {
    "a line is missing": (lambda path: write(path, {"n01440764": "tench"}), "has no line for the class 'n02012849'"),
    "no file": (lambda path: path, "no file"),
    "no text": (lambda path: path.write_bytes(b"\xff\xfe\x00\x80\x81"), "cannot be read as text"),
    "a folder": (lambda path: path.mkdir(), "cannot be read as text"),
    "too large": (lambda path: path.write_bytes(b"n01440764 tench\n" * 2**21), "is too large for a synset file"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused(tmp_path, case):
    make, words = BAD[case]
    make(tmp_path / "names.txt")
    with pytest.raises(BadInputError, match=words):
        synsets.class_names_of(tuple(LINES), tmp_path, tmp_path / "names.txt")
