"""Files are written whole or not at all."""

import errno
import os
import stat
import time

import pytest

from kerasnets.runtime import atomic
from kerasnets.runtime.atomic import whole_file


def test_a_file_takes_its_place_when_the_block_ends(tmp_path):
    path = tmp_path / "new/folder/a.txt"
    with whole_file(path) as part:
        part.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["a.txt"]


def test_a_file_stays_when_the_block_fails(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half():
        with whole_file(path) as part:
            part.write_text("half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_others_may_read_it_as_the_umask_allows(tmp_path):
    with whole_file(tmp_path / "a.txt") as part:
        part.write_text("new")
    plain = tmp_path / "plain.txt"
    plain.touch()
    assert (tmp_path / "a.txt").stat().st_mode == plain.stat().st_mode


def test_what_a_killed_writer_left_is_swept_away_an_hour_later(tmp_path):
    fresh, old, other = (tmp_path / name for name in (".a-1.part.txt", ".a-2.part.txt", ".b-1.part.txt"))
    for path in (fresh, old, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (time.time() - atomic.ABANDONED - 1,) * 2)
    with whole_file(tmp_path / "a.txt") as part:
        part.write_text("new")
    assert fresh.exists()
    assert not old.exists()
    assert other.exists()


def test_a_folder_in_the_way_is_named(tmp_path):
    (tmp_path / "a.txt").mkdir()
    for writing in (atomic.check_writable, lambda path: whole_file(path).__enter__()):
        with pytest.raises(IsADirectoryError) as caught:
            writing(tmp_path / "a.txt")
        assert caught.value.filename == str(tmp_path / "a.txt")


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "folder").touch()
    with pytest.raises(OSError) as caught:  # noqa: PT011 - FileExistsError or NotADirectoryError, by platform
        atomic.check_writable(tmp_path / "folder/a.keras")
    assert caught.value.filename == str(tmp_path / "folder/a.keras")


# ---- manners ----


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o666])
def test_a_replaced_file_keeps_its_permissions(tmp_path, mode):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(mode)
    with whole_file(path) as part:
        assert part.stat().st_mode & 0o077 & ~mode == 0  # nor may others read the part file
        part.write_text("new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", mode)


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_a_link(tmp_path, exists):
    (tmp_path / "disk").mkdir()
    if exists:
        (tmp_path / "disk/content").write_text("old")
    (tmp_path / "second.keras").symlink_to("disk/content")
    (tmp_path / "first.keras").symlink_to(tmp_path / "second.keras")
    with whole_file(tmp_path / "first.keras") as part:
        assert part.suffix == ".keras"  # by which writers choose the format
        part.write_text("new")
    assert (tmp_path / "first.keras").is_symlink()
    assert (tmp_path / "second.keras").is_symlink()
    assert (tmp_path / "disk/content").read_text() == "new"
    assert os.listdir(tmp_path / "disk") == ["content"]


def test_a_folder_keeps_its_link_and_its_permissions(tmp_path):
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("disk")
    with atomic.whole_folder(tmp_path / "link") as part:
        (part / "a").write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "disk/a").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "disk").stat().st_mode) == 0o700


def test_a_link_in_a_circle_is_named(tmp_path):
    (tmp_path / "a.txt").symlink_to("b.txt")
    (tmp_path / "b.txt").symlink_to("a.txt")
    with pytest.raises(OSError, match=r"a\.txt") as caught:
        whole_file(tmp_path / "a.txt").__enter__()
    assert caught.value.errno == errno.ELOOP


def test_a_pipe_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "a.txt")
    with pytest.raises(OSError, match="is no regular file; name another place"):
        atomic.check_writable(tmp_path / "a.txt")


@pytest.mark.parametrize("letter", ["x", "é", "中"])
def test_a_name_of_the_longest_kind_is_written(tmp_path, letter):
    name = letter * (245 // len(letter.encode())) + ".keras"
    for content in ("old", "new"):
        with whole_file(tmp_path / name) as part:
            part.write_text(content)
    assert (tmp_path / name).read_text() == "new"
    assert os.listdir(tmp_path) == [name]


def test_the_umask_of_the_process_is_never_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask belongs to all threads"))
    with whole_file(tmp_path / "a.txt") as part, atomic.whole_folder(tmp_path / "folder"):
        part.write_text("new")


def unable(number, is_meant=lambda arguments: True):
    """A function of `os` on a file system that lacks it."""

    def call(*arguments, **options):
        if is_meant(arguments):
            raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize(("name", "number", "loss"), [
    ("fsync", errno.EINVAL, "a power cut may undo the newest changes"),
    ("chmod", errno.EPERM, "files do not keep their permissions"),
])  # fmt: skip
def test_what_a_file_system_lacks_is_left_out_and_said_once(tmp_path, monkeypatch, capsys, name, number, loss):
    def is_meant(arguments):
        return name != "fsync" or stat.S_ISDIR(os.fstat(arguments[0]).st_mode)

    for file in ("a.txt", "b.txt"):
        (tmp_path / file).write_text("old")
        (tmp_path / file).chmod(0o666)  # more than the umask leaves
    monkeypatch.setattr(atomic, "_noted", set())
    monkeypatch.setattr(os, name, unable(number, is_meant))
    for file in ("a.txt", "b.txt"):
        with whole_file(tmp_path / file) as part:
            part.write_text("new")
        assert (tmp_path / file).read_text() == "new"
    told = capsys.readouterr().err
    assert told.startswith(f"note: on the file system of {tmp_path}")
    assert told.endswith(f", {loss} ({os.strerror(number)})\n")
    assert told.count("\n") == 1


def test_a_disk_that_fails_is_no_file_system_that_lacks_something(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("old")
    monkeypatch.setattr(os, "fsync", unable(errno.EIO, lambda arguments: stat.S_ISDIR(os.fstat(arguments[0]).st_mode)))
    with pytest.raises(OSError, match=r"a\.txt"), whole_file(tmp_path / "a.txt") as part:
        part.write_text("new")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_write_that_loses_bytes_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: os.ftruncate(handle, 5000))
    with pytest.raises(OSError, match="Input/output error"):
        atomic.write_all(tmp_path / "a.bin", memoryview(bytes(9000)))


def test_a_file_that_goes_with_another_is_put_back_if_the_other_fails(tmp_path):
    old, new = tmp_path / "old.bin", tmp_path / "new.bin"
    old.write_text("old")

    def write_and_fail(path):
        with atomic.backup(path):
            with atomic.whole_file(path) as part:
                part.write_text("new")
            raise OSError("full")

    for path in (old, new):
        with pytest.raises(OSError, match="full"):
            write_and_fail(path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"old.bin": "old"}
    with atomic.backup(old), atomic.whole_file(old) as part:
        part.write_text("new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"old.bin": "new"}
