"""From a picture of one digit to MNIST's form: find its ink, cut it out, scale it, centre it."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.pictures.paper import PHOTO_SIDE, Ink, ink_of, is_light
from kerasnets.pictures.parts import count_digits, digit_of, is_filled, parts_of
from kerasnets.pictures.sizes import Shape, quantile, resize, rim, shrink, to_grey

MIN_CONTRAST = 12  # grey levels between ink and paper; with less, the picture is of one colour
SIDE = 28  # pixels: MNIST's field
BOX = 20  # pixels: the digit's longer side in it
INK = 32  # the grey level from which a pixel of an MNIST picture counts as ink
MIN_STROKE = 2.0  # pixels in the box: nine tenths of MNIST's strokes are thicker, by stroke_width
WORKING_SIDE = 400  # pixels: larger photos are shrunk to it first
STROKE = 100  # the grey level from which a pixel of MNIST's form is judged as part of a stroke
WIDEST = 1.7  # of its height; the widest of MNIST's first 3,000 training pictures has 1.67
FULLEST = 0.7  # of its box that is inked; the fullest of the same pictures that is no bar has 0.66
NARROW = 8  # pixels of MNIST's form: a bar, as of a 1, may fill its box
# (scale, pixels to the right, pixels down) of other cut-outs. Of shifts, turns, scales, slants and thicker and thinner
# strokes, these tell wrong answers well in photos of tests/pictures/real_photos.py with seeds 100 to 108.
CHANGES = ((1, -1, 0), (1, 1, 0), (1, 0, -1), (1, 0, 1), (0.88, 0, 0))
# Of the other's height. Two digits in MNIST's form, as two of its training pictures squeezed into it, were so in 287 of
# 300 pairs; of its 60,000 training pictures, 11 show such parts, and 52 parts of TALL in parts.py.
AS_TALL = 0.6
SOFT = 0.11  # a part less sharp is a shadow; digits in photos have 0.16 to 0.23, the test's shadows 0.08 at most


@dataclass(frozen=True)
class Sight:
    """What was seen on a picture.

    Attributes:
        pixels: uint8 (height, width, channels), as the network takes them.
        digits: How many digits there are; 1 if the picture is not searched for digits.
        doubt: Why this can hardly be a digit; "" if it can.
        is_cut_out: Whether a digit was cut out of the picture.
        form: MNIST's form of the digit, uint8 (28, 28, 1); None if the picture is not searched for digits.
        others: Pixels of the same digit, cut out a little otherwise.
    """

    pixels: np.ndarray
    digits: int = 1
    doubt: str = ""
    is_cut_out: bool = False
    form: np.ndarray | None = None
    others: Sequence[np.ndarray] = ()


class NothingSeenError(BadInputError):
    """A picture shows nothing that a network could be asked about."""


def find_digit(picture: np.ndarray) -> Sight:
    """Convert a picture of one digit, dark on light or light on dark, as MNIST's makers did: uint8 (28, 28, 1).

    The ink becomes white on black. It is cut out, scaled so that its longer side has 20 pixels, and placed in 28x28
    with its centre of mass in the middle (yann.lecun.com/exdb/mnist). A picture in this form is left as it is.
    """
    if picture.shape[:2] == (SIDE, SIDE):
        grey = to_grey(picture)
        grey = 255 - grey if is_light(grey) else grey
        if is_mnist_form(grey):
            return Sight(grey[..., None], digits_in_form(grey))
    ink, digits, doubt = cut_out_ink(picture)
    form = centre_by_mass(scale_to_box(ink))
    return Sight(form[..., None], digits, doubt or doubt_about(form), is_cut_out=True)


def cut_otherwise(form: np.ndarray) -> list[np.ndarray]:
    """Return MNIST's form of a digit, uint8 (28, 28, 1), shifted by a pixel to each side, and smaller."""
    others = []
    for scale, right, down in CHANGES:
        middle = (1 - scale) * (SIDE - 1) / 2
        change = np.array([[scale, 0, middle + right], [0, scale, middle + down]], np.float32)
        others.append(cv2.warpAffine(form, change, (SIDE, SIDE))[..., None])
    return others


