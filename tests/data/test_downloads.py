"""A download is checked, found again, and kept whole or not at all; the server is on the loopback address."""

import dataclasses
import errno
import functools
import hashlib
import http.server
import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from kerasnets import data
from kerasnets.data import downloads, idx, sources
from kerasnets.errors import BadInputError
from tests.stand_ins import (
    cifar_batches,
    cifar_row,
    isolate,
    pack,
    row_of,
    save_archive,
    stand_in,
    write_folder,
    write_idx,
)

NAMES = ("mnist", "fashion_mnist", "cifar10", "cifar100")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class Breaks(Quiet):
    """Promises a whole file, sends the first half of it, and hangs up."""

    def copyfile(self, source, outputfile):
        content = source.read()
        outputfile.write(content[: len(content) // 2])


@pytest.fixture(params=[Quiet])
def server(request, tmp_path):
    """(folder, address): a web server on 127.0.0.1 for the files that a test puts into the folder."""
    folder = tmp_path / "served"
    folder.mkdir()
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(request.param, directory=folder))
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{running.server_port}/"
    running.shutdown()
    thread.join()
    running.server_close()


# ---- what torchvision and Keras ask for ----


def serve(name, folder, address, seed=0):
    """Put a stand-in into `folder`, in the places where torchvision and Keras look for it; return its Dataset."""
    folder.mkdir(exist_ok=True)
    if name in ("cifar10", "cifar100"):
        row = data.DATASETS[name]
        contents = cifar_batches(name)
        packed = pack(folder / row.archive, contents | META, row.folder)
        return cifar_row(contents, name, urls=((f"{address}{row.archive}", hashlib.sha256(packed).hexdigest()),))
    arrays = stand_in(seed)
    write_idx(folder, arrays)
    if name == "mnist":
        return row_of(arrays, urls=((f"{address}mnist.npz", save_archive(folder / "mnist.npz", arrays)),))
    return row_of(arrays, name, urls=tuple((f"{address}{part}.gz", None) for part, _ in idx.PARTS))


# torchvision reads the class names from a separate file.
META = {name: b"\x80\x02}U" + bytes([len(key)]) + key + b"]s." for name, key in
        (("batches.meta", b"label_names"), ("meta", b"fine_label_names"))}  # fmt: skip


def point_torchvision_to(address, row, served, patch):
    """Make torchvision's class of `row` download from `address`, with the stand-in's checksums."""
    from torchvision import datasets

    md5 = lambda content: hashlib.md5(content).hexdigest()  # noqa: E731
    kind = getattr(datasets, row.torchvision)
    if row.form == "idx":
        files = [served / f"{part}.gz" for part, _ in idx.PARTS]
        patch.setattr(kind, "mirrors", [address])
        patch.setattr(kind, "resources", [(file.name, md5(file.read_bytes())) for file in files])
        return
    *train, test = row.batches.items()
    patch.setattr(kind, "url", f"{address}{row.archive}")
    patch.setattr(kind, "tgz_md5", md5((served / row.archive).read_bytes()))
    patch.setattr(kind, "train_list", train)
    patch.setattr(kind, "test_list", [test])
    patch.setattr(kind, "meta", kind.meta | {"md5": md5(META[kind.meta["filename"]])})


def download_here(name, row, folder, address, data_dir=None):
    """In a worker: load the stand-in, which is nowhere, into an empty working folder and home; then without network.

    Returns the sums of both times' pixels, or the error.
    """
    import keras

    download = downloads.download
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, folder)
        patch.setitem(data.DATASETS, name, row)
        if keras.backend.backend() == "torch":
            point_torchvision_to(address, row, folder / "served", patch)
        try:
            with patch.context() as online:
                online.setattr(downloads, "download", download)
                first = data.load_data(name, data_dir)
            return [int(result.train_images.sum()) for result in (first, data.load_data(name, data_dir))]
        except (OSError, BadInputError) as error:
            return f"{type(error).__name__}: {error}"


