"""Folders as published data sets, other systems and notebooks leave them: read as a person means them, or refused."""

import os
import zipfile

import numpy as np
import pytest

from kerasnets import data
from kerasnets.cli import answers
from kerasnets.data.parts import Parts
from kerasnets.data.summary import summarize
from kerasnets.errors import BadInputError
from tests.stand_ins import encoded, write_folder, write_zip

CLASSES = ("cat", "dog")


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (6, 5, 3), np.uint8)


def classes(folder, count, seed=0):
    """{name: PNG} of `count` pictures of each class below a folder."""
    return {
        f"{folder}{name}/{i}.png": encoded(picture((seed, ord(name[0]), i))) for name in CLASSES for i in range(count)
    }


def flat(folder, count=4):
    return {f"{folder}{i}.png": encoded(picture(i)) for i in range(count)}


def sizes(found):
    validation = 0 if found.validation is None else len(found.validation)
    return len(found.train_labels) - validation, validation, len(found.test_labels)


# ---- parts ----


@pytest.mark.parametrize(("part", "names"), [
    ("train", "train Train TRAINING training_set trainset trainingSet seg_train train_images Train2017 train-data trn"),
    ("test", "test Testing test_set testset seg_test Test_Images DATASET_test"),
    ("val", "val valid Validation validation_set eval Evaluation dev val2017"),
    ("unlabelled", "seg_pred unlabeled predictions"),
    ("", "cat training_shoes trainers test_pattern contest value steam_train evaluate_me data images set 2017 训练"),
])  # fmt: skip
def test_a_part_is_known_by_the_words_of_its_name(part, names):
    assert {name: Parts([(name,)]).of(name) for name in names.split()} == dict.fromkeys(names.split(), part)


@pytest.mark.parametrize(("train", "test"), [
    ("Training/", "Testing/"),
    ("seg_train/seg_train/", "seg_test/seg_test/"),
    ("training_set/training_set/", "test_set/test_set/"),
    ("trainingSet/", "validationSet/"),
    ("train/train/", "test/test/"),
    ("archive/train/", "archive/eval/"),
    ("asl_alphabet_train/asl_alphabet_train/", "asl_alphabet_test/asl_alphabet_test/"),
    ("test_data/train/", "test_data/test/"),  # the nearest folder counts
    ("train2017/", "val2017/"),
])  # fmt: skip
def test_the_parts_of_published_sets_are_known(tmp_path, capsys, train, test):
    found = data.load_data(write_folder(tmp_path / "pets", classes(train, 5) | classes(test, 3)))
    assert found.class_names == CLASSES
    assert sizes(found) == (10, 0, 6)
    assert not found.is_split
    assert capsys.readouterr().err == ""


def test_a_part_of_other_words_needs_another_part_of_the_same(tmp_path):
    assert Parts([("birds_train", "a"), ("birds_valid", "a")]).of("birds_valid") == "val"
    assert Parts([("steam_train", "a"), ("crash_test", "a")]).of("steam_train") == ""
    assert Parts([("train_test", "a"), ("x_test", "a")]).of("train_test") == ""


def test_three_parts_are_used_as_their_names_say(tmp_path, capsys):
    files = classes("train/", 5) | classes("val/", 2, seed=1) | classes("test/", 3, seed=2)
    found = data.load_data(write_folder(tmp_path / "pets", files))
    assert sizes(found) == (10, 4, 6)
    assert capsys.readouterr().err == "note: the 4 pictures of pets in its part for validation are used for that\n"


def test_a_class_that_is_called_like_a_part_is_a_class(tmp_path):
    files = {f"{name}/{i}.png": encoded(picture(i)) for name in ("bus", "plane", "train") for i in range(5)}
    assert data.load_data(write_folder(tmp_path / "vehicles", files)).class_names == ("bus", "plane", "train")
    files = {f"{name}/{i}.png": encoded(picture(i)) for name in ("control", "test") for i in range(5)}
    assert data.load_data(write_folder(tmp_path / "trial", files)).class_names == ("control", "test")


