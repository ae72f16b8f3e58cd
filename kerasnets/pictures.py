"""From a picture file to the pixels that a network takes: decoding, polarity, MNIST's form, size.

A picture in memory is uint8, (height, width) grey or (height, width, 3) RGB, 0..255.
"""

import functools
import io
import math
import stat
import warnings
from pathlib import Path

import numpy as np

from kerasnets.errors import BadInputError, shorten

try:
    import cv2
except ImportError as error:
    raise ImportError(
        f"OpenCV cannot be loaded ({error}); on Debian: apt-get install libgl1 libglib2.0-0; "
        "or, without windows, use opencv-python-headless"
    ) from error

MAX_BYTES = 64_000_000  # of a file
MAX_PIXELS = 50_000_000  # of a picture, refused before it is decoded
MIN_CONTRAST = 12  # grey levels between ink and paper; below, the picture is of one colour

SIDE = 28  # pixels: MNIST's field
BOX = 20  # pixels: the digit's longer side in it
INK = 32  # grey level from which a pixel of an MNIST picture counts as ink
MIN_STROKE = 2.0  # pixels of the box: nine tenths of MNIST's strokes are thicker, by stroke_width
PHOTO_SIDE = 50  # pixels: a smaller picture was hardly taken with a camera
WORKING_SIDE = 400  # pixels: larger photos are shrunk to it before the digit is sought
SPECK = 0.05  # of the largest part's area; what is smaller is no part of the digit


# ---- reading ---------------------------------------------------------------------------------------------------------


def read(path):
    """Return the picture in `path`: uint8 (height, width, 3) RGB, upright as its EXIF orientation says.

    Transparency is laid on white where the drawing is dark, on black where it is light.
    Raises BadInputError for a file that is missing, empty, damaged, no picture, or too large.
    """
    return decode(read_file(Path(path)), path)


def decode(content, path):
    """As `read`, of a file's bytes; `path` stands for it in an error."""
    transparent = inspect(content, path)
    if transparent is not None:
        return flatten_alpha(transparent)
    try:
        decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        decoded = None
    if decoded is None:
        raise BadInputError(f"{shorten(path)} cannot be decoded by OpenCV; save it as PNG or JPEG")
    return decoded


def read_file(path):
    """The bytes of a picture file, at most MAX_BYTES."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise BadInputError(f"{shorten(path)} is a folder, not a picture; name the files in it")
        if status.st_size > MAX_BYTES:
            raise BadInputError(
                f"{shorten(path)} has {status.st_size / 1e6:.0f} MB; a picture may have {MAX_BYTES / 1e6:.0f}"
            )
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        if isinstance(error, BadInputError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise BadInputError(f"no picture {shorten(path)}: {reason}; check the name") from error
    if not content:
        raise BadInputError(f"{shorten(path)} is empty; save or copy it again")
    if len(content) > MAX_BYTES:
        raise BadInputError(f"{shorten(path)} does not end; a picture may have {MAX_BYTES / 1e6:.0f} MB")
    return content


def inspect(content, path):
    """Refuse what OpenCV would take: pictures of gigabytes, half a JPEG. Return what it would lose: transparency.

    Pillow tells the size from the header alone, and complains where data are missing. A picture with transparency
    comes back as uint8 (height, width, 4) RGBA, upright, for OpenCV turns it only without; another as None.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own limit of pixels, and notes on odd metadata
        try:
            with Image.open(io.BytesIO(content)) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise Image.DecompressionBombError(f"{width}x{height} pixels")
                image.load()
                if "A" not in image.getbands() and ("transparency" not in image.info or image.mode.startswith("I")):
                    return None
                return np.asarray(ImageOps.exif_transpose(image).convert("RGBA"))
        except Image.DecompressionBombError as error:
            raise BadInputError(
                f"{shorten(path)} is too large; a picture may have {MAX_PIXELS / 1e6:.0f} million pixels"
            ) from error
        except UnidentifiedImageError as error:
            raise BadInputError(f"{shorten(path)} is not a picture; use PNG or JPEG") from error
        except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error, ... by format
            raise BadInputError(f"{shorten(path)} is damaged: {error}; save or copy it again") from error


