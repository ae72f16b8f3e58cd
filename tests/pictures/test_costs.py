"""Files that are made to be slow or large: each is refused, or decoded at the cost of an ordinary picture."""

import io
import os
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from kerasnets import pictures
from kerasnets.errors import BadInputError
from kerasnets.pictures import costs, decoder, jpeg, limits, pillow, plain, png
from tests.conftest import ROOT
from tests.pictures.test_bad_pictures import GOOD, NOISE, PHOTO, RGBA, chunk, encoded

SECONDS = 2  # of computing, together with the process that decodes
MIB = 900  # beyond the imports

PNG, JPEG = encoded(PHOTO, "PNG"), encoded(PHOTO, "JPEG")
PROGRESSIVE = encoded(np.full((2000, 2000), 128, np.uint8), "JPEG", progressive=True)
PACKED = chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(7_000_000), 9))
PROFILE = chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(1_000_000), 9))


def noted(count, note, picture=PNG):
    """A PNG with `count` more chunks after its header."""
    return picture[:33] + note * count + picture[33:]


def segments(count, segment=b"\xff\xfe\0\2", picture=JPEG):
    """A JPEG with `count` more segments after its start."""
    return picture[:2] + segment * count + picture[2:]


def scans(count):
    """A progressive JPEG whose last scan comes `count` times more."""
    last = PROGRESSIVE.rindex(b"\xff\xc4")
    return PROGRESSIVE[:-2] + PROGRESSIVE[last:-2] * count + PROGRESSIVE[-2:]


def notes_of(size, entries):
    """EXIF whose `entries` each refer to the same `size` bytes (TIFF 6.0, section 2)."""
    table = b"".join(struct.pack("<HHII", 1000 + i, 7, size, 8) for i in range(entries))
    return b"II*\0" + struct.pack("<I", 8 + size) + bytes(size) + struct.pack("<H", entries) + table + bytes(4)


def gif_of(count):
    """A GIF with `count` comments of a byte before its picture."""
    content = encoded(PHOTO[..., 0], "GIF")
    place = 13 + 3 * 2 ** (1 + (content[10] & 7)) * (content[10] >> 7)
    return content[:place] + b"\x21\xfe\x01x\0" * count + content[place:]


def runs():
    """A BMP of four bits packed in runs of one pixel (BI_RLE8), which Pillow unpacks in Python."""
    side = 4000
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, side * side * 2, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 1078) + header + bytes(1024) + b"\1\7" * side * side


# name -> (what makes the file, words of the refusal; "" if it is decoded)
HOSTILE = {
    "comments.jpg": (lambda: segments(1_000_000), "has more than 4,096 segments; save it again"),
    "comments-cmyk.jpg": (lambda: segments(1_000_000, picture=GOOD["cmyk.jpg"]), "more than 4,096 segments"),
    "filling.jpg": (lambda: segments(20_000_000, b"\xff"), "more than 65,536 bytes between its segments"),
    "rubbish.jpg": (lambda: JPEG[:20] + b"x" * 20_000_000 + JPEG[20:], "more than 65,536 bytes between its segments"),
    "scans.jpg": (lambda: scans(3000), "has more than 100 scans"),
    "notes.jpg": (lambda: segments(900, b"\xff\xe1\xff\xf0Exif\0\0" + notes_of(5500, 5000)[:65_512]), None),
    "chunks.png": (lambda: noted(2_000_000, chunk(b"teSt", b"")), "has more than 20,000 chunks"),
    "pixels.png": (lambda: PNG[:33] + chunk(b"IDAT", b"") * 2_000_000 + PNG[33:], "has more than 20,000 chunks"),
    "texts.png": (lambda: noted(900, PACKED), ""),
    "texts-16-bits.png": (lambda: noted(900, PACKED, GOOD["deep.png"]), ""),
    "profiles.png": (lambda: noted(10_000, PROFILE, GOOD["rgba.png"]), ""),
    "notes.png": (lambda: noted(1, chunk(b"eXIf", notes_of(20_000_000, 300))), ""),
    "digits.ppm": (lambda: b"P3 4000 2500 255\n" + b"0 " * 30_000_000, "takes too long to decode; save it again"),
    "bits.pbm": (lambda: b"P1 7000 7000\n" + b"0" * 49_000_000, "takes too long to decode|^$"),
    "comment.pgm": (lambda: b"P2 8 8 255\n#" + b"1" * 60_000_000 + b"\n" + b"0 " * 64, "takes too long to decode|^$"),
    "deep.pgm": (lambda: b"P5 5000 5000 254\n" + bytes(25_000_000), "takes too long to decode"),
    "comments.gif": (lambda: gif_of(8_000_000), "takes too"),
    "runs.bmp": (runs, "takes too long to decode"),
    "entries.tif": (lambda: notes_of(30_000_000, 300), "takes too much memory|is not a picture|is damaged"),
    "frames.tif": (lambda: encoded(Image.new("L", (6000, 6000)), "TIFF", compression="jpeg"), ""),
}  # fmt: skip

