"""From picture files to pixels: each rule against Pillow, OpenCV, or NumPy by hand."""

import io
import os
import struct
import subprocess
import sys
import threading
import warnings
import zipfile
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_image

from kerasnets import pictures
from kerasnets.errors import BadInputError
from kerasnets.pictures import pillow, plain
from tests.conftest import ROOT

RED = (200, 30, 60)  # RGB
NOISE = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
DEEP = np.random.default_rng(1).integers(0, 65536, (12, 20, 3), np.uint16)


def encoded(picture, form, **options):
    """A picture's file by Pillow, as bytes; picture: an array or a Pillow image."""
    file = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(file, form, **options)
    return file.getvalue()


def by_opencv(picture, suffix):
    """A picture's file by OpenCV, as bytes; picture: grey, RGB or RGBA."""
    if picture.ndim == 3:
        picture = picture[..., [2, 1, 0, *range(3, picture.shape[2])]]
    return cv2.imencode(suffix, picture)[1].tobytes()


def png(width, height, bits, colour, rows, *chunks):
    """Return a PNG of raw rows (PNG, third edition, section 11.2); chunks: (name, body), before the pixels."""
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    scanlines = zlib.compress(b"".join(b"\0" + row for row in rows))
    content = b"\x89PNG\r\n\x1a\n"
    for name, body in (header, *chunks, (b"IDAT", scanlines), (b"IEND", b"")):
        content += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return content


# ---- colours ----


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF", "PPM", "JPEG2000", "AVIF"])
def test_colours_come_as_rgb(form):
    picture = pictures.decode(encoded(Image.new("RGB", (20, 12), RED), form), "red")
    assert (picture.shape, picture.dtype, picture.flags.writeable) == ((12, 20, 3), np.uint8, True)
    np.testing.assert_allclose(picture.reshape(-1, 3), np.tile(RED, (240, 1)), atol=3)


LOSSLESS = {
    "png": encoded(NOISE, "PNG"),
    "by hand": png(20, 12, 8, 2, [row.tobytes() for row in NOISE]),
    "bmp": encoded(NOISE, "BMP"),
    "webp": encoded(NOISE, "WEBP", lossless=True),
    "tiff": encoded(NOISE, "TIFF"),
    "lzw": encoded(NOISE, "TIFF", compression="tiff_lzw"),
    "ppm": encoded(NOISE, "PPM"),
    "jpeg2000": encoded(NOISE, "JPEG2000"),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_keep_every_pixel(name):
    np.testing.assert_array_equal(pictures.decode(LOSSLESS[name], name), NOISE)


def test_grey_becomes_three_equal_channels():
    grey = NOISE[..., 0]
    for content in (encoded(grey, "PNG"), encoded(grey, "TIFF"), encoded(grey, "BMP"), encoded(grey, "GIF")):
        np.testing.assert_array_equal(pictures.decode(content, "grey"), np.dstack([grey] * 3))


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "GIF"])
def test_one_bit_is_black_or_white(form):
    bits = NOISE[..., 0] > 127
    expected = np.dstack([np.where(bits, 255, 0)] * 3)
    np.testing.assert_array_equal(pictures.decode(encoded(Image.fromarray(bits), form), "bits"), expected)


def test_two_and_four_bits_of_grey_are_stretched():
    """PNG, third edition, section 13.12: by 255 / (2^bits - 1)."""
    for bits, row, expected in ((2, b"\x1b", [0, 85, 170, 255]), (4, b"\x05\xaf", [0, 85, 170, 255])):
        picture = pictures.decode(png(4, 1, bits, 0, [row]), "grey")
        np.testing.assert_array_equal(picture[0, :, 0], expected)


DEEP_FILES = {
    "grey png": (by_opencv(DEEP[..., 0], ".png"), DEEP[..., :1]),
    "grey tiff": (by_opencv(DEEP[..., 0], ".tiff"), DEEP[..., :1]),
    "grey ppm": (by_opencv(DEEP[..., 0], ".pgm"), DEEP[..., :1]),
    "big-endian tiff": (encoded(Image.fromarray(DEEP[..., 0].astype(">u2")), "TIFF"), DEEP[..., :1]),
    "png": (by_opencv(DEEP, ".png"), DEEP),
    "tiff": (by_opencv(DEEP, ".tiff"), DEEP),
    "opaque png": (by_opencv(np.dstack([DEEP, np.full((12, 20), 65535, np.uint16)]), ".png"), DEEP),
}


@pytest.mark.parametrize("name", DEEP_FILES)
def test_16_bits_are_scaled_to_8(name):
    """Within one level of v / 257; values that were 8 bits come back."""
    content, deep = DEEP_FILES[name]
    picture = pictures.decode(content, name).astype(float)
    assert picture.std() > 70  # not clipped: uniform noise has 73.9
    np.testing.assert_allclose(picture, np.broadcast_to(deep / 257, picture.shape), atol=1)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_16_bits_made_of_8_give_the_same_8(suffix):
    np.testing.assert_array_equal(pictures.decode(by_opencv(NOISE * np.uint16(257), suffix), "deep"), NOISE)