def expected_sum(name, row, folder):
    """The sum of the stand-in's training pixels, from the served files."""
    if name in ("mnist", "fashion_mnist"):
        return int(stand_in()[0].sum())
    here = write_folder(folder / "expected", cifar_batches(name))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(data.DATASETS, name, row)
        return int(data.load_data(name, here).train_images.sum())


def remains(folder):
    """The names in `folder` of files that are not a whole data set."""
    return [path.name for path in folder.rglob("*") if path.name.startswith((".", "tmp")) or ".part" in path.name]


def other_files(folder):
    """The files in `folder` that are not served."""
    return [path for path in folder.rglob("*") if path.is_file() and "served" not in path.parts]


# ---- over the network ----


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_data_set_is_downloaded_checked_and_found_again(worker, server, tmp_path, name, given):
    folder, address = server
    row = serve(name, folder, address)
    if given:
        (tmp_path / "given").mkdir()
    sums = worker(download_here, name, row, tmp_path, address, tmp_path / "given" if given else None)
    assert sums == [expected_sum(name, row, tmp_path)] * 2
    assert remains(tmp_path) == []
    assert bool(other_files(tmp_path / "given")) == given


def test_a_download_keeps_the_other_files_in_the_folder(workers, server, tmp_path):
    folder, address = server
    (tmp_path / "data/MNIST/raw").mkdir(parents=True)
    (tmp_path / "data/MNIST/raw/notes.txt").write_text("mine")
    row = serve("mnist", folder, address)
    assert workers["torch"](download_here, "mnist", row, tmp_path, address) == [int(stand_in()[0].sum())] * 2
    assert (tmp_path / "data/MNIST/raw/notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_a_download_of_something_else_is_refused_and_not_kept(worker, server, tmp_path, name):
    folder, address = server
    served = serve(name, folder, address, seed=1)
    row = dataclasses.replace(served, checksums=row_of(stand_in(), name).checksums)
    answer = worker(download_here, name, row, tmp_path, address)
    assert answer == f"BadInputError: the download of {row.title} is damaged; try again, or use --data-dir"
    assert other_files(tmp_path) == []


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
@pytest.mark.parametrize("server", [Breaks], indirect=True)
def test_a_broken_connection_leaves_nothing(worker, server, tmp_path, name):
    folder, address = server
    answer = worker(download_here, name, serve(name, folder, address), tmp_path, address)
    assert answer.startswith(f"ConnectionError: {data.DATASETS[name].title} is in no known folder and cannot be down")
    assert other_files(tmp_path) == []
    assert remains(tmp_path) == []


def test_without_a_network_one_line_says_what_to_do(worker, tmp_path):
    for name in ("mnist", "cifar10"):
        row = serve(name, tmp_path / "served", "http://127.0.0.1:9/")  # port 9: no one listens there
        answer = worker(download_here, name, row, tmp_path, "http://127.0.0.1:9/")
        assert answer.startswith(f"ConnectionError: {row.title} is in no known folder and cannot be downloaded")
        assert f"holds {row.first_file}" in answer
        assert "--data-dir" in answer
        assert "\n" not in answer


# ---- faults ----


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """An empty working folder and home, the stand-ins under their names, and no network."""
    isolate(monkeypatch, tmp_path)
    for name, row in ROWS.items():
        monkeypatch.setitem(data.DATASETS, name, row)
    return tmp_path


ROWS = {"mnist": row_of(stand_in()), "cifar10": cifar_row(cifar_batches())}


def fetch(row, folder, inside):
    """Like by_torchvision, without network."""
    if row.form == "idx":
        write_idx(folder / inside, stand_in())
    else:
        write_folder(folder / inside, cifar_batches())
        pack(folder / row.archive, cifar_batches(), row.folder)


def keep(name, fetch=fetch):
    row = ROWS[name]
    read = sources.READERS[row.form]
    return downloads.keep(row, read, fetch, Path("data"), row.folder)


def kill_before(call, function):
    """`function`, which kills the process in its call number `call` (from 1)."""
    calls = iter(range(1, call))

    def count_requests(*args, **options):
        if next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **options)

    return count_requests


