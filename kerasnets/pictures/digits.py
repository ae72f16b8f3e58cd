"""From a picture of one digit to MNIST's form: find its ink, cut it out, scale it, centre it."""

import math

import cv2
import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.pictures.sizes import Shape, resize, shrink, to_grey

MIN_CONTRAST = 12  # grey levels between ink and paper; with less, the picture is of one colour
SIDE = 28  # pixels: MNIST's field
BOX = 20  # pixels: the digit's longer side in it
INK = 32  # the grey level from which a pixel of an MNIST picture counts as ink
MIN_STROKE = 2.0  # pixels in the box: nine tenths of MNIST's strokes are thicker, by stroke_width
PHOTO_SIDE = 50  # pixels: a smaller picture is not treated as a photo
WORKING_SIDE = 400  # pixels: larger photos are shrunk to it first
PAPER_SIDE = 200  # pixels: the size at which the paper is estimated
WIDEST_STROKE = 0.2  # of the photo's longer side; anything wider is a shadow
SPECK = 0.05  # of the largest part's ink; a part with less is not of the digit
NEAR = 0.3  # of the largest part's longer side; a part farther away is not of the digit
SOFT = 0.11  # a part less sharp is a shadow; digits in photos have 0.16 to 0.23, the test's shadows 0.08 at most
RIM_SHARE = 0.1  # of the largest part's ink; with more, a part away from the rim is the digit
# The last five were chosen on photos of tests/pictures/photo_digits.py with seeds 101 to 104, which no test uses.


def to_mnist_form(picture: np.ndarray, shape: Shape = (SIDE, SIDE, 1)) -> np.ndarray:
    """Convert a picture of one digit, dark on light or light on dark, as MNIST's makers did: uint8 (28, 28, 1).

    The ink becomes white on black. It is cut out, scaled so that its longer side has 20 pixels, and placed in 28x28
    with its centre of mass in the middle (yann.lecun.com/exdb/mnist). A picture in this form is left as it is.
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


def to_padded_mnist_form(picture: np.ndarray, shape: Shape) -> np.ndarray:
    """Return MNIST's form with a black rim: uint8 `shape`. LeNet-5's paper pads 28x28 to 32x32."""
    top, left = ((side - SIDE) // 2 for side in shape[:2])
    bottom, right = (side - SIDE - before for side, before in zip(shape[:2], (top, left), strict=True))
    return np.pad(to_mnist_form(picture), ((top, bottom), (left, right), (0, 0)))


def to_permuted_mnist_form(picture: np.ndarray, shape: Shape) -> np.ndarray:
    """Return MNIST's form with its pixels in a random order, the same for every picture."""
    return permute_pixels(to_mnist_form(picture, shape)[None])[0]


def permute_pixels(images: np.ndarray) -> np.ndarray:
    """Put the pixels of images (n, height, width, channels) into a random order, the same for all images."""
    pixels = images.reshape(len(images), -1)
    order = np.random.RandomState(0).permutation(pixels.shape[1])  # NumPy guarantees its stream
    return pixels[:, order].reshape(images.shape)


def is_light(grey: np.ndarray) -> bool:
    """Whether the paper is lighter than the ink: with even light, its rim is nearer to the lightest pixel."""
    small = shrink(grey, 100).astype(np.float32)
    even = small - lighting(small)
    return quantile(rim(even), 0.5) > (even.min() + even.max()) / 2


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


def centre_of_mass(grey: np.ndarray) -> tuple[float, float]:
    """Return (row, column) of the ink's centre of mass, in pixels from the middle of the first pixel."""
    # Not cv2.moments: it takes a picture that is two pixels wide, such as a straight 1, for a list of points.
    mass = grey.astype(np.float64)
    rows, columns = mass.sum(axis=1), mass.sum(axis=0)
    return rows @ np.arange(len(rows)) / mass.sum(), columns @ np.arange(len(columns)) / mass.sum()


def cut_out_ink(grey: np.ndarray) -> np.ndarray:
    """Return the ink of a digit, white on dark and unevenly lit paper, in its bounding box: float32, 0..1."""
    ink = ink_of(shrink(grey, WORKING_SIDE))
    mask = parts_of_digit(ink)
    inside = quantile(ink[mask], 0.75)
    may_be_shadow = min(grey.shape) >= PHOTO_SIDE and rim(mask).any()
    if inside < MIN_CONTRAST or (may_be_shadow and sharpness(ink / inside, mask) < SOFT):
        raise nothing_to_see()  # only noise, or the edge of a shadow
    ink = np.clip(ink / inside, 0, 1)  # the inside of a stroke is white, its edge fades
    halo = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    ink[~halo] = 0
    x, y, width, height = cv2.boundingRect((ink > 0.1).astype(np.uint8))
    return ink[y : y + height, x : x + width]