def doubt_about(form: np.ndarray) -> str:
    """Return why ink in MNIST's form, uint8 (28, 28), can hardly be a digit; "" if it can."""
    mask = (form > STROKE).astype(np.uint8)
    _, _, width, height = cv2.boundingRect(mask)
    if width > WIDEST * height:
        return "wider than a digit"
    if mask.sum() > FULLEST * width * height and min(width, height) > NARROW:
        return "a blot without strokes"
    return ""


def to_mnist_form(picture: np.ndarray, shape: Shape = (SIDE, SIDE, 1)) -> np.ndarray:
    """Return a picture of one digit in MNIST's form, as `find_digit` does: uint8 `shape`."""
    return in_shape(find_digit(picture).pixels, shape)


def in_shape(form: np.ndarray, shape: Shape) -> np.ndarray:
    """Return MNIST's form, uint8 (28, 28, 1), in another size or with more channels."""
    if shape == (SIDE, SIDE, 1):
        return form
    return np.repeat(resize(form, *shape[:2])[..., None], shape[2], axis=2)


def padded(form: np.ndarray, shape: Shape) -> np.ndarray:
    """Return MNIST's form with a black rim: uint8 `shape`. LeNet-5's paper pads 28x28 to 32x32."""
    top, left = ((side - SIDE) // 2 for side in shape[:2])
    bottom, right = (side - SIDE - before for side, before in zip(shape[:2], (top, left), strict=True))
    return np.pad(form, ((top, bottom), (left, right), (0, 0)))


def permuted(form: np.ndarray, shape: Shape) -> np.ndarray:
    """Return MNIST's form with its pixels in a random order, the same for every picture."""
    return permute_pixels(in_shape(form, shape)[None])[0]


def permute_pixels(images: np.ndarray) -> np.ndarray:
    """Put the pixels of images (n, height, width, channels) into a random order, the same for all images."""
    pixels = images.reshape(len(images), -1)
    order = np.random.RandomState(0).permutation(pixels.shape[1])  # NumPy guarantees its stream
    return pixels[:, order].reshape(images.shape)


def is_mnist_form(grey: np.ndarray) -> bool:
    """Whether a white-on-black picture is in MNIST's form; its 70,000 are (tests/pictures/test_pictures.py)."""
    if grey.shape != (SIDE, SIDE):
        return False
    rows, columns = np.nonzero(grey >= INK)
    if not len(rows):
        return False
    box = max(np.ptp(rows), np.ptp(columns)) + 1
    row, column = centre_of_mass(grey)
    # MNIST's boxes are 19 or 20, its centres within 0.52; the tolerance is for copies in JPEG
    return bool(BOX - 3 <= box <= BOX + 1 and abs(row - SIDE / 2) <= 1 and abs(column - SIDE / 2) <= 1)


def digits_in_form(grey: np.ndarray) -> int:
    """Return how many digits a picture in MNIST's form shows: two may have been squeezed into it."""
    strokes, _ = cv2.connectedComponents((grey >= STROKE).astype(np.uint8))
    return count_digits(parts_of(grey), AS_TALL) if strokes > 2 else 1  # the paper counts; most digits are one stroke


def centre_of_mass(grey: np.ndarray) -> tuple[float, float]:
    """Return (row, column) of the ink's centre of mass, in pixels from the middle of the first pixel."""
    # Not cv2.moments: it takes a picture that is two pixels wide, such as a straight 1, for a list of points.
    mass = grey.astype(np.float64)
    rows, columns = mass.sum(axis=1), mass.sum(axis=0)
    return rows @ np.arange(len(rows)) / mass.sum(), columns @ np.arange(len(columns)) / mass.sum()


def cut_out_ink(picture: np.ndarray) -> tuple[np.ndarray, int, str]:
    """Return the ink of a digit on unevenly lit paper in its bounding box, float32, 0..1, and what was seen of it.

    Returns:
        The ink, the number of digits, and why it can hardly be one; "" if it can.

    Raises:
        BadInputError: Without a path. There is no ink.
    """
    found = ink_of(shrink(picture, WORKING_SIDE))
    ink = found.pen
    if ink.max() < MIN_CONTRAST:
        raise nothing_to_see(found)
    parts = parts_of(ink)
    mask = digit_of(parts)
    inside = quantile(ink[mask], 0.75)
    x, y, width, height = box = cv2.boundingRect(mask.view(np.uint8))
    is_photo = min(mask.shape) >= PHOTO_SIDE
    doubt = "other ink lies inside it" if is_filled(parts) else found.doubt
    doubt = "it reaches the edge of the picture" if is_photo and leaves_picture(box, mask.shape) else doubt
    margin = 8
    window = np.s_[max(y - margin, 0) : y + height + margin, max(x - margin, 0) : x + width + margin]
    ink, mask = np.minimum(ink[window] / np.float32(inside), 1), mask[window]
    may_be_shadow = is_photo and rim(mask).any()
    if inside < MIN_CONTRAST:
        raise nothing_to_see(found)  # only noise
    if may_be_shadow and sharpness(ink, mask) < SOFT:
        raise nothing_to_see(found, "only the edge of a shadow")
    halo = cv2.dilate(mask.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
    ink[~halo] = 0  # the inside of a stroke is white, its edge fades
    x, y, width, height = cv2.boundingRect((ink > 0.1).astype(np.uint8))
    return ink[y : y + height, x : x + width], count_digits(parts), doubt


def leaves_picture(box: Sequence[int], shape: tuple[int, ...]) -> bool:
    """Whether a box touches the rim of a picture of `shape`, as the desk around a sheet does.

    A digit may be as tall as its picture: it then touches the top and the bottom alone.
    """
    x, y, width, height = box
    left, right, top, bottom = x == 0, x + width == shape[1], y == 0, y + height == shape[0]
    return left or right or top != bottom


def sharpness(ink: np.ndarray, mask: np.ndarray) -> float:
    """Return the 0.9 quantile, along the outline, of the change of the ink (1 inside a stroke) from pixel to pixel."""
    smooth = cv2.GaussianBlur(ink, (0, 0), 1.5)
    steps = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8))
    return quantile(steps[cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0], 0.9)


