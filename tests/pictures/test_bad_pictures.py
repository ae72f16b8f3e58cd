"""Bad pictures are refused in one line that names them and says what to do; none crashes, hangs or fills memory."""

import io
import json
import os
import random
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from kerasnets import pictures
from kerasnets.errors import BadInputError
from kerasnets.pictures import files
from tests import mutants
from tests.conftest import ROOT, turns

SECONDS = 2  # that one bad picture may take
MIB = 700  # of memory beyond the imports: 50 million pixels are 200 MB in Pillow, 150 each in an array and its copy

NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
PHOTO = cv2.GaussianBlur(NOISE, (0, 0), 5)


def encoded(picture, form, **options):
    """A picture's file by Pillow, as bytes; picture: an array or a Pillow image."""
    file = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(file, form, **options)
    return file.getvalue()


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width, height, bits=8, colour=0, body=b""):
    """Return a PNG (third edition, sections 5 and 11) with the packed pixels `body`."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def part(form, share, **options):
    """A file that breaks off after `share` of it."""
    content = encoded(NOISE, form, **options)
    return content[: int(len(content) * share)]


def changed(content, at, new):
    return content[:at] + new + content[at + len(new) :]


def jpeg_of(width, height):
    """A whole JPEG whose frame says that it is of another size (ITU-T T.81, section B.2.2)."""
    content = encoded(NOISE, "JPEG")
    return changed(content, content.index(b"\xff\xc0") + 5, struct.pack(">HH", height, width))


def floats(value):
    grey = np.full((8, 8), 0.5, np.float32)
    grey[3, 3] = value
    return encoded(Image.fromarray(grey), "TIFF")


PNG, JPEG = encoded(NOISE, "PNG"), encoded(NOISE, "JPEG")
DAMAGED, NONE = "is damaged|is not a picture", "is not a picture that can be read; save it as PNG or JPEG"

# name of the file -> (its content, words of the refusal)
CONTENTS = {
    "empty.png": (b"", "is empty; save or copy it again"),
    "empty.jpg": (b"", "is empty"),
    "one-byte.png": (b"\x89", NONE),
    "one-byte.jpg": (b"\xff", NONE),
    "zeros.png": (bytes(10_000), NONE),
    "noise.jpg": (np.random.default_rng(1).bytes(10_000), NONE),
    "text.png": (b"hello", NONE),
    "page.jpg": (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", NONE),
    "drawing.svg": (b'<svg xmlns="http://www.w3.org/2000/svg"></svg>', NONE),
    "paper.pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", NONE),
    "script.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", NONE),  # Pillow would run it
    "archive.png": (b"PK\x03\x04" + bytes(60), NONE),
    "iphone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(60), NONE),
    "film.gif": (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(60), NONE),
    "array.npy": (b"\x93NUMPY\x01\0v\0{'descr': '|u1', 'shape': (8, 8)}" + bytes(64), NONE),
    "only-signature.png": (PNG[:8], DAMAGED),
    "only-header.png": (PNG[:33], DAMAGED),
    "tenth.png": (part("PNG", 0.1), DAMAGED),
    "half.png": (part("PNG", 0.5), DAMAGED),
    "nearly.png": (PNG[:-30], DAMAGED),
    "only-start.jpg": (JPEG[:2], DAMAGED),
    "only-header.jpg": (JPEG[:200], DAMAGED),
    "tenth.jpg": (part("JPEG", 0.1), DAMAGED),
    "half.jpg": (part("JPEG", 0.5), DAMAGED),
    "nearly.jpg": (part("JPEG", 0.9), DAMAGED),
    "half-progressive.jpg": (part("JPEG", 0.5, progressive=True), DAMAGED),
    "half-grey.jpg": (encoded(NOISE[..., 0], "JPEG")[:1500], DAMAGED),
    "half.gif": (part("GIF", 0.5), DAMAGED),
    "header.gif": (part("GIF", 0.001), DAMAGED),
    "half.webp": (part("WEBP", 0.5), DAMAGED),
    "half-lossless.webp": (part("WEBP", 0.5, lossless=True), DAMAGED),
    "header.webp": (part("WEBP", 0.01), DAMAGED),
    "half.tif": (part("TIFF", 0.5), DAMAGED),
    "half-lzw.tif": (part("TIFF", 0.5, compression="tiff_lzw"), DAMAGED),
    "half-deflate.tif": (part("TIFF", 0.5, compression="tiff_deflate"), DAMAGED),
    "half-jpeg.tif": (part("TIFF", 0.5, compression="jpeg"), DAMAGED),
    "header.tif": (part("TIFF", 0.001), DAMAGED),
    "half.bmp": (part("BMP", 0.5), DAMAGED),
    "header.bmp": (part("BMP", 0.002), DAMAGED),
    "half.ppm": (part("PPM", 0.5), DAMAGED),
    "half.jp2": (part("JPEG2000", 0.3), DAMAGED),
    "half.avif": (part("AVIF", 0.5), DAMAGED),
    "crc.png": (changed(PNG, PNG.index(b"IDAT") + 40, b"\0\0"), "is damaged: a checksum is wrong; save or"),
    "crc-of-header.png": (changed(PNG, 29, b"\0\0\0\0"), DAMAGED),
    "no-pixels.png": (PNG[:33] + chunk(b"IEND", b""), DAMAGED),
    "rubbish-packed.png": (png(64, 64, body=b"rubbish"), DAMAGED),
    "too-few-rows.png": (png(64, 64, body=zlib.compress(bytes(65 * 30))), DAMAGED),
    "depth.png": (png(8, 8, bits=3, body=zlib.compress(bytes(72))), DAMAGED),
    "no-width.png": (png(0, 8, body=zlib.compress(b"")), DAMAGED),
    "no-end.png": (PNG[:-12], "is damaged: its end is missing"),
    "first-chunk.png": (PNG[:8] + PNG[33:], "is damaged: its first chunk is not a PNG header"),
    "no-palette.png": (png(8, 8, colour=3, body=zlib.compress(bytes(72))), DAMAGED),
    "no-size.jpg": (jpeg_of(0, 0), DAMAGED),
    "no-tables.jpg": (JPEG[:2] + JPEG[JPEG.index(b"\xff\xc0") :], DAMAGED),
    "nan.tif": (floats(np.nan), "has values that are NaN or infinite; replace them by numbers of 0 to 1"),
    "infinite.tif": (floats(np.inf), "has values that are NaN or infinite"),
    "negative.tif": (floats(-1), "has values of -1 to 0.5; scale them to 0 to 1"),
    "huge-values.tif": (floats(1e30), "has values of 0.5 to 1e.30; scale them to 0 to 1"),
    "32-bits.tif": (encoded(np.array([[0, 99_999]], np.int32), "TIFF"), "not 0 to 65535 as of 16 bits"),
    "colour-floats.tif": (cv2.imencode(".tif", NOISE / np.float32(255))[1].tobytes(), NONE),
    "heavy.png": (bytes(64_000_001), "has 64 MB; a picture may have 64"),
    "bomb.png": (png(10_000, 10_000, body=zlib.compress(bytes(10_001) * 10_000, 1)), "is too large"),
    "wide.png": (png(2**31 - 1, 1), "is too large; a picture may have 50 million pixels"),
    "endless.png": (png(2**31 - 1, 2**31 - 1), "is too large"),
    "bomb.jpg": (jpeg_of(65_500, 65_500), "is too large"),
    "bomb.gif": (changed(encoded(NOISE, "GIF"), 6, b"\xff\xff\xff\xff"), "is too large"),
    "bomb.bmp": (changed(encoded(NOISE, "BMP"), 18, struct.pack("<ii", 30_000, 30_000)), "is too large"),
    "bomb.ppm": (b"P6 99999 99999 255\n" + bytes(100), "is too large"),
    "bomb.tif": (encoded(Image.new("1", (8000, 8000)), "TIFF", compression="group4"), "is too large"),
    "bomb.jp2": (changed(encoded(NOISE, "JPEG2000"), 48, struct.pack(">II", 60_000, 60_000)), "large|damaged"),
    "two\nlines.png": (b"hello", r"two\\nlines.png is not a picture"),
    "bell\a and \x1b[31mred.png": (b"hello", r"bell\\x07 and \\x1b\[31mred.png is not a picture"),
    ("long" * 60 + ".png"): (b"hello", r"\.\.\..*longlong.png is not a picture"),
    "żółw.png": (b"hello", "żółw.png is not a picture"),
}  # fmt: skip

# name of the file -> (what makes it, words of the refusal)
PLACES = {
    "missing.png": (lambda path: None, "no picture .*: No such file or directory; check the name"),
    "zero\0byte.png": (lambda path: None, r"no picture .*zero\\x00byte.png: embedded null byte; check the name"),
    ("endless" * 60): (lambda path: None, "no picture .*: File name too long; check the name"),
    "folder.png": (lambda path: path.mkdir(), "is a folder, not a picture; name the files in it"),
    "loop.png": (lambda path: path.symlink_to(path), "no picture .*: Too many levels of symbolic links"),
    "nowhere.png": (lambda path: path.symlink_to("/nonexistent/picture.png"), "No such file or directory"),
    "in-a-file.png/a.png": (lambda path: path.parent.write_bytes(PNG), "Not a directory; check the name"),
    "device.png": (lambda path: path.symlink_to("/dev/null"), "is empty; save or copy it again"),
    "zeros.png": (lambda path: path.symlink_to("/dev/zero"), "does not end; a picture may have 64 MB"),
    "closed-pipe.png": (lambda path: os.mkfifo(path), "has not ended after 2 seconds; save the picture as a"),
    "socket.png": (lambda path: socket.socket(socket.AF_UNIX).bind(str(path)), "No such device or address"),
}


def refusal(path):
    """Return the words of the refusal, after checking their form."""
    begun = time.process_time()  # not wall time: other tests run at the same time
    with pytest.raises(BadInputError) as caught:
        pictures.read(path)
    assert time.process_time() - begun < SECONDS
    words = str(caught.value)
    assert words.isprintable()  # one line, too
    assert len(words) <= 200
    assert ";" in words  # and what to do
    return words


@pytest.mark.parametrize("name", CONTENTS)
def test_a_bad_file_is_refused_in_one_line_that_names_it(tmp_path, name):
    content, words = CONTENTS[name]
    (tmp_path / name).write_bytes(content)
    assert name.encode("unicode_escape").decode()[-20:] in refusal(tmp_path / name) or not name.isascii()
    with pytest.raises(BadInputError, match=words):
        pictures.read(tmp_path / name)


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_bad_place_is_refused_in_one_line_that_names_it(tmp_path, name):
    make, words = PLACES[name]
    make(tmp_path / name)
    assert name.encode("unicode_escape").decode()[-20:] in refusal(tmp_path / name)
    with pytest.raises(BadInputError, match=words):
        pictures.read(tmp_path / name)


def test_a_picture_without_read_permission_is_refused(tmp_path):
    """Read by another user in a child process: root may read everything."""
    (tmp_path / "secret.png").write_bytes(PNG)
    (tmp_path / "secret.png").chmod(0)
    code = (
        f"import os; from kerasnets import pictures; os.geteuid() or os.setuid(65534); "
        f"pictures.read({str(tmp_path / 'secret.png')!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].endswith("secret.png: Permission denied; check the name")


@pytest.mark.parametrize("drip", [None, b"x"])
def test_a_pipe_that_never_ends_is_refused(drip, monkeypatch):
    """One that is silent, and one that sends a byte now and then."""
    monkeypatch.setattr(files, "PIPE_SECONDS", 0.5)
    descriptor, end = os.pipe()
    stopped = threading.Event()

    def send():
        while drip and not stopped.wait(0.05):
            os.write(end, drip)

    sender = threading.Thread(target=send)
    sender.start()
    begun = time.monotonic()
    with pytest.raises(BadInputError, match=r"has not ended after 0\.5 seconds; save the picture as a file first"):
        pictures.read(f"/dev/fd/{descriptor}")
    assert time.monotonic() - begun < SECONDS
    stopped.set()
    sender.join()
    os.close(end)
    os.close(descriptor)


def test_a_bomb_is_refused_before_it_is_decoded():
    """100 megapixels of zeros are 100 kB of PNG, and would be 300 MB of pixels."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadInputError, match="is too large"):
        pictures.decode(CONTENTS["bomb.png"][0], "bomb.png")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