def download_and_die(folder, name, moment):
    """In a process of its own: killed in the fetch (0), or before the move of that number (from 1)."""
    os.chdir(folder)
    if moment:
        os.replace = kill_before(moment, os.replace)
        keep(name)
    Path.write_bytes = kill_before(3, Path.write_bytes)  # the third file
    keep(name)


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize(
    ("name", "moment"), [("mnist", 0), ("mnist", 1), ("cifar10", 0), ("cifar10", 1), ("cifar10", 2)]
)
def test_a_killed_download_leaves_a_whole_data_set_or_none(nowhere, name, moment, joined):
    if joined:
        (nowhere / "data").mkdir()
    process = multiprocessing.get_context("spawn").Process(target=download_and_die, args=(nowhere, name, moment))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    if moment == 2:  # the batches are in their place, the archive of the same is not
        assert len(data.load_data(name).train_labels) == 60
    else:
        with pytest.raises(ConnectionError):  # as if nothing were there
            data.load_data(name)
    assert len(keep(name).train_labels) == len(data.load_data(name).train_labels)  # the next one comes through


class BuiltForAnotherTorch:
    """Finds a torchvision that was built for another version of torch."""

    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist")


def test_a_torchvision_built_for_another_torch_is_not_used_and_mentioned(monkeypatch, capsys):
    monkeypatch.setattr(sys, "meta_path", [BuiltForAnotherTorch(), *sys.meta_path])
    assert not downloads.has_torchvision()
    assert capsys.readouterr().err == (
        "note: torchvision cannot be imported (operator torchvision::nms does not exist); Keras downloads instead\n"
    )


FAILURES = {
    "disk full": (OSError(errno.ENOSPC, "No space left on device"), OSError),
    "not permitted": (PermissionError(errno.EACCES, "Permission denied"), PermissionError),
    "no answer": (TimeoutError("timed out"), ConnectionError),
    "no network": (RuntimeError("Error downloading"), ConnectionError),
    "Ctrl-C": (KeyboardInterrupt(), KeyboardInterrupt),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_download_that_fails_halfway_leaves_nothing(nowhere, case):
    failure, expected = FAILURES[case]

    def fail(row, folder, inside):
        write_idx(folder / inside, stand_in())
        (folder / inside / "t10k-labels-idx1-ubyte.gz").unlink()
        raise failure

    with pytest.raises(expected):
        keep("mnist", fail)
    assert os.listdir(nowhere) == []


def test_a_disk_that_fills_during_the_move_leaves_nothing(nowhere, monkeypatch):
    def full(path, place):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        keep("mnist")
    assert other_files(nowhere) == []
    assert remains(nowhere) == []


def test_the_folder_of_a_killed_download_is_removed_a_day_later(nowhere):
    fresh, old, other = (nowhere / name for name in (f"{downloads.PREFIX}1", f"{downloads.PREFIX}2", ".download-3"))
    for folder in (fresh, old, other):
        write_folder(folder, {"MNIST/raw/half": b"x"})
    for folder in (old, other):
        os.utime(folder, (time.time() - downloads.ABANDONED - 1,) * 2)
    keep("mnist")
    assert sorted(path.name for path in nowhere.iterdir()) == sorted([other.name, fresh.name, "data"])


def test_other_users_may_read_a_download(nowhere):
    """tempfile's folders are private; files that are moved out of one have the permissions of the umask."""
    keep("mnist")
    plain = nowhere / "plain"
    plain.mkdir()
    assert (nowhere / "data/MNIST/raw").stat().st_mode == plain.stat().st_mode
    np.testing.assert_array_equal(data.load_data("mnist").train_images[..., 0], stand_in()[0])