def nothing_to_see(found: Ink, problem: str = "") -> NothingSeenError:
    """Return the error about a picture without a pen's ink: its `problem`, if its paper is neither bare nor ruled."""
    if cv2.subtract(found.all, found.pen).max() >= MIN_CONTRAST:
        problem = "only the lines of its paper"
    elif found.of_sheet:
        problem = "the sheet is empty"
    problem = problem or "it is all of one colour"
    return NothingSeenError(f"has no digit to see: {problem}", remedy="take a picture with more contrast")


def scale_to_box(ink: np.ndarray) -> np.ndarray:
    """Scale ink, float32 0..1, so that its longer side has 20 pixels; thicken strokes that are thinner than MNIST's."""
    longer = max(ink.shape)
    missing = round(longer / BOX * MIN_STROKE - stroke_width(ink))
    if missing >= 1:
        pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (missing + 1,) * 2)
        ink = cv2.dilate(np.pad(ink, missing // 2 + 1), pen)
    height, width = (max(1, round(side * BOX / max(ink.shape))) for side in ink.shape)
    ink = resize(ink, height, width)
    return ink / ink.max()


def stroke_width(ink: np.ndarray) -> float:
    """Return the mean width of a stroke in pixels: its area over half the length of its outline."""
    mask = (ink > 0.5).astype(np.uint8)
    outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return 2 * int(mask.sum()) / max(1, sum(len(outline) for outline in outlines))


def centre_by_mass(ink: np.ndarray) -> np.ndarray:
    """Place ink, float32 0..1 of at most 20x20, in uint8 28x28 with its centre of mass at pixel 14 of both sides."""
    row, column = centre_of_mass(ink)
    height, width = ink.shape
    top = min(max(round(SIDE / 2 - row), 0), SIDE - height)
    left = min(max(round(SIDE / 2 - column), 0), SIDE - width)
    field = np.zeros((SIDE, SIDE), np.uint8)
    field[top : top + height, left : left + width] = np.rint(ink * 255)
    return field
