"""Files are written whole or not at all."""

import os
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
