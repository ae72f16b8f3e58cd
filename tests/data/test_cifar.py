"""CIFAR's batches are read as documented, and no other pickle is unpickled."""

import dataclasses
import os
import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from kerasnets import data
from kerasnets.errors import BadInputError
from tests.stand_ins import (
    BATCH,
    cifar_batches,
    cifar_pictures,
    cifar_row,
    encoded,
    isolate,
    pack,
    write_folder,
    write_zip,
)

NAMES = ("cifar10", "cifar100")


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """An empty working folder and home, the stand-ins under CIFAR's names, and no network."""
    isolate(monkeypatch, tmp_path)
    for name in NAMES:
        monkeypatch.setitem(data.DATASETS, name, cifar_row(cifar_batches(name), name))
    return tmp_path


def put_folder(place, name):
    write_folder(place / data.DATASETS[name].folder, cifar_batches(name))


def put_archive(place, name):
    place.mkdir(parents=True, exist_ok=True)
    row = data.DATASETS[name]
    pack(place / row.archive, cifar_batches(name), row.folder)


def assert_is_stand_in(found, name):
    *train, test = (cifar_pictures(seed) for seed in range(len(data.DATASETS[name].batches)))
    np.testing.assert_array_equal(found.train_images, np.concatenate([images for images, _ in train]))
    np.testing.assert_array_equal(found.train_labels, np.concatenate([labels for _, labels in train]))
    np.testing.assert_array_equal(found.test_images, test[0])
    np.testing.assert_array_equal(found.test_labels, test[1])
    assert (found.train_images.dtype, found.train_labels.dtype) == (np.uint8, np.int64)
    assert (found.title, found.input_kind) == (data.DATASETS[name].title, "picture")


# ---- batches ----


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("put", [put_folder, put_archive])
@pytest.mark.parametrize("given", [True, False])
def test_batches_are_read_from_a_folder_and_from_their_archive(nowhere, name, put, given):
    """The stand-in's pickles are in Python 2's format, about which NumPy 2.4.0 warns: a warning is an error here."""
    put(nowhere / ("given" if given else "data"), name)
    assert_is_stand_in(data.load_data(name, nowhere / "given" if given else None), name)


@pytest.mark.parametrize("name", NAMES)
def test_batches_that_keras_unpacked_into_its_cache_are_found(nowhere, name):
    """keras.datasets.cifar10: below datasets/cifar-10-batches-py-target."""
    folder = data.DATASETS[name].folder
    write_folder(nowhere / "keras/datasets" / f"{folder}-target" / folder, cifar_batches(name))
    assert_is_stand_in(data.load_data(name), name)


def checksums(name):
    """MD5 of the batches in torchvision's class; SHA-256 of the archive in Keras' source."""
    import inspect

    import keras
    from torchvision import datasets

    kind = getattr(datasets, name.upper())
    source = inspect.getsource(getattr(keras.datasets, name).load_data)
    return dict(map(tuple, kind.train_list + kind.test_list)), re.findall(r"[0-9a-f]{64}", source)