ANSWERED = {
    "1x1": np.full((1, 1, 3), 90, np.uint8),
    "1x20000": np.full((1, 20_000, 3), 90, np.uint8),
    "20000x1": np.full((20_000, 1, 3), 90, np.uint8),
    "one colour": np.full((50, 60, 3), 90, np.uint8),
}


@pytest.mark.parametrize("name", ANSWERED)
def test_an_odd_picture_is_answered_as_a_picture_and_refused_as_a_digit(name):
    picture = pictures.decode(encoded(ANSWERED[name], "PNG"), name)
    np.testing.assert_array_equal(picture, ANSWERED[name])
    assert (pictures.prepare(picture, "picture", (32, 32, 3)) == 90).all()
    for kind in ("mnist", "mnist_padded", "fashion"):
        with pytest.raises(BadInputError, match=f"^{name} .*all of one colour; "):
            pictures.prepare(picture, kind, (32, 32, 1), name)


def test_data_after_the_end_of_a_picture_is_ignored():
    """Some cameras add data of their own after a JPEG's end."""
    for content in (JPEG, PNG):
        np.testing.assert_array_equal(pictures.decode(content + b"more", "x"), pictures.decode(content, "x"))


# ---- mutated pictures ----

EXIF = Image.Exif()
EXIF[0x0112] = 6
GREY, PALETTE = PHOTO[..., 0], Image.fromarray(PHOTO).quantize(16)
RGBA = np.dstack([PHOTO, GREY])
MORE = {"save_all": True, "append_images": [Image.fromarray(NOISE)]}

