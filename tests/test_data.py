"""The data are found where they lie, are what they are called, and come in one order everywhere."""

import dataclasses
import functools
import gzip
import hashlib
import http.server
import threading

import numpy as np
import pytest

from kerasnets import data
from kerasnets.errors import BadInputError

COUNTS = (60, 20)  # pictures of the stand-in for MNIST


def stand_in(seed=0):
    """Four arrays like MNIST's, of random pixels and labels."""
    rng = np.random.default_rng(seed)
    arrays = []
    for count in COUNTS:
        arrays += [rng.integers(0, 256, (count, 28, 28), np.uint8), rng.integers(0, 10, count).astype(np.uint8)]
    return arrays


def row_of(arrays, **changes):
    """The row of DATASETS that describes the stand-in."""
    sums = tuple(hashlib.sha256(array.tobytes()).hexdigest() for array in arrays)
    return dataclasses.replace(data.DATASETS["mnist"], train=COUNTS[0], test=COUNTS[1], content_sha256=sums, **changes)


def idx_bytes(array):
    """The IDX format, from its description at yann.lecun.com/exdb/mnist."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def write_idx(folder, arrays, packed=True):
    folder.mkdir(parents=True, exist_ok=True)
    for array, (part, _) in zip(arrays, data.PARTS, strict=True):
        content = idx_bytes(array)
        (folder / f"{part}.gz").write_bytes(gzip.compress(content)) if packed else (folder / part).write_bytes(content)
    return folder


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """An empty working folder and home, the stand-in under MNIST's name, and no network but this machine's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("KERASNETS_DATA", raising=False)
    monkeypatch.setitem(data.DATASETS, "mnist", row_of(stand_in()))
    monkeypatch.setattr(data, "download", no_download)
    return tmp_path


def no_download(row, data_dir):
    raise ConnectionError("no download in this test")


# ---- where ----


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("place", ["given/MNIST/raw", "given", "data/MNIST/raw"])
def test_idx_files_are_found_and_read(nowhere, place, packed):
    arrays = stand_in()
    write_idx(nowhere / place, arrays, packed)
    found = data.load_data("mnist", nowhere / "given" if "given" in place else None)
    assert found.train_images.dtype == np.uint8
    assert found.train_labels.dtype == np.int64
    np.testing.assert_array_equal(found.train_images[..., 0], arrays[0])
    np.testing.assert_array_equal(found.train_labels, arrays[1])
    np.testing.assert_array_equal(found.test_images[..., 0], arrays[2])
    np.testing.assert_array_equal(found.test_labels, arrays[3])


def test_keras_cache_is_found(nowhere):
    arrays = stand_in()
    (nowhere / "keras/datasets").mkdir(parents=True)
    np.savez(nowhere / "keras/datasets/mnist.npz", **{key: a for (_, key), a in zip(data.PARTS, arrays, strict=True)})
    np.testing.assert_array_equal(data.load_data("mnist").test_images[..., 0], arrays[2])


def test_data_dir_goes_before_the_variable_and_the_variable_before_the_working_folder(nowhere, monkeypatch):
    write_idx(nowhere / "given", stand_in())
    write_idx(nowhere / "variable", stand_in(seed=1))
    write_idx(nowhere / "data/MNIST/raw", stand_in(seed=2))
    monkeypatch.setenv("KERASNETS_DATA", str(nowhere / "variable"))
    data.load_data("mnist", nowhere / "given")
    with pytest.raises(BadInputError, match=r"variable/.* its content is not that of MNIST"):
        data.load_data("mnist")


def test_real_mnist_has_its_first_labels_and_moments(mnist):
    # shared/data/README.md: first labels, mean and deviation of pixels / 255
    assert mnist.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert (mnist.train_images / 255).mean() == pytest.approx(0.1307, abs=5e-5)
    assert (mnist.train_images / 255).std() == pytest.approx(0.3081, abs=5e-5)


def test_digits_are_scikit_learns_in_mnists_form():
    digits = data.load_data("digits")
    assert digits.train_images.shape == (1437, 28, 28, 1)
    assert digits.test_images.shape == (360, 28, 28, 1)
    assert digits.train_images.dtype == np.uint8
    counts = np.bincount(np.concatenate([digits.train_labels, digits.test_labels]))
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # UCI optdigits.names, test set
    rows = np.flatnonzero((digits.test_images > 0).any((0, 2, 3)))
    assert rows[0] >= 1
    assert (digits.test_images > 0).any((2, 3)).sum(1).max() <= 20  # the box


# ---- bad data ----


def truncated(path):
    path.write_bytes(path.read_bytes()[:-200])


def not_packed(path):
    path.write_bytes(b"<html>404</html>")


def emptied(path):
    path.write_bytes(b"")


def flipped(path):
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[5000] ^= 1
    path.write_bytes(gzip.compress(bytes(content)))


def repacked(array):
    return lambda path: path.write_bytes(gzip.compress(idx_bytes(array)))


