"""Archives of any origin are read within bounds, whatever they declare."""

import bz2
import struct
import threading
import zipfile
import zlib

import numpy as np
import pytest

from kerasnets.runtime.archive import PIECE, Archive
from tests.zips import deflated, stored, write_zip

TEXT = b"some text " * 99


def read(path, most=10**6, entries=100):
    with Archive(path, most, entries) as archive:
        archive.check()
        return {name: bytes(archive.read(name)) for name in archive.names}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("before", [b"", b"another file's content"])
def test_an_archive_of_zipfile_has_the_content_that_was_written(tmp_path, method, before):
    contents = {"a.txt": TEXT, "b/": b"", "b/empty": b"", "b/numbers": np.random.default_rng(0).bytes(3 * PIECE + 5)}
    path = tmp_path / "a.zip"
    path.write_bytes(before)
    with zipfile.ZipFile(path, "a", method) as file:
        for name, content in contents.items():
            file.writestr(name, content)
    assert read(path, most=4 * PIECE) == contents


def inflated_to_more():
    """An entry whose stream goes on beyond its size; the checksum is of the size."""
    return ("a", 8, deflated("a", TEXT + bytes(10**8))[2], len(TEXT), zlib.crc32(TEXT))


BAD = {
    "bzip2": ([("a", 12, bz2.compress(TEXT), len(TEXT), zlib.crc32(TEXT))], "another way than stored or deflated"),
    "lzma": ([("a", 14, TEXT, len(TEXT), 0)], "another way than stored or deflated"),
    "unknown": ([("a", 99, TEXT, len(TEXT), 0)], "another way than stored or deflated"),
    "name twice": ([stored("b", TEXT), stored("a", TEXT), stored("a", b"x")], "two entries have the name 'a'"),
    "longer, stored": ([("a", 0, TEXT, 9, zlib.crc32(TEXT[:9]))], "longer than it declares"),
    "shorter, stored": ([("a", 0, TEXT, 9999, zlib.crc32(TEXT))], "is cut short"),
    "longer, deflated": ([inflated_to_more()], "longer than it declares"),
    "shorter, deflated": ([(*deflated("a", TEXT)[:3], 9999, zlib.crc32(TEXT))], "is cut short"),
    "deflated and cut": ([("a", 8, deflated("a", TEXT)[2][:-3], len(TEXT), zlib.crc32(TEXT))], "is cut short"),
    "not deflated": ([("a", 8, b"\xff" * 9, 9, 0)], "cannot be inflated"),
    "checksum": ([("a", 0, TEXT, len(TEXT), 1)], "fails its checksum"),
    "large": ([deflated("a", bytes(10**6 + 1))], "unpacks to far more"),
    "large together": ([deflated(str(i), bytes(10**5)) for i in range(11)], "unpacks to far more"),
    "many entries": ([stored(str(i), b"") for i in range(101)], "more than 100 entries"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_archive_is_refused(tmp_path, case):
    entries, words = BAD[case]
    path = tmp_path / "a.zip"
    write_zip(path, entries)
    with pytest.raises(zipfile.BadZipFile, match=words):
        read(path)


def test_an_entry_with_two_names_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    write_zip(path, [stored("safe", TEXT)])
    path.write_bytes(path.read_bytes().replace(b"safe", b"evil", 1))  # in the header before its content
    with pytest.raises(zipfile.BadZipFile, match="does not begin where it should"):
        read(path)


def test_overlapping_entries_are_refused(tmp_path):
    path = tmp_path / "a.zip"
    write_zip(path, [stored("a", TEXT), *[(str(i), 0, b"", len(TEXT), 0) for i in range(9)]])
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\1\2")
    for _ in range(10):  # each points at the first entry's content
        struct.pack_into("<I", content, place + 20, len(TEXT))
        struct.pack_into("<I", content, place + 42, 0)
        place = content.find(b"PK\1\2", place + 4)
    path.write_bytes(content)
    with pytest.raises(zipfile.BadZipFile, match="overlap"):
        read(path)


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        Archive(tmp_path / "none.zip", 1, 1)


def test_threads_read_one_archive(tmp_path):
    path = tmp_path / "a.zip"
    contents = {str(i): np.random.default_rng(i).bytes(50_000) for i in range(64)}
    write_zip(path, [(deflated if int(name) % 2 else stored)(name, content) for name, content in contents.items()])
    results = {}
    with Archive(path, 10**7, 100) as archive:

        def work(first):
            for name in archive.names[first:] + archive.names[:first]:
                results[first, name] = bytes(archive.read(name)) == contents[name]

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 8 * 64
    assert all(results.values())


def test_mutated_archives_are_refused_or_have_their_content(tmp_path):
    """The table, the headers and the streams are changed; checksums that fit the change cannot be made by chance."""
    rng, path = np.random.default_rng(0), tmp_path / "a.zip"
    contents = {"a": TEXT, "b": rng.bytes(300), "c": b""}
    write_zip(path, [stored("a", TEXT), deflated("b", contents["b"]), stored("c", b"")])
    good, refused = path.read_bytes(), 0
    for _ in range(400):
        changed = bytearray(good)
        place = int(rng.integers(len(changed)))
        changed[place] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, changed[place] ^ 1 << rng.integers(8)]))
        path.write_bytes(changed)
        try:
            assert set(read(path).values()) <= set(contents.values())
        except zipfile.BadZipFile:
            refused += 1
    assert refused > 200