GOOD = {
    "baseline.jpg": encoded(PHOTO, "JPEG"),
    "exif.jpg": encoded(PHOTO, "JPEG", exif=EXIF),
    "progressive.jpg": encoded(PHOTO, "JPEG", progressive=True),
    "grey.jpg": encoded(GREY, "JPEG"),
    "cmyk.jpg": encoded(Image.fromarray(PHOTO).convert("CMYK"), "JPEG"),
    "rgb.png": encoded(PHOTO, "PNG"),
    "exif.png": encoded(PHOTO, "PNG", exif=EXIF),
    "rgba.png": encoded(RGBA, "PNG"),
    "palette.png": encoded(PALETTE, "PNG", transparency=3),
    "deep.png": cv2.imencode(".png", PHOTO * np.uint16(257))[1].tobytes(),
    "animated.png": encoded(PHOTO, "PNG", **MORE),
    "palette.gif": encoded(PALETTE, "GIF"),
    "animated.gif": encoded(PHOTO, "GIF", **MORE),
    "lossy.webp": encoded(PHOTO, "WEBP"),
    "lossless.webp": encoded(RGBA, "WEBP", lossless=True),
    "animated.webp": encoded(PHOTO, "WEBP", **MORE),
    "raw.tif": encoded(PHOTO, "TIFF"),
    "lzw.tif": encoded(PHOTO, "TIFF", compression="tiff_lzw"),
    "deflate.tif": encoded(RGBA, "TIFF", compression="tiff_deflate"),
    "jpeg.tif": encoded(PHOTO, "TIFF", compression="jpeg"),
    "deep.tif": cv2.imencode(".tif", GREY * np.uint16(257))[1].tobytes(),
    "float.tif": encoded(Image.fromarray(GREY / np.float32(255)), "TIFF"),
    "rgb.bmp": encoded(PHOTO, "BMP"),
    "palette.bmp": encoded(PALETTE, "BMP"),
    "rgb.ppm": encoded(PHOTO, "PPM"),
    "rgb.jp2": encoded(PHOTO, "JPEG2000"),
    "rgb.avif": encoded(PHOTO, "AVIF"),
}