READ = """
import resource, sys
from kerasnets import pictures
from kerasnets.errors import BadInputError
from kerasnets.pictures import decoder, pillow
content = open(sys.argv[1], "rb").read()
pictures.decode(open(sys.argv[2], "rb").read(), "good")
open("/proc/self/clear_refs", "w").write("5")  # the peak of memory begins anew (Linux)
def peak():
    return [int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")][0]
start, before = peak(), resource.getrusage(resource.RUSAGE_SELF)
try:
    pictures.decode(content, "it")
    print("")
except BadInputError as error:
    print(error)
after, child = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, child.ru_utime + child.ru_stime)
print(peak() - start, child.ru_maxrss / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_costs_no_more_than_a_picture(tmp_path, name):
    make, words = HOSTILE[name]
    content = make()
    assert len(content) <= limits.MAX_BYTES
    (tmp_path / name).write_bytes(content)
    (tmp_path / "good").write_bytes(GOOD["rgba.png"])
    done = subprocess.run(
        [sys.executable, "-c", READ, name, "good"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said, seconds, mib = done.stdout.split("\n")[:3]
    print(said, seconds, mib)
    if words is not None:
        assert said.startswith("it ") or not said
        assert bool(said) == bool(words) or "^$" in words
        if said:
            assert any(part in said for part in words.split("|"))
    here, there = map(float, seconds.split())
    assert here < SECONDS
    assert there < 1.5 * SECONDS  # with its start, and the clock of a busy machine
    assert max(map(float, mib.split())) < MIB


# ---- the process that decodes ----


@pytest.mark.parametrize("name", GOOD)
def test_the_process_returns_the_same_pixels(name):
    if name.rpartition(".")[2] in ("avif", "jp2") or name in ("deep.tif", "cmyk.jpg", "rgba.png"):
        picture = decoder.decode(GOOD[name])
        np.testing.assert_array_equal(picture, pillow.decode(GOOD[name]))
        assert picture.flags.writeable


def test_the_process_refuses_in_the_same_words():
    for content in (b"hello", GOOD["rgb.jp2"][:300], GOOD["rgba.png"][:-20]):
        words = []
        for decode in (decoder.decode, pillow.decode):
            with pytest.raises(BadInputError) as caught:
                decode(content)
            words.append(str(caught.value))
        assert words[0] == words[1]


BOUNDED = {name: name not in ("rgb.jp2", "rgb.avif", "jpeg.tif") for name in GOOD}  # the last holds a JPEG


@pytest.mark.parametrize("name", GOOD)
def test_small_pictures_need_no_process_except_of_formats_that_may_hold_more(name, monkeypatch):
    monkeypatch.setattr(decoder, "decode", lambda content: "process")
    picture = pictures.decode(GOOD[name], name)
    assert isinstance(picture, np.ndarray) == BOUNDED[name]


def test_a_large_picture_of_another_format_is_decoded_by_the_process(monkeypatch):
    monkeypatch.setattr(decoder, "decode", lambda content: "process")
    wide = Image.new("RGB", (4000, 2500))
    for form, options in (("GIF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("PPM", {})):
        content = encoded(wide, form, **options).replace(b"\n255\n", b"\n254\n", 1)
        assert isinstance(pictures.decode(content, "x"), str), form
    assert pictures.decode(encoded(wide, "WEBP", lossless=True), "x").shape == (2500, 4000, 3)
    assert pictures.decode(encoded(wide, "BMP"), "x").shape == (2500, 4000, 3)
    assert pictures.decode(encoded(Image.new("RGBA", (4000, 2500)), "PNG"), "x").shape == (2500, 4000, 3)


# ---- structures ----


@pytest.mark.parametrize("form", ["baseline.jpg", "progressive.jpg", "grey.jpg", "exif.jpg", "cmyk.jpg"])
def test_a_jpeg_is_walked_to_its_end(form):
    """Judged by Pillow for the size, and by the count of the marks of scans, which cannot occur in a scan."""
    content = GOOD[form]
    structure = jpeg.structure_of(content + b"more \xff\xd9 and more")
    assert structure.end == len(content)
    assert structure.size == Image.open(io.BytesIO(content)).size
    assert structure.scans == content.count(b"\xff\xda")
    assert structure.is_plain == (form != "cmyk.jpg")


def test_a_jpeg_whose_pixels_have_every_byte_is_walked_to_its_end():
    for seed in range(20):
        noise = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), np.uint8)
        content = encoded(noise, "JPEG", quality=100, progressive=bool(seed % 2))
        assert b"\xff\0" in content
        assert jpeg.structure_of(content).end == len(content)


def test_a_photo_with_more_data_after_its_end_needs_no_pillow(monkeypatch):
    """Motion photos, and the second picture of a stereo camera."""
    monkeypatch.setattr(pillow, "decode", None)
    np.testing.assert_array_equal(pictures.decode(JPEG + PNG, "x"), pictures.decode(JPEG, "x"))


def test_a_png_keeps_few_notes_and_all_that_shows_it():
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "a title")
    content = encoded(RGBA, "PNG", pnginfo=info)
    assert png.structure_of(content).essence == content
    title = chunk(b"tEXt", b"Title\0another")
    for note, most in ((PACKED, 0), (PROFILE, 0), (title, 63), (chunk(b"tEXt", b"Title\0" + bytes(20_000)), 3)):
        essence = png.structure_of(noted(900, note, content)).essence
        assert len(essence) <= len(content) + most * len(note)
    np.testing.assert_array_equal(pillow.decode(essence), pillow.decode(content))


def test_a_good_animation_keeps_its_first_frame():
    with Image.open(io.BytesIO(GOOD["animated.png"])) as image:
        np.testing.assert_array_equal(pictures.decode(GOOD["animated.png"], "x"), np.asarray(image.convert("RGB")))


def test_a_side_of_millions_of_pixels_is_refused():
    with pytest.raises(BadInputError, match="is too large; a side may have 1,048,576 pixels"):
        pictures.decode(encoded(np.zeros((2**20 + 1, 1), np.uint8), "PNG"), "x")


def test_full_memory_is_no_damage(monkeypatch):
    """A machine with little memory must not be told that its picture is damaged."""

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "load", fail)
    with pytest.raises(MemoryError):
        pictures.decode(GOOD["palette.bmp"], "x")

    def fail_in_cv2(*_):
        raise cv2.error("OpenCV: Insufficient memory (Failed to allocate 150000000 bytes)")

    monkeypatch.setattr(cv2, "imdecode", fail_in_cv2)
    with pytest.raises(MemoryError):
        pictures.decode(JPEG, "x")


def test_what_bounds_a_file_is_said_by_its_first_bytes():
    assert costs.is_bounded(b"P6 40 40 255\n" + bytes(2**20))
    assert costs.is_bounded(b"P5 40 40 255 " + bytes(2**20))
    assert not costs.is_bounded(b"P5 40 40 254 " + bytes(2**20))
    assert not costs.is_bounded(b"P3 40 40 255 " + bytes(2**20))
    assert not costs.is_bounded(b"P6 # note\n40 40 255 " + bytes(2**20))
    assert costs.is_bounded(encoded(NOISE, "TIFF") + bytes(2**20))
    assert not costs.is_bounded(b"II*\0\x08\0\0\0\xff\xff" + bytes(2**20))


def test_cheap_pictures_start_no_process_and_import_little():
    code = (
        "import sys; from kerasnets import pictures; pictures.read('docs/samples/three-on-paper.jpg'); "
        "print([name for name in ('PIL', 'subprocess', 'kerasnets.pictures.decoder') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_parts_of_a_plain_picture_are_kept():
    np.testing.assert_array_equal(plain.decode(noted(900, PACKED)), plain.decode(PNG))
