"""Several digits on one sheet: the place and the pixels of each, in reading order.

Digits that touch each other are one; near to each other, they are told apart. A ruled line may be next to digits, or
paler than the pen; a line that crosses a digit becomes part of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.pictures.digits import AS_TALL, MIN_CONTRAST, NothingSeenError, nothing_to_see
from kerasnets.pictures.paper import PHOTO_SIDE, ink_of
from kerasnets.pictures.parts import at_rim, enclosing, pieces_of_digits, with_paler
from kerasnets.pictures.sheet import FAINTEST
from kerasnets.pictures.sizes import quantile, shrink, to_grey, to_rgb

Box = tuple[int, int, int, int]  # x, y, width, height

# Chosen on sheets of tests/pictures/photo_digits.py and real_photos.py, with seeds that no test uses.
STROKE = 0.1  # of the longer side; anything wider is paper
STRAIGHT = 0.2  # of its length: a line is no wider
SPECK = 10  # pixels in height: a lower part inside a frame is a speck
SHEET_SIDE = 1600  # pixels: larger photos are shrunk to it first
GAP = 0.1  # of a usual digit's longer side: nearer parts belong to one digit, as the bar of a 5
SMALLEST = 0.3  # of a usual digit's longer side: a smaller part is a speck
LEAST = 12  # pixels, of the longer side of a digit on a photo; a smaller one cannot be read
EDGE = 0.7  # of the paper's brightness; a darker surface beside a part is another one, as a desk, or lies in shadow
HOLE = 0.1  # of a part's box; a smaller inside does not show whether it is paper
PRINTED = 0.75  # of a part's ink, rulings included; digits on lined sheets keep 0.96 to 1 without rulings, lines less
BESIDE = 0.85  # of the brightest paper beside a part: with less for the most part, it is at the edge of a sheet
DARK_PLACE = 0.5  # of the picture's brightness: a dark desk, or deep shadow
PALE = 35  # of 255, the mean ink of a part there; the desks of real_photos.py, seeds 24 and 240, have up to 34
DARK = 60  # of 255, the mean ink of a part; the rest of a ruling is paler, unless the ruling reaches the rim
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
        doubt: Why it may be no ink; "" if nothing speaks against it.
    """

    box: Box
    row: int
    pixels: np.ndarray = field(repr=False, compare=False)
    doubt: str = ""


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
        raise nothing_to_see(found)
    parts, boxes = parts_of_sheet(ink, found.all)
    grey = to_grey(working)[top : top + ink.shape[0], left : left + ink.shape[1]]
    kept = [i for i, box in enumerate(boxes) if is_on_paper(grey, ink, parts, i + 1, box)]
    if not kept:
        raise NothingSeenError(
            "has no digit to see on the sheet", remedy="take a picture of the paper alone, in even light"
        )
    scale = max(picture.shape) / max(working.shape)
    digits = []
    for place, row in reading_order([boxes[i] for i in kept]):
        i = kept[place]
        x, y, width, height = boxes[i]
        x, y, width, height = (round(float(side) * scale) for side in (left + x, top + y, width, height))
        digits.append(Digit((x, y, width, height), row, cut_out(ink, parts, i + 1, boxes[i]), found.doubt))
    return digits