def flatten_alpha(rgba):
    """Lay a picture with transparency (uint8 RGBA) on the background that its drawing stands out from: uint8 RGB."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    colour = rgba[..., :3].astype(np.float32)
    drawn = float((colour * alpha).sum() / max(3 * alpha.sum(), 1))
    background = 255 if drawn < 128 else 0
    return np.rint(colour * alpha + background * (1 - alpha)).astype(np.uint8)


# ---- preparing -------------------------------------------------------------------------------------------------------


def prepare(picture, kind, shape, name="the picture"):
    """Return uint8 `shape` (height, width, channels): the picture as a network of input kind `kind` takes it.

    picture: uint8 (height, width[, 1 or 3]), 0..255, grey or RGB; `name` stands for it in an error.
    Raises BadInputError where there is nothing to see, ValueError for an array that is no picture.
    """
    picture = np.asarray(picture)
    if (
        picture.size == 0
        or picture.dtype != np.uint8
        or picture.ndim not in (2, 3)
        or (picture.ndim == 3 and picture.shape[2] not in (1, 3))
    ):
        raise ValueError(
            f"a picture is uint8 (height, width) or (height, width, 1 or 3), not {picture.dtype} {picture.shape}"
        )
    try:
        return KINDS[kind](picture, shape)
    except (BadInputError, cv2.error) as error:
        raise BadInputError(f"{shorten(name)}: {error}") from error


def to_mnist_form(picture, shape=(SIDE, SIDE, 1)):
    """Make of one digit, dark on light or light on dark, what MNIST's makers would have: uint8 (28, 28, 1).

    The ink is made white on black, cut out, scaled so that its longer side has 20 pixels, and laid into 28x28 with its
    centre of mass in the middle (yann.lecun.com/exdb/mnist). A picture that is in this form already is left as it is.
    """
    grey = to_grey(picture)
    if is_light(grey):
        grey = 255 - grey
    if not is_mnist_form(grey):
        grey = centre_by_mass(scale_to_box(cut_out_ink(grey)))
    if shape != (SIDE, SIDE, 1):
        grey = resize(grey, *shape[:2])
        return np.repeat(grey[..., None], shape[2], axis=2)
    return grey[..., None]


def to_padded_mnist_form(picture, shape):
    """MNIST's form with a rim of black around it, as LeNet-5's paper pads its 28x28 to 32x32: uint8 `shape`."""
    top, left = ((wanted - SIDE) // 2 for wanted in shape[:2])
    bottom, right = (wanted - SIDE - before for wanted, before in zip(shape[:2], (top, left), strict=True))
    return np.pad(to_mnist_form(picture), ((top, bottom), (left, right), (0, 0)))


def to_permuted_mnist_form(picture, shape):
    """MNIST's form with its pixels in an order that makes no sense, the same for every picture."""
    return permute_pixels(to_mnist_form(picture, shape)[None])[0]


def permute_pixels(images):
    """Put the pixels of images (n, height, width, channels) into another order, the same for all of them."""
    pixels = images.reshape(len(images), -1)
    order = np.random.RandomState(0).permutation(pixels.shape[1])  # whose stream never changes
    return pixels[:, order].reshape(images.shape)


def to_fashion_form(picture, shape):
    """Make of one piece of clothing what Fashion-MNIST's makers would have: uint8 `shape`, light on black, uncut.

    They trimmed the picture to the piece, scaled its longer side to 28 pixels, laid it into the middle of 28x28 and
    made it a negative (Xiao et al. 2017, arXiv:1708.07747, section 2). What has 28x28 pixels is left as it is.
    """
    grey = to_grey(picture)
    if grey.shape != (SIDE, SIDE):
        # Not is_light, which seeks thin ink: clothing may fill the picture, but seldom its rim.
        paper = np.median(rim(grey))
        grey = centre(trim(255 - grey if 2 * paper > float(grey.min()) + float(grey.max()) else grey))
    return resize(grey, *shape[:2]).reshape(shape)


def trim(grey):
    """Cut a light thing out of its dark, even background: its bounding box."""
    grey = grey.astype(np.int16) - int(np.median(rim(grey)))
    thing = grey > 0.05 * 255  # the makers' tolerance
    if grey.max() < MIN_CONTRAST:
        raise BadInputError("nothing to see, it is all of one colour; take a picture with more contrast")
    x, y, width, height = cv2.boundingRect(thing.astype(np.uint8))
    return np.clip(grey[y : y + height, x : x + width], 0, 255).astype(np.uint8)