@pytest.mark.parametrize(("labelled", "unlabelled", "expected"), [
    (classes("train/", 5), flat("test/"), (8, 0, 2)),  # Kaggle's
    (classes("train/", 5), flat("test1/"), (8, 0, 2)),
    (classes("train/", 5), flat("test/test/"), (8, 0, 2)),
    (classes("", 5), flat("test/"), (8, 0, 2)),
    (classes("train/", 5) | classes("val/", 3), flat("test/"), (10, 0, 6)),
    (classes("seg_train/seg_train/", 5) | classes("seg_test/seg_test/", 3), flat("seg_pred/seg_pred/"), (10, 0, 6)),
])  # fmt: skip
def test_pictures_of_no_class_in_a_test_folder_are_left_out_with_a_note(
    tmp_path, capsys, labelled, unlabelled, expected
):
    found = data.load_data(write_folder(tmp_path / "pets", labelled | unlabelled))
    assert found.class_names == CLASSES
    assert sizes(found) == expected
    note = capsys.readouterr().err
    assert note.startswith("note: left out of pets, because no class folder says what they show: 4 pictures in ")
    assert note.count("\n") == 1


def test_a_folder_between_part_and_class_is_refused(tmp_path):
    words = r"between the part and the class; arrange the pictures as train/cat/1\.jpg"
    files = {
        f"{part}/{name}/in/{i}.png": encoded(picture(i))
        for part in ("Training", "val")
        for name in CLASSES
        for i in range(2)
    }
    with pytest.raises(BadInputError, match=words):
        data.load_data(write_folder(tmp_path / "pets", files))


def test_all_of_a_folder_without_parts_can_be_the_test_part(tmp_path):
    path, whole = write_folder(tmp_path / "pets", classes("", 5)), data.Reading(whole=True)
    found = data.load_data(path, reading=whole)
    assert (sizes(found), found.is_split, found.image_shape) == ((0, 0, 10), False, (6, 5, 3))
    assert sizes(data.load_data(write_folder(tmp_path / "alone", classes("test/", 5)), reading=whole)) == (0, 0, 10)
    assert sizes(data.load_data(write_folder(tmp_path / "both", classes("train/", 5) | classes("val/", 2)),
                                reading=whole)) == (10, 0, 4)  # fmt: skip
    assert data.load_data(path).is_split


# ---- many small classes ----


def test_a_validation_part_smaller_than_the_number_of_classes_takes_some_of_them():
    labels = np.repeat(np.arange(100), 5)
    rest, part = data.split(labels, 0.1, 0)
    assert len(part) == 50
    assert sorted([*rest, *part]) == list(range(500))
    assert set(labels[rest]) == set(range(100))
    again = data.split(labels, 0.1, 0)
    np.testing.assert_array_equal(again[1], part)
    assert data.split(labels, 0.1, 1)[1].tolist() != part.tolist()


def test_a_class_of_one_picture_stays_in_training():
    labels = np.array([0] * 20 + [1])
    rest, part = data.split(labels, 0.1, 0)
    assert (len(part), set(labels[rest])) == (3, {0, 1})
    with pytest.raises(ValueError, match="no class has two pictures"):
        data.split(np.array([0, 1]), 0.5, 0)


# ---- zips, names of known sets ----


@pytest.mark.parametrize("system", [0, 3])  # of MS-DOS and Windows, and of Unix, in the field "version made by"
def test_a_zip_with_backslashes_has_folders(tmp_path, system):
    path = tmp_path / "pets.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (classes("pets/train/", 3) | classes("pets/test/", 2)).items():
            entry = zipfile.ZipInfo(name)
            entry.filename, entry.create_system = name.replace("/", "\\"), system
            archive.writestr(entry, content)
    found = data.load_data(path)
    assert (found.class_names, sizes(found)) == (CLASSES, (6, 0, 4))
    assert found.test_files[0].startswith("pets/test/")
    streamed = data.load_data(path, reading=data.Reading(stream=True))
    np.testing.assert_array_equal(streamed.test_images[:], found.test_images)


def test_a_backslash_in_a_name_from_unix_is_a_character(tmp_path):
    files = {name.replace("cat", "a\\b"): content for name, content in classes("", 3).items()}
    assert data.load_data(write_zip(tmp_path / "pets.zip", files)).class_names == ("a\\b", "dog")


