"""Several digits on one sheet: the place and the pixels of each, in reading order.

Digits that touch each other count as one. A ruled line may be next to digits, or paler than the pen; a line that
crosses a digit becomes part of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.pictures.digits import MIN_CONTRAST, NothingSeenError, nothing_to_see
from kerasnets.pictures.paper import ink_of
from kerasnets.pictures.parts import at_rim, enclosing, with_paler
from kerasnets.pictures.sizes import quantile, shrink, to_rgb

Box = tuple[int, int, int, int]  # x, y, width, height

# Chosen on the sheets of tests/pictures/photo_digits.py, with seeds that no test uses.
STROKE = 0.1  # of the longer side; anything wider is paper
STRAIGHT = 0.2  # of its length: a line is no wider
SPECK = 10  # pixels in height: a lower part inside a frame is a speck
SHEET_SIDE = 1600  # pixels: larger photos are shrunk to it first
GAP = 0.1  # of a usual digit's longer side: nearer parts belong to one digit, as the bar of a 5
SMALLEST = 0.3  # of a usual digit's longer side: a smaller part is a speck
PALEST = 0.3  # of the usual ink: a paler part is a ruled line, a fold or the rest of a shadow
WIDEST = 2.5  # of its height: a wider part is a line
MOST = 500  # digits on a sheet
OVERLAP = 0.3  # of the smaller height: the range of rows that two neighbours have in common
MARGIN = 0.5  # of a digit's longer side, around its pixels
RED, GREY = (220, 40, 40), (130, 130, 130)  # RGB, of the boxes around sure digits and others


@dataclass(frozen=True)
class Digit:
    """One digit of a sheet.

    Attributes:
        box: (x, y, width, height) in pixels of the picture.
        row: Its row, counted from 0 at the top.
        pixels: uint8 (height, width) grey, 0..255, white ink on black with a margin, for `pictures.prepare`.
    """

    box: Box
    row: int
    pixels: np.ndarray = field(repr=False, compare=False)


def find_digits(picture: np.ndarray) -> list[Digit]:
    """Return the Digits of a sheet in reading order. Digits that touch the picture's rim are left out.

    Args:
        picture: uint8 (height, width[, 1 or 3]), 0..255, grey or RGB, dark ink on light paper or light on dark.

    Raises:
        BadInputError: Without a path. There is no digit, or more parts than a sheet has digits.
    """
    working = shrink(picture, SHEET_SIDE)
    found = ink_of(working, STROKE)
    ink, (left, top) = found.pen, found.origin
    if ink.max() < MIN_CONTRAST:
        raise nothing_to_see()
    parts, boxes = parts_of_sheet(ink, found.all)
    if not boxes:
        raise NothingSeenError("has no digit to see on the sheet", remedy="take a sharper or nearer picture of it")
    scale = max(picture.shape) / max(working.shape)
    digits = []
    for i, row in reading_order(boxes):
        x, y, width, height = boxes[i]
        x, y, width, height = (round(float(side) * scale) for side in (left + x, top + y, width, height))
        digits.append(Digit((x, y, width, height), row, cut_out(ink, parts, i + 1, boxes[i])))
    return digits


def parts_of_sheet(ink: np.ndarray, everything: np.ndarray) -> tuple[np.ndarray, list[Box]]:
    """Return an int32 map in the shape of `ink`, with k + 1 at digit k and 0 elsewhere, and the digits' boxes.

    Args:
        ink: The pen's, as in `Ink`.
        everything: The same with rulings.
    """
    scale = 255 / max(quantile(ink, 0.999), 1)
    level, mask = with_paler(cv2.convertScaleAbs(ink, alpha=scale))
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask)
    frames = enclosing(parts, stats[:, :4], stats[:, cv2.CC_STAT_HEIGHT] >= SPECK)
    frames |= sides_of_cells(parts, stats, (everything > level / scale).astype(np.uint8))
    mask[frames[parts]] = 0
    stats = stats[~frames]
    usual = usual_side(stats[~at_rim(stats[:, :4].T, ink.shape)])
    reach = max(1, round(GAP * usual)) | 1
    near = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(near)
    parts[mask == 0] = 0
    large = 1 + np.flatnonzero(stats[1:, 2:4].max(axis=1) >= SMALLEST * usual)
    if len(large) > MOST:
        problem = f"has {len(large)} parts, and a sheet has {MOST} digits at most"
        raise BadInputError(problem, remedy="take a sharper picture")
    digits = []  # (label, box, mean ink)
    for label in large:
        left, top, wide, tall = stats[label, :4]
        window = np.s_[top : top + tall, left : left + wide]
        part = parts[window] == label
        x, y, width, height = cv2.boundingRect(part.astype(np.uint8))
        box = (left + x, top + y, width, height)
        is_digit = max(width, height) >= SMALLEST * usual and width <= WIDEST * height
        if is_digit and not at_rim(box, ink.shape):
            digits.append((label, box, ink[window][part].mean()))
    usual_ink = np.median([strength for _, _, strength in digits]) if digits else 0
    digits = [digit for digit in digits if digit[2] >= PALEST * usual_ink]
    numbers = np.zeros(count, np.int32)
    numbers[[label for label, _, _ in digits]] = 1 + np.arange(len(digits))
    return numbers[parts], [box for _, box, _ in digits]


def sides_of_cells(parts: np.ndarray, stats: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return for each part whether it is a straight rest of a form, whose long lines were taken for rulings."""
    _, wholes, whole_stats, _ = cv2.connectedComponentsWithStats(mask)
    forms = enclosing(wholes, whole_stats[:, :4], whole_stats[:, cv2.CC_STAT_HEIGHT] >= SPECK)
    forms &= ~at_rim(whole_stats[:, :4].T, mask.shape)
    in_form = np.bincount(parts[forms[wholes]], minlength=len(stats)) > 0
    in_form[0] = False
    sides = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    return in_form & (sides.min(axis=1) <= STRAIGHT * sides.max(axis=1))