def test_16_bits_of_grey_with_a_transparent_colour_are_read():
    """PNG, chunk tRNS: 16 bits of grey, one level of which is transparent."""
    content = png(4, 4, 16, 0, [b"\x80\0" * 4] * 4, (b"tRNS", b"\0\1"))
    np.testing.assert_array_equal(pictures.decode(content, "deep"), np.full((4, 4, 3), 128))


def test_floats_are_0_to_1_or_0_to_255():
    grey = NOISE[..., 0].astype(np.float32)
    for scale in (1, 255):
        content = encoded(Image.fromarray(grey / scale), "TIFF")
        np.testing.assert_array_equal(pictures.decode(content, "float.tif"), np.dstack([NOISE[..., 0]] * 3))


@pytest.mark.parametrize(
    ("value", "words"),
    [(np.nan, "NaN or infinite"), (np.inf, "NaN or infinite"), (-np.inf, "NaN"), (-3, "scale"), (1e9, "scale")],
)
def test_floats_beyond_are_refused(value, words):
    grey = np.full((8, 8), 0.5, np.float32)
    grey[3, 3] = value
    with pytest.raises(BadInputError, match=f"^scan.tif has values .*{words}"):
        pictures.decode(encoded(Image.fromarray(grey), "TIFF"), "scan.tif")


def test_32_bits_beyond_16_are_refused():
    deep = np.array([[0, 70_000]], np.int32)
    with pytest.raises(BadInputError, match=r"deep\.tif has values of 0 to 70000, not 0 to 65535"):
        pictures.decode(encoded(Image.fromarray(deep), "TIFF"), "deep.tif")


def test_cmyk_becomes_rgb_by_its_ink_and_its_black():
    """(1 - C) (1 - K), the textbook's conversion; Pillow writes Adobe's JPEG, whose values are inverted."""
    ink = np.array((40, 200, 90, 60))
    image = Image.fromarray(np.broadcast_to(ink, (16, 16, 4)).astype(np.uint8), "CMYK")
    expected = (255 - ink[:3]) * (255 - ink[3]) / 255
    for form, options in (("JPEG", {"quality": 100}), ("TIFF", {})):
        picture = pictures.decode(encoded(image, form, **options), "print")
        np.testing.assert_allclose(picture[8, 8], expected, atol=2)


# ---- transparency ----


@pytest.mark.parametrize(("ink", "background"), [(0, 255), (255, 0)])
@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_transparency_is_laid_on_a_contrasting_background(form, ink, background):
    drawing = np.full((10, 10, 4), ink, np.uint8)
    drawing[..., 3] = 0
    drawing[4:6, :, 3] = 255
    options = {"lossless": True} if form == "WEBP" else {}
    picture = pictures.decode(encoded(drawing, form, **options), "drawing")
    assert (picture[0] == background).all()
    assert (picture[4] == ink).all()


def test_half_transparency_is_mixed_as_pillow_mixes_it():
    rgba = np.random.default_rng(2).integers(0, 256, (700, 30, 4), np.uint8)  # more than one block of rows
    rgba[..., :3] //= 2  # dark: on white
    judge = Image.alpha_composite(Image.new("RGBA", (30, 700), "white"), Image.fromarray(rgba)).convert("RGB")
    ours = pictures.decode(encoded(rgba, "PNG"), "mixed").astype(int)
    np.testing.assert_allclose(ours, np.asarray(judge), atol=1)


def test_a_palettes_transparent_colour_is_transparent():
    palette = Image.new("P", (10, 10), 1)
    palette.putpalette([255, 255, 255, 20, 30, 40])
    palette.paste(0, (0, 0, 10, 5))
    plain = pictures.decode(encoded(palette, "PNG"), "palette")
    assert (plain[:5] == 255).all()
    assert (plain[5:] == (20, 30, 40)).all()
    for form in ("PNG", "GIF"):
        palette.putpalette([0, 0, 0, 20, 30, 40])  # the transparent colour is dark, but invisible
        picture = pictures.decode(encoded(palette, form, transparency=0), "palette")
        assert (picture[:5] == 255).all()
        assert (picture[5:] == (20, 30, 40)).all()


@pytest.mark.parametrize(("colour", "key"), [(0, b"\0\7"), (2, b"\0\7\0\7\0\7")])
def test_a_transparent_colour_of_8_bits_is_transparent(colour, key):
    """PNG, chunk tRNS."""
    row = bytes([7, 60, 60]) if colour == 0 else bytes([7, 7, 7] + [60] * 6)
    picture = pictures.decode(png(3, 1, 8, colour, [row], (b"tRNS", key)), "key")
    np.testing.assert_array_equal(picture[0, :, 0], [255, 60, 60])