def parts_of_sheet(ink: np.ndarray, everything: np.ndarray) -> tuple[np.ndarray, list[Box]]:
    """Return an int32 map in the shape of `ink`, with k + 1 at digit k and 0 elsewhere, and the digits' boxes.

    Args:
        ink: The pen's, as in `Ink`.
        everything: The same with rulings.
    """
    scale = 255 / max(quantile(ink, 0.999), 1)
    level, mask = with_paler(cv2.convertScaleAbs(ink, alpha=scale), FAINTEST * scale)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask)
    frames = enclosing(parts, stats[:, :4], stats[:, cv2.CC_STAT_HEIGHT] >= SPECK)
    _, wholes, whole_stats, _ = cv2.connectedComponentsWithStats((everything > level / scale).astype(np.uint8))
    frames |= sides_of_cells(parts, stats, wholes, whole_stats)
    frames[0] = True  # the paper
    mask[frames[parts]] = 0
    usual = usual_side(stats[~frames & ~at_rim(stats[:, :4].T, ink.shape)])
    reach = max(1, round(GAP * usual)) | 1
    near = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    _, groups, near_stats, _ = cv2.connectedComponentsWithStats(near)
    places = mask > 0
    labels = parts[places]
    group_of = np.zeros(count, np.int32)  # 0 for a frame
    group_of[labels] = groups[places]
    pen = np.bincount(labels, weights=ink[places], minlength=count)
    rest = rest_of_rulings(labels, pen, everything[places], at_rim(whole_stats[:, :4].T, ink.shape)[wholes[places]])
    written = np.bincount(group_of, pen * ~rest, len(near_stats)) > 0
    written[0] = False
    large = np.flatnonzero(written & (near_stats[:, 2:4].max(axis=1) >= SMALLEST * usual))
    if len(large) > MOST:
        problem = f"has {len(large)} parts, and a sheet has {MOST} digits at most"
        raise BadInputError(problem, remedy="take a sharper picture")
    least = max(SMALLEST * usual, LEAST if min(ink.shape) >= PHOTO_SIDE else 0)
    digits = []  # (places in stats, box, mean ink)
    for members in members_of(group_of, large):
        numbers = np.array(pieces_of_digits(stats[members, :4], AS_TALL))
        for k in range(numbers.max() + 1):
            pieces = members[numbers == k]
            box = around(stats[pieces])
            is_digit = max(box[2:]) >= least and box[2] <= WIDEST * box[3]
            is_printed = 2 * pen[pieces][rest[pieces]].sum() > pen[pieces].sum()
            if is_digit and not at_rim(box, ink.shape) and not is_printed:
                digits.append((pieces, box, pen[pieces].sum() / stats[pieces, cv2.CC_STAT_AREA].sum()))
    usual_ink = np.median([strength for _, _, strength in digits]) if digits else 0
    digits = [digit for digit in digits if digit[2] >= PALEST * usual_ink]
    numbers = np.zeros(count, np.int32)
    for i, (pieces, _, _) in enumerate(digits, start=1):
        numbers[pieces] = i
    is_free = ~frames & ~rest
    for i, (_, box, _) in enumerate(digits, start=1):  # what is in a digit tells that it is none, as a face
        numbers[is_free & (numbers == 0) & is_inside(stats[:, :4], box)] = i
    return numbers[parts], [box for _, box, _ in digits]


def members_of(group_of: np.ndarray, groups: np.ndarray) -> list[np.ndarray]:
    """Return the places in `group_of`, int (n,), of the members of each group."""
    order = np.argsort(group_of, kind="stable")
    starts, ends = (np.searchsorted(group_of[order], groups, side) for side in ("left", "right"))
    return [order[start:end] for start, end in zip(starts, ends, strict=True)]


def around(boxes: np.ndarray) -> Box:
    """Return the box around boxes, int (n, 4 or more)."""
    left, top = boxes[:, :2].min(axis=0).tolist()
    right, bottom = (boxes[:, :2] + boxes[:, 2:4]).max(axis=0).tolist()
    return left, top, right - left, bottom - top


def is_inside(boxes: np.ndarray, box: Box) -> np.ndarray:
    """Return for each of the boxes, int (n, 4), whether it lies in `box` and does not touch its sides."""
    left, top, wide, high = box
    x, y, width, height = boxes.T
    return (x > left) & (y > top) & (x + width < left + wide) & (y + height < top + high)


