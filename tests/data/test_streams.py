"""Streamed pictures are the bytes of those in memory; what has changed, or is broken, is refused or left out."""

import dataclasses
import os
import time
import tracemalloc
import zipfile

import numpy as np
import pytest

from kerasnets import data, pictures
from kerasnets.data import folders, index_files, layout, picture_sources, streams
from kerasnets.errors import BadInputError
from kerasnets.runtime.workers import Place
from tests.stand_ins import encoded, write_folder

CLASSES = ("ant", "bee", "cow")
DAMAGED = encoded(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8), ".jpg")[:400]
PARTS = ("train_images", "train_labels", "test_images", "test_labels")


def picture(seed, height=31, width=24, grey=False):
    shape = (height, width) if grey else (height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def contents(count=8, suffix=".jpg", grey=False, same_size=False):
    """{name: bytes} of pictures of each class, each of its own size."""
    return {
        f"{name}/{i:02}{suffix}": encoded(picture((label, i), 30 + i * (not same_size), 24, grey), suffix)
        for label, name in enumerate(CLASSES)
        for i in range(count)
    }


def write_stored(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


FORMS = {"folder": write_folder, "zip": write_stored}


@pytest.fixture(params=FORMS)
def make(request, tmp_path):
    name = "pets.zip" if request.param == "zip" else "pets"
    return lambda files: FORMS[request.param](tmp_path / name, files)


def load(path, stream=True, size=(16, 12), kind="picture", **reading):
    return data.load_data(path, None, size, kind, reading=data.Reading(stream=stream, **reading))


def assert_equal(streamed, held):
    assert isinstance(streamed.train_images, streams.Pictures)
    assert isinstance(held.train_images, np.ndarray)
    for part in PARTS:
        found, wanted = getattr(streamed, part), getattr(held, part)
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_array_equal(found[:], wanted)
    for field in ("class_names", "title", "input_kind", "test_files", "left_out", "image_shape"):
        assert getattr(streamed, field) == getattr(held, field)


# ---- the same bytes ----


@pytest.mark.parametrize("kind", ["picture", "mnist", "crop256", "crop"])
def test_streamed_pictures_are_those_in_memory(make, kind):
    path = make(contents())
    assert_equal(load(path, kind=kind), load(path, False, kind=kind))


@pytest.mark.parametrize("size", [None, (16, 12), (16, 12, 1), (16, 12, 3)])
@pytest.mark.parametrize("grey", ["none", "all", "but one"])
def test_grey_pictures_are_those_in_memory(make, size, grey):
    files = contents(grey=grey != "none", same_size=True)
    if grey == "but one":
        files["bee/07.jpg"] = encoded(picture(7, 30), ".jpg")
    path = make(files)
    assert_equal(load(path, size=size), load(path, False, size=size))


def test_any_choice_of_pictures_is_the_same(make):
    path = make(contents())
    streamed, held = load(path).train_images, load(path, False).train_images
    some = np.random.default_rng(0).permutation(len(held))[:11]
    for chosen in (some, slice(3, 9), slice(None, None, 5), slice(0, 0), np.arange(len(held)) % 3 == 1):
        np.testing.assert_array_equal(streamed[chosen], held[chosen])
    np.testing.assert_array_equal(streamed[4], held[4])
    part = streamed.select(some)
    np.testing.assert_array_equal(part[2:5], held[some][2:5])
    assert (part.nbytes, part.size, len(part)) == (held[some].nbytes, held[some].size, 11)


def test_a_part_is_taken_without_a_look_at_the_files(make, monkeypatch):
    streamed, read = load(make(contents())).train_images, []
    for source in (picture_sources.FolderSource, picture_sources.ZipSource):
        monkeypatch.setattr(source, "content", lambda self, name: read.append(name))
    assert len(streamed.select(np.arange(5)).select(np.arange(3))) == 3
    assert read == []


def test_pictures_beyond_the_memory_are_streamed_with_a_note(make, monkeypatch, capsys):
    path = make(contents())
    assert isinstance(load(path, None).train_images, np.ndarray)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(folders, "MOST_BYTES", 24 * 16 * 12 * 3 - 1)
    assert isinstance(load(path, None).train_images, streams.Pictures)
    assert capsys.readouterr().err.count("each batch is read when it is due") == 1


def test_half_of_the_memory_is_the_most_that_is_held(make, monkeypatch):
    monkeypatch.setattr(folders, "memory", lambda: 2 * (24 * 16 * 12 * 3 - 1))
    assert isinstance(load(make(contents()), None).train_images, streams.Pictures)


def test_each_of_several_workers_would_hold_all_pictures(make, monkeypatch, capsys):
    path = make(contents())
    monkeypatch.setattr(folders, "memory", lambda: 4 * 24 * 16 * 12 * 3)
    for count, kind in ((2, np.ndarray), (3, streams.Pictures)):
        monkeypatch.setattr(folders, "place", lambda count=count: Place(count=count, local_count=count))
        assert isinstance(load(path, None).train_images, kind)
    assert "GB of memory in each of 3 workers: each batch is read" in capsys.readouterr().err


def test_in_memory_the_files_of_photos_are_read_once(make, monkeypatch):
    path, read = make(contents()), []
    for source in (picture_sources.FolderSource, picture_sources.ZipSource):
        usual = source.content
        monkeypatch.setattr(source, "content", lambda self, name, usual=usual: read.append(name) or usual(self, name))
    held = load(path, False, native=True)
    for _ in range(2):
        assert len(held.train_images[:]) + len(held.test_images[:]) == 24
    assert len(read) == 24


def test_files_that_would_fill_the_memory_are_refused(make, monkeypatch):
    files = contents()
    monkeypatch.setattr(folders, "MOST_BYTES", sum(map(len, files.values())) - 1)
    path = make(files)
    with pytest.raises(BadInputError, match=r"GB of files, more than .* GB in memory; use --stream"):
        load(path, False, native=True)
    assert len(load(path, True, native=True).train_images)


# ---- what is refused or left out ----


def test_broken_pictures_are_refused_like_in_memory(make):
    path, messages = make(contents() | {"bee/03.jpg": DAMAGED, "cow/05.jpg": b""}), []
    for stream in (True, False):
        for most in (0, 1):
            with pytest.raises(BadInputError, match="2 of 24 pictures cannot be read: ") as excinfo:
                load(path, stream, skip_broken=most)
            messages.append(str(excinfo.value))
    assert len(set(messages)) == 1


def test_broken_pictures_are_left_out_up_to_a_number(make, capsys):
    files = contents() | {"bee/03.jpg": DAMAGED, "cow/05.jpg": b""}
    path = make(files)
    loaded = [load(path, stream, skip_broken=2) for stream in (True, False)]
    assert_equal(*loaded)
    notes = capsys.readouterr().err.splitlines()
    assert notes[0] == notes[1]
    which = "bee/03.jpg, cow/05.jpg; the first: "
    assert notes[0].startswith(f"note: left out of {path.name}: 2 of 24 pictures that cannot be read: {which}")
    assert loaded[0].left_out == ("bee/03.jpg", "cow/05.jpg")
    assert len(loaded[0].train_labels) + len(loaded[0].test_labels) == 22
    rest = load(make(contents()), False)
    kept = [name not in loaded[0].left_out for name in rest.test_files]
    np.testing.assert_array_equal(loaded[1].test_images[:], rest.test_images[kept])  # the split is the same


def test_sizes_that_differ_need_a_size(make):
    path = make(contents())
    for stream in (True, False):
        with pytest.raises(BadInputError, match="the pictures have 8 sizes, as 30x24 and 31x24; choose one size by"):
            load(path, stream, size=None)


@pytest.mark.parametrize("name", ["digits", "a.npz"])
@pytest.mark.parametrize("reading", [{"stream": True}, {"skip_broken": 1}])
def test_only_pictures_can_be_streamed_or_left_out(tmp_path, name, reading):
    if name == "a.npz":
        np.savez(tmp_path / name)
        name = tmp_path / name
    with pytest.raises(ValueError, match="goes with a folder or zip of pictures"):
        data.load_data(name, reading=data.Reading(**reading))


CHANGES = {
    "removed": lambda path: path.unlink(),
    "shorter": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "of another size": lambda path: path.write_bytes(
        encoded(picture(5, 50, 50), ".jpg").ljust(path.stat().st_size, b"\0")[: path.stat().st_size]
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_during_the_training_is_named(tmp_path, change):
    files = contents() | {"ant/00.jpg": encoded(picture(0, 90, 90), ".jpg")}
    path = write_folder(tmp_path / "pets", files)
    loaded = load(path)
    CHANGES[change](path / "ant" / "00.jpg")
    with pytest.raises(BadInputError, match=r"ant/00\.jpg") as excinfo:
        _ = loaded.train_images[:], loaded.test_images[:]
    assert "\n" not in str(excinfo.value)


# ---- the index ----


def test_an_index_spares_the_check_of_unchanged_pictures(make, tmp_path, monkeypatch):
    path, file = make(contents()), tmp_path / "run" / "index.npz"
    first = load(path, index=file)
    index_files.save(first.train_images.index, file)
    decoded, usual = [], pictures.decode
    monkeypatch.setattr(pictures, "decode", lambda content, path: decoded.append(path) or usual(content, path))
    again = load(path, index=file)
    assert decoded == []
    assert again.train_images.digest == first.train_images.digest
    load(path, index=file, size=(10, 10))
    load(path, index=file, kind="crop")
    assert len(decoded) == 48  # another preparation may refuse other pictures


def test_a_changed_picture_is_checked_again_and_changes_the_digest(tmp_path, monkeypatch):
    path, file = write_folder(tmp_path / "pets", contents()), tmp_path / "index.npz"
    first = load(path, index=file)
    index_files.save(first.train_images.index, file)
    name = first.train_images.index.names[first.train_images.places[0]]
    (path / name).write_bytes(encoded(picture(99, 44, 33), ".jpg"))
    decoded, usual = [], pictures.decode
    monkeypatch.setattr(pictures, "decode", lambda content, path: decoded.append(path) or usual(content, path))
    again = load(path, index=file)
    assert decoded == [path / name]
    assert data.digest(again) != data.digest(first)
    assert_equal(again, load(path, False))


def test_without_the_picture_that_made_all_rgb_they_are_grey_again(tmp_path):
    files = contents(grey=True) | {"ant/00.jpg": encoded(picture(7), ".jpg")}
    path, file = write_folder(tmp_path / "pets", files), tmp_path / "index.npz"
    first = load(path, index=file)
    index_files.save(first.train_images.index, file)
    assert first.image_shape == (16, 12, 3)
    (path / "ant" / "00.jpg").unlink()
    assert load(path, index=file).image_shape == (16, 12, 1)
    assert_equal(load(path, index=file), load(path, False))


def test_a_picture_too_thin_for_its_crop_is_refused_like_in_memory(tmp_path):
    thin = encoded(np.zeros((1, 300_000, 3), np.uint8), ".png")
    path, messages = write_folder(tmp_path / "pets", contents() | {"cow/00.png": thin}), set()
    for stream in (True, False):
        with pytest.raises(BadInputError, match="too thin a picture") as excinfo:
            load(path, stream, size=(224, 224), kind="crop")
        messages.add(str(excinfo.value))
    assert len(messages) == 1


def test_a_broken_picture_is_not_trusted_for_an_index(tmp_path):
    path, file = write_folder(tmp_path / "pets", contents() | {"cow/05.jpg": b""}), tmp_path / "index.npz"
    index_files.save(load(path, skip_broken=1).train_images.index, file)
    with pytest.raises(BadInputError, match="1 of 24 pictures cannot be read"):
        load(path, index=file)


def test_the_digest_is_that_of_a_copy_and_of_a_zip(tmp_path):
    files = contents()
    here, there = (write_folder(tmp_path / place / "pets", files) for place in ("here", "there"))
    for file in there.rglob("*.jpg"):
        os.utime(file, (time.time() + 100, 100))
    packed = write_stored(tmp_path / "pets.zip", files)
    digests = {data.digest(load(path, stream)) for path in (here, there, packed) for stream in (True, False)}
    assert len(digests) == 1
    other = dict(files) | {"ant/00.jpg": encoded(picture(77), ".jpg")}
    digests.add(data.digest(load(write_folder(tmp_path / "other" / "pets", other))))
    digests.add(data.digest(load(here, size=(11, 11))))
    assert len(digests) == 3
    labels = load(here)
    moved = dataclasses.replace(labels, train_labels=np.roll(labels.train_labels, 1))
    assert data.digest(moved) not in digests


def test_a_zip_of_more_files_than_are_read_is_to_be_unpacked(tmp_path, monkeypatch):
    path = write_stored(tmp_path / "pets.zip", contents())
    monkeypatch.setattr(picture_sources, "MOST_ENTRIES", 24)
    assert len(load(path).train_labels) + len(load(path).test_labels) == 24
    monkeypatch.setattr(picture_sources, "MOST_ENTRIES", 23)
    with pytest.raises(BadInputError, match=r"too large for a zip \(it has more than 23 entries\); unpack it"):
        load(path)


def test_names_of_any_bytes_are_kept_in_an_index(tmp_path):
    names = ["a/b c.jpg", "a/d\ne.jpg", "é/\u4e16.jpg", "a/" + os.fsdecode(b"\xff.jpg")]
    index = index_files.Index.of(names, np.arange(8).reshape(4, 2), (2, 3, 1), "picture")
    index.heights[:], index.checksums[:], index.coloured[2] = 5, 2**32 - 1, True
    index_files.save(index, tmp_path / "index.npz")
    again = index_files.load(tmp_path / "index.npz")
    for field in dataclasses.fields(index):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(index, field.name))


def test_a_damaged_index_is_made_anew(tmp_path):
    path, file = write_folder(tmp_path / "pets", contents(2)), tmp_path / "index.npz"
    index_files.save(load(path).train_images.index, file)
    good, rng, held = file.read_bytes(), np.random.default_rng(0), load(path, False)
    for _ in range(60):
        content = bytearray(good)
        for place in rng.integers(0, len(good), 3):
            content[place] = rng.integers(0, 256)
        file.write_bytes(content[: rng.integers(1, len(good) + 1)] if rng.random() < 0.3 else content)
        loaded = index_files.load(file)
        assert loaded is None or isinstance(loaded, index_files.Index)
    assert_equal(load(path, index=file), held)


@pytest.mark.parametrize(("name", "value"), [
    ("form", np.inf), ("form", [1, 1]), ("shape", [np.inf]), ("shape", 3), ("marks", 0),
])  # fmt: skip
def test_a_changed_index_with_right_checksums_is_made_anew(tmp_path, name, value):
    file = tmp_path / "index.npz"
    index_files.save(index_files.Index.of(["a/b.jpg"], np.zeros((1, 2), "i8"), (2, 3, 1), "picture"), file)
    with np.load(file) as arrays:
        np.savez(file, **{**arrays, name: np.array(value)})
    assert index_files.load(file) is None


def test_the_split_is_that_of_a_plain_loop(tmp_path):
    labels = np.random.default_rng(0).integers(0, 7, 500)
    train, test = layout.split_off_test(labels, tuple("abcdefg"), tmp_path)
    shuffled = np.random.RandomState(0).permutation(500)
    wanted = set()
    for label in range(7):
        members = [i for i in shuffled if labels[i] == label]
        wanted |= set(members[: max(1, round(0.2 * len(members)))])
    assert test.tolist() == [i for i in shuffled if i in wanted]
    assert train.tolist() == [i for i in shuffled if i not in wanted]


# ---- looking ahead ----


def test_batches_are_made_ahead_once_and_in_order():
    made = []
    ahead = streams.LookAhead(lambda index: made.append(index) or index * index, 7)
    assert [ahead[i] for i in (0, 0, 1, 2, 3, 4, 5, 6)] == [0, 0, 1, 4, 9, 16, 25, 36]
    assert sorted(made) == list(range(7))
    assert [ahead[i] for i in range(7)] == [i * i for i in range(7)]  # the next epoch of a validation
    ahead.close()


def test_a_fault_is_raised_when_its_batch_is_due():
    def make(index):
        if index == 2:
            raise BadInputError("is gone", path="a.jpg")
        return index

    ahead = streams.LookAhead(make, 5)
    assert [ahead[0], ahead[1]] == [0, 1]
    with pytest.raises(BadInputError, match=r"a\.jpg is gone"):
        ahead[2]


def test_the_original_fault_is_raised_instead_of_its_words():
    class Sequence:
        ahead = streams.LookAhead(lambda index: 1 / 0, 1)

    with pytest.raises(ZeroDivisionError):
        Sequence.ahead[0]
    with pytest.raises(ZeroDivisionError), streams.original_faults(Sequence):
        raise RuntimeError("TensorFlow says: division by zero")
    with pytest.raises(KeyError), streams.original_faults():
        raise KeyError


def test_memory_does_not_grow_with_the_number_of_batches(make):
    images = load(make(contents(40)), size=(256, 256)).train_images
    images[:8]
    tracemalloc.start()
    for start in range(0, len(images), 8):
        images[start : start + 8]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < images.nbytes / 2
