"""Small data sets in the forms of the real ones, each with a row of DATASETS that describes it; a few real digits."""

import dataclasses
import functools
import gzip
import hashlib
import io
import struct
import tarfile
import zipfile

import numpy as np
from PIL import Image

from kerasnets import data
from kerasnets.data import downloads, idx

COUNTS = (60, 20)  # pictures of the stand-in for MNIST
BATCH = 12  # pictures of a batch of the stand-in for CIFAR-10


def isolate(patch, folder):
    """An empty working folder and home, and no network."""
    patch.chdir(folder)
    patch.setenv("KERAS_HOME", str(folder / "keras"))
    patch.delenv("KERASNETS_DATA", raising=False)
    patch.setattr(downloads, "download", no_download)


def no_download(row, read, data_dir, cache):
    raise ConnectionError("no download in this test")


@functools.cache
def few_digits():
    """240 of scikit-learn's digits to train and validate on, 60 to test."""
    digits = data.load_data("digits")
    return dataclasses.replace(
        digits,
        train_images=digits.train_images[:240],
        train_labels=digits.train_labels[:240],
        test_images=digits.test_images[:60],
        test_labels=digits.test_labels[:60],
    )


# ---- MNIST ----


def stand_in(seed=0):
    """Four arrays like MNIST's, of random pixels and labels."""
    rng = np.random.default_rng(seed)
    arrays = []
    for count in COUNTS:
        arrays += [rng.integers(0, 256, (count, 28, 28), np.uint8), rng.integers(0, 10, count).astype(np.uint8)]
    return arrays


def row_of(arrays, name="mnist", **changes):
    """The row of DATASETS that describes the stand-in."""
    sums = tuple(hashlib.sha256(array.tobytes()).hexdigest() for array in arrays)
    return dataclasses.replace(data.DATASETS[name], train=COUNTS[0], test=COUNTS[1], checksums=sums, **changes)


def idx_bytes(array):
    """The IDX format, from its description at yann.lecun.com/exdb/mnist."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def write_idx(folder, arrays, packed=True):
    folder.mkdir(parents=True, exist_ok=True)
    for array, (part, _) in zip(arrays, idx.PARTS, strict=True):
        content = idx_bytes(array)
        (folder / f"{part}.gz").write_bytes(gzip.compress(content)) if packed else (folder / part).write_bytes(content)
    return folder


def save_archive(path, arrays):
    """An .npz archive by Keras' names; return its SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{key: array for (_, key), array in zip(idx.PARTS, arrays, strict=True)})
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ---- CIFAR ----


def cifar_pictures(seed):
    """(uint8 (12, 32, 32, 3), labels)."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (BATCH, 32, 32, 3), np.uint8), rng.integers(0, 10, BATCH).tolist()


def python2_pickle(pixels, labels, key="labels"):
    """{"data": uint8 (n, 3072), key: labels} as Python 2 and the NumPy of its day pickled it, opcode by opcode.

    The makers' batches are such files (www.cs.toronto.edu/~kriz/cifar.html); no NumPy of today writes them. The opcodes
    are from CPython's pickletools.py, the arguments those of numpy.ndarray.__reduce__.
    """
    text = lambda word: b"U" + bytes([len(word)]) + word.encode()  # noqa: E731
    whole = lambda number: b"J" + struct.pack("<i", number)  # noqa: E731
    uint8 = b"cnumpy\ndtype\n" + text("u1") + b"K\0K\1\x87R(K\3" + text("|") + b"NNN" + whole(-1) * 2 + b"K\0tb"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" + text("b") + b"\x87R(K\1"
        + whole(pixels.shape[0]) + whole(pixels.shape[1]) + b"\x86" + uint8 + b"\x89"
        + b"T" + struct.pack("<i", pixels.size) + pixels.tobytes() + b"tb"
    )  # fmt: skip
    listed = b"](" + b"".join(whole(label) for label in labels) + b"e"
    return b"\x80\x02}(" + text("data") + array + text(key) + listed + b"u."


def cifar_batch(seed, key="labels"):
    """The bytes of a batch. "The first 1024 entries contain the red channel values, the next 1024 the green, and the
    final 1024 the blue. The image is stored in row-major order" (www.cs.toronto.edu/~kriz/cifar.html)."""
    images, labels = cifar_pictures(seed)
    rows = [np.concatenate([picture[..., channel].ravel() for channel in range(3)]) for picture in images]
    return python2_pickle(np.stack(rows), labels, key)


def cifar_batches(name="cifar10"):
    """file -> bytes of the stand-in."""
    key = "labels" if name == "cifar10" else "fine_labels"
    return {file: cifar_batch(seed, key) for seed, file in enumerate(data.DATASETS[name].batches)}


def cifar_row(contents, name="cifar10", **changes):
    """The row of DATASETS that describes batches {file: bytes}."""
    sums = {file: hashlib.md5(content).hexdigest() for file, content in contents.items()}
    return dataclasses.replace(data.DATASETS[name], batches=sums, **changes)


def pack(path, contents, folder):
    """A .tar.gz of {file: bytes} in `folder`; return its bytes."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path.read_bytes()


# ---- pictures ----


def encoded(picture, suffix=".png"):
    """The bytes of a picture file of uint8 pixels."""
    content = io.BytesIO()
    Image.fromarray(picture).save(content, {".jpg": "JPEG"}.get(suffix, suffix[1:].upper()))
    return content.getvalue()


def write_zip(path, contents):
    """A zip of {name: bytes}."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def write_folder(path, contents):
    """A folder of {name: bytes}; a name that ends in a slash is that of an empty folder."""
    for name, content in contents.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).mkdir(exist_ok=True) if name.endswith("/") else (path / name).write_bytes(content)
    return path
