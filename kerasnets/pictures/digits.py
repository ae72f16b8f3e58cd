"""From a picture of one digit to MNIST's form: its ink found, cut out, scaled and centred."""

import math

import cv2
import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.pictures.sizes import resize, shrink, to_grey

MIN_CONTRAST = 12  # grey levels between ink and paper; below, the picture is of one colour
SIDE = 28  # pixels: MNIST's field
BOX = 20  # pixels: the digit's longer side in it
INK = 32  # grey level from which a pixel of an MNIST picture counts as ink
MIN_STROKE = 2.0  # pixels of the box: nine tenths of MNIST's strokes are thicker, by stroke_width
PHOTO_SIDE = 50  # pixels: a smaller picture was hardly taken with a camera
WORKING_SIDE = 400  # pixels: larger photos are shrunk to it before the digit is sought
PAPER_SIDE = 200  # pixels: in which the paper is sought
WIDEST_STROKE = 0.2  # of the photo's longer side; what is wider is a shadow
SPECK = 0.05  # of the largest part's ink; what has less is no part of the digit
NEAR = 0.3  # of the largest part's longer side; what is farther from it is no part of the digit
SOFT = 0.11  # sharpness of what is a shadow; digits in photos have 0.16 to 0.23, the shadows of the test 0.08 at most
RIM_SHARE = 0.1  # of the most ink; from that on, a part away from the rim is the digit
# The last five were chosen on photos of tests/pictures/photo_digits.py with seeds 101 to 104, not used by tests.


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


def is_light(grey):
    """Whether the paper is lighter than the ink: its rim, evenly lit, is nearer to the lightest than to the darkest."""
    small = shrink(grey, 100).astype(np.float32)
    even = small - lighting(small)
    return quantile(rim(even), 0.5) > (even.min() + even.max()) / 2


def is_mnist_form(grey):
    """Whether a white-on-black picture is as MNIST's are: all 70,000 of them pass (tests/pictures/test_pictures.py)."""
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
    ink = ink_of(shrink(grey, WORKING_SIDE))
    mask = parts_of_digit(ink)
    inside = quantile(ink[mask], 0.75)
    may_be_shadow = min(grey.shape) >= PHOTO_SIDE and rim(mask).any()
    if inside < MIN_CONTRAST or (may_be_shadow and sharpness(ink / inside, mask) < SOFT):
        raise nothing_to_see()  # but noise, or the edge of a shadow
    ink = np.clip(ink / inside, 0, 1)  # the inside of a stroke is white, its edge fades
    halo = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    ink[~halo] = 0
    x, y, width, height = cv2.boundingRect((ink > 0.1).astype(np.uint8))
    return ink[y : y + height, x : x + width]


def ink_of(grey):
    """How much lighter than the paper around it each pixel is: float32 as `grey`, of white ink on dark paper.

    Raises BadInputError where there is no contrast.
    """
    ink = np.clip(grey.astype(np.float32) - paper_below(grey), 0, None)
    if ink.max() < MIN_CONTRAST:
        raise nothing_to_see()
    return ink


def sharpness(ink, mask):
    """How much the ink (1 inside a stroke) changes from one pixel to the next at most places of its outline."""
    smooth = cv2.GaussianBlur(ink, (0, 0), 1.5)
    steps = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8))
    return quantile(steps[cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0], 0.9)


def nothing_to_see():
    return BadInputError("no digit to see, it is all of one colour; take one with more contrast")


def paper_below(grey):
    """How the paper would look without ink, float32 as `grey`: what is wider than any stroke, as a shadow, is paper.

    Black top-hat by a disc (Soille, Morphological Image Analysis, section 4.5), small, for only strokes need be sharp.
    """
    even = lighting(grey)
    if min(grey.shape) < PHOTO_SIDE:
        return even
    small = shrink(cv2.GaussianBlur(grey - even, (0, 0), 1), PAPER_SIDE)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (round(WIDEST_STROKE * PAPER_SIDE) | 1,) * 2)
    opened = cv2.morphologyEx(small, cv2.MORPH_OPEN, disc, borderType=cv2.BORDER_REPLICATE)
    return even + resize(cv2.GaussianBlur(opened, (0, 0), 2), *grey.shape)


def rim(grey):
    """The outermost pixels of a picture, in a row."""
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def quantile(values, share):
    """The value that `share` (0..1) of all lie below, between two neighbours in a line.

    As numpy.quantile, which takes 60 to 150 microseconds where this takes 5, and imports numpy.ma: a tenth of all that
    a prediction in a fresh process takes.
    """
    place = share * (values.size - 1)
    around = math.floor(place), math.ceil(place)
    low, high = np.partition(values, around, axis=None)[[*around]].tolist()
    return low + (place % 1) * (high - low)


def lighting(grey):
    """How the paper would look without ink, float32 as `grey`: the surface of second degree that most pixels lie on.

    The paper of a small picture is the grey of its rim.
    """
    height, width = grey.shape
    if min(height, width) < PHOTO_SIDE:
        return np.full((height, width), quantile(rim(grey), 0.5), np.float32)
    sample = resize(grey, 32, 32).astype(np.float32).ravel()
    terms = np.stack([np.broadcast_to(term, (32, 32)).ravel() for term in surface(32, 32)], axis=1)
    weights = np.ones_like(sample)
    for _ in range(10):  # least squares, in which what lies off the surface counts less each time
        fitted = terms @ np.linalg.lstsq(terms * weights[:, None], sample * weights, rcond=None)[0]
        off = np.abs(sample - fitted)
        weights = 1 / (1 + (off / max(quantile(off, 0.5), 1)) ** 2)
    coefficients = np.linalg.lstsq(terms * weights[:, None], sample * weights, rcond=None)[0]
    return sum(coefficient * term for coefficient, term in zip(coefficients, surface(height, width), strict=True))


def surface(height, width):
    """The terms 1, x, y, x^2, xy, y^2 at the middle of every pixel, over -1..1: float32, alike in shape when added."""
    y = ((np.arange(height, dtype=np.float32) + 0.5) * 2 / height - 1)[:, None]
    x = (np.arange(width, dtype=np.float32) + 0.5) * 2 / width - 1
    return np.float32(1), x, y, x * x, x * y, y * y


def parts_of_digit(ink):
    """Where the digit is: of the ink above Otsu's threshold, the part of most ink and what lies near it, no specks.

    What comes in from the rim is left out, unless there is nothing else.
    """
    levels = (ink * (255 / ink.max())).astype(np.uint8)
    _, mask = cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask)
    amount = np.bincount(parts.ravel(), weights=ink.ravel(), minlength=count)
    amount[0] = 0  # the paper
    x, y, width, height = (stats[:, i] for i in range(4))
    at_rim = (x == 0) | (y == 0) | (x + width == ink.shape[1]) | (y + height == ink.shape[0])
    if amount[~at_rim].max(initial=0) > RIM_SHARE * amount.max():
        amount[at_rim] = 0
    main = amount.argmax()
    gap_x = np.maximum(x, x[main]) - np.minimum(x + width, x[main] + width[main])
    gap_y = np.maximum(y, y[main]) - np.minimum(y + height, y[main] + height[main])
    near = np.maximum(gap_x, gap_y) <= NEAR * max(width[main], height[main])
    return (near & (amount >= SPECK * amount[main]))[parts]


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
