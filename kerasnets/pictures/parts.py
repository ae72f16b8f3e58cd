"""The parts of a picture's ink: which belong to one digit, and how many digits there are."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

WEAK = 0.6  # of Otsu's threshold: paler ink counts if it is connected with darker (Canny's hysteresis)
SPECK = 0.05  # of the largest part's ink; a part with less is not of the digit, unless it is long
LONG = 0.2  # of the largest part's longer side, as the end of a 9 that a thin pen has left
NEAR = 0.3  # of the largest part's longer side; a part farther away is not of the digit
RIM_SHARE = 0.1  # of the largest part's ink; with more, a part away from the rim is the digit
TALL = 0.4  # of the largest part's longer side; a part less tall is no digit
PALE = 0.4  # of the largest part's darkness; a paler part is a fold, a ruling or the edge of a shadow
LONGEST = 1.5  # of the largest part's longer side; a part near it that is longer is a line, no piece of the digit
BROKEN = 0.15  # of the longer side: two parts one above the other, not farther apart, are one digit, as of a 5
INNER = 0.2  # of a frame's height; what is smaller in it is a speck
DOT = 0.005  # of the largest part's ink; a part inside it with less is dirt
SIDES = 3  # of a part, on which a frame around it has ink; a box drawn by hand may be open
SAME = 0.3  # of the narrower part: with more columns in common, two parts are one above the other


@dataclass(frozen=True)
class Parts:
    """Connected parts of ink.

    Attributes:
        labels: int32 (height, width), k at part k, 0 at the paper.
        boxes: int (n + 1, 4), x, y, width, height of each; row 0 is the paper.
        amount: float (n + 1,), the ink of each: its pixels times their darkness. 0 if it is none of a digit.
        darkness: float (n + 1,), the mean ink of its pixels.
    """

    labels: np.ndarray
    boxes: np.ndarray
    amount: np.ndarray
    darkness: np.ndarray

    @property
    def main(self) -> int:
        """The part with most ink, dark ink before pale."""
        return int((self.amount * self.darkness).argmax())


def parts_of(ink: np.ndarray) -> Parts:
    """Return the parts of ink, uint8, above Otsu's threshold, without boxes around others and what leaves the picture.

    Parts that touch the rim are left out unless there are no others.
    """
    scaled = cv2.convertScaleAbs(ink, alpha=255 / max(int(ink.max()), 1))
    level, sure = cv2.threshold(scaled, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    _, mask = cv2.threshold(scaled, level * WEAK, 1, cv2.THRESH_BINARY)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    is_inked = np.bincount(labels.ravel(), weights=sure.ravel(), minlength=count) > 0
    amount = np.bincount(labels.ravel(), weights=ink.ravel(), minlength=count)
    darkness = amount / stats[:, cv2.CC_STAT_AREA]
    amount[~is_inked] = 0
    amount[0] = 0  # the paper
    boxes = stats[:, :4]
    large = amount >= SPECK * amount.max()
    for others in (at_rim(boxes.T, ink.shape), enclosing(labels, boxes, large)):
        others[0] = True
        if amount[~others].max(initial=0) > RIM_SHARE * amount.max():
            amount[others] = 0
    return Parts(labels, boxes, amount, darkness)


def with_paler(ink: np.ndarray, least: float = 0) -> tuple[float, np.ndarray]:
    """Return Otsu's threshold of ink, uint8, and the mask of what is above it with paler ink connected to it.

    Args:
        ink: 0..255.
        least: The threshold, if Otsu's is lower.
    """
    level, sure = cv2.threshold(ink, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    if level < least:
        level, sure = cv2.threshold(ink, least, 1, cv2.THRESH_BINARY)
    _, mask = cv2.threshold(ink, level * WEAK, 1, cv2.THRESH_BINARY)
    count, labels = cv2.connectedComponents(mask)
    is_inked = np.bincount(labels[sure > 0], minlength=count) > 0
    is_inked[0] = False
    return level, is_inked[labels].astype(np.uint8)


def at_rim(boxes: Any, shape: tuple[int, ...]) -> Any:
    """Whether boxes, numbers or arrays, touch the rim of a picture of `shape`, as the table and shadows do."""
    x, y, width, height = boxes
    return (x == 0) | (y == 0) | (x + width == shape[1]) | (y + height == shape[0])


def enclosing(labels: np.ndarray, boxes: np.ndarray, large: np.ndarray) -> np.ndarray:
    """Return for each part whether it is a frame: around a large one, where it has no ink itself."""
    frames = np.zeros(len(boxes), bool)
    places = np.flatnonzero(large[1:]) + 1
    x, y, width, height = boxes[places].T
    right, bottom = x + width, y + height
    for k in range(len(places)):
        inside = (x > x[k]) & (y > y[k]) & (right < right[k]) & (bottom < bottom[k]) & (height >= INNER * height[k])
        for i in np.flatnonzero(inside):
            frame = labels[y[k] : bottom[k], x[k] : right[k]] == places[k]
            if surrounds(frame, x[i] - x[k], y[i] - y[k], width[i], height[i]):
                frames[places[k]] = True
                break
    return frames


def surrounds(frame: np.ndarray, x: int, y: int, width: int, height: int) -> bool:
    """Whether a mask is empty in a box and inked on three sides of its middle, at least: an open 0 is on two."""
    if frame[y : y + height, x : x + width].any():
        return False
    row, column = frame[y + height // 2], frame[:, x + width // 2]
    sides = row[:x], row[x + width :], column[:y], column[y + height :]
    return sum(bool(part.any()) for part in sides) >= SIDES


def digit_of(parts: Parts) -> np.ndarray:
    """Return the mask of the digit: the part with most ink and the parts near it, no specks."""
    main = parts.main
    x, y, width, height = parts.boxes.T
    gap_x = np.maximum(x, x[main]) - np.minimum(x + width, x[main] + width[main])
    gap_y = np.maximum(y, y[main]) - np.minimum(y + height, y[main] + height[main])
    side = np.maximum(width, height)
    is_near = np.maximum(gap_x, gap_y) <= NEAR * side[main]
    is_dark = (parts.amount > 0) & (parts.darkness >= PALE * parts.darkness[main])
    near = is_near & ((side <= side[main]) | (is_dark & (side <= LONGEST * side[main])))
    is_long = is_dark & (side >= LONG * side[main])
    return (near & (is_long | (parts.amount >= SPECK * parts.amount[main])))[parts.labels]


def is_filled(parts: Parts) -> bool:
    """Whether the largest part surrounds two others, as a face does its eyes and mouth; no digit does."""
    main = parts.main
    x, y, width, height = parts.boxes.T - np.array([*parts.boxes[main, :2], 0, 0])[:, None]
    is_inside = (x > 0) & (y > 0) & (x + width < width[main]) & (y + height < height[main])
    is_dark = (parts.amount >= DOT * parts.amount[main]) & (parts.darkness >= PALE * parts.darkness[main])
    places = np.flatnonzero(is_inside & is_dark)
    if len(places) < 2:
        return False
    left, top = parts.boxes[main, :2]
    around = parts.labels[top : top + height[main], left : left + width[main]] == main
    return sum(surrounds(around, x[i], y[i], width[i], height[i]) for i in places) > 1


def count_digits(parts: Parts, tall: float = TALL) -> int:
    """Return how many parts have a digit's size and darkness; parts one above the other are one.

    Args:
        parts: Of a picture.
        tall: The least height of a digit, as a fraction of the largest part's longer side.
    """
    main = parts.main
    side = parts.boxes[main, 2:].max()
    is_digit = (
        (parts.amount > 0)
        & (parts.boxes[:, 3] >= tall * side)
        & (parts.boxes[:, 3] <= side / tall)
        & (parts.darkness >= PALE * parts.darkness[main])
    )
    return max(side_by_side(parts.boxes[is_digit], side), default=-1) + 1


def side_by_side(boxes: np.ndarray, side: int) -> list[int]:
    """Return the number of the digit, counted from 0, that each part belongs to; parts one above the other are one.

    Args:
        boxes: int (n, 4), x, y, width, height of parts that have a digit's size.
        side: The longer side of the largest part.
    """
    numbers, placed = [0] * len(boxes), list[int]()
    for i in sorted(range(len(boxes)), key=boxes.tolist().__getitem__):
        x, y, width, height = boxes[i].tolist()
        for k in placed:
            left, top, wide, high = boxes[k].tolist()
            common = min(x + width, left + wide) - max(x, left)
            gap = max(y, top) - min(y + height, top + high)
            if common >= SAME * min(width, wide) and gap <= BROKEN * side:
                numbers[i] = numbers[k]
                break
        else:
            numbers[i] = max((numbers[k] + 1 for k in placed), default=0)
        placed.append(i)
    return numbers


def pieces_of_digits(boxes: np.ndarray, tall: float) -> list[int]:
    """Return the number of the digit, counted from 0, that each part belongs to, if some are near to each other.

    Args:
        boxes: int (n, 4), x, y, width, height.
        tall: The least height of a digit, as a fraction of the tallest part's; a lower part goes to the nearest digit.
    """
    is_digit = boxes[:, 3] >= tall * boxes[:, 3].max()
    if is_digit.sum() < 2:
        return [0] * len(boxes)
    digits, numbers = boxes[is_digit], side_by_side(boxes[is_digit], boxes[:, 2:].max())
    middles = digits[:, 0] + digits[:, 2] / 2
    nearest = abs((boxes[:, 0] + boxes[:, 2] / 2)[:, None] - middles).argmin(axis=1)
    nearest[is_digit] = np.arange(len(digits))
    return [numbers[i] for i in nearest]