# ---- which side is up ----


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("form", "mode"), [
    ("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGB"), ("PNG", "RGBA"), ("WEBP", "RGB"), ("TIFF", "RGB"),
    ("TIFF", "RGBA"),
])  # fmt: skip
def test_exif_orientation_is_applied(form, mode, orientation):
    """As Pillow's ImageOps.exif_transpose does it."""
    steps = np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40, np.ones((16, 16), np.uint8))
    image = Image.fromarray(np.dstack([steps, steps, steps])).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation  # EXIF 2.3, section 4.6.4 A
    content = encoded(image, form, exif=exif, **({"lossless": True} if form == "WEBP" else {}))
    with Image.open(io.BytesIO(content)) as opened:
        judge = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    ours = pictures.decode(content, "turned")
    assert ours.shape[:2] == ((32, 48) if orientation < 5 else (48, 32))
    np.testing.assert_allclose(ours.astype(int), judge, atol=2)


def test_a_photo_turned_on_its_side_is_set_upright():
    """EXIF 2.3: 6 is "rotate by 90 degrees clockwise to view": the left half comes on top."""
    picture = np.zeros((10, 20, 3), np.uint8)
    picture[:, :10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = pictures.decode(encoded(picture, "JPEG", exif=exif), "turned.jpg")
    assert upright.shape == (20, 10, 3)
    assert upright[:8].min() > 240
    assert upright[12:].max() < 15


# ---- of several pictures, the first ----


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF", "AVIF", "MPO"])
def test_an_animation_gives_its_first_frame(form):
    frames = [Image.new("RGB", (20, 12), colour) for colour in (RED, "white", "black")]
    picture = pictures.decode(encoded(frames[0], form, save_all=True, append_images=frames[1:]), "moving")
    np.testing.assert_allclose(picture.reshape(-1, 3), np.tile(RED, (240, 1)), atol=3)


# ---- one result from either library ----


def test_opencv_and_pillow_agree_on_ordinary_pictures():
    photo = load_sample_image("china.jpg")
    for form, options in {
        "4:2:0": ("JPEG", {}), "4:4:4": ("JPEG", {"subsampling": 0}), "progressive": ("JPEG", {"progressive": True}),
        "rough": ("JPEG", {"quality": 10}), "png": ("PNG", {}),
    }.values():  # fmt: skip
        for picture in (photo, photo[:101, :77], photo[..., 0]):
            content = encoded(np.ascontiguousarray(picture), form, **options)
            ours = pictures.decode(content, "photo")
            assert plain.decode(content) is not None
            np.testing.assert_array_equal(ours, pillow.decode(content))
            np.testing.assert_array_equal(ours, cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB))


def test_opencv_and_pillow_agree_on_the_jpeg_copy_of_cifar10():
    path = os.path.join(os.environ.get("KERASNETS_DATA", ""), "cifar10-jpeg.zip")
    if not os.path.exists(path):
        pytest.skip("the JPEG copy of CIFAR-10 is not here: set KERASNETS_DATA to the folder that holds it")
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][::150]
        assert len(names) >= 400
        for name in names:
            content = archive.read(name)
            ours = pictures.decode(content, name)
            np.testing.assert_array_equal(ours, np.asarray(Image.open(io.BytesIO(content))))
            np.testing.assert_array_equal(ours, cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB))


@pytest.mark.parametrize("name", ["docs/samples/screen-1.png", "docs/samples/three-on-paper.jpg"])
def test_plain_pictures_need_no_pillow(name):
    code = f"from kerasnets import pictures; pictures.read({name!r}); import sys; print('PIL' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# ---- names, pipes, threads ----


@pytest.mark.parametrize("name", ["zażółć 手写.png", "two\nlines.png", "-rf.png", "no suffix", "wrong.jpg"])
def test_odd_names_are_read(tmp_path, name):
    (tmp_path / name).write_bytes(LOSSLESS["png"])
    np.testing.assert_array_equal(pictures.read(tmp_path / name), NOISE)


def test_a_pipe_that_ends_is_read():
    content = encoded(load_sample_image("china.jpg"), "PNG")  # more than a pipe holds at once
    descriptor, end = os.pipe()

    def write():
        with open(end, "wb") as file:
            file.write(content)

    writer = threading.Thread(target=write)
    writer.start()
    assert pictures.read(f"/dev/fd/{descriptor}").shape == (427, 640, 3)
    writer.join()
    os.close(descriptor)


def test_the_filters_of_warnings_are_unchanged_after_threads_have_read():
    before = warnings.filters[:]
    threads = [
        threading.Thread(target=lambda: [pictures.decode(encoded(NOISE, "TIFF"), "x") for _ in range(30)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before
