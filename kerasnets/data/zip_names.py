"""The names in a zip that does not say how they are encoded: some programs of Windows and macOS leave that out.

Source: the ZIP specification (APPNOTE 6.3.10, appendix D) has code page 437 unless a flag says UTF-8. Programs write
the code page of their Windows instead: 936 in China, 932 in Japan, 949 in Korea, 950 in Taiwan.
"""

import re
import zipfile
from collections.abc import Iterable, Mapping

from kerasnets.errors import note

UTF8 = 0x800  # the flag of an entry
# Encoding -> the characters beyond ASCII that names are usually made of. The strict encodings know the frequent
# characters alone; half and full widths of Latin letters, and half-width katakana, are what other encodings look like.
ENCODINGS = {
    "gb2312": "[\u4e00-\u9fff]",
    "shift_jis": "[\u3005\u3041-\u3096\u30a1-\u30fe\u4e00-\u9fff]",
    "euc_kr": "[\uac00-\ud7a3]",
    "big5": "[\u4e00-\u9fff]",
}
LAST_FREQUENT = 0xC6  # lead byte of the frequent characters in Big5


def names_of(entries: Mapping[str, zipfile.ZipInfo], title: str) -> dict[str, str]:
    """Return {name in the archive: its name in the right encoding}; print a note if that is not certain.

    Args:
        entries: Of an archive, by their names as zipfile decodes them.
        title: Of the archive, for the note.
    """
    unflagged = [
        name for name, entry in entries.items()
        if not (name.isascii() or entry.flag_bits & UTF8) and name == entry.filename == entry.orig_filename
    ]  # fmt: skip
    raw = {name: name.encode("cp437") for name in unflagged}
    encoding = encoding_of(raw.values())
    if encoding:
        return {name: raw[name].decode(encoding) if name in raw else name for name in entries}
    if odd := [name for name in unflagged if not re.fullmatch(r"[\w\s]*", re.sub("[\x00-\x7f]", "", name))]:
        note(
            f"names in {title} are in an unknown encoding and are read as {odd[0]!r:.40}; unpack it by unzip "
            "-O gbk (or shift-jis, euc-kr, big5), and name the folder, or pack that again"
        )
    return {name: name for name in entries}


def encoding_of(names: Iterable[bytes]) -> str | None:
    """Return the encoding of names: UTF-8 if it can be that, or the only possible one; None if it is not certain."""
    names = list(names)
    if not names:
        return None
    if all(can_be(name, "utf-8", ".") for name in names):
        return "utf-8"
    possible = [name for name, usual in ENCODINGS.items() if all(can_be(each, name, usual) for each in names)]
    return possible[0] if len(possible) == 1 else None


def can_be(name: bytes, encoding: str, usual: str) -> bool:
    """Whether bytes are text in an encoding, of ASCII and the usual characters."""
    try:
        text = name.decode(encoding)
    except UnicodeDecodeError:
        return False
    others = re.sub("[\x00-\x7f]", "", text)
    is_frequent = encoding != "big5" or all(other.encode(encoding)[0] <= LAST_FREQUENT for other in others)
    return re.fullmatch(f"({usual})*", others, re.DOTALL) is not None and is_frequent