def flip_bits(content, rng):
    for _ in range(rng.choice((1, 1, 3, 20))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def flip_in_header(content, rng):
    for _ in range(rng.choice((1, 2, 5))):
        content[rng.randrange(min(80, len(content)))] ^= 1 << rng.randrange(8)


def cut(content, rng):
    del content[rng.randrange(len(content)) :]


def cut_out(content, rng):
    start = rng.randrange(len(content))
    del content[start : start + rng.randrange(1, 200)]


def swap_blocks(content, rng):
    size = rng.randrange(1, len(content) // 3)
    first, second = sorted(rng.randrange(len(content) - size) for _ in range(2))
    content[first : first + size], content[second : second + size] = (
        content[second : second + size], content[first : first + size])  # fmt: skip


def overwrite(content, rng):
    start, size = rng.randrange(len(content)), rng.randrange(1, 100)
    content[start : start + size] = rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size)))


def repeat(content, rng):
    start = rng.randrange(len(content))
    content[start:start] = content[start : start + rng.randrange(1, 300)]


def multiply(content, rng):
    """Repeat a part many times, as the segments, chunks or scans that it may hold."""
    start, size = rng.randrange(len(content)), rng.randrange(1, 100)
    content[start:start] = content[start : start + size] * rng.choice((100, 1000, 20_000))


