"""Archives of arrays and of pictures are refused in one line, in bounded time and memory, whatever they hold."""

import io
import zipfile

import cv2
import numpy as np
import pytest

from kerasnets import data
from kerasnets.data import picture_sources
from kerasnets.errors import BadInputError
from tests.zips import deflated, stored, write_zip

ARRAYS = {
    "x_train": np.zeros((20, 8, 8, 1), "u1"),
    "y_train": np.arange(20) % 2,
    "x_test": np.zeros((4, 8, 8, 1), "u1"),
    "y_test": np.arange(4) % 2,
}


def npy(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def saved(path, entries):
    write_zip(path, [stored(f"{name}.npy", content) for name, content in entries.items()])


GOOD = {name: npy(array) for name, array in ARRAYS.items()}
ROWS = {"x_train": np.ones((20, 3), "f8"), "x_test": np.ones((4, 3), "f8")}


def with_rows(**more):
    return GOOD | {name: npy(array) for name, array in (ROWS | more).items()}


BAD = {
    "text": (GOOD | {"x_train": b"text, not an array"}, "is damaged: the magic string"),
    "empty": (GOOD | {"x_test": b""}, "is damaged"),
    "cut short": (GOOD | {"x_train": GOOD["x_train"][:-1]}, "in 1279 bytes"),
    "longer": (GOOD | {"x_train": GOOD["x_train"] + b"x"}, "in 1281 bytes"),
    "huge": (GOOD | {"x_train": npy(ARRAYS["x_train"]).replace(b"(20, 8, 8, 1), ", b"(2**40,)     , ")}, "is damaged"),
    "larger": (GOOD | {"x_train": GOOD["x_train"].replace(b"(20, 8,", b"(99, 8,")}, "in 1280 bytes"),
    "missing": ({name: content for name, content in GOOD.items() if name != "y_test"}, "it has no array y_test"),
    "objects": (GOOD | {"y_train": npy(np.array(["a", "b"] * 10))}, "an array of <U1, not of numbers"),
    "complex": (with_rows(x_train=np.ones((20, 3), "c8")), "an array of complex64, not of numbers"),
    "dates": (GOOD | {"y_test": npy(np.arange(4).astype("M8[s]"))}, "not of numbers"),
    "beyond float32": (with_rows(x_train=np.full((20, 3), -1e300)), "a number beyond float32"),
    "a number": (GOOD | {"x_train": npy(np.float32(3))}, "images are"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_archive_of_arrays_is_refused_in_one_line(tmp_path, case):
    entries, words = BAD[case]
    path = tmp_path / "bad.npz"
    saved(path, entries)
    with pytest.raises(BadInputError) as caught:
        data.load_data(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_archive_of_numpy_has_its_arrays_in_any_order_of_bytes_and_axes(tmp_path):
    rows = np.random.default_rng(0).normal(size=(20, 3))
    path = tmp_path / "good.npz"
    np.savez_compressed(path, **(ARRAYS | ROWS | {"x_train": np.asfortranarray(rows).astype(">f8")}))
    loaded = data.load_data(path)
    assert (loaded.train_images == rows.astype("f4")).all()


def test_an_archive_that_inflates_without_bound_is_refused(tmp_path):
    path = tmp_path / "bomb.npz"
    write_zip(path, [deflated("x_train.npy", bytes(2**28)), *[stored(f"{name}.npy", b"") for name in ARRAYS][1:]])
    with pytest.raises(BadInputError, match="unpacks to far more than its size"):
        data.load_data(path)


def mutants(content, rng, count):
    for _ in range(count):
        changed = bytearray(content)
        place, kind = int(rng.integers(len(changed))), int(rng.integers(3))
        if kind == 0:
            changed[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            changed[place : place + 4] = rng.bytes(4)
        else:
            changed[place : place + 8] = int(rng.choice([0, 2**31, 2**40, 2**63])).to_bytes(8, "little")
        yield bytes(changed)


@pytest.mark.parametrize("count", [60, pytest.param(2000, marks=pytest.mark.all_faults)])
def test_mutants_of_arrays_with_right_checksums_are_refused_or_read(tmp_path, count):
    rng, path = np.random.default_rng(count), tmp_path / "mutant.npz"
    refused = 0
    for part in ("x_train", "y_train"):
        for changed in mutants(GOOD[part], rng, count // 2):
            saved(path, GOOD | {part: changed})
            try:
                data.load_data(path)
            except BadInputError:
                refused += 1
    assert 0 < refused < count


# ---- pictures in a zip -----------------------------------------------------------------------------------------------


def png(height, width, value=0):
    return cv2.imencode(".png", np.full((height, width), value, "u1"))[1].tobytes()


def pictures(content, count=2):
    return [stored(f"{name}/{i}.png", content) for name in ("ant", "bee") for i in range(count)]


def test_a_name_twice_in_a_zip_is_refused(tmp_path):
    path = tmp_path / "pets.zip"
    write_zip(path, [*pictures(png(8, 8)), stored("ant/0.png", png(8, 8, 9))])
    with pytest.raises(BadInputError, match=r"two entries have the name 'ant/0.png'.*; copy or make it again"):
        data.load_data(path)


def test_pictures_of_far_more_pixels_than_their_size_are_refused_together(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_sources, "SPARE", 1_000_000)
    path = tmp_path / "pets.zip"
    write_zip(path, pictures(png(1000, 900), count=4))
    with pytest.raises(BadInputError, match=r"pets.zip holds pictures of far more pixels .*; shrink the"):
        data.load_data(path, image_size=(8, 8))
    write_zip(path, pictures(png(100, 90), count=4))
    assert len(data.load_data(path, image_size=(8, 8)).train_images) == 6


@pytest.mark.parametrize("count", [60, pytest.param(2000, marks=pytest.mark.all_faults)])
def test_mutants_of_a_zip_of_pictures_are_refused_or_read(tmp_path, count):
    rng, path, refused = np.random.default_rng(count), tmp_path / "pets.zip", 0
    write_zip(path, pictures(png(8, 8)))
    good = path.read_bytes()
    for changed in mutants(good, rng, count):
        path.write_bytes(changed)
        try:
            data.load_data(path)
        except BadInputError as error:
            refused += "\n" not in str(error)
    assert 0 < refused <= count
    assert zipfile.is_zipfile(io.BytesIO(good))