@pytest.mark.parametrize("name", NAMES)
def test_checksums_equal_torchvisions_and_keras(workers, name):
    batches, archive = workers["torch"](checksums, name)
    assert list(data.DATASETS[name].batches.items()) == list(batches.items())
    assert [sha256 for _, sha256 in data.DATASETS[name].urls] == archive


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("file", ["data_batch_1", "data_batch_5", "test_batch"])
def test_a_pickle_that_would_run_code_is_never_unpickled(nowhere, file, packed):
    content = pickle.dumps(Evil(nowhere / "control"), 2)
    pickle.loads(content)
    assert (nowhere / "control").is_dir()  # so it would
    contents = cifar_batches() | {file: pickle.dumps(Evil(nowhere / "run"), 2)}
    if packed:
        pack(nowhere / "cifar-10-python.tar.gz", contents, "cifar-10-batches-py")
    else:
        write_folder(nowhere, contents)
    with pytest.raises(BadInputError, match=f"is damaged: batch {file} is missing or not that of CIFAR-10, by MD5"):
        data.load_data("cifar10", nowhere)
    assert not (nowhere / "run").exists()


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BAD_BATCHES = {
    "missing": (os.unlink, "data_batch_3 is damaged: batch data_batch_3 is missing or not"),
    "bit flipped": (flip, "data_batch_3 is damaged: batch data_batch_3 is missing or not"),
    "half": (halve, "data_batch_3 is damaged: batch data_batch_3 is missing or not"),
    "empty": (lambda path: path.write_bytes(b""), "data_batch_3 is damaged: batch data_batch_3 is missing or not"),
}
BAD_ARCHIVES = {
    "half": (halve, "cifar-10-python.tar.gz is damaged"),
    "bit flipped": (flip, "cifar-10-python.tar.gz is damaged"),
    "empty": (lambda path: path.write_bytes(b""), "cifar-10-python.tar.gz is damaged"),
    "text": (lambda path: path.write_text("<html>404</html>"), "cifar-10-python.tar.gz is damaged: not a gzip file"),
    "a batch missing": (
        lambda path: pack(path, dict(list(cifar_batches().items())[1:]), "cifar-10-batches-py"),
        "cifar-10-python.tar.gz is damaged",
    ),
    "a folder for a batch": (
        lambda path: pack(path, {f"{name}/x": b"" for name in cifar_batches()}, "cifar-10-batches-py"),
        "cifar-10-python.tar.gz is damaged",
    ),
    "another's": (
        lambda path: pack(path, cifar_batches("cifar100"), "cifar-100-python"), "cifar-10-python.tar.gz is damaged"
    ),
}  # fmt: skip


def assert_refused(folder, words):
    with pytest.raises(BadInputError) as excinfo:
        data.load_data("cifar10", folder)
    assert words in str(excinfo.value)
    assert "\n" not in str(excinfo.value)
    assert "; copy the data set again, or delete" in str(excinfo.value)


@pytest.mark.parametrize("case", BAD_BATCHES)
def test_a_bad_batch_is_refused_in_one_line_that_names_it(nowhere, case):
    spoil, words = BAD_BATCHES[case]
    put_folder(nowhere, "cifar10")
    spoil(nowhere / "cifar-10-batches-py/data_batch_3")
    assert_refused(nowhere, words)


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_a_bad_archive_is_refused_in_one_line_that_names_it(nowhere, case):
    spoil, words = BAD_ARCHIVES[case]
    put_archive(nowhere, "cifar10")
    spoil(nowhere / "cifar-10-python.tar.gz")
    assert_refused(nowhere, words)


# ---- pictures ----

PART_COUNTS = {"train": 3, "test": 2}  # pictures of each class in the stand-in for the zip


def coded(ending, seed=0, size=(32, 32)):
    """{name: bytes} of the stand-in for cifar10-jpeg.zip or cifar10-png.zip."""
    rng = np.random.default_rng(seed)
    return {
        f"{part}/{name}/{i:04}{ending}": encoded(rng.integers(0, 256, (*size, 3), np.uint8), ending)
        for part, count in PART_COUNTS.items()
        for name in data.DATASETS["cifar10"].class_names
        for i in range(count)
    }


@pytest.fixture
def few(nowhere, monkeypatch):
    """Like `nowhere`, with a CIFAR-10 of 30 and 20 pictures."""
    row = dataclasses.replace(data.DATASETS["cifar10"], train=30, test=20)
    monkeypatch.setitem(data.DATASETS, "cifar10", row)
    return nowhere