BAD_DATA = {
    "truncated": (0, truncated, "train-images-idx3-ubyte.gz is damaged"),
    "not packed": (0, not_packed, "train-images-idx3-ubyte.gz is damaged: Not a gzipped file"),
    "empty": (1, emptied, "train-labels-idx1-ubyte.gz is damaged"),
    "bit flipped": (0, flipped, "its content is not that of MNIST, by SHA-256"),
    "wrong magic": (1, lambda path: path.write_bytes(gzip.compress(b"\1\2\3\4" * 9)), "it begins with 01020304"),
    "too few": (3, repacked(stand_in()[3][:-1]), "MNIST has (20,) there, this is (19,)"),
    "label 209": (3, repacked(np.full(20, 209, np.uint8)), "label 209, where MNIST has 0 to 9"),
    "wrong size": (2, repacked(np.zeros((20, 27, 28), np.uint8)), "MNIST has (20, 28, 28) there, this is (20, 27, 28)"),
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
    spoil(folder / f"{data.PARTS[index][0]}.gz")
    with pytest.raises(BadInputError) as caught:
        data.load_data("mnist", folder)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"PK\3\4 and no more", b"", b"\x93NUMPY\1\0v\0", b"text"])
def test_a_damaged_archive_is_refused(nowhere, content):
    (nowhere / "keras/datasets").mkdir(parents=True)
    (nowhere / "keras/datasets/mnist.npz").write_bytes(content)
    with pytest.raises(BadInputError, match=r"mnist\.npz is damaged"):
        data.load_data("mnist")


def test_a_folder_that_is_not_there_is_bad_input(nowhere):
    with pytest.raises(BadInputError, match=r"no folder .*nothing.*; it was to hold MNIST"):
        data.load_data("mnist", nowhere / "nothing")


def test_an_unknown_data_set_is_wrong_usage():
    with pytest.raises(ValueError, match="unknown data set 'emnist'; choose one of: mnist, digits"):
        data.load_data("emnist")


def test_test_pictures_outside_of_the_set_are_wrong_usage():
    with pytest.raises(ValueError, match="digits has test pictures 0 to 359; there is no 360"):
        data.held_out("digits", [360])


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


# ---- download, from a server on the loopback address ----


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path):
    """(folder, address): a web server on 127.0.0.1 for the files that a test puts into the folder."""
    folder = tmp_path / "served"
    folder.mkdir()
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{running.server_port}/"
    running.shutdown()
    thread.join()
    running.server_close()


def download_here(row, folder, mirror):
    """In a worker: load the stand-in, which is nowhere, into an empty working folder and home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("KERASNETS_DATA", raising=False)
        patch.setenv("KERAS_HOME", str(folder / "keras"))
        patch.setitem(data.DATASETS, "mnist", row)
        return load_twice(folder, mirror, patch)


def load_twice(folder, mirror, patch):
    import keras

    if keras.backend.backend() == "torch":
        from torchvision.datasets import MNIST

        resources = [
            (f"{part}.gz", hashlib.md5((folder / "served" / f"{part}.gz").read_bytes()).hexdigest())
            for part, _ in data.PARTS
        ]
        patch.setattr(MNIST, "mirrors", [mirror])
        patch.setattr(MNIST, "resources", resources)
    try:
        found = data.load_data("mnist")
        return found.train_images.sum(), data.load_data("mnist").train_images.sum()
    except (ConnectionError, BadInputError) as error:
        return f"{type(error).__name__}: {error}"


def serve(folder, arrays):
    """Put the stand-in where torchvision and where Keras look for it; return the archive's SHA-256."""
    write_idx(folder, arrays)
    np.savez(folder / "mnist.npz", **{key: array for (_, key), array in zip(data.PARTS, arrays, strict=True)})
    return hashlib.sha256((folder / "mnist.npz").read_bytes()).hexdigest()


def test_mnist_is_downloaded_checked_and_found_again(worker, server, tmp_path):
    folder, address = server
    arrays = stand_in()
    row = row_of(arrays, archive_url=f"{address}mnist.npz", archive_sha256=serve(folder, arrays))
    assert worker(download_here, row, tmp_path, address) == (arrays[0].sum(),) * 2
    left = [path.name for path in tmp_path.rglob("*") if "download" in path.name or ".part" in path.name]
    assert left == []


def test_a_download_joins_what_lies_in_the_folder(workers, server, tmp_path):
    folder, address = server
    (tmp_path / "data/MNIST/raw").mkdir(parents=True)
    (tmp_path / "data/MNIST/raw/notes.txt").write_text("mine")
    serve(folder, stand_in())
    assert workers["torch"](download_here, row_of(stand_in()), tmp_path, address) == (stand_in()[0].sum(),) * 2
    assert (tmp_path / "data/MNIST/raw/notes.txt").read_text() == "mine"


def test_a_download_of_something_else_is_refused_and_not_kept(worker, server, tmp_path):
    folder, address = server
    row = row_of(stand_in(), archive_url=f"{address}mnist.npz", archive_sha256=serve(folder, stand_in(seed=1)))
    answer = worker(download_here, row, tmp_path, address)
    assert answer == "BadInputError: what was downloaded as MNIST is damaged; try again, or use --data-dir"
    kept = [path for path in tmp_path.rglob("*ubyte*") if "served" not in path.parts]
    assert kept == []
    assert not (tmp_path / "keras/datasets/mnist.npz").exists()


def test_without_a_network_one_line_says_what_to_do(worker, tmp_path):
    serve(write_idx(tmp_path / "served", stand_in()), stand_in())
    row = row_of(stand_in(), archive_url="http://127.0.0.1:9/mnist.npz")  # port 9: no one listens there
    answer = worker(download_here, row, tmp_path, "http://127.0.0.1:9/")
    assert answer.startswith("ConnectionError: MNIST is in no known folder and cannot be downloaded")
    assert "--data-dir" in answer