MUTATIONS = (flip_bits, flip_in_header, cut, cut_out, swap_blocks, overwrite, repeat, multiply)


def read_mutated(count, seed):
    """Read `count` mutated pictures, in a process of its own, and print the results as JSON."""
    rng = random.Random(seed)
    for content in GOOD.values():  # late imports happen before memory is measured
        pictures.decode(content, "good")
    allowed = max(mutants.cost(lambda content: pictures.decode(content, "good"), each)[2] for each in GOOD.values())
    found = {"answered": 0, "refused": 0, "wrong": [], "seconds": 0.0, "slowest": "", "mib": 0, "largest": ""}

    def ask(content):
        picture = pictures.decode(content, "mutated.png")
        assert (picture.dtype, picture.ndim, picture.shape[2]) == (np.uint8, 3, 3)

    for i in range(count):
        name, mutation = rng.choice(list(GOOD)), rng.choice(MUTATIONS)
        content = bytearray(GOOD[name])
        mutation(content, rng)
        if name.endswith(".png") and rng.random() < 0.7:
            mutants.mend(content)
        about = f"{i} {mutation.__name__} {name}"
        error, seconds, mebibytes = mutants.cost(ask, bytes(content))
        found["refused" if error else "answered"] += 1
        is_refusal = isinstance(error, BadInputError) and str(error).isprintable() and len(str(error)) <= 200
        if error and not is_refusal:
            found["wrong"].append(f"{about}: {error!r}")
        if seconds > found["seconds"]:
            found["seconds"], found["slowest"] = seconds, about
        if mebibytes - allowed > found["mib"]:
            found["mib"], found["largest"] = round(mebibytes - allowed), about
    print(json.dumps(found))


@pytest.mark.parametrize("turn", turns(10))
def test_a_mutated_picture_is_answered_or_refused(turn):
    code = f"from tests.pictures.test_bad_pictures import read_mutated; read_mutated(500, {turn})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]  # below 0: the process has crashed
    found = json.loads(done.stdout)
    print(found)
    assert found["wrong"] == []
    assert found["answered"] + found["refused"] == 500
    assert found["seconds"] < SECONDS, found["slowest"]
    assert found["mib"] < MIB, found["largest"]
