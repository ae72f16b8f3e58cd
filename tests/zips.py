"""Zip archives written by hand, so that they can lie about their entries."""

import struct
import zlib


def write_zip(path, entries):
    """Write entries in order, each as (name, compression method, packed content, declared size, checksum).

    A name may be bytes of any encoding; no flag says which.
    """
    out, table = bytearray(), bytearray()
    for name, method, content, size, checksum in entries:
        place, name = len(out), name if isinstance(name, bytes) else name.encode()
        facts = struct.pack("<HHHHHIIIHH", 46, 0, method, 0, 33, checksum, len(content), size, len(name), 0)
        out += b"PK\3\4" + facts + name + content
        table += b"PK\1\2" + struct.pack("<H", 46) + facts + struct.pack("<HHHII", 0, 0, 0, 0, place) + name
    end = struct.pack("<HHHHIIH", 0, 0, len(entries), len(entries), len(table), len(out), 0)
    path.write_bytes(bytes(out + table) + b"PK\5\6" + end)


def stored(name, content):
    return name, 0, content, len(content), zlib.crc32(content)


def deflated(name, content):
    deflater = zlib.compressobj(9, wbits=-15)
    return name, 8, deflater.compress(content) + deflater.flush(), len(content), zlib.crc32(content)