def ink_of(grey: np.ndarray) -> np.ndarray:
    """Return how much lighter each pixel is than the dark paper around it: float32 in the shape of `grey`.

    Raises:
        BadInputError: The picture has no contrast.
    """
    ink = np.clip(grey.astype(np.float32) - paper_below(grey), 0, None)
    if ink.max() < MIN_CONTRAST:
        raise nothing_to_see()
    return ink


def sharpness(ink: np.ndarray, mask: np.ndarray) -> float:
    """Return the 0.9 quantile, along the outline, of the change of the ink (1 inside a stroke) from pixel to pixel."""
    smooth = cv2.GaussianBlur(ink, (0, 0), 1.5)
    steps = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8))
    return quantile(steps[cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0], 0.9)


def nothing_to_see() -> BadInputError:
    return BadInputError("has no digit to see: it is all of one colour", remedy="take a picture with more contrast")


def paper_below(grey: np.ndarray) -> np.ndarray:
    """Return the paper without its ink, float32 in the shape of `grey`; whatever is wider than a stroke is paper.

    Black top-hat by a disc (Soille, Morphological Image Analysis, section 4.5), at a small size, since only strokes
    must be sharp.
    """
    even = lighting(grey)
    if min(grey.shape) < PHOTO_SIDE:
        return even
    small = shrink(cv2.GaussianBlur(grey - even, (0, 0), 1), PAPER_SIDE)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (round(WIDEST_STROKE * PAPER_SIDE) | 1,) * 2)
    opening = cv2.morphologyEx(small, cv2.MORPH_OPEN, disc, borderType=cv2.BORDER_REPLICATE)
    return even + resize(cv2.GaussianBlur(opening, (0, 0), 2), *grey.shape)


def rim(grey: np.ndarray) -> np.ndarray:
    """Return the outermost pixels of a picture, in a row."""
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def quantile(values: np.ndarray, share: float) -> float:
    """Return the quantile at `share`, 0..1, linear between neighbours.

    numpy.quantile takes 60 to 150 microseconds instead of 5, and imports numpy.ma, which is a tenth of the time of a
    prediction in a fresh process.
    """
    place = share * (values.size - 1)
    around = math.floor(place), math.ceil(place)
    low, high = np.partition(values, around, axis=None)[[*around]].tolist()
    return low + (place % 1) * (high - low)


def lighting(grey: np.ndarray) -> np.ndarray:
    """Return the light on the paper, float32 in the shape of `grey`: the quadratic surface through most pixels.

    For a small picture, it is the grey of the rim everywhere.
    """
    height, width = grey.shape
    if min(height, width) < PHOTO_SIDE:
        return np.full((height, width), quantile(rim(grey), 0.5), np.float32)
    sample = resize(grey, 32, 32).astype(np.float32).ravel()
    terms = np.stack([np.broadcast_to(term, (32, 32)).ravel() for term in surface(32, 32)], axis=1)
    weights = np.ones_like(sample)
    for _ in range(10):  # iteratively reweighted least squares: pixels off the surface count less
        values = terms @ np.linalg.lstsq(terms * weights[:, None], sample * weights, rcond=None)[0]
        off = np.abs(sample - values)
        weights = 1 / (1 + (off / max(quantile(off, 0.5), 1)) ** 2)
    coefficients = np.linalg.lstsq(terms * weights[:, None], sample * weights, rcond=None)[0]
    products = (coefficient * term for coefficient, term in zip(coefficients, surface(height, width), strict=True))
    return np.asarray(sum(products))


def surface(height: int, width: int) -> tuple[np.ndarray | np.float32, ...]:
    """Return the terms 1, x, y, x^2, xy, y^2 at the middle of every pixel, x and y in -1..1: float32, broadcastable."""
    y = ((np.arange(height, dtype=np.float32) + 0.5) * 2 / height - 1)[:, None]
    x = (np.arange(width, dtype=np.float32) + 0.5) * 2 / width - 1
    return np.float32(1), x, y, x * x, x * y, y * y


def parts_of_digit(ink: np.ndarray) -> np.ndarray:
    """Return the mask of the digit: above Otsu's threshold, the part with most ink and the parts near it, no specks.

    Parts that touch the rim are left out, unless there are no others.
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
