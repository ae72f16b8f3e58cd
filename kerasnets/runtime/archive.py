"""Zip archives of any origin, read within bounds that hold whatever the archive declares about itself."""

import io
import os
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PIECE = 2**20  # bytes read or inflated at once
DIRECTORY = 2**26  # bytes of the table of contents, at most
ENTRY = b"PK\1\2"  # how an entry of the table begins (PKWARE APPNOTE.TXT, section 4.3.12)
LOCAL, HEADER = b"PK\3\4", 30  # how the header before the content begins, and its bytes (section 4.3.7)
ENCRYPTED, UTF8 = 1, 2**11  # bits of an entry's flags

# Errors that zipfile, NumPy and json raise for a damaged archive of arrays. RuntimeError: a flipped bit marks an entry
# as encrypted.
DAMAGE = (
    OSError, EOFError, ValueError, KeyError, TypeError, ArithmeticError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class Archive:
    """A zip archive of stored and deflated entries with different names, which are not too large together.

    No entry inflates to more or less than the size that the archive declares for it, and to no other content than its
    checksum says, so another reader of the file is safe after `check`. Threads may read at the same time.

    Args:
        path: The file. Other content may stand before the archive.
        most: Bytes of all entries together, unpacked.
        entries: The most entries.

    Raises:
        zipfile.BadZipFile: It is not such an archive, or damaged.
        OSError: It cannot be read.

    Example:
        >>> import tempfile
        >>> path = f"{tempfile.mkdtemp()}/a.zip"
        >>> with zipfile.ZipFile(path, "w") as file:
        ...     file.writestr("a.txt", "some text")
        >>> with Archive(path, most=1000, entries=10) as archive:
        ...     bytes(archive.read("a.txt"))
        b'some text'
    """

    def __init__(self, path: str | Path, most: int, entries: int) -> None:
        self.file = _File(path, entries)
        self.lock = threading.Lock()
        try:
            listed = zipfile.ZipFile(self.file).infolist()
            self.file.most_entries = None
            self.entries = {entry.filename: entry for entry in listed}
            if len(self.entries) < len(listed):
                twice, _ = Counter(entry.filename for entry in listed).most_common(1)[0]
                raise zipfile.BadZipFile(f"two entries have the name {twice!r:.40}")
            self._check_sizes(most)
        except (MemoryError, zipfile.BadZipFile):
            self.file.close()
            raise
        except Exception as error:  # OSError, ValueError, NotImplementedError, struct.error, ..., by the damage
            self.file.close()
            raise zipfile.BadZipFile(str(error)) from error

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.file.close()

    def __del__(self) -> None:
        if hasattr(self, "file"):
            self.close()

    @property
    def names(self) -> list[str]:
        return list(self.entries)

    def size(self, name: str) -> int:
        """Return the bytes of an entry, unpacked."""
        return self.entries[name].file_size

    def is_packed(self, name: str) -> bool:
        return self.entries[name].compress_type != zipfile.ZIP_STORED

    def begin(self, name: str) -> int:
        """Return where in the file the header of an entry begins; of the first entry, where the archive does."""
        return self.entries[name].header_offset

    def start(self, name: str) -> int:
        """Return where in the file the content of an entry begins."""
        entry = self.entries[name]
        place = max(0, entry.header_offset)
        header = self._read_at(place, HEADER)
        length, extra = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
        text = self._read_at(place + HEADER, length).decode("utf-8" if entry.flag_bits & UTF8 else "cp437", "replace")
        if entry.header_offset < 0 or not header.startswith(LOCAL) or text != entry.orig_filename:
            raise zipfile.BadZipFile(f"{name!r:.40} does not begin where it should")
        return entry.header_offset + HEADER + length + extra

    def read(self, name: str) -> bytearray:
        """Return the content of an entry; raise BadZipFile if it is damaged."""
        content = bytearray()
        for piece in self.pieces(name):
            content += piece
        return content

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield the content of an entry; raise BadZipFile if it is damaged, at the latest after the last piece."""
        entry = self.entries[name]
        left, checksum = entry.file_size, 0
        for piece in self._inflate(name) if self.is_packed(name) else self._packed(name):
            left -= len(piece)
            if left < 0:
                raise zipfile.BadZipFile(f"{name!r:.40} is longer than it declares")
            checksum = zlib.crc32(piece, checksum)
            yield piece
        if left or checksum != entry.CRC:
            raise zipfile.BadZipFile(f"{name!r:.40} {'is cut short' if left else 'fails its checksum'}")

    def check(self) -> None:
        """Raise BadZipFile if an entry is damaged."""
        for name in self.entries:
            for _ in self.pieces(name):
                pass

    def _read_at(self, place: int, size: int) -> bytes:
        """Return up to `size` bytes from `place` on; threads read at once if the system has a call for it."""
        if place >= self.file.size:  # also a number that no system call takes
            return b""
        if hasattr(os, "pread"):
            return os.pread(self.file.fileno(), size, place)
        with self.lock:
            self.file.seek(place)
            return self.file.read(size)

    def _packed(self, name: str) -> Iterator[bytes]:
        place, left = self.start(name), self.entries[name].compress_size
        while left:
            piece = self._read_at(place, min(PIECE, left))
            if not piece:
                raise zipfile.BadZipFile(f"{name!r:.40} is cut short")
            place, left = place + len(piece), left - len(piece)
            yield piece

    def _inflate(self, name: str) -> Iterator[bytes]:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for packed in self._packed(name):
                while packed and not inflater.eof:
                    yield inflater.decompress(packed, PIECE)
                    packed = inflater.unconsumed_tail
        except zlib.error as error:
            raise zipfile.BadZipFile(f"{name!r:.40} cannot be inflated ({error})") from error
        if not inflater.eof:
            raise zipfile.BadZipFile(f"{name!r:.40} is cut short")

    def _check_sizes(self, most: int) -> None:
        for name, entry in self.entries.items():
            if entry.flag_bits & ENCRYPTED:
                raise zipfile.BadZipFile(f"{name!r:.40} is encrypted")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise zipfile.BadZipFile(f"{name!r:.40} is packed in another way than stored or deflated")
        if sum(entry.compress_size for entry in self.entries.values()) > self.file.size:
            raise zipfile.BadZipFile("its entries overlap")
        if sum(entry.file_size for entry in self.entries.values()) > most:
            raise zipfile.BadZipFile("it unpacks to far more than its size")


class LargeTableError(zipfile.BadZipFile):
    """The table of contents would take too much memory; the archive may be a good one."""


class _File(io.FileIO):
    """A file of which zipfile may read a table of `entries` entries: it makes an object of each at once."""

    def __init__(self, path: str | Path, entries: int) -> None:
        super().__init__(path)
        self.size = self.seek(0, io.SEEK_END)
        self.most_entries: int | None = entries  # None when the table is read

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0 or self.most_entries is None:
            return super().read(-1 if size is None else size) or b""
        if size > DIRECTORY:
            raise LargeTableError("its table of contents is too large")
        content = super().read(size) or b""
        if content.count(ENTRY) > self.most_entries:
            raise LargeTableError(f"it has more than {self.most_entries:,} entries")
        return content
