"""Data are found in all places, have the right content, and are split the same everywhere."""

import gzip
import io
import os

import numpy as np
import pytest

from kerasnets import data
from kerasnets.data import idx
from kerasnets.errors import BadInputError
from kerasnets.pictures import KINDS
from tests.stand_ins import idx_bytes, isolate, row_of, save_archive, stand_in, write_idx


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """An empty working folder and home, the stand-in under MNIST's name, and no network."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.setitem(data.DATASETS, "mnist", row_of(stand_in()))
    return tmp_path


# ---- where ----


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("place", ["given/MNIST/raw", "given", "data/MNIST/raw"])
def test_idx_files_are_found_and_read(nowhere, place, packed):
    arrays = stand_in()
    write_idx(nowhere / place, arrays, packed)
    result = data.load_data("mnist", nowhere / "given" if "given" in place else None)
    assert result.train_images.dtype == np.uint8
    assert result.train_labels.dtype == np.int64
    np.testing.assert_array_equal(result.train_images[..., 0], arrays[0])
    np.testing.assert_array_equal(result.train_labels, arrays[1])
    np.testing.assert_array_equal(result.test_images[..., 0], arrays[2])
    np.testing.assert_array_equal(result.test_labels, arrays[3])


def test_keras_cache_is_found(nowhere):
    arrays = stand_in()
    save_archive(nowhere / "keras/datasets/mnist.npz", arrays)
    np.testing.assert_array_equal(data.load_data("mnist").test_images[..., 0], arrays[2])


def test_data_dir_precedes_the_variable_which_precedes_the_working_folder(nowhere, monkeypatch):
    write_idx(nowhere / "given", stand_in())
    write_idx(nowhere / "variable", stand_in(seed=1))
    write_idx(nowhere / "data/MNIST/raw", stand_in(seed=2))
    monkeypatch.setenv("KERASNETS_DATA", str(nowhere / "variable"))
    data.load_data("mnist", nowhere / "given")
    with pytest.raises(BadInputError, match=r"variable/.* its content is not that of MNIST"):
        data.load_data("mnist")


def test_fashion_mnist_is_found_below_a_folder_of_its_own_in_torchvisions_layout(nowhere, monkeypatch):
    arrays = stand_in(seed=3)
    monkeypatch.setitem(data.DATASETS, "fashion_mnist", row_of(arrays, "fashion_mnist"))
    write_idx(nowhere / "given/MNIST/raw", stand_in())
    write_idx(nowhere / "given/FashionMNIST/raw", arrays)
    result = data.load_data("fashion_mnist", nowhere / "given")
    np.testing.assert_array_equal(result.train_images[..., 0], arrays[0])
    np.testing.assert_array_equal(data.load_data("mnist", nowhere / "given").train_images[..., 0], stand_in()[0])


def test_fashion_mnist_is_found_in_keras_cache(nowhere, monkeypatch):
    arrays = stand_in(seed=3)
    monkeypatch.setitem(data.DATASETS, "fashion_mnist", row_of(arrays, "fashion_mnist"))
    write_idx(nowhere / "keras/datasets/fashion-mnist", arrays)
    np.testing.assert_array_equal(data.load_data("fashion_mnist").test_labels, arrays[3])


def test_real_mnist_has_its_first_labels_and_moments(mnist):
    # yann.lecun.com/exdb/mnist: the first labels; 0.1307 and 0.3081 are in PyTorch's MNIST example
    assert mnist.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert (mnist.train_images / 255).mean() == pytest.approx(0.1307, abs=5e-5)
    assert (mnist.train_images / 255).std() == pytest.approx(0.3081, abs=5e-5)


@pytest.fixture(scope="module")
def fashion():
    """The real Fashion-MNIST, if KERASNETS_DATA has it."""
    if "KERASNETS_DATA" not in os.environ:
        pytest.skip("the real Fashion-MNIST is not here: set KERASNETS_DATA to the folder that holds FashionMNIST/raw")
    return data.load_data("fashion_mnist")


def test_real_fashion_mnist_has_its_first_labels_moments_and_even_classes(fashion):
    # Moments: the usual transforms.Normalize((0.2860,), (0.3530,)). Labels: tensorflow.org/tutorials/keras/
    # classification prints [9, 0, 0, ..., 3, 0, 5] and shows the first as an ankle boot. 6,000 and 1,000 of each class:
    # Xiao et al. 2017, arXiv:1708.07747.
    assert fashion.train_labels[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
    assert fashion.train_labels[-3:].tolist() == [3, 0, 5]
    assert fashion.class_names[fashion.train_labels[0]] == "Ankle boot"
    assert (fashion.train_images / 255).mean() == pytest.approx(0.2860, abs=5e-5)
    assert (fashion.train_images / 255).std() == pytest.approx(0.3530, abs=5e-5)
    assert np.bincount(fashion.train_labels).tolist() == [6000] * 10
    assert np.bincount(fashion.test_labels).tolist() == [1000] * 10


def test_an_image_of_fashion_mnist_is_prepared_unchanged(fashion):
    for picture in fashion.test_images[:300]:
        np.testing.assert_array_equal(KINDS["fashion"](picture, (28, 28, 1)), picture)


# ---- permuted ----


def test_the_permuted_mnist_has_the_same_pixels_in_another_order(nowhere, monkeypatch):
    """Two images that number the rows and columns show the place of each pixel; all others must follow."""
    arrays = stand_in()
    arrays[0][0], arrays[0][1] = np.indices((28, 28))
    monkeypatch.setitem(data.DATASETS, "mnist", row_of(arrays))
    write_idx(nowhere / "data", arrays)
    plain, permuted = data.load_data("mnist"), data.load_data("mnist-permuted")
    rows, columns = permuted.train_images[:2, ..., 0]
    assert sorted(zip(rows.ravel(), columns.ravel(), strict=True)) == [(i, j) for i in range(28) for j in range(28)]
    assert ((rows, columns) != np.indices((28, 28))).any(axis=0).mean() > 0.95  # not one in twenty stays
    for part in ("train", "test"):
        images = getattr(plain, f"{part}_images")
        np.testing.assert_array_equal(getattr(permuted, f"{part}_images"), images[:, rows, columns])
        np.testing.assert_array_equal(getattr(permuted, f"{part}_labels"), getattr(plain, f"{part}_labels"))
    assert permuted.title == "MNIST, pixels permuted"


def test_a_prediction_permutes_a_picture_like_the_data_set(mnist):
    permuted = data.load_data("mnist-permuted")
    assert permuted.input_kind == "mnist_permuted"
    for there, plain in zip(permuted.test_images[:200], mnist.test_images, strict=False):
        np.testing.assert_array_equal(KINDS[permuted.input_kind](plain, (28, 28, 1)), there)
        np.testing.assert_array_equal(np.sort(there, axis=None), np.sort(plain, axis=None))


def permuted_numbers():
    from kerasnets.pictures import permute_pixels

    return permute_pixels(np.arange(784).reshape(1, 28, 28, 1))


def test_the_order_is_the_same_on_every_backend(workers):
    for worker in workers.values():
        np.testing.assert_array_equal(worker(permuted_numbers), permuted_numbers())


# ---- own archives ----


def test_an_own_archive_is_read_under_its_own_name(nowhere):
    arrays = stand_in()
    save_archive(nowhere / "scans.npz", [arrays[0][..., None], arrays[1], arrays[2][..., None], arrays[3]])
    result = data.load_data("scans.npz")
    np.testing.assert_array_equal(result.train_images[..., 0], arrays[0])
    np.testing.assert_array_equal(result.test_labels, arrays[3])
    assert (result.train_labels.dtype, result.test_labels.dtype) == (np.int64, np.int64)
    assert result.class_names == tuple("0123456789")
    assert (result.title, result.input_kind, result.image_shape) == ("scans", "picture", (28, 28, 1))


def test_an_own_archive_of_a_table_has_rows(nowhere):
    rows, labels = np.random.default_rng(0).random((40, 3), "float32"), np.arange(40) % 4
    save_archive(nowhere / "table.npz", [rows, labels, rows[:9], labels[:9]])
    result = data.load_data(nowhere / "table.npz")
    assert (result.input_kind, result.image_shape, result.class_names) == ("row", (3,), tuple("0123"))


BAD_ARCHIVES = {
    "text": (lambda path: path.write_text("text"), "own.npz is damaged"),
    "missing": (lambda path: None, "no file own.npz; check the name"),
    "a folder": (lambda path: path.mkdir(), "no file own.npz; check the name"),
    "an array alone": (lambda path: path.write_bytes(npy_bytes(np.zeros(3))), "own.npz is damaged"),
    "other names": (lambda path: np.savez(path, images=np.zeros(3)), "own.npz is damaged: it has no array x_train"),
    "code": (
        lambda path: save_archive(path, [np.array([print], object)] * 4),
        "own.npz is damaged: an array of object, not of numbers",
    ),
    "a label of a thousand millions": (
        lambda path: save_archive(path, own_arrays(lambda labels: np.where(labels == 1, 10**9, labels))),
        "label 1000000000, where the 2 classes are numbered from 0 to 1",
    ),
    "labels of numbers with a fraction": (
        lambda path: save_archive(path, own_arrays(lambda labels: labels / 2)),
        "labels are float64 and not whole numbers",
    ),
}


def npy_bytes(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def own_arrays(change):
    images, labels = np.zeros((8, 5, 5, 3), np.uint8), np.arange(8) % 2
    return [images, change(labels), images, labels]


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_a_bad_archive_is_refused_in_one_line_that_says_what_to_do(nowhere, case):
    make, words = BAD_ARCHIVES[case]
    make(nowhere / "own.npz")
    with pytest.raises(BadInputError) as excinfo:
        data.load_data("own.npz")
    assert words in str(excinfo.value)
    assert "\n" not in str(excinfo.value)
    assert ";" in str(excinfo.value)
    assert "downloaded" not in str(excinfo.value)  # there is nowhere to have it from


def test_a_mutated_archive_is_read_or_refused_as_bad_input(nowhere):
    save_archive(nowhere / "good.npz", own_arrays(lambda labels: labels))
    good, rng, refused = (nowhere / "good.npz").read_bytes(), np.random.default_rng(0), 0
    for _ in range(300):
        content = bytearray(good)
        for place in rng.integers(0, len(good), rng.integers(1, 20)):
            content[place] = rng.integers(0, 256)
        (nowhere / "own.npz").write_bytes(content[: rng.integers(len(good) // 2, 2 * len(good))])
        try:
            assert data.load_data("own.npz").train_images.shape[0] == 8
        except BadInputError:
            refused += 1
    assert refused > 150  # each array has a checksum in the zip


# ---- bad data ----


def truncate(path):
    path.write_bytes(path.read_bytes()[:-200])


def unpack(path):
    path.write_bytes(b"<html>404</html>")


def empty(path):
    path.write_bytes(b"")


def flip(path):
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[5000] ^= 1
    path.write_bytes(gzip.compress(bytes(content)))


def repack(array):
    return lambda path: path.write_bytes(gzip.compress(idx_bytes(array)))


BAD_DATA = {
    "truncated": (0, truncate, "train-images-idx3-ubyte.gz is damaged"),
    "not packed": (0, unpack, "train-images-idx3-ubyte.gz is damaged: Not a gzipped file"),
    "empty": (1, empty, "train-labels-idx1-ubyte.gz is damaged"),
    "bit flipped": (0, flip, "its content is not that of MNIST, by SHA-256"),
    "wrong magic": (1, lambda path: path.write_bytes(gzip.compress(b"\1\2\3\4" * 9)), "it begins with 01020304"),
    "too few": (3, repack(stand_in()[3][:-1]), "MNIST has (20,) there, this is (19,)"),
    "label 209": (3, repack(np.full(20, 209, np.uint8)), "label 209, where MNIST has 0 to 9"),
    "wrong size": (2, repack(np.zeros((20, 27, 28), np.uint8)), "MNIST has (20, 28, 28) there, this is (20, 27, 28)"),
    "header promises more": (
        1,
        lambda path: path.write_bytes(gzip.compress(b"\0\0\x08\1" + bytes([0, 0, 1, 0]) + bytes(60))),
        "its header promises 256 bytes, it holds fewer",
    ),
    "header promises the world": (
        0,
        lambda path: path.write_bytes(gzip.compress(b"\0\0\x08\3" + b"\xff" * 12 + bytes(60))),
        f"its header promises {(2**32 - 1) ** 3} bytes, it holds fewer",
    ),
    "missing": (2, lambda path: path.unlink(), "lacks t10k-images-idx3-ubyte.gz"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_are_refused_in_one_line_that_names_the_file(nowhere, case):
    index, spoil, words = BAD_DATA[case]
    folder = write_idx(nowhere / "given", stand_in())
    spoil(folder / f"{idx.PARTS[index][0]}.gz")
    with pytest.raises(BadInputError) as excinfo:
        data.load_data("mnist", folder)
    assert words in str(excinfo.value)
    assert "\n" not in str(excinfo.value)


@pytest.mark.parametrize("content", [b"PK\3\4 and no more", b"", b"\x93NUMPY\1\0v\0", b"text"])
def test_a_damaged_archive_is_refused(nowhere, content):
    (nowhere / "keras/datasets").mkdir(parents=True)
    (nowhere / "keras/datasets/mnist.npz").write_bytes(content)
    with pytest.raises(BadInputError, match=r"mnist\.npz is damaged"):
        data.load_data("mnist")


def test_a_missing_folder_is_bad_input(nowhere):
    with pytest.raises(BadInputError, match=r"no folder .*nothing.*; it was to hold MNIST"):
        data.load_data("mnist", nowhere / "nothing")


def test_an_unknown_data_set_is_wrong_usage():
    with pytest.raises(ValueError, match="unknown data set 'emnist'; choose one of: mnist, fashion_mnist, cifar10"):
        data.load_data("emnist")


def test_an_image_size_is_only_for_own_pictures():
    with pytest.raises(ValueError, match="an image size goes with own pictures; digits has its own"):
        data.load_data("digits", image_size=(32, 32))


def test_indices_outside_the_test_part_are_wrong_usage():
    with pytest.raises(ValueError, match="digits has test pictures 0 to 359; there is no 360"):
        data.load_test_images("digits", [360])


# ---- split ----


def test_the_split_is_shuffled_stratified_and_repeats():
    labels = np.repeat(np.arange(10), 100)
    train, validation = data.split(labels, 200, seed=5)
    assert sorted([*train, *validation]) == list(range(1000))
    assert np.bincount(labels[validation]).tolist() == [20] * 10
    assert (np.diff(train) < 0).any()
    np.testing.assert_array_equal(train, data.split(labels, 200, seed=5)[0])
    assert not np.array_equal(train, data.split(labels, 200, seed=6)[0])


def split_of_digits(seed):
    digits = data.load_data("digits")
    return digits.test_labels, *data.split(digits.train_labels, 144, seed)


def test_the_split_is_the_same_on_every_backend(workers):
    here = split_of_digits(7)
    for worker in workers.values():
        for mine, yours in zip(worker(split_of_digits, 7), here, strict=True):
            np.testing.assert_array_equal(mine, yours)