def centre(grey):
    """Scale uint8 pixels so that the longer side has 28 and lay them into the middle of 28x28."""
    height, width = (max(1, round(side * SIDE / max(grey.shape))) for side in grey.shape)
    field = np.zeros((SIDE, SIDE), np.uint8)
    top, left = (SIDE - height + 1) // 2, (SIDE - width + 1) // 2  # an odd row goes above, as in Fashion-MNIST
    field[top : top + height, left : left + width] = resize(grey, height, width)
    return field


def to_size(picture, shape):
    """Resize a whole picture to `shape`, in RGB or grey as its channels say."""
    picture = to_grey(picture) if shape[2] == 1 else to_rgb(picture)
    return resize(picture, *shape[:2]).reshape(shape)


def to_centre(picture, shape, side):
    """Scale a picture so that its shorter side has `side` pixels, and cut `shape` out of its middle.

    This is torchvision's preprocessing for ImageNet (Resize, CenterCrop), by Pillow's antialiased filter as there:
    the same pixels. OpenCV has no such filter: on a photo, INTER_AREA is off by 36 grey levels, INTER_LINEAR by 90.
    """
    from PIL import Image

    height, width = picture.shape[:2]
    side = max(side, *shape[:2])
    scaled = (side, side * height // width) if width <= height else (side * width // height, side)
    if math.prod(scaled) > MAX_PIXELS:
        raise BadInputError(f"{width}x{height} pixels are too thin a picture; crop it nearer to a square")
    picture = to_grey(picture) if shape[2] == 1 else to_rgb(picture)
    picture = np.asarray(Image.fromarray(picture).resize(scaled, Image.Resampling.BILINEAR))
    top, left = (round((there - wanted) / 2) for there, wanted in zip(picture.shape, shape[:2], strict=False))
    return picture[top : top + shape[0], left : left + shape[1]].reshape(shape)


def refuse(picture, shape):
    raise BadInputError(f"the model takes rows of {shape[0]} numbers, no pictures; give it rows, by kerasnets.load")


# input kind, as the card of a model names it -> function (picture, shape) -> pixels
KINDS = {
    "mnist": to_mnist_form,
    "mnist_padded": to_padded_mnist_form,
    "mnist_permuted": to_permuted_mnist_form,
    "fashion": to_fashion_form,
    "picture": to_size,
    "crop256": functools.partial(to_centre, side=256),  # torchvision's, for its weights of 2014 to 2017
    "crop232": functools.partial(to_centre, side=232),  # torchvision's, for those of 2021 (IMAGENET1K_V2)
    "row": refuse,  # of a table
}


def to_grey(picture):
    if picture.ndim == 2:
        return picture
    return picture[..., 0] if picture.shape[2] == 1 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def to_rgb(picture):
    return (
        picture if picture.shape[2:] == (3,) else cv2.cvtColor(picture.reshape(picture.shape[:2]), cv2.COLOR_GRAY2RGB)
    )


def is_light(grey):
    """Whether the paper is lighter than the ink: its rim, evenly lit, is nearer to the lightest than to the darkest."""
    small = shrink(grey, 100).astype(np.float32)
    even = small - lighting(small)
    return float(np.median(rim(even))) > (even.min() + even.max()) / 2


def is_mnist_form(grey):
    """Whether a white-on-black picture is as MNIST's are: all 70,000 of them pass (tests/test_pictures.py)."""
    if grey.shape != (SIDE, SIDE):
        return False
    rows, columns = np.nonzero(grey >= INK)
    if not len(rows):
        return False
    box = max(np.ptp(rows), np.ptp(columns)) + 1
    row, column = centre_of_mass(grey)
    # MNIST's boxes are 19 or 20 and its centres within 0.52; the slack is for its pictures after a JPEG's losses
    return BOX - 3 <= box <= BOX + 1 and abs(row - SIDE / 2) <= 1 and abs(column - SIDE / 2) <= 1


def centre_of_mass(grey):
    """(row, column) of the ink's centre of mass, in pixels from the middle of the first."""
    # Not cv2.moments: it takes a picture that is two pixels wide, as a straight 1 may be, for a list of points.
    mass = grey.astype(np.float64)
    rows, columns = mass.sum(axis=1), mass.sum(axis=0)
    return rows @ np.arange(len(rows)) / mass.sum(), columns @ np.arange(len(columns)) / mass.sum()


def cut_out_ink(grey):
    """From white ink on dark, unevenly lit paper: the ink alone, float32 0..1, cut to its bounding box."""
    grey = shrink(grey, WORKING_SIDE).astype(np.float32)
    ink = np.clip(grey - lighting(grey), 0, None)
    if ink.max() < MIN_CONTRAST:
        raise BadInputError("no digit to see, it is all of one colour; take one with more contrast")
    mask = largest_parts(ink)
    ink = np.clip(ink / np.percentile(ink[mask], 75), 0, 1)  # the inside of a stroke is white, its edge fades
    halo = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    ink[~halo] = 0
    x, y, width, height = cv2.boundingRect((ink > 0.1).astype(np.uint8))
    return ink[y : y + height, x : x + width]


def shrink(grey, side):
    """Shrink pixels so that the longer side has at most `side`; thin strokes stay, as grey."""
    height, width = grey.shape[:2]
    scale = side / max(height, width)
    return grey if scale >= 1 else resize(grey, max(1, round(height * scale)), max(1, round(width * scale)))


def resize(pixels, height, width):
    """Resize pixels of any type: averaged where they shrink, so that nothing falls between the pixels."""
    shrinking = height < pixels.shape[0] or width < pixels.shape[1]
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)