def test_the_zip_of_pictures_is_read_and_marked(few):
    write_zip(few / "cifar10-jpeg.zip", coded(".jpg"))
    result = data.load_data("cifar10", few)
    assert result.title == "CIFAR-10 (JPEG)"
    assert result.class_names == data.DATASETS["cifar10"].class_names
    assert (result.train_images.shape, result.test_images.shape) == ((30, 32, 32, 3), (20, 32, 32, 3))
    assert result.train_labels.tolist() == np.repeat(range(10), 3).tolist()
    assert result.test_labels.tolist() == np.repeat(range(10), 2).tolist()


def test_a_zip_of_pngs_precedes_one_of_jpegs_and_keeps_every_pixel(few):
    write_zip(few / "cifar10-jpeg.zip", coded(".jpg"))
    write_zip(few / "cifar10-png.zip", coded(".png"))
    result = data.load_data("cifar10", few)
    assert result.title == "CIFAR-10 (PNG)"
    first = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    np.testing.assert_array_equal(result.train_images[0], first)


def test_batches_precede_the_zip_of_pictures(few):
    put_folder(few, "cifar10")
    write_zip(few / "cifar10-jpeg.zip", coded(".jpg"))
    assert data.load_data("cifar10", few).title == "CIFAR-10"


BAD_PICTURES = {
    "a picture too few": (lambda files: files.popitem(), "it holds (30, 19) pictures of 10 classes, not CIFAR-10"),
    "a class too few": (lambda files: drop(files, "/ship/"), "it holds (27, 18) pictures of 9 classes, not CIFAR-10"),
    "a class of another name": (
        lambda files: files.update({name.replace("ship", "sheep"): files.pop(name) for name in list(files)}),
        "it holds (30, 20) pictures of 10 classes, not CIFAR-10",
    ),
    "half a picture": (
        lambda files: files.update({"test/cat/0001.jpg": files["test/cat/0001.jpg"][:500]}),
        "1 of 50 pictures cannot be read: test/cat/0001.jpg is damaged",
    ),
}


def drop(files, words):
    for name in [name for name in files if words in name]:
        del files[name]


@pytest.mark.parametrize("case", BAD_PICTURES)
def test_a_zip_of_other_pictures_is_refused_in_one_line(few, case):
    spoil, words = BAD_PICTURES[case]
    contents = coded(".jpg")
    spoil(contents)
    write_zip(few / "cifar10-jpeg.zip", contents)
    with pytest.raises(BadInputError) as excinfo:
        data.load_data("cifar10", few)
    assert words in str(excinfo.value)
    assert "\n" not in str(excinfo.value)


def test_the_real_zip_has_cifars_moments_and_even_classes():
    """Published means and stds of CIFAR-10: 0.4914, 0.4822, 0.4465 and 0.2470, 0.2435, 0.2616.

    A JPEG of 32x32 loses some contrast: the stds are a little smaller.
    """
    if not (Path(os.environ.get("KERASNETS_DATA", "")) / "cifar10-jpeg.zip").is_file():
        pytest.skip("the real pictures are not here: set KERASNETS_DATA to the folder that holds cifar10-jpeg.zip")
    result = data.load_data("cifar10")
    assert result.title == "CIFAR-10 (JPEG)"
    assert np.bincount(result.train_labels).tolist() == [5000] * 10
    assert np.bincount(result.test_labels).tolist() == [1000] * 10
    pixels = result.train_images.reshape(-1, 3)
    np.testing.assert_allclose(pixels.mean(0) / 255, (0.4914, 0.4822, 0.4465), atol=5e-4)
    np.testing.assert_allclose(pixels[::7].std(0) / 255, (0.2470, 0.2435, 0.2616), atol=3e-3)


def test_numpy_reads_a_batch_of_the_stand_in():
    """A check of the stand-in: pickle reads the content that was written opcode by opcode."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy 2.4.0 to 2.4.4 warn of Python 2's pickles
        batch = pickle.loads(cifar_batches()["test_batch"], encoding="latin1")
    assert batch["data"].shape == (BATCH, 3072)
    np.testing.assert_array_equal(batch["data"][:, :1024], cifar_pictures(5)[0][..., 0].reshape(BATCH, 1024))