@pytest.mark.parametrize("name", ["digits", "digits.zip", "digits.npz"])
def test_own_data_called_like_a_known_set_are_mentioned(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    data.load_data("digits")
    assert capsys.readouterr().err == ""
    write_folder(tmp_path / name, classes("", 3)) if name == "digits" else (tmp_path / name).touch()
    assert len(data.load_data("digits").class_names) == 10
    own = os.path.join(".", name)
    assert capsys.readouterr().err == f"note: digits is scikit-learn's digits here; for your own data, write {own}\n"
    if name == "digits":
        assert data.load_data(own).class_names == CLASSES
        assert capsys.readouterr().err == ""


# ---- pictures ----


@pytest.mark.parametrize(("suffix", "kind"), [
    (".jfif", "JPEG"), (".jpe", "JPEG"), (".TIF", "TIFF"), (".gif", "GIF"), (".ppm", "PPM"), (".pgm", "PPM"),
    (".jp2", "JPEG2000"), (".avif", "AVIF"), (".apng", "PNG"), (".dib", "BMP"),
])  # fmt: skip
def test_pictures_of_every_kind_that_can_be_read_are_read(tmp_path, suffix, kind):
    from PIL import Image, features

    if kind in ("AVIF", "JPEG2000") and not features.check({"AVIF": "avif", "JPEG2000": "jpg_2000"}[kind]):
        pytest.skip(f"this Pillow has no {kind}")
    for name in CLASSES:
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(2):
            Image.fromarray(picture(i)).save(tmp_path / "pets" / name / f"{i}{suffix}", kind)
    assert sizes(data.load_data(tmp_path / "pets")) == (2, 0, 2)


LEFTOVERS = (
    "._a.png", ".DS_Store", "__MACOSX/._a.png", "__MACOSX/b.png", ".ipynb_checkpoints/a-checkpoint.png",
    "@eaDir/a.png/SYNOPHOTO_THUMB_XL.jpg", "$RECYCLE.BIN/x.png", "Thumbs.db", "desktop.ini", ".Trash/y.jpg",
)  # fmt: skip


def test_leftovers_of_systems_and_notebooks_are_no_pictures(tmp_path, capsys):
    good = encoded(picture(0))
    folder = write_folder(tmp_path / "in", dict.fromkeys(LEFTOVERS, b"x") | {"a.png": good, "sub/b.png": good})
    assert [name for name, _ in answers.gather([str(folder)])] == [str(folder / "a.png"), str(folder / "sub/b.png")]
    assert [name for name, _ in answers.gather([f"{folder}/**/*.png"])] == [
        str(folder / "a.png"),
        str(folder / "sub/b.png"),
    ]
    assert capsys.readouterr().err == ""
    pets = write_folder(tmp_path / "pets", classes("", 3) | {f"cat/{name}": b"x" for name in LEFTOVERS})
    assert sizes(data.load_data(pets)) == (4, 0, 2)
    assert capsys.readouterr().err == ""


def test_other_files_in_a_folder_to_predict_are_mentioned_and_links_followed(tmp_path, capsys):
    good = encoded(picture(0))
    folder = write_folder(tmp_path / "in", {"a.jfif": good, "b.heic": b"x", "c.txt": b"x"})
    write_folder(tmp_path / "far", {"d.png": good})
    (folder / "link").symlink_to(tmp_path / "far")
    (folder / "loop").symlink_to(folder)
    names = [os.path.relpath(name, folder) for name, _ in answers.gather([str(folder)])]
    assert names == ["a.jfif", "link/d.png"]
    notes = capsys.readouterr().err
    assert "because it is no picture that can be read: b.heic, c.txt" in notes
    assert "because it leads to a folder that is read already: loop" in notes


def test_all_pictures_that_cannot_be_read_are_named_at_once(tmp_path, capsys):
    path = write_folder(tmp_path / "pets", classes("", 3) | {f"cat/bad{i}.png": b"" for i in range(40)})
    with pytest.raises(
        BadInputError, match=r"40 of 46 pictures cannot be read: cat/bad0.png, .*, \.\.\.; replace them"
    ):
        data.load_data(path)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 40
    assert all(any(f"bad{i}.png is empty" in line for line in lines) for i in range(40))


def test_a_given_validation_part_is_counted_by_itself(tmp_path):
    files = classes("train/", 5) | classes("val/", 2, seed=1) | classes("test/", 3, seed=2)
    lines = list(summarize(data.load_data(write_folder(tmp_path / "pets", files))).lines())
    assert lines[0] == "cat  train      5  test      3  validation      2"
    assert lines[-1].startswith("result data='pets' train=10 test=6 validation=4 classes=2 ")