def rim(grey):
    """The outermost pixels of a picture, in a row."""
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def lighting(grey):
    """How the paper would look without ink, float32 as `grey`: the surface of second degree that most pixels lie on.

    The paper of a small picture is the grey of its rim.
    """
    height, width = grey.shape
    if min(height, width) < PHOTO_SIDE:
        return np.full((height, width), np.median(rim(grey)), np.float32)
    sample = resize(grey, 32, 32).astype(np.float32).ravel()
    terms = surface(32, 32)
    weights = np.ones_like(sample)
    for _ in range(10):  # least squares, in which what lies off the surface counts less each time
        fitted = terms @ np.linalg.lstsq(terms * weights[:, None], sample * weights, rcond=None)[0]
        off = np.abs(sample - fitted)
        weights = 1 / (1 + (off / max(float(np.median(off)), 1)) ** 2)
    coefficients = np.linalg.lstsq(terms * weights[:, None], sample * weights, rcond=None)[0]
    return (surface(height, width) @ coefficients).reshape(height, width)


def surface(height, width):
    """The terms 1, x, y, x^2, xy, y^2 at the middle of every pixel, over -1..1: float32 (height * width, 6)."""
    y, x = np.meshgrid(
        (np.arange(height, dtype=np.float32) + 0.5) * 2 / height - 1,
        (np.arange(width, dtype=np.float32) + 0.5) * 2 / width - 1,
        indexing="ij",
    )
    x, y = x.ravel(), y.ravel()
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def largest_parts(ink):
    """Where the digit is: the ink above Otsu's threshold, without specks and without what comes in from the rim."""
    levels = (ink * (255 / ink.max())).astype(np.uint8)
    _, mask = cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask)
    area = stats[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0  # the paper
    kept = area >= SPECK * area.max()
    x, y, width, height = (stats[:, i] for i in range(4))
    at_rim = (x == 0) | (y == 0) | (x + width == ink.shape[1]) | (y + height == ink.shape[0])
    if not at_rim[area.argmax()]:
        kept &= ~at_rim
    return kept[parts]


def scale_to_box(ink):
    """Scale ink (float32 0..1) so that its longer side has 20 pixels, thin strokes made as thick as MNIST's."""
    longer = max(ink.shape)
    missing = round(longer / BOX * MIN_STROKE - stroke_width(ink))
    if missing >= 1:
        pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (missing + 1,) * 2)
        ink = cv2.dilate(cv2.copyMakeBorder(ink, *[missing // 2 + 1] * 4, cv2.BORDER_CONSTANT, value=0), pen)
    height, width = (max(1, round(side * BOX / max(ink.shape))) for side in ink.shape)
    ink = resize(ink, height, width)
    return ink / ink.max()


def stroke_width(ink):
    """The usual width of a stroke in pixels: ink over length, the length being half the outline's."""
    mask = (ink > 0.5).astype(np.uint8)
    outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return 2 * mask.sum() / max(1, sum(len(outline) for outline in outlines))


def centre_by_mass(ink):
    """Lay ink (float32 0..1, at most 20x20) into uint8 28x28 with its centre of mass at pixel 14 of either side."""
    row, column = centre_of_mass(ink)
    height, width = ink.shape
    top = min(max(round(SIDE / 2 - row), 0), SIDE - height)
    left = min(max(round(SIDE / 2 - column), 0), SIDE - width)
    field = np.zeros((SIDE, SIDE), np.uint8)
    field[top : top + height, left : left + width] = np.rint(ink * 255)
    return field