def is_on_paper(grey: np.ndarray, ink: np.ndarray, parts: np.ndarray, label: int, box: Box) -> bool:
    """Whether a part lies on paper of one colour: not at the edge of a sheet on a desk, not around something else."""
    x, y, width, height = box
    window = np.s_[max(y - 4, 0) : y + height + 4, max(x - 4, 0) : x + width + 4]
    mask = (parts[window] == label).astype(np.uint8)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(mask), outlines, -1, 1, cv2.FILLED)
    wide, narrow = (cv2.dilate(mask, np.ones((side, side), np.uint8)) for side in (7, 3))
    beside, inside = grey[window][wide > narrow], grey[window][filled > wide]
    strength = ink[window][mask > 0].mean()
    if not beside.size:
        return True
    dark, usual, light = (quantile(beside, share) for share in (0.1, 0.5, 0.9))
    if dark < EDGE * light and strength < DARK:
        return False
    if strength < PALE and (usual < BESIDE * light or usual < DARK_PLACE * quantile(grey, 0.9)):
        return False
    if inside.size < HOLE * width * height:
        return True
    outside = grey[window][(wide > narrow) & (filled == 0)]
    dark, light = (quantile(outside, share) for share in (0.1, 0.9)) if outside.size else (0, 255)
    return EDGE * dark <= quantile(inside, 0.5) <= light / EDGE


def rest_of_rulings(labels: np.ndarray, pen: np.ndarray, everything: np.ndarray, leaves: np.ndarray) -> np.ndarray:
    """Return for each part whether it is what is left of a ruling, no digit: a 1 may have been taken for a ruling.

    Args:
        labels: Of each inked pixel, its part.
        pen: For each part, its ink without rulings.
        everything: Of each inked pixel, its ink with rulings.
        leaves: Of each inked pixel, whether it is connected with the rim, as rulings are.
    """
    whole, outside = (np.bincount(labels, each, len(pen)) for each in (everything, leaves))
    area = np.bincount(labels, minlength=len(pen))
    return (pen < PRINTED * whole) & ((pen < DARK * area) | (outside > 0))


def sides_of_cells(parts: np.ndarray, stats: np.ndarray, wholes: np.ndarray, whole_stats: np.ndarray) -> np.ndarray:
    """Return for each part whether it is a straight rest of a form, whose long lines were taken for rulings.

    Args:
        parts, stats: As of `cv2.connectedComponentsWithStats`.
        wholes, whole_stats: The same with rulings.
    """
    forms = enclosing(wholes, whole_stats[:, :4], whole_stats[:, cv2.CC_STAT_HEIGHT] >= SPECK)
    forms &= ~at_rim(whole_stats[:, :4].T, wholes.shape)
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
    _, slope = rows_of(boxes, 0.0)
    row, slope = rows_of(boxes, slope)
    x, y, width, height = np.asarray(boxes, float).T
    middle, level = x + width / 2, y + height / 2 - slope * (x + width / 2)
    from_top = sorted(set(row.tolist()), key=lambda number: level[row == number].mean())
    rows = [from_top.index(number) for number in row.tolist()]
    return sorted(enumerate(rows), key=lambda each: (each[1], middle[each[0]]))


def rows_of(boxes: Sequence[Box], slope: float) -> tuple[np.ndarray, float]:
    """Return the number of each box's row, int (n,), and the slope of the rows.

    Args:
        boxes: As of `reading_order`.
        slope: The rows' slope as far as it is known, by which the boxes are levelled first.
    """
    x, y, width, height = np.asarray(boxes, float).T
    middle, centre = x + width / 2, y + height / 2
    y = y - slope * middle
    row = np.arange(len(boxes))
    slopes = [slope]
    for i in np.argsort(middle):
        common = np.minimum(y + height, y[i] + height[i]) - np.maximum(y, y[i])
        at_right = (middle > middle[i]) & (common >= OVERLAP * np.minimum(height, height[i]))
        if at_right.any():
            j = np.flatnonzero(at_right)[np.argmin(middle[at_right])]
            slopes.append((centre[j] - centre[i]) / (middle[j] - middle[i]))
            row[row == row[j]] = row[i]
    return row, float(np.median(slopes))


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
