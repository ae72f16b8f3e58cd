"""A folder, or a zip, with a folder of pictures for each class is read whole, or refused in one line."""

import struct
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest

from kerasnets import data, pictures
from kerasnets.data import folders, picture_sources
from kerasnets.errors import BadInputError
from tests.stand_ins import encoded, write_folder, write_zip

CLASSES = ("ant", "bee", "cow")
FORMS = {"folder": write_folder, "zip": write_zip}


@pytest.fixture(params=FORMS)
def make(request, tmp_path):
    """A function that makes a folder or a zip called pets from {name: bytes} and returns its path."""
    return lambda contents: FORMS[request.param](
        tmp_path / ("pets.zip" if request.param == "zip" else "pets"), contents
    )


def picture(seed, height=9, width=7, grey=False):
    shape = (height, width) if grey else (height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def draw(folder, counts=(5, 10, 15), seed=0, **options):
    """{name: pixels} of PNG pictures of each class."""
    return {
        f"{folder}{name}/{i:03}.png": picture((seed, label, i), **options)
        for label, (name, count) in enumerate(zip(CLASSES, counts, strict=True))
        for i in range(count)
    }


def files(pixels):
    return {name: encoded(picture) for name, picture in pixels.items()}


def label_of(name):
    return CLASSES.index(name.split("/")[-2])


def assert_holds(images, labels, pixels):
    """Assert that a part has each of these pictures once, with its label, in any order."""
    result = sorted((int(label), image.tobytes()) for image, label in zip(images, labels, strict=True))
    assert result == sorted((label_of(name), picture.tobytes()) for name, picture in pixels.items())


# ---- what is read ----


@pytest.mark.parametrize("target", ["..", "../..", ".", "../ant"])
def test_each_real_folder_is_read_once_however_many_links_lead_to_it(tmp_path, capsys, target):
    """Two links to a parent double at each of the 40 levels that the system follows."""
    pixels = draw("")
    folder = write_folder(tmp_path / "pets", files(pixels))
    for name in ("ant", "bee"):
        (folder / name / "up1").symlink_to(target)
        (folder / name / "up2").symlink_to(target)
    found = data.load_data(folder)
    assert len(found.train_labels) + len(found.test_labels) == len(pixels)
    line = capsys.readouterr().err
    assert line.startswith("note: left out of pets, because it leads to a folder that is read already: ant/up")
    assert line.count("\n") == 1


def test_a_linked_folder_elsewhere_is_read(tmp_path, capsys):
    pixels = draw("")
    folder = write_folder(tmp_path / "pets", files(pixels))
    (folder / "cow").rename(tmp_path / "elsewhere")
    (folder / "cow").symlink_to(tmp_path / "elsewhere")
    found = data.load_data(folder)
    assert len(found.train_labels) + len(found.test_labels) == len(pixels)
    assert capsys.readouterr().err == ""


def test_all_pictures_are_read_with_the_classes_in_alphabetical_order(make):
    pixels = draw("")
    result = data.load_data(make(files(pixels)))
    assert result.class_names == CLASSES
    assert (result.title, result.input_kind, result.image_shape) == ("pets", "picture", (9, 7, 3))
    assert (result.train_images.dtype, result.train_labels.dtype) == (np.uint8, np.int64)
    assert_holds(
        np.concatenate([result.train_images, result.test_images]),
        np.concatenate([result.train_labels, result.test_labels]),
        pixels,
    )


def test_a_fifth_of_each_class_is_the_test_part_in_every_run(make):
    path = make(files(draw("")))
    result = data.load_data(path)
    assert np.bincount(result.train_labels).tolist() == [4, 8, 12]
    assert np.bincount(result.test_labels).tolist() == [1, 2, 3]
    assert (np.diff(result.train_labels) < 0).any()  # shuffled
    again = data.load_data(path)
    np.testing.assert_array_equal(again.train_images, result.train_images)
    np.testing.assert_array_equal(again.test_labels, result.test_labels)


def test_a_rare_class_is_in_both_parts(make):
    """A fifth of two pictures is less than one."""
    result = data.load_data(make(files(draw("", counts=(2, 60, 3), height=3, width=3))))
    assert np.bincount(result.test_labels).tolist() == [1, 12, 1]
    assert np.bincount(result.train_labels).tolist() == [1, 48, 2]


@pytest.mark.parametrize("names", [("train", "test"), ("Training", "validation"), ("pets/train", "pets/val")])
def test_a_given_test_part_is_kept(make, names):
    train, test = draw(f"{names[0]}/"), draw(f"{names[1]}/", counts=(2, 1, 3), seed=1)
    result = data.load_data(make(files(train) | files(test)))
    assert result.class_names == CLASSES
    assert_holds(result.train_images, result.train_labels, train)
    assert_holds(result.test_images, result.test_labels, test)


@pytest.mark.parametrize("part", ["", "train/"])
def test_the_files_of_the_test_part_are_known(make, part):
    pixels = draw(part) | (draw("test/", seed=1) if part else {})
    result = data.load_data(make(files(pixels)))
    assert len(result.test_files) == len(result.test_labels)
    for i, name in enumerate(result.test_files):
        np.testing.assert_array_equal(result.test_images[i], pixels[name])
        assert result.name_of(i) == name.split("/")[-1]


def test_a_validation_part_beside_a_test_part_is_used_for_validation(make, capsys):
    train, test, third = (draw(f"{name}/", counts=(2, 2, 2), seed=i) for i, name in enumerate(("train", "test", "val")))
    result = data.load_data(make(files(train) | files(test) | files(third)))
    assert_holds(result.train_images, result.train_labels, train | third)
    assert_holds(result.train_images[result.validation], result.train_labels[result.validation], third)
    assert_holds(result.test_images, result.test_labels, test)
    assert "6 pictures of pets" in capsys.readouterr().err


def test_a_training_part_without_a_test_part_is_split(make):
    result = data.load_data(make(files(draw("train/"))))
    assert (len(result.train_labels), len(result.test_labels)) == (24, 6)


def test_grey_pictures_have_one_channel(make):
    pixels = draw("", grey=True)
    result = data.load_data(make(files(pixels)))
    assert result.image_shape == (9, 7, 1)
    assert_holds(np.concatenate([result.train_images, result.test_images]),
                 np.concatenate([result.train_labels, result.test_labels]), pixels)  # fmt: skip


@pytest.mark.parametrize("grey", [False, True])
def test_reading_needs_little_more_memory_than_the_pixels(make, grey):
    """NumPy reports its arrays to tracemalloc, including arrays that are never written to."""
    path = make(files(draw("", counts=(120, 120, 120), height=128, width=128, grey=grey)))
    data.load_data(path)  # what is imported for it stays in memory
    tracemalloc.start()
    result = data.load_data(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    pixels = result.train_images.nbytes + result.test_images.nbytes
    assert peak < 1.4 * pixels + 8e6  # of the pictures at hand, each read in parts of 1 MB


def test_each_picture_is_decoded_once_and_only_the_first_twice(make, monkeypatch):
    path, decoded = make(files(draw(""))), []
    for source in (picture_sources.FolderSource, picture_sources.ZipSource):
        usual = source.content
        monkeypatch.setattr(
            source, "content", lambda self, name, usual=usual: decoded.append(name) or usual(self, name)
        )
    data.load_data(path)
    assert len(decoded) == 31
    assert len(set(decoded)) == 30


def test_one_colour_picture_makes_all_rgb(make):
    pixels = draw("", grey=True) | {"ant/colour.png": picture(99)}
    result = data.load_data(make(files(pixels)))
    assert result.image_shape == (9, 7, 3)
    rgb = {name: p if p.ndim == 3 else np.repeat(p[..., None], 3, axis=2) for name, p in pixels.items()}
    assert_holds(np.concatenate([result.train_images, result.test_images]),
                 np.concatenate([result.train_labels, result.test_labels]), rgb)  # fmt: skip


def test_sizes_that_differ_are_refused_unless_a_size_is_given(make):
    pixels = draw("", height=20, width=24) | {f"ant/large{i}.png": picture(i, 50, 31) for i in range(3)}
    path = make(files(pixels))
    with pytest.raises(BadInputError) as excinfo:
        data.load_data(path)
    assert "the pictures have 2 sizes, as 20x24 and 50x31" in str(excinfo.value)
    assert "--image-size" in str(excinfo.value)
    assert "\n" not in str(excinfo.value)
    result = data.load_data(path, image_size=(16, 12))
    resized = {name: pictures.prepare(picture, "picture", (16, 12, 3)) for name, picture in pixels.items()}
    assert_holds(np.concatenate([result.train_images, result.test_images]),
                 np.concatenate([result.train_labels, result.test_labels]), resized)  # fmt: skip


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG", ".png", ".bmp", ".webp"])
def test_each_kind_of_picture_is_read_like_in_a_prediction(make, tmp_path, suffix):
    kind = ".jpg" if suffix.lower().startswith(".jp") else suffix
    contents = {
        f"{name}/{i}{suffix}": encoded(picture((i, ord(name[0])), 32, 32), kind) for name in CLASSES for i in "12"
    }
    result = data.load_data(make(contents))
    (tmp_path / f"one{kind}").write_bytes(contents[f"bee/1{suffix}"])
    alone = pictures.read(tmp_path / f"one{kind}")
    assert any((image == alone).all() for image in [*result.train_images, *result.test_images])


def test_class_folders_that_are_links_are_followed(tmp_path):
    write_folder(tmp_path / "far", files(draw("")))
    (tmp_path / "pets").mkdir()
    for name in ("ant", "cow"):
        (tmp_path / "pets" / name).symlink_to(tmp_path / "far" / name)
    result = data.load_data(tmp_path / "pets")
    assert result.class_names == ("ant", "cow")
    assert len(result.train_labels) + len(result.test_labels) == 20


def test_a_zip_with_names_that_start_with_a_dot_and_a_slash_is_read(tmp_path):
    result = data.load_data(write_zip(tmp_path / "pets.zip", files(draw("./"))))
    assert result.class_names == CLASSES


# ---- what is left out ----


def test_hidden_files_are_ignored(make, capsys):
    hidden = {"__MACOSX/ant/._001.png": b"x", ".git/a/1.jpg": b"x", "ant/.thumb.png": b"x", "bee/.DS_Store": b"x"}
    result = data.load_data(make(files(draw("")) | hidden))
    assert result.class_names == CLASSES
    assert len(result.train_labels) + len(result.test_labels) == 30
    assert capsys.readouterr().err == ""


def test_other_files_are_left_out_with_a_note(make, capsys):
    data.load_data(make(files(draw("")) | {"ant/notes.txt": b"x", "readme.md": b"x", "cow/film.avi": b"x"}))
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "ant/notes.txt and 2 more" in err


def test_decoding_threads_neither_raise_nor_silence_warnings(make):
    """Pillow warns about a palette whose transparency is in bytes; each decoding silences that for itself."""
    path = make(files(draw("", counts=(40, 40, 40), height=3, width=3)))
    before = list(warnings.filters)
    for _ in range(5):
        data.load_data(path)
        assert warnings.filters == before


def test_classes_below_other_folders_are_mentioned_in_a_note(make, capsys):
    pixels = {f"{place}/{i}.png": picture(i) for place in ("cat/indoor", "dog/outdoor") for i in range(6)}
    assert data.load_data(make(files(pixels))).class_names == ("indoor", "outdoor")
    assert "are its innermost folders: indoor, outdoor" in capsys.readouterr().err


def test_classes_side_by_side_need_no_note(make, capsys):
    pixels = {
        f"all/{part}/{name}/{i}.png": picture(i) for part in ("train", "test") for name in CLASSES for i in range(2)
    }
    data.load_data(make(files(pixels)))
    assert capsys.readouterr().err == ""


# ---- what is refused ----

DAMAGED = encoded(picture(0, 40, 40))[:700]
PAIR = files(draw("", counts=(2, 2, 2)))

BAD_FOLDERS = {
    "an unreadable picture": (PAIR | {"bee/zebra.png": DAMAGED}, "1 of 7 pictures cannot be read:", "bee/zebra.png is"),
    "several": (PAIR | {f"bee/{i}.jpg": b"<html>" for i in range(3)},
                "3 of 9 pictures cannot be read: bee/0.jpg, bee/1.jpg, bee/2.jpg; replace them, or leave them out of "
                "a training by --skip-broken 3"),
    "of several classes": (PAIR | dict.fromkeys(("ant/x.jpg", "bee/x.jpg", "bee/y.jpg"), b"<html>"),
                           "3 of 9 pictures cannot be read: ant/x.jpg, bee/x.jpg, bee/y.jpg; replace them"),
    "empty classes": (PAIR | {"dog/": b"", "elk/": b""}, "folders 'dog', 'elk' have no pictures; fill or"),
    "an empty picture": (PAIR | {"ant/a.webp": b""}, "1 of 7 pictures cannot be read:", "ant/a.webp"),
    "an empty class": (PAIR | {"dog/": b""}, "class folder 'dog' has no pictures; fill or remove it"),
    "a class of other files": (PAIR | {"dog/a.heic": b"x"}, "'dog' has no pictures but .heic; save them as JPEG"),
    "one class alone": (files({"ant/1.png": picture(1), "ant/2.png": picture(2)}), "one class alone, 'ant'; give each"),
    "no pictures": ({"notes.txt": b"x"}, "holds no pictures; give each of two or more classes a folder"),
    "nothing": ({"empty/": b""}, "class folder 'empty' has no pictures"),
    "pictures without a class": (PAIR | {"loose.png": encoded(picture(1))}, "loose.png lies in no class folder; move"),
    "pictures beside folders": (PAIR | {"ant/red/1.png": encoded(picture(1))}, "ant holds both pictures and folders"),
    "parts inside the classes": (files(
        {f"{name}/{part}/{i}.png": picture(i) for name in CLASSES for part in ("train", "test") for i in range(2)}
    ), "arrange them as train/cat/1.jpg, test/cat/1.jpg"),
    "parts without classes": (files({f"{part}/{i}.png": picture(i) for part in ("train", "test") for i in range(2)}),
                              "arrange them as train/cat/1.jpg, test/cat/1.jpg"),
    "one picture of a class": (PAIR | files({"dog/1.png": picture(1)}), "class 'dog' has one picture; it needs two"),
    "one picture of several classes": (PAIR | files({f"{name}/1.png": picture(1) for name in "defgh"}),
                                       "classes 'd', 'e', 'f' and 2 more have one picture; each needs two or more"),
    "class of the test alone": (files(draw("train/") | draw("test/") | {"test/dog/1.png": picture(1)}),
                                "class 'dog' is in the test part alone; give both parts the same class folders"),
    "class of the train alone": (files(draw("train/") | draw("test/") | {"train/dog/1.png": picture(1)}),
                                 "class 'dog' is in the train part alone; give both parts the same class folders"),
    "folders inside the classes": (files(
        {f"{name}/{place}/{i}.png": picture(i) for name in CLASSES for place in ("inside", "outside") for i in range(2)}
    ), "ant/inside and bee/inside would be one class; give each class one folder"),
    "folders inside the parts' classes": (files(
        {f"{part}/{name}/in/{i}.png": picture(i) for part in ("train", "test") for name in CLASSES for i in range(2)}
    ), "between the part and the class; arrange the pictures as train/cat/1.jpg"),
    "pictures in neither part": (files(draw("train/") | draw("test/") | {"more/dog/1.png": picture(1)}),
                                 "more/dog/1.png lies in neither train nor test; move it"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_bad_folders_are_refused_in_one_line(make, case):
    contents, *words = BAD_FOLDERS[case]
    with pytest.raises(BadInputError) as excinfo:
        data.load_data(make(contents))
    for part in words:
        assert part in str(excinfo.value)
    assert "\n" not in str(excinfo.value)
    assert ";" in str(excinfo.value)


def test_pictures_that_would_fill_the_memory_are_refused_before_they_are_read(make, monkeypatch):
    path = make(files(draw("")))
    monkeypatch.setattr(folders, "MOST_BYTES", 30 * 9 * 7 * 3 - 1)
    with pytest.raises(BadInputError, match=r"30 pictures of 9x7 are more than .* take a smaller --image-size"):
        data.load_data(path, reading=data.Reading(stream=False))


def encrypt(path):
    """The flag of encryption: bit 0 of the general purpose bits in both headers (APPNOTE.TXT 4.4.4)."""
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = content.find(mark)
        while place >= 0:
            content[place + offset] |= 1
            place = content.find(mark, place + 4)
    path.write_bytes(content)


def promises_more(path):
    """The first picture's size in the zip's directory says 4 GB (APPNOTE.TXT 4.3.12)."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.find(b"PK\1\2") + 24, 2**32 - 2)
    path.write_bytes(content)


def flip_bit(path):
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)


BAD_ZIPS = {
    "half": (lambda path: path.write_bytes(path.read_bytes()[:500]), "pets.zip is damaged or no zip"),
    "empty": (lambda path: path.write_bytes(b""), "pets.zip is damaged or no zip"),
    "text": (lambda path: path.write_text("<html>404</html>"), "pets.zip is damaged or no zip"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "pets.zip is damaged or no zip"),
    "missing": (lambda path: path.unlink(), "no folder or zip .*pets.zip; check the name"),
    "encrypted": (encrypt, "is damaged or no zip .'ant/000.png' is encrypted.; copy or make it again"),
    "a bit flipped": (flip_bit, "1 of 6 pictures cannot be read: ant/000.png cannot be unpacked: .*checksum"),
    "promises 4 GB": (promises_more, "1 of 6 pictures cannot be read: ant/000.png is larger than a picture may be"),
    "no pictures": (lambda path: zipfile.ZipFile(path, "w").close(), "pets.zip holds no pictures"),
}


@pytest.mark.parametrize("case", BAD_ZIPS)
def test_bad_zips_are_refused_in_one_line(tmp_path, case):
    spoil, words = BAD_ZIPS[case]
    path = write_zip(tmp_path / "pets.zip", PAIR)
    spoil(path)
    with pytest.raises(BadInputError, match=words) as excinfo:
        data.load_data(path)
    assert "\n" not in str(excinfo.value)
    assert ";" in str(excinfo.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_mutated_zip_is_read_or_refused_as_bad_input(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "good.zip", "w", method) as archive:
        for name, content in PAIR.items():
            archive.writestr(name, content)
    good, rng, refused = (tmp_path / "good.zip").read_bytes(), np.random.default_rng(method), 0
    for _ in range(60):
        content = bytearray(good)
        for place in rng.integers(0, len(good), rng.integers(1, 9)):
            content[place] = rng.integers(0, 256)
        (tmp_path / "pets.zip").write_bytes(content)
        try:
            data.load_data(tmp_path / "pets.zip")
        except BadInputError:
            refused += 1
    assert refused > 30  # each picture has a checksum in the zip


@pytest.mark.parametrize("name", ["nowhere/pets", "pets.zip", "./pets"])
def test_missing_own_data_are_bad_input(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInputError, match=r"no folder or zip .*pets.*; check the name"):
        data.load_data(name)


def test_a_file_that_is_not_a_data_set_is_bad_input(tmp_path):
    (tmp_path / "cat.jpg").write_bytes(encoded(picture(0)))
    with pytest.raises(BadInputError, match=r"cat\.jpg is no data set; name a folder or zip of class folders, "):
        data.load_data(tmp_path / "cat.jpg")