def usual_side(stats: np.ndarray) -> int:
    """Return the longer side of a usual digit in pixels: the median over all inked pixels, since specks have few."""
    if not len(stats):
        return 1
    sides = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
    order = np.argsort(sides)
    area = np.cumsum(stats[order, cv2.CC_STAT_AREA])
    return int(sides[order[np.searchsorted(area, area[-1] / 2)]])


def reading_order(boxes: Sequence[Box]) -> list[tuple[int, int]]:
    """Return (index, row) of boxes in reading order, rows counted from the top.

    A row is a chain of neighbours: each digit is followed by the nearest one to its right at about the same height. A
    row may therefore rise or fall over the sheet, as in a tilted photo.
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
    rows = [from_top.index(number) for number in row.tolist()]
    return sorted(enumerate(rows), key=lambda each: (each[1], middle[each[0]]))


def cut_out(ink: np.ndarray, parts: np.ndarray, label: int, box: Box) -> np.ndarray:
    """Return the ink of one digit without its neighbours: uint8, white on black, with a margin."""
    x, y, width, height = box
    window = np.s_[y : y + height, x : x + width]
    halo = cv2.dilate((parts[window] == label).astype(np.uint8), np.ones((3, 3), np.uint8))
    digit = ink[window] * halo
    white = np.percentile(digit[halo > 0], 90)
    margin = round(MARGIN * max(width, height)) + 1
    return np.pad(np.clip(digit * (255 / white), 0, 255).astype(np.uint8), margin)


def draw_boxes(
    picture: np.ndarray, digits: Sequence[Digit], labels: Sequence[str], is_sure: Sequence[bool] | None = None
) -> np.ndarray:
    """Return `picture` with a box around each digit and its label above: uint8 (height, width, 3) RGB.

    Args:
        picture: As in `find_digits`.
        digits: As `find_digits` returns them.
        labels: One for each digit.
        is_sure: Whether each label is; grey if not. All are by default.
    """
    drawn = to_rgb(picture).copy()
    thick = max(1, round(max(drawn.shape) / 500))
    for digit, label, sure in zip(digits, labels, is_sure or [True] * len(labels), strict=True):
        color = RED if sure else GREY
        x, y, width, height = digit.box
        cv2.rectangle(drawn, (x - thick, y - thick), (x + width + thick, y + height + thick), color, thick)
        place = (x, max(y - 3 * thick, 14 * thick))
        cv2.putText(drawn, label, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5 * thick, color, thick, cv2.LINE_AA)
    return drawn
