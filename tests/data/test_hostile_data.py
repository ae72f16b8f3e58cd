"""Archives of arrays and of pictures are refused in one line, in bounded time and memory, whatever they hold."""

import io
import re

import cv2
import numpy as np
import pytest

from kerasnets import data
from kerasnets.data import picture_sources
from kerasnets.errors import BadInputError
from tests import mutants
from tests.conftest import often
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
    "text for pictures": (GOOD | {"x_train": npy(np.array(["a", "b"] * 10))}, "an array of <U1, not of numbers"),
    "text for one part's labels": (GOOD | {"y_train": npy(np.array(["a", "b"] * 10))}, "labels are <U1"),
    "complex": (with_rows(x_train=np.ones((20, 3), "c8")), "an array of complex64, not of numbers"),
    "dates": (GOOD | {"y_test": npy(np.arange(4).astype("M8[s]"))}, "not of numbers"),
    "beyond float32": (with_rows(x_train=np.full((20, 3), -1e300)), "a number beyond float32"),
    "a number for pictures": (GOOD | {"x_train": npy(np.float32(3))}, "x_train is a number, not an array"),
    "a number for labels": (GOOD | {"y_train": npy(np.int64(1))}, "y_train is a number"),
    "a name for labels": (GOOD | {"y_train": npy(np.array("a")), "y_test": npy(np.array("a"))}, "y_train is a number"),
    "numbers alone": ({name: npy(np.int64(1)) for name in GOOD}, "x_train is a number"),
    "no axis but one": (GOOD | {"x_train": npy(np.ones(20, "f4")), "x_test": npy(np.ones(4, "f4"))}, "images are"),
    "nothing": ({name: npy(array[:0]) for name, array in ARRAYS.items()}, "there are no images"),
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


def changed_array(content, rng):
    """Change the bytes of an array's file, most often of its header, or a field of the header's text."""
    if rng.random() < 0.5:
        size = len(content) if rng.random() < 0.3 else 128  # NumPy's header
        return mutants.changed_bytes(content[:size], rng) + content[size:]
    old, new = HEADER_CHANGES[int(rng.integers(len(HEADER_CHANGES)))]
    changed = re.sub(old, new, content[10:128], count=1)[:118]
    return content[:10] + changed.rstrip().ljust(117) + b"\n" + content[128:]


HEADER_CHANGES = (
    (rb"\(\d+", b"(1099511627776"),
    (rb"\(\d+", b"(-1"),
    (rb"\([^)]*\)", b"(0, 9999999999999)"),
    (rb"\([^)]*\)", b"()"),
    (rb"\([^)]*\)", b"(" + b"1," * 40 + b")"),
    (rb"'[|<>=][a-z]\d'", b"'O'"),
    (rb"'[|<>=][a-z]\d'", b"'<f8'"),
    (rb"'[|<>=][a-z]\d'", b"'<f2'"),
    (rb"'[|<>=][a-z]\d'", b"'V9999999'"),
    (rb"'[|<>=][a-z]\d'", b"[('a', '<f4')]"),
    (rb"False", b"True"),
    (rb"'descr'", b"'shape'"),
    (rb"\{", b"[" * 60),
)


def lied(entries, rng):
    """Change what an archive says of one of its entries: the method, the size or the checksum."""
    place, column = int(rng.integers(len(entries))), int(rng.choice([1, 3, 4]))
    entry = list(entries[place])
    entry[column] = int(rng.choice([0, 1, 8, 12, 14, 2**16, 2**31, 2**32 - 1])) % (2**16 if column == 1 else 2**32)
    return [*entries[:place], tuple(entry), *entries[place + 1 :]]


def changed_arrays(path, rng, count):
    """Yield `path` after each of `count` changed archives of arrays is written there."""
    for _ in range(count):
        name = str(rng.choice(list(GOOD)))
        content = GOOD | {name: changed_array(GOOD[name], rng)}
        pack = deflated if rng.random() < 0.3 else stored
        entries = [pack(f"{name}.npy", array) for name, array in content.items()]
        write_zip(path, lied(entries, rng) if rng.random() < 0.2 else entries)
        yield path


@pytest.mark.parametrize("count", often(200, 2000))
def test_changed_arrays_with_right_checksums_harm_nobody(tmp_path, count):
    saved(tmp_path / "good.npz", GOOD)
    changed = changed_arrays(tmp_path / "mutant.npz", np.random.default_rng(count), count)
    mutants.check(mutants.try_mutants(tmp_path / "good.npz", changed, data.load_data))


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


def changed_pictures(path, rng, count):
    """Yield `path` after each of `count` changed zips of pictures is written there."""
    jpeg = cv2.imencode(".jpg", np.full((8, 8), 100, "u1"))[1].tobytes()
    for _ in range(count):
        entries = [*pictures(png(8, 8)), stored("ant/2.jpg", jpeg)]
        place = int(rng.integers(len(entries)))
        name, content = entries[place][0], bytearray(mutants.changed_bytes(entries[place][2], rng))
        if rng.random() < 0.7:
            mutants.mend(content)
        entries[place] = stored(name, bytes(content))
        if rng.random() < 0.3:
            entries = lied(entries, rng)
        write_zip(path, entries)
        if rng.random() < 0.2:
            path.write_bytes(mutants.changed_bytes(path.read_bytes(), rng))
        yield path


@pytest.mark.parametrize("count", often(200, 2000))
def test_changed_zips_of_pictures_with_right_checksums_harm_nobody(tmp_path, count):
    write_zip(tmp_path / "good.zip", pictures(png(8, 8)))
    changed = changed_pictures(tmp_path / "mutant.zip", np.random.default_rng(count), count)
    names = ("mutant", "ant/", "bee/")
    mutants.check(mutants.try_mutants(tmp_path / "good.zip", changed, data.load_data, names))
