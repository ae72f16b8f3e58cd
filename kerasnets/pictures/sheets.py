"""Several digits on one sheet: where each is, in reading order, and its pixels.

Digits that touch each other count as one; they are out of scope. A ruled line may lie beside digits, or be paler than
the pen; one that crosses a digit becomes part of it.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.pictures.digits import ink_of, is_light
from kerasnets.pictures.sizes import shrink, to_grey, to_rgb

# Chosen on the sheets of tests/pictures/photo_digits.py, by other seeds than those of the test.
SHEET_SIDE = 1600  # pixels: larger photos are shrunk to it before digits are sought
GAP = 0.1  # of a usual digit's longer side: parts nearer than that belong to one digit, as the hat of a 5
SMALLEST = 0.3  # of a usual digit's longer side: what is smaller is a speck
PALEST = 0.3  # of the usual ink: what is paler is a ruled line, a fold or the rest of a shadow
WIDEST = 2.5  # of its height: what is wider is a line
MOST = 500  # digits of a sheet
OVERLAP = 0.3  # of the lower one's height, that two neighbours in a row have in common
MARGIN = 0.5  # of a digit's longer side, around its pixels
RED = (220, 40, 40)  # RGB, of the boxes


@dataclass(frozen=True)
class Digit:
    """One digit of a sheet. box: (x, y, width, height) in pixels of the picture; row: from the top, beginning with 0.

    pixels: uint8 (height, width) grey, 0..255, white ink on black with a margin: for pictures.prepare(kind="mnist").
    """

    box: tuple[int, int, int, int]
    row: int
    pixels: np.ndarray = field(repr=False, compare=False)


def find_digits(picture):
    """Return the Digits of a sheet in reading order: rows from top to bottom, in each from left to right.

    None that touches the picture's rim.

    picture: uint8 (height, width[, 1 or 3]), 0..255, grey or RGB, dark ink on light paper or light on dark.
    Raises BadInputError where there is none.
    """
    grey = to_grey(picture)
    working = shrink(255 - grey if is_light(grey) else grey, SHEET_SIDE)
    ink = ink_of(working)
    parts, boxes = parts_of_sheet(ink)
    if not boxes:
        raise BadInputError("no digit to see on the sheet; take a sharper or nearer picture of it")
    scale = max(grey.shape) / max(working.shape)
    return [
        Digit(tuple(round(float(side) * scale) for side in boxes[i]), row, cut_out(ink, parts, i + 1, boxes[i]))
        for i, row in reading_order(boxes)
    ]


def parts_of_sheet(ink):
    """(parts, boxes): int32 as `ink`, k + 1 where the k-th digit is, else 0; and the digits' (x, y, width, height)."""
    levels = np.clip(ink * (255 / np.percentile(ink, 99.9)), 0, 255).astype(np.uint8)
    _, mask = cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    usual = usual_side(stats[~at_rim(*stats[:, :4].T, ink.shape)])
    reach = max(1, round(GAP * usual)) | 1
    near = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(near)
    parts[mask == 0] = 0
    large = 1 + np.flatnonzero(stats[1:, 2:4].max(axis=1) >= SMALLEST * usual)
    if len(large) > MOST:
        raise BadInputError(f"{len(large)} parts are no sheet, which has {MOST} digits at most; take a sharper picture")
    found = []  # (label, box, how strong the ink is)
    for label in large:
        left, top, wide, tall = stats[label, :4]
        window = np.s_[top : top + tall, left : left + wide]
        part = parts[window] == label
        x, y, width, height = cv2.boundingRect(part.astype(np.uint8))
        box = (left + x, top + y, width, height)
        is_digit = max(width, height) >= SMALLEST * usual and width <= WIDEST * height
        if is_digit and not at_rim(*box, ink.shape):
            found.append((label, box, ink[window][part].mean()))
    usual_ink = np.median([strength for _, _, strength in found]) if found else 0
    found = [(label, box) for label, box, strength in found if strength >= PALEST * usual_ink]
    numbers = np.zeros(count, np.int32)
    numbers[[label for label, _ in found]] = 1 + np.arange(len(found))
    return numbers[parts], [box for _, box in found]


def at_rim(x, y, width, height, shape):
    """Whether boxes touch the rim of a picture of `shape`, as do the table, the paper, and a shadow's rest."""
    return (x == 0) | (y == 0) | (x + width == shape[1]) | (y + height == shape[0])


def usual_side(stats):
    """The longer side of a usual digit in pixels: of what has half of all ink, specks having little."""
    if not len(stats):
        return 1
    sides = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
    order = np.argsort(sides)
    area = np.cumsum(stats[order, cv2.CC_STAT_AREA])
    return int(sides[order[np.searchsorted(area, area[-1] / 2)]])


def reading_order(boxes):
    """[(index, row)] of boxes (n, 4) in reading order, rows counted from the top.

    A row is a chain of neighbours: from each digit to the nearest one at its right that is about as high up. So a row
    may rise or fall over the sheet, as in a photo that is tilted.
    """
    x, y, width, height = np.asarray(boxes, float).T
    middle, centre = x + width / 2, y + height / 2
    row = np.arange(len(boxes))
    slopes = [0.0]
    for i in np.argsort(middle):
        common = np.minimum(y + height, y[i] + height[i]) - np.maximum(y, y[i])
        at_right = (middle > middle[i]) & (common >= OVERLAP * np.minimum(height, height[i]))
        if at_right.any():
            j = np.flatnonzero(at_right)[np.argmin(middle[at_right])]
            slopes.append((centre[j] - centre[i]) / (middle[j] - middle[i]))
            row[row == row[j]] = row[i]
    level = centre - np.median(slopes) * middle
    from_top = sorted(set(row.tolist()), key=lambda number: level[row == number].mean())
    rows = [from_top.index(number) for number in row]
    return sorted(enumerate(rows), key=lambda each: (each[1], middle[each[0]]))


def cut_out(ink, parts, label, box):
    """The ink of one digit, with nothing of its neighbours: uint8, white on black, a margin around it."""
    x, y, width, height = box
    window = np.s_[y : y + height, x : x + width]
    halo = cv2.dilate((parts[window] == label).astype(np.uint8), np.ones((3, 3), np.uint8))
    digit = ink[window] * halo
    white = np.percentile(digit[halo > 0], 90)
    margin = round(MARGIN * max(width, height)) + 1
    return np.pad(np.clip(digit * (255 / white), 0, 255).astype(np.uint8), margin)


def draw_boxes(picture, digits, labels):
    """Return uint8 (height, width, 3) RGB: `picture` (as in find_digits) with a box around each digit, its label above.

    digits: as from find_digits; labels: a str for each.
    """
    drawn = to_rgb(picture).copy()
    thick = max(1, round(max(drawn.shape) / 500))
    for digit, label in zip(digits, labels, strict=True):
        x, y, width, height = digit.box
        cv2.rectangle(drawn, (x - thick, y - thick), (x + width + thick, y + height + thick), RED, thick)
        place = (x, max(y - 3 * thick, 14 * thick))
        cv2.putText(drawn, label, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5 * thick, RED, thick, cv2.LINE_AA)
    return drawn
